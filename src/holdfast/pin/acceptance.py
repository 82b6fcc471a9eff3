"""What people have accepted, with their reasons: comments beside a line, rules in .holdfast.yaml, a baseline.

This file alone decides when a finding does not count. Without a reason nothing is accepted; what was accepted until a
day counts again after it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.finding import InFile
from holdfast.core.mutability import matches
from holdfast.pin.case import Verdict
from holdfast.pin.mention import Span
from holdfast.pin.rules import NO_REASON

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from holdfast.core.finding import Finding

MAX_BASELINE_BYTES: Final = 64 * 1024 * 1024
BASELINE_VERSION: Final = 1
EVERY_RULE: Final = "*"

_MARK: Final = b"holdfast:"
_COMMENT: Final = re.compile(r"holdfast:[ \t]*ignore\[([a-z0-9*, \t-]+)\](.*)", re.ASCII)
_OPENS_A_COMMENT: Final = ("#", "//", "/*", "<!--", "--", ";", "{{/*", "{{- /*", "*")
_CLOSES_A_COMMENT: Final = re.compile(r"(?:\*/|-->|\}\}|-\}\})\s*$")


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment: for which rules, why, and on which line it stands; `below` when it speaks of the next line."""

    line: int
    rules: tuple[str, ...]
    reason: str
    below: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Ignore:
    """One rule of .holdfast.yaml: what it accepts, why, and until which day it does."""

    reason: str
    rules: tuple[str, ...] = (EVERY_RULE,)
    paths: tuple[str, ...] = (EVERY_RULE,)
    images: tuple[str, ...] = (EVERY_RULE,)
    until: dt.date | None = None

    def accepts(self, finding: Finding, today: dt.date) -> bool:
        """Whether it accepts a finding today; `*` in its patterns is any run of characters, `/` too."""
        if self.until is not None and today > self.until:
            return False
        return (
            finding.rule != NO_REASON.id
            and _any(self.rules, finding.rule)
            and _any(self.paths, finding.location.subject)
            and _any(self.images, finding.subject)
        )


def _any(patterns: Iterable[str], text: str) -> bool:
    return any(matches(one, text) for one in patterns)


def comments(data: bytes) -> list[Comment]:
    """Read the comments of a file that accept findings; a file without the mark costs one search."""
    if _MARK not in data:
        return []
    found, start = [], 0
    for number, raw in enumerate(data.split(b"\n"), 1):
        if _MARK in raw and (match := _COMMENT.search(text := raw.decode("utf-8", "replace"))) is not None:
            rules = tuple(one.strip() for one in match[1].split(",") if one.strip())
            reason = _CLOSES_A_COMMENT.sub("", match[2]).strip(" \t\r:-")
            below = text.lstrip().startswith(_OPENS_A_COMMENT)
            found.append(Comment(number, rules, reason, below, Span(start, start + len(raw.rstrip(b"\r")))))
        start += len(raw) + 1
    return found


def without_reason(data: bytes) -> Iterator[Verdict]:
    """Give a verdict for each comment that accepts something and does not say why."""
    for comment in comments(data):
        if not comment.reason:
            names = ", ".join(comment.rules)
            yield Verdict(comment.span, names, f"This ignores {names} and gives no reason, so that it is not heeded.")


def accept(
    findings: Iterable[Finding], said: list[Comment], ignores: Iterable[Ignore], today: dt.date
) -> Iterator[Finding]:
    """Give the findings of one file; those that somebody accepted carry the reason."""
    of_line: dict[int, list[Comment]] = {}
    for comment in said:
        if comment.reason:
            # A line of nothing but comment speaks of the next line that says something; usually the next.
            of_line.setdefault(_target(comment, said), []).append(comment)
    rules = tuple(ignores)
    for finding in findings:
        reason = _comment_for(finding, of_line) or next(
            (one.reason for one in rules if one.accepts(finding, today)), None
        )
        yield finding if reason is None else replace(finding, suppressed_by=reason)


def _target(comment: Comment, said: list[Comment]) -> int:
    line = comment.line
    if not comment.below:
        return line
    others = {one.line for one in said if one.below}
    line += 1
    while line in others:
        line += 1
    return line


def _comment_for(finding: Finding, of_line: dict[int, list[Comment]]) -> str | None:
    location = finding.location
    if not isinstance(location, InFile) or location.span is None or finding.rule == NO_REASON.id:
        return None
    return next(
        (
            one.reason
            for one in of_line.get(location.span.line, ())
            if finding.rule in one.rules or EVERY_RULE in one.rules
        ),
        None,
    )


# --- baseline --------------------------------------------------------------------------------------------------------


class BaselineInvalid(ValueError):
    """A file that is no baseline of ours; the message says why."""


def write_baseline(findings: Iterable[Finding]) -> str:
    """Write the findings that count now, so that from here on only new ones do."""
    listed = [
        {"fingerprint": one.fingerprint, "rule": one.rule, "path": one.location.subject, "subject": one.subject}
        for one in findings
        if one.counts
    ]
    return json.dumps({"version": BASELINE_VERSION, "findings": listed}, indent=2) + "\n"


def read_baseline(content: bytes) -> frozenset[str]:
    """Return the fingerprints of a baseline; raises BaselineInvalid."""
    try:
        document: Any = json.loads(content)
        if document["version"] != BASELINE_VERSION:
            msg = f"is of version {document['version']!r}; this program writes and reads {BASELINE_VERSION}"
            raise BaselineInvalid(msg)
        return frozenset(str(one["fingerprint"]) for one in document["findings"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, BaselineInvalid):
            raise
        msg = "is no baseline; make one with: holdfast lint PATH --write-baseline FILE"
        raise BaselineInvalid(msg) from None


def against(findings: Iterable[Finding], baseline: frozenset[str], name: str) -> list[Finding]:
    """Return the findings; those that the baseline has are accepted by it."""
    return [
        replace(one, suppressed_by=f"in the baseline {name}") if one.counts and one.fingerprint in baseline else one
        for one in findings
    ]
