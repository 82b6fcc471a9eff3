"""The storage class of images: archived ones are kept and not given to pulls until they are restored.

Everything lies on one disk here, so that archiving moves no byte. It takes an image out of use, provably: who
pulls it gets ECR's 404, its tags keep their digests, and it comes back only when somebody asks. A restoration reads the
image's blobs and compares them with their digests before the image is active again; one that is damaged stays archived,
on record.

What belongs together goes together: with an index the images that only it lists and no tag names, with an image its
referrers; back likewise. A push of an archived image restores it at once, as in ECR.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import BlobCorrupt, BlobNotFound, ReadOnly
from holdfast.core.lifecycle import ImageStatus
from holdfast.core.lifecycle_errors import StorageClassUnsupported
from holdfast.registry.binding import Act, require_repository
from holdfast.registry.callers import Caller, caller_of_service
from holdfast.registry.image_pages import ImageId, require_image
from holdfast.registry.resting import archive_image, belonging, change, has_status
from holdfast.store import catalog, lifecycle, manifests

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Transaction
    from holdfast.store.filesystem import FilesystemBlobs

RESTORE_BATCH: Final = 100
_RETRY_SECONDS: Final = 60
_LOGGER: Final = logging.getLogger("holdfast.storage_class")


def server_itself(registry: Registry, service: str) -> Caller:
    """Return the caller in whose name the server does what nobody asks for at that moment; it has no key."""
    return caller_of_service(f"arn:aws:iam::{registry.account_id}:service/{service}", registry.account_id)


class StorageClasses:
    """Archives and restores."""

    def __init__(self, database: Database, store: FilesystemBlobs, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._store = store
        self._access = access
        self._clock = clock
        self._asked = asyncio.Event()

    async def update(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        image_id: ImageId,
        *,
        archive: bool,
        through: str,
    ) -> tuple[str, ImageStatus]:
        """Archive an image, or begin to restore it; return its digest and its status now.

        Raises ManifestNotFound, RepositoryNotFound, AccessDenied, and StorageClassUnsupported for an image that an
        active index lists, or that is being restored.
        """
        self._access.require(caller, registry, "ecr:UpdateImageStorageClass", repository)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> tuple[str, ImageStatus]:
            found = require_repository(txn, registry, repository)
            image = require_image(txn, registry, found, image_id)
            status = ImageStatus(image.status)
            if archive and status is not ImageStatus.ARCHIVED:
                _require_archivable(txn, found, image)
                archive_image(txn, registry, found, image.digest, act, why="it was asked for")
                return image.digest, ImageStatus.ARCHIVED
            if not archive and status is ImageStatus.ARCHIVED:
                for digest in belonging(txn, found, image.digest, ImageStatus.ARCHIVED):
                    change(txn, registry, found, digest, ImageStatus.ACTIVATING, act, why="it was asked for")
                return image.digest, ImageStatus.ACTIVATING
            return image.digest, status

        digest, status = await self._database.write(job)
        if status is ImageStatus.ACTIVATING:
            self._asked.set()
        return digest, status

    async def run(self) -> None:
        """Restore what is asked for, for ever; what a stop interrupted is gone on with."""
        while True:
            self._asked.clear()
            try:
                await self.restore_all()
            except ReadOnly:
                pass  # it waits until changes are taken again
            except Exception:  # it outlives any one failure
                _LOGGER.exception("images could not be restored")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _RETRY_SECONDS)

    async def restore_all(self) -> None:
        """Restore the images that wait for it."""
        while waiting := lifecycle.at_rest(self._database, ImageStatus.ACTIVATING, limit=RESTORE_BATCH):
            for registry_id, repository, digest in waiting:
                registry = catalog.registry(self._database, registry_id)
                await self._restore(registry, repository, digest)

    async def _restore(self, registry: Registry, repository: str, digest: str) -> None:
        """Check the bytes of an image, then make it active; archived again, and on record, when they are damaged."""
        identity = catalog.repository_id(self._database, registry.id, repository)
        damaged = await self._damaged_blob(identity, digest) if identity is not None else None
        act = Act(server_itself(registry, "restore"), self._clock(), "restore")

        def job(txn: Transaction) -> None:
            found = catalog.repository(txn, registry.id, repository)
            image = manifests.image(txn, found.id, digest) if found is not None else None
            if found is None or image is None or image.status != ImageStatus.ACTIVATING:
                return
            if damaged is not None:
                why = f"it could not be restored: the bytes of {damaged} are damaged or gone"
                change(txn, registry, found, digest, ImageStatus.ARCHIVED, act, why=why)
            else:
                change(txn, registry, found, digest, ImageStatus.ACTIVE, act, why="its bytes were checked")

        await self._database.write(job)

    async def _damaged_blob(self, identity: int, digest: str) -> str | None:
        for blob, generation in lifecycle.blobs_of(self._database, identity, digest):
            try:
                reader = self._store.open(Digest.parse(blob), generation)
            except BlobNotFound:
                return blob
            try:
                while await reader.read():
                    pass
            except BlobCorrupt:
                return blob
            finally:
                reader.close()
        return None


def _require_archivable(txn: Transaction, repository: Repository, image: manifests.Image) -> None:
    if image.status == ImageStatus.ACTIVATING:
        msg = f"The image {image.digest} is being restored; wait until it is active."
        raise StorageClassUnsupported(msg)
    parents = manifests.parents(txn, repository.id, image.digest)
    active = [one for one in parents if has_status(txn, repository, one, ImageStatus.ACTIVE)]
    if active:
        msg = f"Requested image referenced by manifest list: [{', '.join(active)}]"
        raise StorageClassUnsupported(msg, {"referenced_by": active})
