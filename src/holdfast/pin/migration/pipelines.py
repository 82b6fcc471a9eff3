"""One pipeline mended: tags that are pushed again and again leave it, each by the smallest change that can be proven.

This file alone decides in which order changes are tried: a push is taken out if the same image is pushed under a unique
tag beside it; else its tag becomes the commit's; rules of metadata-action are mended as a whole. Each change is made
only if the file, read again, proves it; what cannot be proven is left to a person, with the words of the rule.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.pin.migration import metadata, removal
from holdfast.pin.pushes import reading, references, remedies
from holdfast.pin.pushes.push import Purpose, Push
from holdfast.pin.pushes.tag import Repetition, shown

if TYPE_CHECKING:
    from holdfast.pin.pushes.following import Findings
    from holdfast.pin.pushes.remedies import Change

MAX_CHANGES: Final = 200
"""In one file; a pipeline with more is generated, and its generator is what has to change."""

MAX_FAILURES: Final = 12
"""Pushes of one file that could not be mended; from then on the rest is left untried, since each try reads it again."""

_UNIQUE: Final = frozenset({Repetition.COMMIT, Repetition.RUN})


@dataclass(frozen=True, slots=True)
class Step:
    """One change that was made, or one that a person has to make."""

    path: str
    line: int
    image: str
    repository: str
    tag: str
    literal: bool
    what: str
    system: str = ""


@dataclass(slots=True)
class Mended:
    """A pipeline before and after."""

    path: str
    before: str
    after: str
    done: list[Step] = field(default_factory=list)
    left: list[Step] = field(default_factory=list)


def mend(path: str, text: str) -> Mended | None:
    """Mend a pipeline; None if it is none, cannot be read, or pushes no tag again and again."""
    result = Mended(path, text, text)
    given_up: set[tuple[str, str, str]] = set()
    findings = _read(path, text)
    for _ in range(MAX_CHANGES):
        push = _next(findings, given_up) if findings is not None else None
        if findings is None or push is None:
            break
        tried = [] if len(given_up) >= MAX_FAILURES else _candidates(path, result.after, findings, push)
        for what, changes in tried:
            result.done.append(_step(path, result.after, push, what))
            result.after = remedies.applied(result.after, changes)
            findings = _read(path, result.after)
            break
        else:
            given_up.add((push.image, push.via, push.reason))
            result.left.append(_step(path, result.after, push, remedies.short_fix(push)))
    return result if result.done or result.left else None


def _read(path: str, text: str) -> Findings | None:
    try:
        return reading.read(path, text)
    except reading.PipelineUnreadable:
        return None


def _next(findings: Findings, given_up: set[tuple[str, str, str]]) -> Push | None:
    return next(
        (
            push
            for push in findings.pushes
            if push.purpose is Purpose.IMAGE
            and push.verdict is Repetition.REUSED
            and not references.is_throwaway(push.repository)
            and (push.image, push.via, push.reason) not in given_up
        ),
        None,
    )


def _candidates(path: str, text: str, findings: Findings, push: Push) -> list[tuple[str, tuple[Change, ...]]]:
    """Return the first change that is proven, as a list of none or one."""
    rules = metadata.changes(text, push) if push.system == "github" else ()
    if rules and _is_better(path, text, findings, rules):
        return [("docker/metadata-action makes tags of the commit and of releases alone", rules)]
    if _has_unique(findings, push):
        taken = removal.changes(text, findings, push)
        if taken and _is_taken_out(path, text, findings, push, taken):
            return [("no longer pushed: the tag of the commit is pushed beside it", taken)]
    replaced = remedies.edits(path, text, findings, push)
    return [("pushed under the commit's SHA", replaced)] if replaced else []


def _has_unique(findings: Findings, push: Push) -> bool:
    name = shown(push.repository)
    return any(one.verdict in _UNIQUE and shown(one.repository) == name for one in findings.pushes)


def _is_taken_out(path: str, text: str, before: Findings, push: Push, changes: tuple[Change, ...]) -> bool:
    after = _read(path, remedies.applied(text, changes))
    if after is None:
        return False
    expected = Counter((one.image, one.verdict) for one in before.pushes if one.image != push.image)
    return expected == Counter((one.image, one.verdict) for one in after.pushes)


def _is_better(path: str, text: str, before: Findings, changes: tuple[Change, ...]) -> bool:
    """Tell whether fewer tags are reused afterwards, some are unique, and other pushes are as they were."""
    after = _read(path, remedies.applied(text, changes))
    if after is None:
        return False
    made = metadata.is_made_by_rule
    others = Counter((one.image, one.verdict) for one in before.pushes if not made(one))
    if others != Counter((one.image, one.verdict) for one in after.pushes if not made(one)):
        return False
    mine = [one.verdict for one in after.pushes if made(one)]
    return Repetition.COMMIT in mine and Repetition.REUSED not in mine


def _step(path: str, text: str, push: Push, what: str) -> Step:
    line = text.count("\n", 0, min(push.place, len(text))) + 1
    return Step(
        path,
        line,
        push.image,
        shown(push.repository),
        shown(push.tag),
        all(part.literal for part in push.tag),
        what,
        push.system,
    )
