"""What every expected failure has: a sentence for a person, details for a machine, and whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class HoldfastError(Exception):
    """Base of every expected failure; never raised itself.

    `message` is the sentence for a person; `detail` is what a machine may want beside it.
    """

    fault: ClassVar[str] = "caller"
    retry_after_seconds: int | None = None
    """How long to wait before the same may be tried again; None where waiting does not help."""
    ledger: tuple[int, ...] | None = ()
    """Places of the entries that tell of the failure, as of a refused overwrite; None while they are pending."""

    def __init__(self, message: str, detail: Mapping[str, Any] | None = None) -> None:
        # What was wrong may be quoted in it, and a terminal obeys what it is shown.
        if not message.isprintable():
            message = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in message)
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = dict(detail or {})
