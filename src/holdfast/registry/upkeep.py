"""Upkeep: collecting what nobody needs, beside pushes and pulls.

What a push was told exists is never collected: HEAD, upload and mount take a lease in the transaction that answers
them, a manifest's blobs are held by foreign keys, and all of it is judged in the writer's one queue. The rule
is modelled in docs/models/collection.pml, where each half of it is shown to be needed.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.digest import Digest
from holdfast.store import examination, garbage
from holdfast.store.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.gate import Gate
    from holdfast.registry.uploads import Uploads
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.filesystem import FilesystemBlobs
    from holdfast.store.garbage import Page

MAX_ORPHANS: Final = 10_000
"""More files without a row than this are no crash's: every upload under way at a crash leaves at most one."""

LEAST_ORPHANS: Final = 16
_LOGGER: Final = logging.getLogger("holdfast.upkeep")

ROWS_PER_STEP: Final = 1_000
"""Rows looked at, and at most removed, at a time: a few milliseconds, so that no push or pull waits long."""


@dataclass(slots=True)
class Collected:
    """What a collection removed, or would remove."""

    links: int = 0
    """Blobs taken from a repository that had no use for them."""
    blobs: int = 0
    """Blobs that no repository had any more."""
    blob_bytes: int = 0
    payloads: int = 0
    """Manifests' bytes that no repository had any more."""
    sessions: int = 0
    """Upload sessions that were left behind, and files of none."""

    def add(self, more: Collected) -> None:
        """Count what a step removed."""
        self.links += more.links
        self.blobs += more.blobs
        self.blob_bytes += more.blob_bytes
        self.payloads += more.payloads


class _Undo(Exception):
    """Ends a rehearsal: its transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """One table of the collection: where its pages begin, what a page finds, how that is removed."""

    begin: tuple[Any, ...] | None
    find: Callable[[Reader, Any], Page]
    remove: Callable[..., Collected]


def _stages(now: int) -> tuple[_Stage, ...]:
    """List the tables in order: a link goes before its blob."""
    return (
        _Stage(
            (0, ""),
            lambda reader, after: garbage.links_page(reader, now, after=after, limit=ROWS_PER_STEP),
            partial(_unlink, now=now),
        ),
        _Stage(("",), lambda reader, after: garbage.blobs_page(reader, after=after, limit=ROWS_PER_STEP), _doom),
        _Stage(
            ("",), lambda reader, after: garbage.payloads_page(reader, after=after, limit=ROWS_PER_STEP), _drop_payloads
        ),
    )


def _unlink(txn: Transaction, *, page: Page, now: int) -> Collected:
    return Collected(links=sum(garbage.unlink(txn, now, *key) for key in page.unneeded))


def _doom(txn: Transaction, *, page: Page) -> Collected:
    doomed = [file for key in page.unneeded if (file := garbage.doom(txn, *key)) is not None]
    return Collected(blobs=len(doomed), blob_bytes=sum(file.size_bytes for file in doomed))


def _drop_payloads(txn: Transaction, *, page: Page) -> Collected:
    return Collected(payloads=sum(garbage.delete_payload(txn, *key) for key in page.unneeded))


class Upkeep:
    """The use cases of an operator who makes room."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        uploads: Uploads,
        access: Access,
        clock: Callable[[], int],
        *,
        gate: Gate,
        deleting: Callable[[], AbstractContextManager[bool]],
    ) -> None:
        """`clock` gives microseconds since the epoch; `deleting`: whether files may be deleted while its block runs."""
        self._deleting = deleting
        self._gate = gate
        self._database = database
        self._store = store
        self._uploads = uploads
        self._access = access
        self._clock = clock

    async def collect_for(self, caller: Caller, registry: Registry, *, dry_run: bool) -> Collected:
        """Collect, asked for by a caller who may."""
        self._access.require(caller, registry, "holdfast:CollectGarbage")
        return await (self.rehearse() if dry_run else self.collect())

    async def collect(self) -> Collected:
        """Remove what nobody needs. Raises ReadOnly: what a client is told then has no new lease."""
        self._gate.require_open()
        done, now = Collected(), self._clock()
        for stage in _stages(now):
            after = stage.begin
            while after is not None:
                page = stage.find(self._database, after)
                if page.unneeded:
                    done.add(await self._database.write(partial(stage.remove, page=page)))
                    reach("collect.removed")
                after = page.after
                await asyncio.sleep(0)  # let others have the loop
        await self.reap()
        done.sessions = await self._uploads.sweep()
        return done

    async def rehearse(self) -> Collected:
        """Tell exactly what `collect` would remove: it is done, in one transaction that is rolled back."""
        done, now = Collected(), self._clock()

        def job(txn: Transaction) -> None:
            for stage in _stages(now):
                after = stage.begin
                while after is not None:
                    page = stage.find(txn, after)
                    done.add(stage.remove(txn, page=page))
                    after = page.after
            raise _Undo

        try:
            await self._database.write(job)
        except _Undo:
            done.sessions = await self._uploads.left_behind()
        return done

    async def sweep_files(self) -> int | None:
        """Delete files of blobs that no row names, as a crash between the two leaves; return how many. Once a start.

        None while a backup has the collection: nothing was deleted, and it has to be done later. Where more files are
        without a row than with one, or very many, it is not a crash that left them but a database that is not theirs:
        nothing is deleted then, and the log says so.
        """
        self._gate.require_open()
        orphans = [
            (digest, generation)
            async for digest, generation in self._store.unrecorded_files()
            if not examination.is_named(self._database, str(digest), generation)
        ]
        if len(orphans) > MAX_ORPHANS or len(orphans) > max(examination.totals(self._database)["blobs"], LEAST_ORPHANS):
            _LOGGER.error(
                "%d files of blobs have no row: is the database theirs? Nothing was deleted; run holdfast fsck",
                len(orphans),
            )
            return 0
        with self._deleting() as may:
            for digest, generation in orphans if may else ():
                await self._store.delete(digest, generation)
            return len(orphans) if may else None

    async def reap(self) -> None:
        """Delete the files that are doomed; what a crash or a backup left undone is done at the next call."""
        with self._deleting() as may:
            if may:
                await self._reap()

    async def _reap(self) -> None:
        while doomed := garbage.doomed_files(self._database, limit=ROWS_PER_STEP):
            for file in doomed:
                await self._store.delete(Digest.parse(file.digest), file.generation)

            def job(txn: Transaction, gone: list[garbage.DoomedFile] = doomed) -> None:
                for file in gone:
                    garbage.forget_doomed(txn, file)

            await self._database.write(job)
