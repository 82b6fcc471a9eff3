"""Findings as JUnit XML: a suite for each file or resource, a case for each finding, one that passes where none is.

There is no one specification; this is what Jenkins, GitLab and Azure Pipelines read in common: testsuites, testsuite,
testcase with failure or skipped. Pure: a report in, text out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from holdfast.core.finding import InFile

if TYPE_CHECKING:
    from holdfast.core.finding import Finding, Report

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (section 2.2)."""


def render(report: Report) -> str:
    """Return the report as JUnit XML."""
    subjects = dict.fromkeys((*report.examined, *(one.location.subject for one in report.findings)))
    of: dict[str, list[Finding]] = {one: [] for one in subjects}
    for finding in report.findings:
        of[finding.location.subject].append(finding)
    failures, skipped = len(report.counting), len(report.findings) - len(report.counting)
    cases = sum(max(len(found), 1) for found in of.values())
    root = ET.Element("testsuites", _counts(report.tool, cases, failures, skipped))
    for subject, found in of.items():
        _suite(root, report, subject, found)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, report: Report, subject: str, found: list[Finding]) -> None:
    failed = sum(one.counts for one in found)
    suite = ET.SubElement(root, "testsuite", _counts(subject, max(len(found), 1), failed, len(found) - failed))
    if not found:
        ET.SubElement(suite, "testcase", {"name": "no finding", "classname": _clean(subject), "time": "0"})
    for one in found:
        title = f"{one.rule}: {report.rule(one.rule).title}"
        attributes = {"name": _clean(f"{title} ({one.location})"), "classname": _clean(subject), "time": "0"}
        if isinstance(one.location, InFile):
            attributes["file"] = _clean(one.location.path)
            if one.location.span is not None:
                attributes["line"] = str(one.location.span.line)
        case = ET.SubElement(suite, "testcase", attributes)
        if one.suppressed_by is not None:
            ET.SubElement(case, "skipped", {"message": _clean(f"accepted: {one.suppressed_by}")})
            continue
        failure = ET.SubElement(case, "failure", {"type": one.rule, "message": _clean(one.message)})
        told = (str(one.location), one.severity.value, one.reason, one.fix)
        failure.text = _clean("\n".join(piece for piece in told if piece))


def _counts(name: str, tests: int, failures: int, skipped: int) -> dict[str, str]:
    return {
        "name": _clean(name),
        "tests": str(tests),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(skipped),
        "time": "0",
    }


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
