"""What the rest of Holdfast may ask of a metadata database.

Metadata is cut at the connection: the statements stand in `catalog.py`, `accounts.py` and `entries.py`, written once;
an adapter opens, reads and commits. No statement asks which engine it runs on; a true difference between engines
becomes a named method here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Value, ...]

T = TypeVar("T")


class Reader(Protocol):
    """Runs statements that only read, each seeing every commit that was reported before it."""

    def rows(self, statement: str, *values: Value) -> list[Row]:
        """Return all rows. Blocks for microseconds: callers page what may be long."""
        ...

    def row(self, statement: str, *values: Value) -> Row | None:
        """Return the first row, or None."""
        ...


class Transaction(Reader, Protocol):
    """Runs statements inside one transaction, which sees what it wrote."""

    def run(self, statement: str, *values: Value) -> int:
        """Run a statement that writes; return how many rows it changed."""


class Database(Reader, Protocol):
    """A database that is open.

    Promise of `write`: the job runs in a transaction of its own that no other job can see into, one job at a time; when
    the call returns, what it wrote survives a power cut. When it raises, nothing of the job remains, unless the error
    is StorageFailed: then the outcome is unknown until a restart. A job may run twice; it must have no effect but
    through its transaction.
    """

    async def write(self, job: Callable[[Transaction], T]) -> T:
        """Run the job and commit. Raises what the job raises, StorageFull, TooManyFiles, or StorageFailed."""

    def end_commits_with(self, job: Callable[[Transaction], None]) -> None:
        """Run a job in the transaction of every commit from now on, behind those that asked for the commit.

        It must be quick, and do nothing when there is nothing to do. When it raises, the commit is made without it.
        """

    @property
    def commits(self) -> int:
        """A number that differs after each commit and is odd while one is under way: for caches."""


def placeholders(values: Sequence[Value]) -> str:
    """Return `?, ?, ...` for an IN list."""
    return ", ".join("?" * len(values))
