"""One file judged: every rule of the table asked, what people accepted marked, places and edits made exact. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from holdfast.core.finding import Edit, Finding, InFile, Lines
from holdfast.pin import acceptance
from holdfast.pin.case import Case, Verdict
from holdfast.pin.files import mentions
from holdfast.pin.mention import Context, Unreadable
from holdfast.pin.rules import NO_REASON, RULES, UNREADABLE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from holdfast.core.finding import Severity
    from holdfast.pin.case import LintRule
    from holdfast.pin.knowledge import Knowledge
    from holdfast.pin.settings import Settings

MAX_FINDINGS_PER_FILE: Final = 2_000
"""A generated file may name an image ten thousand times; nobody reads more."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A file after its reading: the case, or why there is none."""

    path: str
    case: Case | None
    unreadable: str | None = None


def examine(path: str, data: bytes, settings: Settings, neighbour: Callable[[str], bytes | None]) -> Examined:
    """Read a file once; every rule and the pinning work on what this returns."""
    found = mentions(path, data)
    if isinstance(found, Unreadable):
        return Examined(path, None, found.reason)
    context = settings.context(path)
    if context is not None:
        found = [replace(one, context=context) for one in found]
    return Examined(path, Case(path, data, tuple(found), neighbour=neighbour))


def judge(
    examined: Examined,
    knowledge: Knowledge,
    settings: Settings,
    today: dt.date,
    rules: Iterable[LintRule] = RULES,
) -> list[Finding]:
    """Return the findings of one file, without fingerprints; accepted ones carry the reason."""
    case = examined.case
    if case is None:
        told = f"It cannot be read: {examined.unreadable}"
        severity = _severity(UNREADABLE, Context.BUILD, settings)
        if severity is None:
            return []
        where = InFile(examined.path)
        finding = Finding(UNREADABLE.id, severity, where, told, UNREADABLE.why, UNREADABLE.fix, "unreadable")
        return list(acceptance.accept([finding], [], settings.ignores, today))
    case = replace(case, knowledge=knowledge)
    lines: Lines | None = None
    found: list[Finding] = []
    for rule in rules:
        for verdict in _verdicts(rule, case):
            severity = _severity(rule, verdict.context, settings)
            if severity is None:
                break
            lines = lines or Lines(case.data)
            found.append(_finding(rule, severity, verdict, case, lines))
    said = acceptance.comments(case.data) if found else []
    return list(acceptance.accept(found[:MAX_FINDINGS_PER_FILE], said, settings.ignores, today))


def _verdicts(rule: LintRule, case: Case) -> Iterable[Verdict]:
    return acceptance.without_reason(case.data) if rule is NO_REASON else rule.judge(case)


def _severity(rule: LintRule, context: Context, settings: Settings) -> Severity | None:
    """Return how grave it is there; None when the settings switch the rule off."""
    return settings.severities.get(rule.id, rule.severities[context])


def _finding(rule: LintRule, severity: Severity, verdict: Verdict, case: Case, lines: Lines) -> Finding:
    edits = tuple(
        Edit(
            case.path,
            lines.span(*splice.span),
            case.data[splice.span.start : splice.span.end].decode("utf-8", "replace"),
            splice.new.decode("utf-8", "replace"),
        )
        for splice in verdict.splices
    )
    return Finding(
        rule.id,
        severity,
        InFile(case.path, lines.span(*verdict.span)),
        verdict.message,
        verdict.reason or rule.why,
        verdict.fix or rule.fix,
        verdict.subject,
        edits,
    )
