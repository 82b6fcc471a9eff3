"""Whole images between files and a registry: parts first, the manifest last, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from holdfast.client.transport import ContentMismatch
from holdfast.core import manifest as manifests
from holdfast.core.digest import Digest
from holdfast.core.errors import ManifestInvalid

if TYPE_CHECKING:
    from holdfast.client.oci import Content, RegistryClient
    from holdfast.client.oci_layout import LayoutWriter, SourceImage
    from holdfast.core.manifest import Descriptor, Manifest

CHUNKED_FROM_BYTES: Final = 256 * 1024 * 1024
"""From this size on a blob goes in chunks: proxies and load balancers cap a request's body or its time."""

CHUNK_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 4
"""Indexes within indexes. Real ones have two levels."""


class Watcher(Protocol):
    """Hears how a transfer goes on: one blob after the other."""

    def begin(self, digest: Digest, size_bytes: int) -> None:
        """A blob is next."""

    def advance(self, done_bytes: int) -> None:
        """So many of its bytes are done."""

    def end(self, outcome: str) -> None:
        """It is done: `pushed`, `pulled` or `already there`."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, digest: Digest, size_bytes: int) -> None:
        """Say nothing."""

    def advance(self, done_bytes: int) -> None:
        """Say nothing."""

    def end(self, outcome: str) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Moved:
    """What a transfer moved."""

    digest: Digest
    blobs: int = 0
    sent_bytes: int = 0
    already_there: int = 0
    _seen: set[Digest] = field(default_factory=set, repr=False)


def push_parts(client: RegistryClient, repository: str, image: SourceImage, watcher: Watcher) -> Moved:
    """Push everything that a manifest needs, but not the manifest."""
    moved = Moved(image.manifest.digest)
    _push_parts(client, repository, image, watcher, moved)
    return moved


def push_image(
    client: RegistryClient, repository: str, tag: str | None, image: SourceImage, watcher: Watcher
) -> Moved:
    """Push an image and name it, by its digest alone without a tag. Raises RegistryError, also for a held tag."""
    moved = push_parts(client, repository, image, watcher)
    client.put_manifest(repository, tag or image.manifest.digest, image.manifest.payload, image.manifest.media_type)
    return moved


def _push_parts(
    client: RegistryClient, repository: str, image: SourceImage, watcher: Watcher, moved: Moved
) -> None:
    for child in image.children:
        _push_parts(client, repository, child, watcher, moved)
        client.put_manifest(repository, child.manifest.digest, child.manifest.payload, child.manifest.media_type)
    for blob in image.blobs:
        if blob.digest not in moved._seen:  # noqa: SLF001 - our own record
            moved._seen.add(blob.digest)  # noqa: SLF001 - our own record
            _push_blob(client, repository, blob, watcher, moved)


def _push_blob(client: RegistryClient, repository: str, blob: Content, watcher: Watcher, moved: Moved) -> None:
    watcher.begin(blob.digest, blob.size_bytes)
    moved.blobs += 1
    if client.has_blob(repository, blob.digest):
        moved.already_there += 1
        watcher.end("already there")
        return
    chunk = CHUNK_BYTES if blob.size_bytes >= CHUNKED_FROM_BYTES else None
    client.push_blob(repository, blob, chunk_bytes=chunk, on_progress=watcher.advance)
    moved.sent_bytes += blob.size_bytes
    watcher.end("pushed")


def pull_image(
    client: RegistryClient, repository: str, reference: str | Digest, layout: LayoutWriter, watcher: Watcher
) -> Moved:
    """Pull an image, of an index all platforms, into a layout. Raises RegistryError, ContentMismatch."""
    remote = client.manifest(repository, reference)
    root = _parse(remote.payload, remote.media_type, remote.digest)
    moved = Moved(root.digest)
    _pull(client, repository, root, layout, watcher, moved, 0)
    layout.finish(root, reference if isinstance(reference, str) else None)
    return moved


def _pull(  # noqa: PLR0913 - from where, what, to where
    client: RegistryClient,
    repository: str,
    manifest: Manifest,
    layout: LayoutWriter,
    watcher: Watcher,
    moved: Moved,
    depth: int,
) -> None:
    if manifest.children and depth >= MAX_DEPTH:
        msg = f"Indexes are nested deeper than {MAX_DEPTH} levels."
        raise ContentMismatch(msg)
    for child in manifest.children:
        remote = client.manifest(repository, child.digest)
        _pull(client, repository, _parse(remote.payload, child.media_type, child.digest), layout, watcher, moved, depth + 1)
    for blob in manifest.blobs:
        if blob.digest not in moved._seen:  # noqa: SLF001 - our own record
            moved._seen.add(blob.digest)  # noqa: SLF001 - our own record
            _pull_blob(client, repository, blob, layout, watcher, moved)
    layout.add(manifest.digest, lambda sink: sink.write(manifest.payload))


def _pull_blob(  # noqa: PLR0913 - from where, what, to where
    client: RegistryClient, repository: str, blob: Descriptor, layout: LayoutWriter, watcher: Watcher, moved: Moved
) -> None:
    watcher.begin(blob.digest, blob.size_bytes)
    moved.blobs += 1
    if layout.has(blob.digest):
        moved.already_there += 1
        watcher.end("already there")
        return
    layout.add(
        blob.digest, lambda sink: client.pull_blob(repository, blob.digest, sink, on_progress=watcher.advance)
    )
    moved.sent_bytes += blob.size_bytes
    watcher.end("pulled")


def _parse(payload: bytes, media_type: str, digest: Digest) -> Manifest:
    try:
        return manifests.parse(payload, media_type, algorithm=digest.algorithm)
    except ManifestInvalid as error:
        msg = f"{digest} is not a manifest that can be pulled: {error.message}"
        raise ContentMismatch(msg) from None
