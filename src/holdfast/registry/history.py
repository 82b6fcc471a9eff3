"""What happened to tags: their bindings over time, and the record of every act and refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.store import bindings, entries

if TYPE_CHECKING:
    from holdfast.registry.access import Access, Caller
    from holdfast.store.bindings import Binding
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database
    from holdfast.store.entries import Entry

_NEWEST: Final = 2**63 - 1


class History:
    """The use cases over the past. A repository that was deleted keeps its past."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    def bindings(
        self, caller: Caller, registry: Registry, repository: str, tag: str | None, *, before: int | None, limit: int
    ) -> list[Binding]:
        """List what a tag, or every tag, named, newest first; those before a binding's number."""
        self._access.require(caller, registry, "holdfast:ListTagHistory", repository)
        return bindings.history(
            self._database, registry.id, repository, tag, before=_NEWEST if before is None else before, limit=limit
        )

    def entries(
        self, caller: Caller, registry: Registry, repository: str, tag: str | None, *, before: int | None, limit: int
    ) -> list[Entry]:
        """List the record of a repository, or of one tag, newest first; those before a sequence number."""
        self._access.require(caller, registry, "holdfast:ListEntries", repository)
        return entries.entries(
            self._database, registry.id, repository, tag, before=_NEWEST if before is None else before, limit=limit
        )
