"""Blobs of a repository: found, opened, mounted, removed. Whether another repository has a blob is never told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import BlobNotFound, BlobReferenced, LayerInaccessible
from holdfast.registry.binding import require_repository
from holdfast.store import catalog, content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.digest import Digest
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.repositories import Repositories
    from holdfast.store.catalog import Registry
    from holdfast.store.content import Blob
    from holdfast.store.database import Database, Transaction
    from holdfast.store.filesystem import BlobReader, FilesystemBlobs

MAX_MOUNT_CANDIDATES: Final = 100
"""Repositories looked at for a mount that names none."""


class Blobs:
    """The use cases over blobs."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        access: Access,
        repositories: Repositories,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._store = store
        self._access = access
        self._repositories = repositories
        self._clock = clock

    def find(self, caller: Caller, registry: Registry, repository: str, digest: Digest) -> Blob:
        """Return the size and place of a blob. Raises BlobNotFound, RepositoryNotFound, AccessDenied."""
        self._access.require(caller, registry, "ecr:BatchCheckLayerAvailability", repository)
        return self._blob(registry, repository, digest)

    def open(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        digest: Digest,
        *,
        select: Callable[[int], tuple[int, int]] | None = None,
    ) -> tuple[Blob, BlobReader]:
        """Open a blob for reading; `select` turns its size into the bytes [start, end) wanted.

        Raises BlobNotFound, RepositoryNotFound, AccessDenied, and what `select` raises.
        """
        self._access.require(caller, registry, "ecr:GetDownloadUrlForLayer", repository)
        return self.open_granted(registry, repository, digest, select=select)

    def open_granted(
        self,
        registry: Registry,
        repository: str,
        digest: Digest,
        *,
        select: Callable[[int], tuple[int, int]] | None = None,
    ) -> tuple[Blob, BlobReader]:
        """Open a blob for one whose right was settled when a download link was made."""
        blob = self._blob(registry, repository, digest)
        start, end = select(blob.size_bytes) if select else (0, blob.size_bytes)
        return blob, self._store.open(digest, blob.generation, start=start, end=end)

    def availability(
        self, caller: Caller, registry: Registry, repository: str, digests: Sequence[Digest]
    ) -> dict[str, int]:
        """Find which of the blobs the repository has: digest -> size in bytes."""
        self._access.require(caller, registry, "ecr:BatchCheckLayerAvailability", repository)
        found = require_repository(self._database, registry, repository)
        return content.blob_sizes(self._database, found.id, [str(digest) for digest in digests])

    def require_downloadable(self, caller: Caller, registry: Registry, repository: str, digest: Digest) -> Blob:
        """Return a blob that an image of the repository refers to. Raises LayerInaccessible for one that none does."""
        self._access.require(caller, registry, "ecr:GetDownloadUrlForLayer", repository)
        blob = self._blob(registry, repository, digest)
        found = require_repository(self._database, registry, repository)
        if not content.blob_is_referenced(self._database, found.id, str(digest)):
            raise LayerInaccessible(str(digest))
        return blob

    async def mount(
        self, caller: Caller, registry: Registry, repository: str, digest: Digest, source: str | None, *, through: str
    ) -> bool:
        """Give the repository a blob that another one has; say whether that could be done.

        The caller must be allowed to pull from the source. Without one, any repository that the caller may pull from
        serves. A blob that is not there and one that the caller may not see are told alike: not mounted.
        """
        self._access.require(caller, registry, "ecr:InitiateLayerUpload", repository)
        if source is None:
            candidates = content.repositories_with_blob(
                self._database, registry.id, str(digest), limit=MAX_MOUNT_CANDIDATES
            )
        else:
            candidates = [source]
        readable = [
            name for name in candidates if self._access.allows(caller, registry, "ecr:GetDownloadUrlForLayer", name)
        ]
        if not readable:
            return False
        await self._repositories.ensure(caller, registry, repository, through=through)
        now = self._clock()

        def job(txn: Transaction) -> bool:
            target = require_repository(txn, registry, repository)
            for name in readable:
                identity = catalog.repository_id(txn, registry.id, name)
                if identity is not None and content.blob(txn, identity, str(digest)) is not None:
                    content.link_blob(txn, target.id, str(digest), at=now)
                    return True
            return False

        return await self._database.write(job)

    async def delete(self, caller: Caller, registry: Registry, repository: str, digest: Digest) -> None:
        """Take a blob from a repository. Raises BlobReferenced while an image of the repository needs it."""
        self._access.require(caller, registry, "ecr:BatchDeleteImage", repository)

        def job(txn: Transaction) -> None:
            found = require_repository(txn, registry, repository)
            if content.blob_is_referenced(txn, found.id, str(digest)):
                raise BlobReferenced(str(digest))
            if not content.unlink_blob(txn, found.id, str(digest)):
                raise BlobNotFound(str(digest))

        await self._database.write(job)

    def _blob(self, registry: Registry, repository: str, digest: Digest) -> Blob:
        blob = content.blob_of(self._database, registry.id, repository, str(digest))
        if blob is None:
            require_repository(self._database, registry, repository)
            raise BlobNotFound(str(digest))
        return blob
