"""`holdfast tag` and `holdfast forget`: give a kept manifest a new name; give up a name that waits for its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, agreed, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.api import APIError
from holdfast.core.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELD: Final = "ImageTagAlreadyExistsException"
_SAME: Final = "ImageAlreadyExistsException"


@click.command(
    cls=TeachingCommand,
    short_help="Give a kept image one more tag.",
    sections={"Examples": ("holdfast tag demo/app@sha256:4f53... v2", "holdfast tag demo/app:v2 stable")},
)
@click.argument("image", metavar="REPO@DIGEST", callback=names.image("REPO@DIGEST", "REPO:TAG"))
@click.argument("new_tags", metavar="NEW_TAG...", callback=names.tags, nargs=-1, required=True)
@connected
def tag(at: Connection, out: Output, image: tuple[str, str | Digest], new_tags: Sequence[str]) -> int:
    """Give an image that the registry has one more tag, or several. Nothing is uploaded.

    A refused push keeps its manifest under its digest; this is how to publish it under another name.
    """
    repository, reference = image
    found = kept_manifest(at, repository, reference)
    done = [{"tag": one, **name_anew(at, repository, found, one)} for one in new_tags]
    digest = found["imageId"]["imageDigest"]
    sentences = [_said(repository, digest, one) for one in done]
    refused = any(one["outcome"] == "refused" for one in done)
    if refused and not out.as_json:
        for one, sentence in zip(done, sentences, strict=True):
            click.echo(plain(sentence), err=one["outcome"] == "refused")
    else:
        out.result({"repository": repository, "digest": digest, "tags": done}, *sentences)
    return Exit.REFUSED if refused else Exit.DONE


def kept_manifest(at: Connection, repository: str, reference: str | Digest) -> dict[str, Any]:
    """Return an image as BatchGetImage gives it, by a tag or digest."""
    image_id = {"imageDigest": str(reference)} if isinstance(reference, Digest) else {"imageTag": reference}
    reply = at.api.ecr("batch_get_image", repositoryName=repository, imageIds=[image_id])
    if not reply["images"]:
        why = reply["failures"][0]["failureReason"] if reply["failures"] else "it is not there"
        msg = f"{repository} has no image {reference}: {why}."
        raise Unfinished(msg, f"See what there is: holdfast tags {repository}")
    found: dict[str, Any] = reply["images"][0]
    return found


def name_anew(at: Connection, repository: str, image: dict[str, Any], new_tag: str) -> dict[str, Any]:
    """Put an image under one more tag; tell the outcome: `bound`, `same`, or `refused` and the server's sentence."""
    try:
        at.api.ecr(
            "put_image",
            repositoryName=repository,
            imageManifest=image["imageManifest"],
            imageManifestMediaType=image["imageManifestMediaType"],
            imageTag=new_tag,
            imageDigest=image["imageId"]["imageDigest"],
        )
    except APIError as error:
        if error.code == _HELD:
            return {"outcome": "refused", "message": error.message}
        if error.code == _SAME:
            return {"outcome": "same", "message": None}
        raise
    return {"outcome": "bound", "message": None}


def _said(repository: str, digest: str, done: dict[str, Any]) -> str:
    if done["outcome"] == "refused":
        return f"holdfast: {done['message']}"
    already = " already" if done["outcome"] == "same" else ""
    return f"{repository}:{done['tag']} names {digest}{already}."


@click.command(
    cls=TeachingCommand,
    short_help="Give up the name of a deleted tag.",
    sections={"Example": ("holdfast forget demo/app:v1",)},
)
@click.argument("image", metavar="REPO:TAG", callback=names.image("REPO:TAG"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def forget(at: Connection, out: Output, image: tuple[str, str], *, yes: bool) -> int:
    """Give up the name of a tag that was deleted while it held.

    Such a name waits for the digest that it had, so that nothing else can come in its place. After this command any
    image may take it. It takes an administrator, and the record keeps it.
    """
    repository, name = image
    question = f"Let any image take the name {repository}:{name} at {at.endpoint}?"
    if not agreed(question, yes=yes):
        out.result({"repository": repository, "tag": name, "forgotten": False}, "Nothing was changed.")
        return Exit.UNFINISHED
    at.api.holdfast("forget_tag", repositoryName=repository, imageTag=name)
    document = {"repository": repository, "tag": name, "forgotten": True}
    out.result(document, f"{repository}:{name} is free: any image may take it.")
    return Exit.DONE
