"""What would have happened: the pushes of the past, judged by the tag rule under settings that are wished for.

Pure. This file alone decides what a replay says; whether a push is refused is decided by `core.mutability.decide`,
the rule that a Holdfast server itself runs, with the differences of Amazon ECR as the table `Rules` names them. The
state is that of the world in which the settings always held: a tag whose move was refused still names what it named.

A history that does not begin with the repository knows nothing of tags from before: what it finds is a lower bound.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid
from holdfast.core.mutability import Action, MutabilitySettings, decide
from holdfast.govern.events import Event, Kind, Outcome
from holdfast.govern.tag_kinds import short_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

TAG_ERRORS: Final = frozenset({"ImageTagAlreadyExistsException", "ImageAlreadyExistsException", "TAG_INVALID"})
"""With these a push was refused for its tag's sake; with any other it never came so far."""


class Rules(StrEnum):
    """Whose rule refuses."""

    ECR = "ecr"
    """The name of a deleted tag is free for any digest. The same digest again is an error too, if the tag is held."""

    HOLDFAST = "holdfast"
    """The name of a held tag that was deleted waits for its digest. The same digest again succeeds; signatures grow."""


class Result(StrEnum):
    """What becomes of one push."""

    PASSES = "passes"
    REFUSED = "refused"
    REPEATED = "repeated"
    """The same digest again, to a held tag: nothing would change, and Amazon ECR refuses it all the same."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One push of the past, judged."""

    event: Event
    result: Result
    reason: str
    stays: str | None = None
    """What the tag goes on to name."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the past says of one repository under one wish."""

    key: tuple[str, str, str]
    settings: MutabilitySettings
    rules: Rules
    pushes: int
    """With a tag."""

    untagged_pushes: int
    refused: tuple[Judged, ...]
    repeated: tuple[Judged, ...]
    is_lower_bound: bool
    """The history does not begin with the repository."""

    bindings: dict[str, str] = field(default_factory=dict)
    """What each tag names at the end of the replay, of those that were seen."""

    by_pipeline: dict[str, dict[str, int]] = field(default_factory=dict)
    """Pipeline -> tag -> refused pushes."""

    by_day: dict[date, int] = field(default_factory=dict)
    next_build: str = ""
    """What happens to the next build, in one sentence."""


def simulate(
    key: tuple[str, str, str], events: Iterable[Event], settings: MutabilitySettings, rules: Rules = Rules.ECR
) -> Simulation:
    """Replay the events of one repository, which come in the order of time."""
    replay = _Replay(settings, rules)
    for event in events:
        replay.take(event)
    refused = [one for one in replay.judged if one.result is Result.REFUSED]
    by_pipeline: dict[str, Counter[str]] = defaultdict(Counter)
    for one in refused:
        by_pipeline[one.event.actor.label][one.event.tag or ""] += 1
    return Simulation(
        key=key,
        settings=settings,
        rules=rules,
        pushes=len(replay.judged),
        untagged_pushes=replay.untagged,
        refused=tuple(refused),
        repeated=tuple(one for one in replay.judged if one.result is Result.REPEATED),
        is_lower_bound=not replay.saw_beginning,
        bindings=dict(replay.bound),
        by_pipeline={name: dict(tags.most_common()) for name, tags in sorted(by_pipeline.items())},
        by_day=dict(sorted(Counter(one.event.at.date() for one in refused).items())),
        next_build=next_build(replay.judged, rules),
    )


