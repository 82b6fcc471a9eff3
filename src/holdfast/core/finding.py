"""What a check found: one neutral record for lint, posture and whatever else examines, and where in a file it is.

This file alone decides what a finding consists of, how it is known again (its fingerprint), and how bytes become lines
and columns. It knows no rule, no file system and no format: `finding_text`, `sarif`, `junit` and `github_annotations`
render.

Lines and columns begin with 1, columns count characters (Unicode code points), spans count bytes from 0.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FINGERPRINT_HEX: Final = 32
"""Digits of a fingerprint: 128 bits tell any two findings of a code base apart."""

MAX_LINE_CHARACTERS: Final = 400
"""Of a source line that is kept with a finding; minified files have lines of megabytes."""


class Severity(StrEnum):
    """How grave a finding is, gravest first. Source: AWS Security Finding Format, Severity.Label."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFORMATIONAL = "INFORMATIONAL"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return _RANKS[self]

    def at_least(self, other: Severity) -> bool:
        """Whether it is as grave as another, or graver."""
        return self.rank <= other.rank


_RANKS: Final = {one: rank for rank, one in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as a reader of findings needs it; `page` is where it is documented, relative to the repository."""

    id: str
    title: str
    severity: Severity
    why: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a file: bytes `start` up to but without `end`, and the same in lines and columns."""

    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int
    source_line: str = ""
    """The first line of it, for showing; cut at MAX_LINE_CHARACTERS."""


class Lines:
    """A file's bytes, asked for lines and columns. Bytes that are no UTF-8 count one column each."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._starts = [0]
        position = content.find(b"\n")
        while position >= 0:
            self._starts.append(position + 1)
            position = content.find(b"\n", position + 1)

    def span(self, start: int, end: int) -> Span:
        """Return a span of bytes with its lines and columns; raises ValueError when it is not in the file."""
        if not 0 <= start <= end <= len(self._content):
            msg = f"the bytes {start} to {end} are not in a file of {len(self._content)} bytes"
            raise ValueError(msg)
        line, column = self._place(start)
        end_line, end_column = self._place(end)
        return Span(start, end, line, column, end_line, end_column, self._line(line))

    def _place(self, position: int) -> tuple[int, int]:
        line = bisect_right(self._starts, position)
        return line, len(_decoded(self._content[self._starts[line - 1] : position])) + 1

    def _line(self, line: int) -> str:
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self._content)
        # Four bytes a character at most; what is cut in the middle of one is not shown.
        return _decoded(self._content[start : min(end, start + 4 * MAX_LINE_CHARACTERS)]).rstrip("\r")[
            :MAX_LINE_CHARACTERS
        ]


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class InFile:
    """A place in a file; `path` is relative, with `/`. Without a span it is the whole file."""

    path: str
    span: Span | None = None

    @property
    def subject(self) -> str:
        """What is examined: the file."""
        return self.path

    def __str__(self) -> str:
        return self.path if self.span is None else f"{self.path}:{self.span.line}:{self.span.column}"


@dataclass(frozen=True, slots=True)
class InResource:
    """A resource, by its ARN or another name that is unique; `kind` is its type, as AWS::ECR::Repository."""

    arn: str
    kind: str = ""
    name: str = ""

    @property
    def subject(self) -> str:
        """What is examined: the resource."""
        return self.arn

    def __str__(self) -> str:
        return self.arn


Location = InFile | InResource


@dataclass(frozen=True, slots=True)
class Edit:
    """An exact change: in `path` the bytes of `span`, which are `before`, become `after`."""

    path: str
    span: Span
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found. `message` says what, `reason` why it matters, `fix` what to do."""

    rule: str
    severity: Severity
    location: Location
    message: str
    reason: str = ""
    fix: str = ""
    subject: str = ""
    """What was judged, as `nginx:latest`: with rule and file it makes the fingerprint, wherever it moves to."""

    edits: tuple[Edit, ...] = ()
    """Changes that mend it, all or none; empty where no exact change is known."""

    suppressed_by: str | None = None
    """Why it does not count: the reason somebody wrote down, or that a baseline has it. None: it counts."""

    fingerprint: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is to be mended: nobody has accepted it."""
        return self.suppressed_by is None

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "message": self.message,
            "reason": self.reason,
            "fix": self.fix,
            "subject": self.subject,
            "location": _location(self.location),
            "edits": [
                {"path": one.path, "span": _span(one.span), "before": one.before, "after": one.after}
                for one in self.edits
            ],
            "suppressed_by": self.suppressed_by,
            "fingerprint": self.fingerprint,
        }


def _location(location: Location) -> dict[str, Any]:
    if isinstance(location, InResource):
        return {"arn": location.arn, "kind": location.kind, "name": location.name}
    return {"path": location.path, "span": None if location.span is None else _span(location.span)}


def _span(span: Span) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by file or resource, then by place, then by rule."""
    return sorted(findings, key=_order)


def _order(finding: Finding) -> tuple[str, int, str, str]:
    location = finding.location
    start = location.span.start if isinstance(location, InFile) and location.span is not None else -1
    return location.subject, start, finding.rule, finding.subject


def fingerprinted(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in order, each with its fingerprint.

    It hashes the rule, the file or resource, what was judged, and the how manieth of its like it is in the file; so a
    finding keeps it when lines above it come and go.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    made = []
    for finding in ordered(findings):
        key = (finding.rule, finding.location.subject, finding.subject or finding.message)
        seen[key] += 1
        hashed = hashlib.sha256("\0".join((*key, str(seen[key]))).encode("utf-8", "surrogateescape"))
        made.append(replace(finding, fingerprint=hashed.hexdigest()[:FINGERPRINT_HEX]))
    return made


@dataclass(frozen=True, slots=True)
class Report:
    """What one run examined and found. `examined` are files or resources; those without a finding have passed."""

    tool: str
    version: str
    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]
    examined: tuple[str, ...] = ()
    noun: str = "resource"
    """What one of those is called, as `file`."""

    def rule(self, name: str) -> Rule:
        """Return a rule by its id; one that the table does not have is known by its id alone."""
        return next((one for one in self.rules if one.id == name), Rule(name, name, Severity.MEDIUM, ""))

    @property
    def counting(self) -> Sequence[Finding]:
        """Return the findings that nobody has accepted."""
        return [one for one in self.findings if one.counts]

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        counts = Counter(one.severity.value for one in self.counting)
        return {
            "tool": self.tool,
            "version": self.version,
            "examined": len(self.examined),
            "counts": {one.value: counts[one.value] for one in Severity},
            "suppressed": len(self.findings) - len(self.counting),
            "findings": [one.document() for one in self.findings],
        }
