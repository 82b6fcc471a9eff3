"""Findings as GitHub Actions annotations: one workflow command a finding, shown beside the line of the pull request.

Source: GitHub, "Workflow commands for GitHub Actions" (error, warning, notice); actions/toolkit for what is escaped. At
most ten of a level are shown for a step, so the gravest come first. Pure: a report in, lines out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.finding import InFile, Severity

if TYPE_CHECKING:
    from holdfast.core.finding import Finding, Report

COMMANDS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFORMATIONAL: "notice",
}

_DATA: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY: Final = (*_DATA, (":", "%3A"), (",", "%2C"))


def render(report: Report) -> str:
    """Return a line for each finding that counts."""
    lines = [_one(report, one) for one in sorted(report.counting, key=lambda one: one.severity.rank)]
    return "".join(f"{line}\n" for line in lines)


def _one(report: Report, finding: Finding) -> str:
    properties = {"title": f"{finding.rule}: {report.rule(finding.rule).title}"}
    location, about = finding.location, ""
    if isinstance(location, InFile):
        properties = {"file": location.path, **_place(location), **properties}
    else:
        about = f"{location.arn}: "
    written = ",".join(f"{name}={_escaped(value, _PROPERTY)}" for name, value in properties.items())
    text = " ".join(one for one in (finding.message, finding.reason, finding.fix) if one)
    return f"::{COMMANDS[finding.severity]} {written}::{_escaped(about + text, _DATA)}"


def _place(location: InFile) -> dict[str, str]:
    span = location.span
    if span is None:
        return {}
    place = {"line": str(span.line), "endLine": str(span.end_line)}
    if span.line == span.end_line:
        # GitHub takes columns only within one line.
        place |= {"col": str(span.column), "endColumn": str(span.end_column)}
    return place


def _escaped(text: str, table: tuple[tuple[str, str], ...]) -> str:
    for character, written in table:
        text = text.replace(character, written)
    return text