class _Replay:
    """The state of one repository while its past is replayed."""

    def __init__(self, settings: MutabilitySettings, rules: Rules) -> None:
        self._settings, self._rules = settings, rules
        self.bound: dict[str, str] = {}
        self._buried: dict[str, str] = {}
        self.judged: list[Judged] = []
        self.untagged = 0
        self.saw_beginning = False
        self._is_first = True

    def take(self, event: Event) -> None:
        """Go on by one event."""
        first, self._is_first = self._is_first, False
        if event.kind is Kind.PUSH:
            self._push(event)
        elif event.outcome is not Outcome.DONE:
            return
        elif event.kind in {Kind.DELETE, Kind.EXPIRE}:
            self._unbind(event)
        elif event.kind is Kind.DROP:
            for tag in list(self.bound):
                self._end(tag)
        elif event.kind is Kind.CREATE and first:
            self.saw_beginning = True

    def _push(self, event: Event) -> None:
        if event.outcome is Outcome.REFUSED and event.error not in TAG_ERRORS:
            return
        if event.tag is None:
            self.untagged += 1
            return
        pushed = _digest(event.digest)
        if pushed is None:
            return
        is_new = event.tag not in self.bound and event.tag not in self._buried
        if is_new and event.previous is not None and _digest(event.previous) is not None:
            # The source says what the tag named: the history begins after it was bound.
            self.bound[event.tag] = event.previous
        self.judged.append(self._judge(event, event.tag, pushed))

    def _judge(self, event: Event, tag: str, pushed: Digest) -> Judged:
        bound, buried = self.bound.get(tag), self._buried.get(tag)
        is_holdfast = self._rules is Rules.HOLDFAST
        decision = decide(
            self._settings,
            tag,
            pushed,
            bound=_digest(bound),
            tombstone=_digest(buried) if is_holdfast else None,
            # Whoever writes a signature tag adds to what is there; a history does not show manifests.
            appends=is_holdfast,
        )
        if decision.action is Action.REFUSE:
            return Judged(event, Result.REFUSED, decision.reason, bound or buried)
        if decision.action is Action.KEEP:
            verdict = self._settings.judge(tag)
            if verdict.held and not is_holdfast:
                return Judged(event, Result.REPEATED, f"{decision.reason}; {verdict.reason}", bound)
            return Judged(event, Result.PASSES, decision.reason, bound)
        self.bound[tag] = str(pushed)
        self._buried.pop(tag, None)
        return Judged(event, Result.PASSES, decision.reason, str(pushed))

    def _unbind(self, event: Event) -> None:
        if event.tag is not None:
            self._end(event.tag)
        elif event.digest is not None:
            for tag in [tag for tag, digest in self.bound.items() if digest == event.digest]:
                self._end(tag)

    def _end(self, tag: str) -> None:
        digest = self.bound.pop(tag, None)
        if digest is not None and self._settings.judge(tag).held:
            self._buried[tag] = digest


def _digest(text: str | None) -> Digest | None:
    try:
        return Digest.parse(text) if text is not None else None
    except DigestInvalid:
        return None


def next_build(judged: Sequence[Judged], rules: Rules) -> str:
    """Say in one sentence what happens to the next build: the next of a pipeline is like its last."""
    if not judged:
        return "No push is known, so nothing is known of the next build."
    last: dict[str, dict[str, Judged]] = defaultdict(dict)
    for one in judged:
        last[one.event.actor.label][one.event.tag or ""] = one
    failing = {
        name: sorted(tag for tag, one in tags.items() if one.result is Result.REFUSED) for name, tags in last.items()
    }
    failing = {name: tags for name, tags in failing.items() if tags}
    refused = sum(one.result is Result.REFUSED for one in judged)
    if failing:
        name, tags = max(failing.items(), key=lambda item: (_refusals(judged, item[0]), item[0]))
        others = f", and {len(failing) - 1} other pipelines fail too" if len(failing) > 1 else ""
        return (
            f"The next build of {name} fails at {_listed(tags)}: the tag names another image and holds "
            f"({refused} of {len(judged)} pushes would have been refused){others}."
        )
    repeated = sum(one.result is Result.REPEATED for one in judged)
    if repeated and rules is Rules.ECR:
        return (
            f"The next build goes through, but pushing the same image again under its tag, as {repeated} of "
            f"{len(judged)} pushes did, is an error on Amazon ECR, though nothing would change."
        )
    return f"The next build goes through: none of {len(judged)} pushes would have been refused."


def _refusals(judged: Sequence[Judged], name: str) -> int:
    return sum(one.result is Result.REFUSED for one in judged if one.event.actor.label == name)


def _listed(tags: Sequence[str]) -> str:
    shown = ", ".join(f"'{short_tag(tag)}'" for tag in tags[:3])
    return shown if len(tags) <= 3 else f"{shown} and {len(tags) - 3} more tags"  # noqa: PLR2004 - as shown
