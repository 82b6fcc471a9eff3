"""When images were pulled last, and whose pulls do not count.

A pull is a manifest given to a client: GET of a manifest (also one answered "not modified", as the client has it) and
each image of BatchGetImage. Asking whether it is there (HEAD) is none, nor is reading layers, a list, or the server's
own work (replication, scans).

Noting a pull is an entry in a dictionary, so that a pull costs nothing more. What was noted is written every minute, a
thousand images a transaction, and at a stop. A server that is killed loses the pulls of the last minute at most; ECR
promises to be right within a day. Whatever decides by pulls (a lifecycle run, a preview) writes them first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import HoldfastError, LimitExceeded, ReadOnly
from holdfast.core.lifecycle_errors import ExclusionExists, ExclusionNotFound
from holdfast.registry.binding import Act
from holdfast.store import entries, lifecycle
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

FLUSH_SECONDS: Final = 60
MAX_NOTED: Final = 100_000
"""Images noted between two flushes; of more, the pulls are not noted until then."""

MAX_EXCLUSIONS: Final = 100
"""A registry. Source: Amazon ECR API, PullTimeUpdateExclusionList."""

_PER_TRANSACTION: Final = 1_000
_LOGGER: Final = logging.getLogger("holdfast.pulls")


class Pulls:
    """The times of last pulls, and the principals whose pulls do not count."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock
        self._excluded = lifecycle.all_exclusions(database)
        self._noted: dict[tuple[int, str, str], int] = {}

    def note(self, caller: Caller, registry: Registry, repository: str, digest: str) -> None:
        """Note that a caller was given a manifest."""
        key = (registry.id, repository, digest)
        if (registry.id, caller.arn) in self._excluded or (len(self._noted) >= MAX_NOTED and key not in self._noted):
            return
        self._noted[key] = self._clock()

    async def flush(self) -> None:
        """Write what was noted."""
        noted, self._noted = list(self._noted.items()), {}
        for start in range(0, len(noted), _PER_TRANSACTION):
            part = noted[start : start + _PER_TRANSACTION]

            def job(txn: Transaction, part: list[tuple[tuple[int, str, str], int]] = part) -> None:
                for (registry_id, repository, digest), at in part:
                    lifecycle.note_pull(txn, registry_id, repository, digest, at)

            try:
                await self._database.write(job)
            except HoldfastError:
                self._noted = dict(noted[start:]) | self._noted  # for the next time: while it is read only, say
                raise

    async def run(self) -> None:
        """Write what was noted, every minute, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except ReadOnly:
                continue  # what was noted is kept for the next time
            except Exception:  # it outlives any one failure
                _LOGGER.exception("the times of pulls could not be written")

    # --- whose pulls do not count ------------------------------------------------------------------------------------

    def exclusions(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[str]:
        """List principals whose pulls do not count, those after one, at most `limit`."""
        self._access.require(caller, registry, "ecr:ListPullTimeUpdateExclusions")
        return lifecycle.exclusions(self._database, registry.id, after=after, limit=limit)

    async def exclude(self, caller: Caller, registry: Registry, principal: str, *, through: str) -> int:
        """Let a principal's pulls not count; return the time. Raises ExclusionExists, LimitExceeded."""
        self._access.require(caller, registry, "ecr:RegisterPullTimeUpdateExclusion")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            if len(lifecycle.exclusions(txn, registry.id, after="", limit=MAX_EXCLUSIONS)) >= MAX_EXCLUSIONS:
                what = "pull time update exclusions"
                raise LimitExceeded(what, MAX_EXCLUSIONS)
            if not lifecycle.insert_exclusion(txn, registry.id, principal, at=act.at):
                raise ExclusionExists(principal)
            entries.append(txn, registry.id, EntryKind.PULL_TIME_EXCLUDED, act.body(excluded=principal))

        await self._database.write(job)
        self._excluded = lifecycle.all_exclusions(self._database)
        return act.at

    async def include(self, caller: Caller, registry: Registry, principal: str, *, through: str) -> None:
        """Let a principal's pulls count again. Raises ExclusionNotFound."""
        self._access.require(caller, registry, "ecr:DeregisterPullTimeUpdateExclusion")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            if not lifecycle.delete_exclusion(txn, registry.id, principal):
                raise ExclusionNotFound(principal)
            entries.append(txn, registry.id, EntryKind.PULL_TIME_INCLUDED, act.body(excluded=principal))

        await self._database.write(job)
        self._excluded = lifecycle.all_exclusions(self._database)
