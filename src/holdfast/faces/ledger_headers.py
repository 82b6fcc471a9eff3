"""How an answer says where its entries stand in the ledger: one header, the same in all faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holdfast.registry.ledger import Places

HEADER: Final = "Holdfast-Ledger-Index"
PENDING: Final = "pending"
"""The entries are durable and will be published; they were not in time for this answer."""


def ledger_headers(places: Places) -> list[tuple[str, str]]:
    """Return the header: places separated by commas, or that they are pending; nothing where nobody waited."""
    if places is None:
        return [(HEADER, PENDING)]
    return [(HEADER, ", ".join(map(str, places)))] if places else []
