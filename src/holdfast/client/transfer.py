"""Whole images between files and a registry: parts first, the manifest last, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from holdfast.client.transport import ContentMismatch
from holdfast.core import manifest as manifests
from holdfast.core.errors import ManifestInvalid

if TYPE_CHECKING:
    from holdfast.client.oci import Content, RegistryClient
    from holdfast.client.oci_layout import LayoutWriter, SourceImage
    from holdfast.core.digest import Digest
    from holdfast.core.manifest import Descriptor, Manifest

CHUNKED_FROM_BYTES: Final = 256 * 1024 * 1024
"""From this size on a blob goes in chunks: proxies and load balancers cap a request's body or its time."""

CHUNK_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 4
"""Indexes within indexes. Real ones have two levels."""


class Watcher(Protocol):
    """Hears how a transfer goes on, one blob after the other."""

    def begin(self, digest: Digest, size_bytes: int) -> None:
        """A blob is next."""

    def advance(self, done_bytes: int) -> None:
        """So many of its bytes are done."""

    def end(self, outcome: str) -> None:
        """It is done: `pushed`, `pulled` or `already there`."""


@dataclass(slots=True)
class Moved:
    """What a transfer moved."""

    blobs: int = 0
    moved_bytes: int = 0
    already_there: int = 0


class Push:
    """Pushes images into one repository; parts that it has are not sent. Raises RegistryError."""

    def __init__(self, client: RegistryClient, repository: str, watcher: Watcher) -> None:
        self._client = client
        self._repository = repository
        self._watcher = watcher
        self._seen: set[Digest] = set()
        self.moved = Moved()

    def image(self, image: SourceImage, tag: str | None) -> None:
        """Push an image and name it; without a tag by its digest alone. A held tag refuses with RegistryError."""
        self.parts(image)
        self._put(image.manifest, tag)

    def parts(self, image: SourceImage) -> None:
        """Push everything that a manifest needs, but not the manifest."""
        for child in image.children:
            self.parts(child)
            self._put(child.manifest, None)
        for blob in image.blobs:
            if blob.digest not in self._seen:
                self._seen.add(blob.digest)
                self._blob(blob)

    def _put(self, manifest: Manifest, tag: str | None) -> None:
        self._client.put_manifest(self._repository, tag or manifest.digest, manifest.payload, manifest.media_type)

    def _blob(self, blob: Content) -> None:
        self._watcher.begin(blob.digest, blob.size_bytes)
        self.moved.blobs += 1
        if self._client.has_blob(self._repository, blob.digest):
            self.moved.already_there += 1
            self._watcher.end("already there")
            return
        chunk = CHUNK_BYTES if blob.size_bytes >= CHUNKED_FROM_BYTES else None
        self._client.push_blob(self._repository, blob, chunk_bytes=chunk, on_progress=self._watcher.advance)
        self.moved.moved_bytes += blob.size_bytes
        self._watcher.end("pushed")


class Pull:
    """Pulls images out of one repository into a layout. Raises RegistryError and ContentMismatch."""

    def __init__(self, client: RegistryClient, repository: str, layout: LayoutWriter, watcher: Watcher) -> None:
        self._client = client
        self._repository = repository
        self._layout = layout
        self._watcher = watcher
        self._seen: set[Digest] = set()
        self.moved = Moved()

    def image(self, reference: str | Digest) -> Manifest:
        """Pull an image, of an index every image in it; return its manifest."""
        root = self._manifest(reference, None)
        self._below(root, 0)
        self._layout.finish(root, reference if isinstance(reference, str) else None)
        return root

    def _manifest(self, reference: str | Digest, media_type: str | None) -> Manifest:
        remote = self._client.manifest(self._repository, reference)
        try:
            return manifests.parse(remote.payload, media_type or remote.media_type, algorithm=remote.digest.algorithm)
        except ManifestInvalid as error:
            msg = f"{remote.digest} is not a manifest that can be pulled: {error.message}"
            raise ContentMismatch(msg) from None

    def _below(self, manifest: Manifest, depth: int) -> None:
        if manifest.children and depth >= MAX_DEPTH:
            msg = f"Indexes are nested deeper than {MAX_DEPTH} levels."
            raise ContentMismatch(msg)
        for child in manifest.children:
            self._below(self._manifest(child.digest, child.media_type), depth + 1)
        for blob in manifest.blobs:
            if blob.digest not in self._seen:
                self._seen.add(blob.digest)
                self._blob(blob)
        self._layout.add(manifest.digest, lambda sink: sink.write(manifest.payload))

    def _blob(self, blob: Descriptor) -> None:
        self._watcher.begin(blob.digest, blob.size_bytes)
        self.moved.blobs += 1
        if self._layout.has(blob.digest):
            self.moved.already_there += 1
            self._watcher.end("already there")
            return
        self._layout.add(
            blob.digest,
            lambda sink: self._client.pull_blob(
                self._repository, blob.digest, sink, size_bytes=blob.size_bytes, on_progress=self._watcher.advance
            ),
        )
        self.moved.moved_bytes += blob.size_bytes
        self._watcher.end("pulled")
