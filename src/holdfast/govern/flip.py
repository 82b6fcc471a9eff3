"""Flipping: a plan applied, step by step, and taken back.

This file alone decides the order of what a run does. Everything is read before anything is changed, so that what can be
known to fail fails before the first call. Then for each step: read, judge (`plan`), write into the journal, call, read
back, write into the journal. Run again after any end, it goes on where it stood: a step that is right already is left.

Amazon ECR has no compare-and-set: between the reading and the call somebody else may change the same repository. What
is read back is then as the plan has it, and the other's change is lost; the window is one request long.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.govern.journal import Line, Wrote
from holdfast.govern.plan import Does, Meets, Settings, Verdict, judge, reversal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from holdfast.govern.journal import Journal, StepState
    from holdfast.govern.plan import Step

MAX_NAMES: Final = 100
"""Of repositories in one DescribeRepositories. Source: Amazon ECR API."""

READ_BACKS: Final = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each reading after a call: AWS may be a moment late."""

_ABSENT: Final = frozenset({"RepositoryNotFoundException", "TemplateNotFoundException"})
_RULE: Final = re.compile(r"(explicit deny in an?|because no) (service|resource) control policy")


class Registries(Protocol):
    """The registries of all places. Raises APIError, APIUnreachable, CallInvalid."""

    def call(self, place: tuple[str, str], operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Call an operation of Amazon ECR in an account and region; tries again what may be tried again."""

    def who(self, place: tuple[str, str]) -> str:
        """Return the ARN of who calls there."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a step was not done."""

    step: Step
    code: str
    """Surprise, Gone, NotReadBack, or the service's own word."""

    sentence: str
    refused: bool = False
    """A rule (a service control policy, a guardrail) forbids it."""


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    judged: list[tuple[Step, Verdict]] = field(default_factory=list)
    changed: list[Step] = field(default_factory=list)
    already: list[Step] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    untried: list[Step] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every step is as the plan has it."""
        return not self.troubles and not self.untried


class Flipper:
    """Applies steps to registries, and writes what it does into a journal."""

    def __init__(
        self,
        registries: Registries,
        journal: Journal | None,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        told: Callable[[Step, str], None] = lambda _step, _what: None,
        keep_going: bool = False,
    ) -> None:
        """Without a journal nothing is ever changed. `told` hears of each step as it ends."""
        self._registries = registries
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        self._told = told
        self._keep_going = keep_going
        self._states: dict[str, StepState] = journal.told.states() if journal is not None else {}

    # --- before anything is changed

    def survey(self, steps: Sequence[Step]) -> Outcome:
        """Read what every step is about, and judge it; nothing is changed."""
        outcome = Outcome()
        seen, failed = self._read_all(steps)
        for step in steps:
            if step.id in failed:
                outcome.troubles.append(failed[step.id])
                continue
            verdict = judge(step, seen[step.id])
            outcome.judged.append((step, verdict))
            if verdict.meets in {Meets.SURPRISE, Meets.GONE}:
                outcome.troubles.append(Trouble(step, str(verdict.meets).capitalize(), verdict.reason))
        return outcome

    def _read_all(self, steps: Sequence[Step]) -> tuple[dict[str, Settings | None], dict[str, Trouble]]:
        seen: dict[str, Settings | None] = {}
        failed: dict[str, Trouble] = {}
        places: dict[tuple[str, str], list[Step]] = {}
        for step in steps:
            places.setdefault(step.place, []).append(step)
        for place, there in places.items():
            repositories = [step for step in there if step.does is not Does.TEMPLATE]
            for start in range(0, len(repositories), MAX_NAMES):
                part = repositories[start : start + MAX_NAMES]
                try:
                    found = self._describe(place, part)
                except (APIError, APIUnreachable, CallInvalid) as error:
                    failed |= {step.id: _trouble(step, error) for step in part}
                    continue
                seen |= {step.id: found.get(step.name) for step in part}
            for step in (one for one in there if one.does is Does.TEMPLATE):
                try:
                    seen[step.id] = self._read(step)
                except (APIError, APIUnreachable, CallInvalid) as error:
                    failed[step.id] = _trouble(step, error)
        return seen, failed

    def _describe(self, place: tuple[str, str], steps: Sequence[Step]) -> dict[str, Settings]:
        names = [step.name for step in steps]
        parameters: dict[str, Any] = {"registryId": place[0], "repositoryNames": names}
        try:
            reply = self._registries.call(place, "DescribeRepositories", parameters)
        except APIError as error:
            if error.code not in _ABSENT:
                raise
            # One that is not there spoils the answer for all: read them one by one.
            found = {step.name: self._read(step) for step in steps}
            return {name: settings for name, settings in found.items() if settings is not None}
        return {one["repositoryName"]: Settings.read(one) for one in reply["repositories"]}

    def _read(self, step: Step) -> Settings | None:
        """Read what a step is about; None when it is not there."""
        if step.does is Does.TEMPLATE:
            operation, parameters, key = "DescribeRepositoryCreationTemplates", {"prefixes": [step.name]}, "prefix"
            member = "repositoryCreationTemplates"
        else:
            operation, member, key = "DescribeRepositories", "repositories", "repositoryName"
            parameters = {"registryId": step.account, "repositoryNames": [step.name]}  # type: ignore[dict-item]
        try:
            reply = self._registries.call(step.place, operation, parameters)
        except APIError as error:
            if error.code in _ABSENT:
                return None
            raise
        return next((Settings.read(one) for one in reply[member] if one[key] == step.name), None)

    # --- changing

    def apply(self, steps: Sequence[Step]) -> Outcome:
        """Apply steps in order. The first trouble ends it, unless it is to keep going; what is gone never does."""
        return self._run(steps, undo=False)

    def undo(self, states: Iterable[StepState]) -> Outcome:
        """Take back what the journal says was changed, the last first. What was made stays: it may hold images."""
        outcome = Outcome()
        back: list[Step] = []
        for state in reversed(list(states)):
            if not (state.changed or state.intended):
                continue
            if state.step.precondition is None:
                outcome.troubles.append(
                    Trouble(state.step, "Made", "it was made by the flip, and stays: delete it by hand")
                )
            else:
                back.append(reversal(state.step))
        done = self._run(back, undo=True)
        done.troubles = outcome.troubles + done.troubles
        return done

    def _run(self, steps: Sequence[Step], *, undo: bool) -> Outcome:
        outcome = Outcome()
        for place, step in enumerate(steps):
            trouble = self._step(step, outcome, undo=undo)
            if trouble is None:
                continue
            outcome.troubles.append(trouble)
            self._told(step, trouble.sentence)
            if not self._keep_going and trouble.code != "Gone":
                outcome.untried = list(steps[place + 1 :])
                break
        return outcome

    def _step(self, step: Step, outcome: Outcome, *, undo: bool) -> Trouble | None:
        try:
            seen = self._read(step)
        except (APIError, APIUnreachable, CallInvalid) as error:
            return self._stopped(_trouble(step, error), undo=undo)
        verdict = judge(step, seen)
        outcome.judged.append((step, verdict))
        if verdict.meets is Meets.SURPRISE:
            return self._stopped(Trouble(step, "Surprise", verdict.reason), undo=undo, seen=seen)
        if verdict.meets is Meets.GONE:
            self._write(Wrote.GONE, step, undo=undo, reason=verdict.reason)
            return Trouble(step, "Gone", verdict.reason)
        if verdict.meets is Meets.ALREADY:
            # A run that ended between its call and this line did it: then it is ours to undo.
            state = self._states.get(step.id)
            ours = state is not None and state.intended and not undo
            self._write(Wrote.DONE, step, seen=seen, changed=ours, undo=undo)
            outcome.already.append(step)
            self._told(step, verdict.reason)
            return None
        self._write(Wrote.INTENT, step, seen=seen, undo=undo)
        try:
            self._registries.call(step.place, step.call.operation, step.call.parameters)
            back = self._read_back(step)
        except (APIError, APIUnreachable, CallInvalid) as error:
            return self._stopped(_trouble(step, error), undo=undo, seen=seen)
        if back is None or back.same != step.read_back.same:
            told = "is not there" if back is None else f"is {back}"
            why = f"the call was taken, and yet it {told} and not {step.read_back}: somebody else may be changing it"
            return self._stopped(Trouble(step, "NotReadBack", why), undo=undo, seen=back)
        self._write(Wrote.DONE, step, seen=seen, changed=True, undo=undo)
        outcome.changed.append(step)
        self._told(step, f"{seen or 'not there'} -> {step.read_back}")
        return None

    def _read_back(self, step: Step) -> Settings | None:
        back: Settings | None = None
        for wait in READ_BACKS:
            self._sleep(wait)
            back = self._read(step)
            if back is not None and back.same == step.read_back.same:
                break
        return back

    # --- the journal

    def _stopped(self, trouble: Trouble, *, undo: bool, seen: Settings | None = None) -> Trouble:
        self._write(Wrote.STOPPED, trouble.step, seen=seen, undo=undo, reason=f"{trouble.code}: {trouble.sentence}")
        return trouble

    def _write(
        self,
        wrote: Wrote,
        step: Step,
        *,
        seen: Settings | None = None,
        changed: bool = False,
        undo: bool = False,
        reason: str = "",
    ) -> None:
        if self._journal is None:
            msg = "a run without a journal changes nothing"
            raise RuntimeError(msg)
        by = self._registries.who(step.place)
        self._journal.write(Line(self._clock(), wrote, step, by, seen, changed, undo, reason))


def _trouble(step: Step, error: Exception) -> Trouble:
    if isinstance(error, APIError):
        refused = _RULE.search(error.message) is not None
        return Trouble(step, error.code, error.message or error.code, refused)
    return Trouble(step, type(error).__name__, str(error))


def counted(outcome: Outcome) -> dict[str, int]:
    """Return how many steps ended how."""
    met = Counter(str(verdict.meets) for _, verdict in outcome.judged)
    return {
        "changed": len(outcome.changed),
        "already": len(outcome.already),
        "troubles": len(outcome.troubles),
        "untried": len(outcome.untried),
        **({"would_change": met["change"]} if not outcome.changed and not outcome.already else {}),
    }
