"""What the entries of a ledger say when they are read from the first to the last: tags, settings, and broken rules.

This file alone decides what the past amounts to. Entries go in, in their order; out come the bindings as intervals, the
settings in force over time, and findings: acts that the tag rule (`core/mutability`) does not allow, and entries that
contradict each other. It trusts no word of an entry that can be derived from those before it. Whether the entries are
those that were signed is for `core/ledger_audit` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import mutability
from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError
from holdfast.core.mutability import Action, MutabilitySettings, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.entry import Entry

HELD: Final = "held"
_NAMING: Final = {"tag-bound": Action.BIND, "tag-restored": Action.RESTORE, "tag-moved": Action.MOVE}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be; `index` is the place of the entry that shows it."""

    code: str
    message: str
    index: int | None = None
    registry: str | None = None
    repository: str | None = None
    tag: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {name: getattr(self, name) for name in ("code", "message", "index", "registry", "repository", "tag")}


@dataclass(slots=True)
class Interval:
    """One binding: what a tag named, from when until when; times in microseconds since the epoch."""

    tag: str
    digest: str
    index: int
    since: int
    by: str | None
    held: bool
    source: str | None
    through: str | None
    rule: str | None
    ended_index: int | None = None
    until: int | None = None
    ended_by: str | None = None
    cause: str | None = None
    """moved, appended or deleted."""

    def covers(self, at: int) -> bool:
        """Whether the tag named this then."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """Mutability settings from some moment on; None when the repository ended."""

    index: int
    at: int
    by: str | None
    settings: MutabilitySettings | None


@dataclass(slots=True)
class RepositoryPast:
    """A repository by its name: it may have been deleted and made again."""

    registry: str
    name: str
    settings: MutabilitySettings | None = None
    changes: list[SettingsChange] = field(default_factory=list)
    live: dict[str, Interval] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    tombstones: dict[str, str] = field(default_factory=dict)
    held_at: dict[str, str] = field(default_factory=dict)
    """Tag -> the digest that it was held at last."""

    released: dict[str, int] = field(default_factory=dict)
    """Tag -> the entry by which it was let go after that."""

    def named(self, tag: str, at: int) -> Interval | None:
        """Return what a tag named at a moment."""
        return next((one for one in reversed(self.intervals) if one.tag == tag and one.covers(at)), None)

    def settings_at(self, at: int) -> MutabilitySettings | None:
        """Return the settings in force at a moment."""
        found = None
        for change in self.changes:
            if change.at <= at:
                found = change.settings
        return found


class Replay:
    """The past of all registries in one ledger."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], RepositoryPast] = {}
        self.holds_deleted: dict[str, bool] = {}
        self.findings: list[Finding] = []
        self.released: list[Finding] = []
        """Tags that were held, were let go by an act of somebody, and came to name something else: no rule broken."""

        self.counts: dict[str, int] = {}
        self.grown = 0
        """Moves of held signature tags, which may grow: that they did is not in the entries."""

    def take(self, index: int, entry: Entry) -> None:
        """Read the next entry."""
        self.counts[entry.kind] = self.counts.get(entry.kind, 0) + 1
        act = _ACTS.get(entry.kind)
        if act is None:
            return
        try:
            act(self, index, entry)
        except (_Contradiction, HoldfastError) as error:
            self._find("entry-contradicts", str(error), index, entry)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._find(
                "entry-incomplete", f"the entry of kind {entry.kind} lacks a fact that it must tell", index, entry
            )

    def past(self, registry: str, repository: str) -> RepositoryPast | None:
        """Return what is known of a repository."""
        return self.repositories.get((registry, repository))

    # --- tags --------------------------------------------------------------------------------------------------------

    def _named(self, index: int, entry: Entry) -> None:
        past, tag, facts = self._open(entry), _tag(entry), entry.facts
        settings = _in_force(past)
        wanted, before = Digest.parse(facts["digest"]), past.live.get(tag)
        digest = str(wanted)
        if facts["before"] != (before.digest if before else None):
            stood = before.digest if before else "nothing"
            self._find(
                "history-broken", f"it says the tag named {facts['before']} before; it named {stood}", index, entry
            )
        appends = facts["rule"] == Rule.APPEND_ONLY and mutability.is_signature_tag(tag)
        decision = self._decide(past, tag, wanted, appends=appends)
        if decision.action is Action.REFUSE:
            was = before.digest if before else past.tombstones.get(tag)
            message = f"the tag was held at {was} and came to name {digest}: {decision.reason}"
            self._find("held-tag-moved", message, index, entry)
        elif decision.action is not _NAMING[entry.kind]:
            message = f"by the rule this is '{decision.action}' ({decision.reason}), and the entry says {entry.kind}"
            self._find("not-by-the-rule", message, index, entry)
        held = settings.judge(tag).held
        if facts["held"] is not held:
            self._find("not-by-the-rule", f"the entry says held={facts['held']}, the settings {held}", index, entry)
        if appends and held:
            self.grown += 1
        elif decision.action is not Action.REFUSE:
            self._note_release(past, tag, digest, index, entry)
        if before is not None:
            _end(before, index, entry, "appended" if appends and held else "moved")
        made = Interval(
            tag, digest, index, facts["at"], facts["principal"], held, facts["source"], facts["through"], facts["rule"]
        )
        past.live[tag] = made
        past.intervals.append(made)
        if self.holds_deleted.get(entry.registry, True):
            past.tombstones.pop(tag, None)
        if held:
            past.held_at[tag] = digest
            past.released.pop(tag, None)

    def _deleted(self, index: int, entry: Entry) -> None:
        past, tag = self._open(entry), _tag(entry)
        bound, held = past.live.pop(tag, None), _in_force(past).judge(tag).held
        if bound is None or bound.digest != entry.facts["digest"]:
            stood = bound.digest if bound else "nothing"
            message = f"it says {entry.facts['digest']} was deleted; the tag named {stood}"
            self._find("history-broken", message, index, entry)
        if entry.facts["held"] is not held:
            self._find(
                "not-by-the-rule", f"the entry says held={entry.facts['held']}, the settings {held}", index, entry
            )
        if bound is None:
            return
        _end(bound, index, entry, "deleted")
        if held and self.holds_deleted.get(entry.registry, True):
            past.tombstones[tag] = bound.digest
        elif held:
            past.released[tag] = index

    def _forgotten(self, index: int, entry: Entry) -> None:
        past, tag = self._known(entry), _tag(entry)
        stood = past.tombstones.pop(tag, None)
        past.released[tag] = index
        if stood != entry.facts["digest"]:
            self._find("history-broken", f"it gives up {entry.facts['digest']}; what waited was {stood}", index, entry)

    def _refused(self, index: int, entry: Entry) -> None:
        past, tag, facts = self._open(entry), _tag(entry), entry.facts
        bound = past.live.get(tag)
        stood = bound.digest if bound else past.tombstones.get(tag)
        if facts["digest"] != stood:
            self._find("history-broken", f"it says the tag stays at {facts['digest']}; it was at {stood}", index, entry)
        if self._decide(past, tag, Digest.parse(facts["pushed"]), appends=False).action is not Action.REFUSE:
            self._find("not-by-the-rule", "the push was refused, and the rule allows it", index, entry)

    def _decide(self, past: RepositoryPast, tag: str, digest: Digest, *, appends: bool) -> mutability.Decision:
        bound = past.live.get(tag)
        waiting = past.tombstones.get(tag) if self.holds_deleted.get(past.registry, True) else None
        return mutability.decide(
            _in_force(past),
            tag,
            digest,
            bound=Digest.parse(bound.digest) if bound else None,
            tombstone=Digest.parse(waiting) if waiting else None,
            appends=appends,
        )

    def _note_release(self, past: RepositoryPast, tag: str, digest: str, index: int, entry: Entry) -> None:
        """Note that a tag which was held once names something else now, and by which act it was let go."""
        before = past.held_at.get(tag)
        if before is None or before == digest:
            return
        by = past.released.get(tag, past.changes[-1].index if past.changes else None)
        message = f"the tag was held at {before}, was let go by entry {by}, and came to name {digest}"
        self.released.append(Finding("held-then-released", message, index, entry.registry, entry.repository, tag))
        del past.held_at[tag]

    # --- repositories and settings -----------------------------------------------------------------------------------

    def _created(self, index: int, entry: Entry) -> None:
        key = (entry.registry, _repository(entry))
        past = self.repositories.setdefault(key, RepositoryPast(*key))
        if past.settings is not None:
            self._find("history-broken", "the repository is made, and it was there", index, entry)
        self._set(past, index, entry, _settings(entry.facts))

    def _switched(self, index: int, entry: Entry) -> None:
        past = self._open(entry)
        if _settings(entry.facts["before"]) != past.settings:
            self._find("history-broken", "the settings that it says were changed were not in force", index, entry)
        self._set(past, index, entry, _settings(entry.facts["after"]))

    def _ended(self, index: int, entry: Entry) -> None:
        past = self._open(entry)
        if past.live:
            names = ", ".join(sorted(past.live)[:5])
            self._find("history-broken", f"the repository ends while tags are bound: {names}", index, entry)
        self._set(past, index, entry, None)

    def _set(self, past: RepositoryPast, index: int, entry: Entry, settings: MutabilitySettings | None) -> None:
        past.settings = settings
        past.changes.append(SettingsChange(index, entry.facts["at"], entry.facts["principal"], settings))
        for tag, bound in past.live.items() if settings is not None else ():
            if settings is not None and settings.judge(tag).held:
                past.held_at[tag] = bound.digest
                past.released.pop(tag, None)
            elif tag in past.held_at:
                past.released.setdefault(tag, index)

    def _configured(self, index: int, entry: Entry) -> None:
        after = entry.facts["after"]
        if "deleted_tags" not in after:
            return
        was = HELD if self.holds_deleted.get(entry.registry, True) else "free"
        if entry.facts["before"]["deleted_tags"] != was:
            self._find(
                "history-broken", f"it says deleted tags were {entry.facts['before']}; they were {was}", index, entry
            )
        self.holds_deleted[entry.registry] = after["deleted_tags"] == HELD

    # --- reading -----------------------------------------------------------------------------------------------------

    def _known(self, entry: Entry) -> RepositoryPast:
        past = self.repositories.get((entry.registry, _repository(entry)))
        if past is None:
            msg = "no entry says that the repository was made"
            raise _Contradiction(msg)
        return past

    def _open(self, entry: Entry) -> RepositoryPast:
        past = self._known(entry)
        if past.settings is None:
            msg = "the repository was deleted before"
            raise _Contradiction(msg)
        return past

    def _find(self, code: str, message: str, index: int, entry: Entry) -> None:
        self.findings.append(Finding(code, message, index, entry.registry, entry.repository, entry.tag))


