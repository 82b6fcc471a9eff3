"""Which entries of the ledger somebody should look at.

This file alone decides what is an alert and how grave it is. `breach`: it must not be possible. `warning`: held tags
became less protected, or somebody tried to change one. `notice`: lawful, but worth a look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.core.story import Event, sentence

if TYPE_CHECKING:
    from holdfast.core.entry import Entry
    from holdfast.core.replay import Finding

_GRAVITY: Final = {
    "tag-refused": "warning",
    "tag-forgotten": "warning",
    "tag-deleted": "notice",
    "tag-moved": "notice",
    "repository-deleted": "warning",
    "mutability-changed": "notice",
    "registry-changed": "warning",
    "ledger-recovered": "warning",
    "ledger-key-added": "notice",
    "ledger-key-retired": "notice",
    "upstream-drifted": "notice",
}
"""Kind -> gravity, where nothing in the entry says otherwise."""


def alert_of(index: int, entry: Entry) -> dict[str, Any] | None:
    """Return the alert of an entry, None for one that is nobody's concern."""
    gravity = _GRAVITY.get(entry.kind)
    if gravity is None:
        return None
    if entry.kind == "tag-deleted" and entry.facts.get("held"):
        gravity = "warning"
    if entry.kind == "mutability-changed" and _weakens(entry.facts):
        gravity = "warning"
    event = Event(entry.kind, int(entry.facts.get("at") or 0), entry.tag, entry.facts, index)
    return {
        "gravity": gravity,
        "code": entry.kind,
        "index": index,
        "at": event.at,
        "registry": entry.registry,
        "repository": entry.repository,
        "tag": entry.tag,
        "message": sentence(event),
    }


def alert_of_finding(finding: Finding) -> dict[str, Any]:
    """Return the alert of something that must not be."""
    return {"gravity": "breach", "at": None, **finding.document()}


def _weakens(facts: dict[str, Any]) -> bool:
    """Whether tags that were held before may be free now: any other change than to hold all."""
    after = facts.get("after")
    try:
        now = MutabilitySettings(TagMutability(after["mode"]), tuple(after["filters"]))  # type: ignore[index] # caught
    except (KeyError, TypeError, ValueError):
        return True
    return now.mode is not TagMutability.IMMUTABLE
