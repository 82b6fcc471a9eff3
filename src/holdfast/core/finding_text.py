"""Findings for people: what, where, the source line with a caret under it, why, and what to do. Pure text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final

from holdfast.core.finding import InFile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.core.finding import Finding, Report, Span

MAX_SHOWN: Final = 160
"""Characters of a source line that are shown."""

_WIDE: Final = frozenset("WF")


def render(report: Report, *, suppressed: bool = False) -> str:
    """Return the report as text; accepted findings are counted, and shown only when asked for."""
    pieces = [_one(one) for one in report.findings if suppressed or one.counts]
    return "\n".join([*pieces, summary(report)]) + "\n"


def summary(report: Report) -> str:
    """Say in one line how much was found in how much."""
    counted = Counter(one.severity for one in report.counting)
    accepted = len(report.findings) - len(report.counting)
    also = f" {accepted} more accepted." if accepted else ""
    if not counted:
        return f"Nothing found in {_number(len(report.examined), report.noun)}.{also}"
    told = ", ".join(f"{counted[one]} {one.value.lower()}" for one in Severity if counted[one])
    places = _number(len(report.examined), report.noun)
    return f"{_number(len(report.counting), 'finding')} in {places} ({told}).{also}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _one(finding: Finding) -> str:
    lines = [f"{finding.location}: {finding.severity.value.lower()} [{finding.rule}] {finding.message}"]
    location = finding.location
    if isinstance(location, InFile) and location.span is not None:
        lines += _excerpt(location.span)
    if finding.reason:
        lines.append(f"      why: {finding.reason}")
    if finding.fix:
        lines.append(f"      fix: {finding.fix}")
    lines += [f"           {one.path}:{one.span.line}: {one.before} -> {one.after}" for one in finding.edits]
    if finding.suppressed_by is not None:
        lines.append(f"      accepted: {finding.suppressed_by}")
    return "\n".join(lines) + "\n"


def _excerpt(span: Span) -> Iterator[str]:
    """Show the line and a caret under the span; a long line is shown from shortly before it."""
    line, first = span.source_line, span.column - 1
    if first > len(line):
        return
    last = span.end_column - 1 if span.end_line == span.line else len(line)
    cut = max(0, min(first, first - MAX_SHOWN // 2)) if len(line) > MAX_SHOWN else 0
    shown = line[cut : cut + MAX_SHOWN]
    before, under = line[cut:first], line[first : min(last, cut + MAX_SHOWN)]
    margin = f"{span.line:>5} | "
    # A tab stays a tab, so that the caret stands under its place wherever the terminal's stops are.
    indent = "".join(one if one == "\t" else " " * _width(one) for one in before)
    mark = "^" + "~" * max(sum(map(_width, under)) - 1, 0)
    yield f"{margin}{'...' if cut else ''}{_visible(shown)}"
    yield f"{'':>5} | {'   ' if cut else ''}{indent}{mark}"


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _visible(text: str) -> str:
    """Return text whose control characters move no terminal's cursor; each stays one column."""
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
