"""The gate before every change: whether the registry takes changes, whether it takes content, and why not.

This file alone decides that, and it denies by default: use cases get the gated database, which refuses any write while
the gate is closed; only what keeps the house (the collection, the scrub, the switch itself) has the database as it is.
Reading goes on whatever the gate says.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from holdfast.core.errors import ReadOnly, StorageFull
from holdfast.registry.binding import Act
from holdfast.store import care, entries
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Row, Transaction

T = TypeVar("T")

SETTING = "the setting read_only"
SWITCH = "an administrator"
DISK = "the disk"
_LOGGER: Final = logging.getLogger("holdfast.gate")


class Gate:
    """Open, or closed for one or more reasons. A reason is kept under the name of whoever closed it."""

    def __init__(self, has_room: Callable[[], bool] = lambda: True) -> None:
        """`has_room`: whether the disk has room for content."""
        self._reasons: dict[str, str] = {}
        self._has_room = has_room

    @property
    def reasons(self) -> list[str]:
        """Why nothing is changed; empty while changes are taken."""
        return [f"{reason} (by {who})" for who, reason in self._reasons.items()]

    def close(self, who: str, reason: str) -> None:
        """Take no more changes."""
        self._reasons[who] = reason

    def open(self, who: str) -> None:
        """Take changes again, unless somebody else has a reason against it."""
        self._reasons.pop(who, None)

    @property
    def disk_takes_writes(self) -> bool:
        """Whether the file system is one that can be written."""
        return DISK not in self._reasons

    def close_for_disk(self, error: BaseException) -> None:
        """Hear, in any thread, that the file system is read-only, as after an error that the system found in it.

        What was synced can still be read, so pulls go on. Only a start opens the gate again, as it examines what was
        written last.
        """
        if self.disk_takes_writes:
            _LOGGER.critical("the file system of the data is read-only: pulls go on, changes do not", exc_info=error)
        self.close(DISK, "its file system takes no writes; have it repaired and mounted for writing, and restart")

    def require_open(self) -> None:
        """Raise ReadOnly while the gate is closed."""
        if self._reasons:
            msg = f"The registry is read-only: {'; '.join(self.reasons)}. Nothing was changed; pulls go on."
            raise ReadOnly(msg, {"reasons": self.reasons})

    def require_room(self) -> None:
        """Raise ReadOnly, or StorageFull while the disk has no room for content."""
        self.require_open()
        if not self._has_room():
            raise StorageFull


class GatedDatabase:
    """A database that is written to only while the gate is open; the promise is `store.database.Database`'s."""

    def __init__(self, database: Database, gate: Gate) -> None:
        self._database = database
        self._gate = gate
        self.rows: Callable[..., list[Row]] = database.rows
        self.row: Callable[..., Row | None] = database.row

    async def write(self, job: Callable[[Transaction], T]) -> T:
        """Run the job and commit. Raises ReadOnly while the gate is closed, and what the database raises."""
        self._gate.require_open()
        return await self._database.write(job)

    def end_commits_with(self, job: Callable[[Transaction], None]) -> None:
        """See `store.database.Database`."""
        self._database.end_commits_with(job)

    @property
    def commits(self) -> int:
        """See `store.database.Database`."""
        return self._database.commits


class Mode:
    """The use cases of an administrator who lets the registry rest: no changes, pulls go on."""

    def __init__(self, database: Database, gate: Gate, access: Access, clock: Callable[[], int]) -> None:
        """`database` is the one that is not gated: the switch must be movable back."""
        self._database = database
        self._gate = gate
        self._access = access
        self._clock = clock
        reason = care.remembered(database, care.READ_ONLY)
        if reason is not None:
            gate.close(SWITCH, reason)

    def reasons(self, caller: Caller, registry: Registry) -> list[str]:
        """Tell why nothing is changed; empty while changes are taken."""
        self._access.require(caller, registry, "holdfast:GetReadOnly")
        return self._gate.reasons

    async def set(
        self, caller: Caller, registry: Registry, *, read_only: bool, reason: str | None, through: str
    ) -> list[str]:
        """Take no more changes, or take them again; holds beyond a restart. Returns the reasons that are left."""
        self._access.require(caller, registry, "holdfast:SetReadOnly")
        act = Act(caller, self._clock(), through)
        why = (reason or "no reason was given") if read_only else None
        if why is not None:
            self._gate.close(SWITCH, why)  # first: what waits in the queue behind the switch is still let through

        def job(txn: Transaction) -> None:
            care.remember(txn, care.READ_ONLY, why)
            entries.append(txn, registry.id, EntryKind.READ_ONLY_SET, act.body(read_only=read_only, reason=why))

        await self._database.write(job)
        if why is None:
            self._gate.open(SWITCH)
        return self._gate.reasons
