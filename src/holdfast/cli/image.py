"""`holdfast push` and `holdfast pull`: images between files and the registry, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import Output, size
from holdfast.cli.progress import watching
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.oci_layout import LayoutWriter, open_image
from holdfast.client.transfer import Pull, Push

if TYPE_CHECKING:
    from holdfast.core.digest import Digest


@click.command(
    cls=TeachingCommand,
    short_help="Push an image from files.",
    sections={
        "Examples": (
            "holdfast push ./layout demo/app:v1",
            "docker save -o app.tar app && holdfast push app.tar demo/app:v1",
        )
    },
)
@click.argument("source", metavar="FILE_OR_LAYOUT", type=click.Path(exists=True, path_type=Path))
@click.argument("image", metavar="REPO:TAG", callback=names.image("REPO:TAG"))
@click.option("--pick", metavar="NAME", help="Which image, when there are several.")
@connected
def push(at: Connection, out: Output, source: Path, image: tuple[str, str], pick: str | None) -> None:
    """Push an image from files: an OCI image layout (folder or tar), or what `docker save` wrote.

    Parts that the repository has are not sent. A tag that holds refuses another image with exit code 4; the image is
    kept under its digest then, and `holdfast tag` can name it anew.
    """
    repository, tag = image
    with open_image(source, pick) as found:
        with watching() as watcher:
            transfer = Push(at.registry, repository, watcher)
            transfer.image(found, tag)
        digest = found.manifest.digest
    moved = transfer.moved
    document = {
        "repository": repository,
        "tag": tag,
        "digest": str(digest),
        "blobs": moved.blobs,
        "already_there": moved.already_there,
        "pushed_bytes": moved.moved_bytes,
    }
    out.result(
        document,
        f"{repository}:{tag} names {digest} ({moved.blobs} blobs, {moved.already_there} already there, "
        f"{size(moved.moved_bytes)} sent).",
    )


@click.command(
    cls=TeachingCommand,
    short_help="Pull an image into a folder.",
    sections={"Examples": ("holdfast pull demo/app:v1 ./layout", "holdfast pull demo/app@sha256:4f53... ./layout")},
)
@click.argument("image", metavar="REPO:TAG_OR_DIGEST", callback=names.image("REPO:TAG", "REPO@DIGEST"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@connected
def pull(at: Connection, out: Output, image: tuple[str, str | Digest], folder: Path) -> None:
    """Pull an image into a folder, as an OCI image layout; every byte is checked against its digest.

    The folder is new, empty, or a layout already; what it has is not fetched again. Of an image for several platforms
    all are pulled.
    """
    repository, reference = image
    with watching() as watcher:
        transfer = Pull(at.registry, repository, LayoutWriter(folder), watcher)
        root = transfer.image(reference)
    moved = transfer.moved
    document = {
        "repository": repository,
        "reference": str(reference),
        "digest": str(root.digest),
        "folder": str(folder),
        "blobs": moved.blobs,
        "already_there": moved.already_there,
        "pulled_bytes": moved.moved_bytes,
    }
    out.result(
        document,
        f"{root.digest} is in {folder} ({moved.blobs} blobs, {moved.already_there} there before, "
        f"{size(moved.moved_bytes)} fetched).",
    )
