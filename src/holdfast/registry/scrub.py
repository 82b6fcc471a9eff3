"""The scrub: every stored byte is read again, in the background and at a set pace, before somebody needs it.

A pass goes over all blobs and all manifests in the order of their digests; how far it came is remembered beyond a
restart. A damaged file is set aside, so that it is never served and a push heals it. After a run that did not end well,
what was written last is read first.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.store import care, examination

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database
    from holdfast.store.examination import BlobRow
    from holdfast.store.filesystem import FilesystemBlobs

ROWS_PER_PAGE: Final = 200
REMEMBER_SECONDS: Final = 30
"""A restart repeats at most so much of a pass."""

LOOK_SECONDS: Final = 60
"""How often it is looked whether a pass is due."""

MAX_TOLD: Final = 1_000
_DAY: Final = 86_400 * 1_000_000
_MICROSECONDS: Final = 1_000_000
_END_OF_BLOBS: Final = "~"
_LOGGER: Final = logging.getLogger("holdfast.scrub")


@dataclass(slots=True)
class Pass:
    """How far a pass is; times in microseconds since the epoch."""

    is_running: bool = False
    after: str = ""
    """The last blob that was read; past all blobs, the manifests follow."""
    after_manifest: str = ""
    started_at: int | None = None
    last_full_pass_at: int | None = None
    checked_blobs: int = 0
    checked_bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    """What this pass found damaged, or the last one if none is running."""


class Scrub:
    """The use cases of the scrub, and the task that does it."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        access: Access,
        clock: Callable[[], int],
        *,
        bytes_per_second: int,
        every_days: int,
    ) -> None:
        """`clock` gives microseconds since the epoch; 0 bytes a second: only when somebody asks."""
        self._database = database
        self._store = store
        self._access = access
        self._clock = clock
        self._bytes_per_second = bytes_per_second
        self._every_days = every_days
        self._pace: int | None = bytes_per_second
        self._wake = asyncio.Event()
        self._remembered_at = 0.0
        written = care.remembered(database, care.SCRUB)
        self.now = Pass(**json.loads(written)) if written else Pass()
        if bytes_per_second == 0:
            self.now.is_running = False

    def describe(self, caller: Caller, registry: Registry) -> tuple[Pass, dict[str, int]]:
        """Tell how far it is, and how much there is."""
        self._access.require(caller, registry, "holdfast:DescribeScrub")
        return self.now, examination.totals(self._database)

    async def start(
        self, caller: Caller, registry: Registry, *, bytes_per_second: int | None
    ) -> tuple[Pass, dict[str, int]]:
        """Begin a pass anew, as fast as the disk gives or at a pace; the answer does not wait for its end."""
        self._access.require(caller, registry, "holdfast:StartScrub")
        self._begin(bytes_per_second)
        await self._remember()
        self._wake.set()
        return self.now, examination.totals(self._database)

    async def run(self, unclean_since: int | None, settled: Callable[[], None]) -> None:
        """Scrub for ever. `settled` is called when what an unclean run wrote last was read."""
        if unclean_since is not None:
            await self._recheck(unclean_since)
        settled()
        while True:
            self._wake.clear()
            if not self.now.is_running and self._is_due():
                self._begin(self._bytes_per_second)
            if self.now.is_running:
                await self._go_on()
            try:
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    def _is_due(self) -> bool:
        if self._bytes_per_second == 0:
            return False
        last = self.now.last_full_pass_at
        return last is None or self._clock() - last >= self._every_days * _DAY

    def _begin(self, pace: int | None) -> None:
        self._pace = pace
        self.now = Pass(is_running=True, started_at=self._clock(), last_full_pass_at=self.now.last_full_pass_at)

    async def _go_on(self) -> None:
        running = self.now
        _LOGGER.info("scrub: reading all blobs and manifests", extra={"after": running.after})
        while running is self.now and (
            page := examination.blobs_page(self._database, after=running.after, limit=ROWS_PER_PAGE)
        ):
            for row in page:
                await self._check_blob(row)
                if running is not self.now:
                    return  # somebody began anew
                running.after = row.digest
                await self._remember_now_and_then()
        running.after = _END_OF_BLOBS
        while running is self.now and (
            rows := examination.payloads_page(self._database, after=running.after_manifest, limit=ROWS_PER_PAGE)
        ):
            for digest, payload in rows:
                if not Digest.parse(digest).matches(payload):
                    self._found(digest, "the stored bytes of a manifest are damaged")
            running.after_manifest = rows[-1][0]
            await self._wait_for(sum(len(payload) for _, payload in rows))
        if running is not self.now:
            return
        running.is_running, running.last_full_pass_at = False, self._clock()
        await self._remember()
        _LOGGER.info(
            "scrub: everything was read",
            extra={"blobs": running.checked_blobs, "bytes": running.checked_bytes, "damaged": len(running.damaged)},
        )

    async def _recheck(self, since: int) -> None:
        after, blobs, size, began = "", 0, 0, len(self.now.damaged)
        while page := examination.blobs_since(self._database, since, after=after, limit=ROWS_PER_PAGE):
            after = page[-1].digest
            for row in page:
                await self._check_blob(row)
                blobs, size = blobs + 1, size + row.size_bytes
        _LOGGER.warning(
            "the last run did not end well; what it wrote last was read again",
            extra={"blobs": blobs, "bytes": size, "damaged": len(self.now.damaged) - began, "since": since},
        )

    async def _check_blob(self, row: BlobRow) -> None:
        try:
            intact = await self._store.check(Digest.parse(row.digest), row.generation, self._wait_for)
        except OSError as error:
            self._found(row.digest, f"the disk does not give the bytes of a blob: {error.strerror}")
            return
        self.now.checked_blobs += 1
        self.now.checked_bytes += row.size_bytes
        still = examination.blob(self._database, row.digest)
        if intact is not True and still is not None and still.generation == row.generation:
            self._found(row.digest, "a blob is damaged" if intact is False else "a blob has no file")

    def _found(self, digest: str, what: str) -> None:
        _LOGGER.error("scrub: %s", what, extra={"digest": digest})
        if len(self.now.damaged) < MAX_TOLD and digest not in self.now.damaged:
            self.now.damaged.append(digest)

    async def _wait_for(self, count: int) -> None:
        """Wait for as long as so many bytes take at the pace that is set."""
        await asyncio.sleep(count / self._pace if self._pace else 0)

    async def _remember_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._remembered_at >= REMEMBER_SECONDS:
            self._remembered_at = now
            await self._remember()

    async def _remember(self) -> None:
        written = json.dumps(asdict(self.now))
        await self._database.write(lambda txn: care.remember(txn, care.SCRUB, written))
