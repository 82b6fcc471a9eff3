"""Blobs of a repository: found, opened, mounted, removed. Whether another repository has a blob is never told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import BlobNotFound, BlobReferenced, LayerInaccessible, ReadOnly
from holdfast.registry import account_settings
from holdfast.registry.binding import require_repository
from holdfast.registry.quotas import give_blob
from holdfast.store import catalog, content, lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.repositories import Repositories
    from holdfast.store.catalog import Registry
    from holdfast.store.content import Blob
    from holdfast.store.database import Database, Transaction
    from holdfast.store.filesystem import BlobReader, FilesystemBlobs

MAX_MOUNT_CANDIDATES: Final = 100
"""Repositories looked at for a mount that names none."""

LEASE_MICROSECONDS: Final = 24 * 3600 * 1_000_000
"""How long a blob that a client was told of is kept without a manifest: longer than any push takes."""

MAX_KNOWN: Final = 4_096
"""Rows of blobs that are kept while nothing is written."""

RENEW_MICROSECONDS: Final = LEASE_MICROSECONDS // 2
"""A lease with less left than this is renewed when the client asks; so a blob is written to at most twice a day."""


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
        self._known: dict[tuple[int, str, Digest], Blob] = {}
        self._known_at = 0
        """The number of commits at which all of `_known` was read: any commit, of whatever, lets it fall."""

    def require_findable(self, caller: Caller, registry: Registry, repository: str) -> None:
        """Raise AccessDenied unless the caller may ask for blobs of the repository: what `find` requires."""
        self._access.require(caller, registry, "ecr:BatchCheckLayerAvailability", repository)

    async def find(self, caller: Caller, registry: Registry, repository: str, digest: Digest) -> Blob:
        """Return a blob, which is kept for a manifest to come from now on for half a day at least.

        Raises BlobNotFound, RepositoryNotFound, AccessDenied.
        """
        self.require_findable(caller, registry, repository)
        blob = self._blob(registry, repository, digest)
        if self.is_leased(blob):
            return blob
        found = await self._lease(registry, repository, [blob.digest])
        if blob.digest not in found:
            raise BlobNotFound(blob.digest)
        return found[blob.digest]

    def is_leased(self, blob: Blob) -> bool:
        """Whether a blob is kept for long enough that a client may be told of it without a renewal."""
        return blob.leased_until - self._clock() > RENEW_MICROSECONDS

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
        blob = self._row(registry, repository, digest)
        start, end = select(blob.size_bytes) if select else (0, blob.size_bytes)
        return blob, self._store.open(digest, blob.generation, start=start, end=end, size_bytes=blob.size_bytes)

    async def availability(
        self, caller: Caller, registry: Registry, repository: str, digests: Sequence[Digest]
    ) -> dict[str, Blob]:
        """Find which of the blobs the repository has; like `find`, each is kept from now on."""
        self._access.require(caller, registry, "ecr:BatchCheckLayerAvailability", repository)
        repo = require_repository(self._database, registry, repository)
        wanted = [str(digest) for digest in digests]
        found = content.blobs(self._database, repo.id, wanted)
        if not all(self.is_leased(blob) for blob in found.values()):
            found = await self._lease(registry, repository, wanted)
        return {digest: blob for digest, blob in found.items() if self.is_there(blob)}

    def require_downloadable(self, caller: Caller, registry: Registry, repository: str, digest: Digest) -> Blob:
        """Return a blob that an image of the repository refers to. Raises LayerInaccessible for one that none does."""
        self._access.require(caller, registry, "ecr:GetDownloadUrlForLayer", repository)
        blob = self._blob(registry, repository, digest)
        found = require_repository(self._database, registry, repository)
        if not content.blob_is_referenced(self._database, found.id, str(digest)):
            raise LayerInaccessible(str(digest))
        if lifecycle.archived_blobs(self._database, found.id, [str(digest)]):
            raise LayerInaccessible(str(digest))
        return blob

    def archived(self, registry: Registry, repository: str, digests: Sequence[str]) -> set[str]:
        """Return which of the blobs only images at rest name; for a caller who was told of them by `availability`."""
        found = require_repository(self._database, registry, repository)
        return lifecycle.archived_blobs(self._database, found.id, digests)

    async def mount(
        self, caller: Caller, registry: Registry, repository: str, digest: Digest, source: str | None, *, through: str
    ) -> bool:
        """Give the repository a blob that another one has; say whether that could be done.

        The caller must be allowed to pull from the source. Without one, any repository that the caller may pull from
        serves. A blob that is not there and one that the caller may not see are told alike: not mounted.
        """
        self._access.require(caller, registry, "ecr:InitiateLayerUpload", repository)
        if account_settings.value_of(self._database, registry, account_settings.BLOB_MOUNTING) == "DISABLED":
            return False
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
                blob = content.blob(txn, identity, str(digest)) if identity is not None else None
                if blob is not None and self.is_there(blob):
                    give_blob(txn, target.id, blob, until=now + LEASE_MICROSECONDS)
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

    async def _lease(self, registry: Registry, repository: str, digests: Sequence[str]) -> dict[str, Blob]:
        """Renew the leases of those blobs that the repository still has, and return them."""
        until = self._clock() + LEASE_MICROSECONDS

        def job(txn: Transaction) -> dict[str, Blob]:
            repo = require_repository(txn, registry, repository)
            for digest in content.blobs(txn, repo.id, digests):
                content.lease_blob(txn, repo.id, digest, until=until)
            return content.blobs(txn, repo.id, digests)

        try:
            return await self._database.write(job)
        except ReadOnly:
            repo = require_repository(self._database, registry, repository)
            return content.blobs(self._database, repo.id, digests)  # nothing is collected meanwhile

    def is_there(self, blob: Blob) -> bool:
        """Whether the file is there: one that was damaged was set aside, and a client should send the blob again."""
        return self._store.has(Digest.parse(blob.digest), blob.generation, blob.size_bytes)

    def _blob(self, registry: Registry, repository: str, digest: Digest) -> Blob:
        blob = self._row(registry, repository, digest)
        if not self.is_there(blob):
            raise BlobNotFound(blob.digest)
        return blob

    def _row(self, registry: Registry, repository: str, digest: Digest) -> Blob:
        """Find what the database knows of a blob; the many parts that a client asks of one are one look."""
        commits, asked = self._database.commits, (registry.id, repository, digest)
        if commits != self._known_at:
            self._known, self._known_at = {}, commits
        blob = self._known.get(asked)
        if blob is None:
            blob = content.blob_of(self._database, registry.id, repository, str(digest))
            if blob is None:
                require_repository(self._database, registry, repository)
                raise BlobNotFound(str(digest))
            if commits % 2 == 0 and commits == self._database.commits and len(self._known) < MAX_KNOWN:
                self._known[asked] = blob
        return blob
