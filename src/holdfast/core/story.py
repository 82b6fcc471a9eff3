"""The story of a tag or a repository in plain words: each entry of the ledger as one sentence.

This file alone decides the words. It takes entries as values and says nothing that is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Event:
    """One entry: `at` in microseconds since the epoch, `facts` what the entry tells beside its own members."""

    kind: str
    at: int
    tag: str | None
    facts: dict[str, Any]
    index: int | None = None

    @property
    def by(self) -> str:
        """Who, from where, through what."""
        who = str(self.facts.get("principal") or "somebody").rpartition(":")[2]
        source, through = self.facts.get("source"), self.facts.get("through")
        where = f" from {source}" if source else ""
        return f"{who}{where}" + (f" through {through}" if through else "")

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "kind": self.kind,
            "at": self.at,
            "tag": self.tag,
            "ledger_index": self.index,
            "sentence": sentence(self),
            "facts": self.facts,
        }


def sentence(event: Event) -> str:
    """Tell an event."""
    tell = _WORDS.get(event.kind)
    told = tell(event) if tell is not None else event.kind + (f" ({event.tag})" if event.tag else "")
    return f"{told}, by {event.by}."


def concerns(event: Event, tag: str | None) -> bool:
    """Whether an event belongs to the story of a tag: its own, and what changed how every tag is judged."""
    return tag is None or event.tag == tag or (event.tag is None and event.kind in _AROUND)


def short(digest: object) -> str:
    """Return enough of a digest to tell it from others."""
    algorithm, colon, digits = str(digest).partition(":")
    return f"{algorithm}{colon}{digits[:12]}"


def settings(told: object) -> str:
    """Say mutability settings."""
    if not isinstance(told, dict):
        return "unknown settings"
    filters = ", ".join(map(str, told.get("filters") or []))
    return f"{told.get('mode')}" + (f" with the filters {filters}" if filters else "")


def _bound(event: Event) -> str:
    holds = "and holds" if event.facts.get("held") else "and is free to move"
    return f"{event.tag} was bound to {short(event.facts.get('digest'))} {holds}"


def _moved(event: Event) -> str:
    before, after = short(event.facts.get("before")), short(event.facts.get("digest"))
    if event.facts.get("rule") == "append-only":
        return f"{event.tag} grew from {before} to {after}, as a signature tag may"
    return f"{event.tag} moved from {before} to {after} ({event.facts.get('reason')})"


def _refused(event: Event) -> str:
    facts = event.facts
    return (
        f"An attempt to put {short(facts.get('pushed'))} under {event.tag} was refused: it stays at "
        f"{short(facts.get('digest'))} ({facts.get('reason')})"
    )


def _deleted(event: Event) -> str:
    held = "; the name waits for that digest" if event.facts.get("held") else ""
    return f"{event.tag} was deleted; it named {short(event.facts.get('digest'))}{held} ({event.facts.get('why')})"


_WORDS: Final[dict[str, Callable[[Event], str]]] = {
    "tag-bound": _bound,
    "tag-moved": _moved,
    "tag-restored": lambda event: f"{event.tag} came back to {short(event.facts.get('digest'))}",
    "tag-refused": _refused,
    "tag-deleted": _deleted,
    "tag-forgotten": lambda event: f"The name {event.tag} was given up: any digest may take it",
    "repository-created": lambda event: f"The repository was made, {settings(event.facts)}",
    "repository-deleted": lambda _: "The repository was deleted",
    "mutability-changed": lambda event: (
        f"The repository was switched from {settings(event.facts.get('before'))} to "
        f"{settings(event.facts.get('after'))}"
    ),
    "image-expired": lambda event: (
        f"A lifecycle policy let go of {short(event.facts.get('digest'))} ({event.facts.get('reason')})"
    ),
    "lifecycle-policy-put": lambda _: "A lifecycle policy was set",
    "lifecycle-policy-deleted": lambda _: "The lifecycle policy was removed",
    "repository-policy-changed": lambda _: "The policy of the repository, who may do what, was changed",
    "registry-policy-changed": lambda _: "The policy of the registry, who may do what, was changed",
    "registry-changed": lambda event: (
        f"Settings of the registry were changed from {event.facts.get('before')} to {event.facts.get('after')}"
    ),
    "read-only-set": lambda event: (
        f"Changes were refused from then on ({event.facts.get('reason')})"
        if event.facts.get("read_only")
        else "Changes were taken again"
    ),
    "ledger-key-added": lambda event: f"A key was added that signs the ledger, {event.facts.get('vkey')}",
    "ledger-key-retired": lambda event: f"A key signs the ledger no more, {event.facts.get('vkey')}",
    "ledger-recovered": lambda event: (
        f"A database that knew {event.facts.get('known')} entries was brought up to the published "
        f"{event.facts.get('published')}"
    ),
}

_AROUND: Final = frozenset(
    {
        "repository-created",
        "repository-deleted",
        "mutability-changed",
        "repository-policy-changed",
        "lifecycle-policy-put",
        "lifecycle-policy-deleted",
    }
)
"""Kinds of a repository that bear on each of its tags."""