class _Contradiction(Exception):
    """An entry that cannot be, after those before it."""


def _settings(facts: dict[str, Any]) -> MutabilitySettings:
    return MutabilitySettings(mutability.TagMutability(facts["mode"]), tuple(facts["filters"]))


def _in_force(past: RepositoryPast) -> MutabilitySettings:
    return past.settings or MutabilitySettings()


def _repository(entry: Entry) -> str:
    if entry.repository is None:
        msg = f"the entry of kind {entry.kind} names no repository"
        raise _Contradiction(msg)
    return entry.repository


def _tag(entry: Entry) -> str:
    if entry.tag is None:
        msg = f"the entry of kind {entry.kind} names no tag"
        raise _Contradiction(msg)
    return entry.tag


def _end(interval: Interval, index: int, entry: Entry, cause: str) -> None:
    interval.ended_index, interval.until = index, entry.facts["at"]
    interval.ended_by, interval.cause = entry.facts["principal"], cause


_ACTS: Final[dict[str, Callable[[Replay, int, Entry], None]]] = {
    "tag-bound": Replay._named,  # noqa: SLF001 - the table of this class
    "tag-moved": Replay._named,  # noqa: SLF001
    "tag-restored": Replay._named,  # noqa: SLF001
    "tag-deleted": Replay._deleted,  # noqa: SLF001
    "tag-forgotten": Replay._forgotten,  # noqa: SLF001
    "tag-refused": Replay._refused,  # noqa: SLF001
    "repository-created": Replay._created,  # noqa: SLF001
    "repository-deleted": Replay._ended,  # noqa: SLF001
    "mutability-changed": Replay._switched,  # noqa: SLF001
    "registry-changed": Replay._configured,  # noqa: SLF001
}
"""Kind of an entry -> what it does to the past. All other kinds leave tags as they are."""
