"""A push taken out of a pipeline: which lines, or which part of a line, say nothing but this push.

This file alone knows the shapes that may go: a command of its own on a line, an entry of a list, a line of a block, an
option on a continued line, one of several references between commas. Whatever shares its line stays.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes.passage import Span
from holdfast.pin.pushes.remedies import Change

if TYPE_CHECKING:
    from holdfast.pin.pushes.following import Findings
    from holdfast.pin.pushes.push import Push

_COMMAND: Final = re.compile(
    r"^\s*(?:-\s+)?(?P<quote>[\"']?)@?(?:sudo\s+)?[\w./$(){}]+\s+(?:image\s+)?(?:push|tag)\s[^|;&\\\n]*(?P=quote)\s*$"
)
_ENTRY: Final = re.compile(r"^\s*(?:-\s+)?[\"']?(?:--(?:destination|tag)=|-t=)?(?:\$\{\{[^}]*\}\}|[^\s,])+[\"']?\s*$")
_OPTION: Final = re.compile(r"^\s*(?:--destination|--tag|-t|--image)(?:=|\s+)\S+\s*\\\s*$")
_BREAKS: Final = re.compile(r"(?:\\|&&|(?<![:-] )\|)\s*$")
"""What a line ends with that goes on in the next; the bar of a block in YAML (`tags: |`, `- |`) does not."""


def changes(text: str, findings: Findings, push: Push) -> tuple[Change, ...]:
    """Return what takes a push and the tag it pushes out of a file; empty where its lines say more than that."""
    image = push.image
    same = [one for one in (*findings.pushes, *findings.labels) if one.image == image]
    found: dict[Span, Change] = {}
    for one in (push, *same):
        change = _of(text, one)
        if change is None:
            return ()
        found[change.span] = change
    ordered = sorted(found.values(), key=lambda change: change.span)
    return () if any(a.span.end > b.span.start for a, b in itertools.pairwise(ordered)) else tuple(ordered)


def _of(text: str, push: Push) -> Change | None:
    start = text.rfind("\n", 0, push.place) + 1
    end = text.find("\n", push.place)
    end = len(text) if end < 0 else end + 1
    line = text[start:end].rstrip("\r\n")
    before = text[:start].rstrip("\r\n").rpartition("\n")[2]
    if _OPTION.match(line):
        return Change(Span(start, end), "")
    if (
        (_COMMAND.match(line) or _ENTRY.match(line))
        and not _BREAKS.search(before)
        and not line.lstrip().startswith("#")
    ):
        return Change(Span(start, end), "")
    return _between_commas(text, push, start, end)


def _between_commas(text: str, push: Push, start: int, end: int) -> Change | None:
    if push.span is None or not start <= push.span.start < end:
        return None
    low, high = push.span.start, push.span.end
    while low > start and text[low - 1] not in ", \"'\t":
        low -= 1
    while high < end and text[high] not in ", \"'\t\r\n":
        high += 1
    if text[low - 1 : low] == ",":
        return Change(Span(low - 1, high), "")
    if text[high : high + 1] == ",":
        return Change(Span(low, high + 1), "")
    return None
