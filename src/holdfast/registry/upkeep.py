"""Upkeep: collecting what nobody needs, beside pushes and pulls.

What a push was told exists is never collected: HEAD, upload and mount take a lease in the transaction that answers
them, a manifest's blobs are held by foreign keys, and all of it is judged in the writer's one queue. The model of the
rule is docs/models/collection.pml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.store import garbage

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.uploads import Uploads
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction
    from holdfast.store.filesystem import FilesystemBlobs

ROWS_PER_STEP: Final = 500
"""Rows that one transaction of the collection touches, so that no push waits long behind it."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed, or would remove."""

    links: int
    """Blobs taken from a repository that had no use for them."""
    blobs: int
    """Blobs that no repository had any more."""
    blob_bytes: int
    payloads: int
    """Manifests' bytes that no repository had any more."""
    sessions: int
    """Upload sessions that were left behind."""


class _Undo(Exception):
    """Carries what a dry run found out of the transaction that is rolled back."""

    def __init__(self, found: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.found = found


class Upkeep:
    """The use cases of an operator who makes room."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        uploads: Uploads,
        access: Access,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._store = store
        self._uploads = uploads
        self._access = access
        self._clock = clock

    async def collect_for(self, caller: Caller, registry: Registry, *, dry_run: bool) -> Collected:
        """Collect, asked for by a caller who may."""
        self._access.require(caller, registry, "holdfast:CollectGarbage")
        return await self.collect(dry_run=dry_run)

    async def collect(self, *, dry_run: bool = False) -> Collected:
        """Remove what nobody needs. A dry run does the very same in a transaction that is rolled back."""
        now = self._clock()
        if dry_run:
            return await self._rehearse(now)
        links = blobs = blob_bytes = payloads = 0
        while True:
            step = await self._database.write(lambda txn: _step(txn, now, ROWS_PER_STEP))
            links, blobs, payloads = links + step[0], blobs + step[1], payloads + step[3]
            blob_bytes += step[2]
            if max(step[0], step[1], step[3]) < ROWS_PER_STEP:
                break
        await self.reap()
        sessions = await self._uploads.sweep()
        return Collected(links, blobs, blob_bytes, payloads, sessions)

    async def reap(self) -> None:
        """Delete the files that are doomed; what a crash left undone is done at the next call."""
        while doomed := garbage.doomed_files(self._database, limit=ROWS_PER_STEP):
            for file in doomed:
                await self._store.delete(Digest.parse(file.digest), file.generation)

            def job(txn: Transaction, done: list[garbage.DoomedFile] = doomed) -> None:
                for file in done:
                    garbage.forget_doomed(txn, file)

            await self._database.write(job)

    async def _rehearse(self, now: int) -> Collected:
        def job(txn: Transaction) -> None:
            total = [0, 0, 0, 0]
            while True:
                step = _step(txn, now, ROWS_PER_STEP)
                total = [have + more for have, more in zip(total, step, strict=True)]
                if max(step[0], step[1], step[3]) < ROWS_PER_STEP:
                    raise _Undo((total[0], total[1], total[2], total[3]))

        try:
            await self._database.write(job)
        except _Undo as undo:
            links, blobs, blob_bytes, payloads = undo.found
            return Collected(links, blobs, blob_bytes, payloads, self._uploads.left_behind())
        raise AssertionError


def _step(txn: Transaction, now: int, limit: int) -> tuple[int, int, int, int]:
    links = garbage.unlink_unneeded(txn, now, limit=limit)
    doomed = garbage.doom_unlinked(txn, limit=limit)
    return links, len(doomed), sum(file.size_bytes for file in doomed), garbage.delete_unused_payloads(txn, limit=limit)
