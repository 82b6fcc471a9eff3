"""Findings as SARIF 2.1.0, with the edits that mend them as `fixes`. Pure: a report in, a document out.

Source: OASIS SARIF 2.1.0 (sections are named beside what they rule); GitHub's reading of it, "SARIF support for code
scanning": `security-severity`, `partialFingerprints`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from holdfast.core.finding import InResource, Severity

if TYPE_CHECKING:
    from holdfast.core.finding import Edit, Finding, Location, Report, Rule, Span

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT: Final = "holdfast/v1"
"""Name and version of our fingerprint (3.27.17): a new way to compute it gets a new number."""

LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFORMATIONAL: "note",
}
"""Severity -> level of a result (3.27.10)."""

SCORES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFORMATIONAL: "0.0",
}
"""Severity -> GitHub's security-severity: over 9.0 is critical, 7.0 high, 4.0 medium."""


def document(report: Report) -> dict[str, Any]:
    """Return the SARIF log of a report."""
    used = {one.rule for one in report.findings}
    rules = [*report.rules, *(report.rule(name) for name in sorted(used - {one.id for one in report.rules}))]
    places = {one.id: place for place, one in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": report.tool, "version": report.version, "rules": [_rule(one) for one in rules]}
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, places[one.rule]) for one in report.findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": rule.id,
        "name": "".join(piece.capitalize() for piece in rule.id.replace(".", "-").split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why or rule.title},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"security-severity": SCORES[rule.severity], "tags": ["security", "supply-chain"]},
    }
    if rule.page:
        made["help"] = {"text": f"{rule.why or rule.title} See {rule.page}."}
    return made


def _result(finding: Finding, place: int) -> dict[str, Any]:
    text = " ".join(one for one in (finding.message, finding.reason, finding.fix) if one)
    made: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding.location)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": {"severity": finding.severity.value, "subject": finding.subject},
    }
    if finding.edits:
        made["fixes"] = [
            {"description": {"text": finding.fix or finding.message}, "artifactChanges": _changes(finding)}
        ]
    if finding.suppressed_by is not None:
        # 3.35: accepted outside the source is "external"; a comment beside the line would be "inSource".
        made["suppressions"] = [{"kind": "external", "justification": finding.suppressed_by}]
    return made


def _location(location: Location) -> dict[str, Any]:
    if isinstance(location, InResource):
        # 3.33: what is in no file is told by a logical location.
        return {
            "logicalLocations": [
                {
                    "fullyQualifiedName": location.arn,
                    "name": location.name or location.arn.rpartition(":")[2],
                    "kind": location.kind or "resource",
                }
            ]
        }
    physical: dict[str, Any] = {"artifactLocation": _artifact(location.path)}
    if location.span is not None:
        physical["region"] = {**_region(location.span), "snippet": {"text": location.span.source_line}}
    return {"physicalLocation": physical}


def _artifact(path: str) -> dict[str, Any]:
    """Name a file by a relative URI reference (3.4.3); `%SRCROOT%` is what code scanning calls the checkout."""
    first, slash, rest = path.partition("/")
    safe = quote(first, safe="") + slash + quote(rest)
    return {"uri": safe, **({} if path.startswith("/") else {"uriBaseId": "%SRCROOT%"})}


def _region(span: Span) -> dict[str, Any]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
        "byteOffset": span.start,
        "byteLength": span.end - span.start,
    }


def _changes(finding: Finding) -> list[dict[str, Any]]:
    """Return the changes by file (3.56), each file once."""
    files: dict[str, list[Edit]] = {}
    for edit in finding.edits:
        files.setdefault(edit.path, []).append(edit)
    return [
        {
            "artifactLocation": _artifact(path),
            "replacements": [
                {"deletedRegion": _region(one.span), "insertedContent": {"text": one.after}} for one in edits
            ],
        }
        for path, edits in files.items()
    ]
