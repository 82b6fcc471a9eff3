"""The statements over what the server must remember of itself, beyond a restart: a few named texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction

READ_ONLY: Final = "read-only"
SCRUB: Final = "scrub"


def remembered(reader: Reader, name: str) -> str | None:
    """Return what is remembered under a name."""
    row = reader.row("SELECT value FROM care WHERE name = ?", name)
    return cast("str", row[0]) if row else None


def remember(txn: Transaction, name: str, value: str | None) -> None:
    """Remember something under a name, in the place of what was; None forgets it."""
    txn.run("DELETE FROM care WHERE name = ?", name)
    if value is not None:
        txn.run("INSERT INTO care (name, value) VALUES (?, ?)", name, value)
