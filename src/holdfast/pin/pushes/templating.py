"""Settings of pipelines that hold expressions: what is written out, and what each expression stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.pin.pushes.tag import Part, Values, concatenate

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from holdfast.pin.pushes.passage import Passage, Span


def template(
    passage: Passage, pattern: re.Pattern[str], evaluate: Callable[[str, Span | None], Values], setting: str
) -> Values:
    """Return a setting as values; the first group of a match that is there is the expression."""
    found: list[Values] = []
    at = 0
    for match in pattern.finditer(passage.text):
        found += _written(passage, at, match.start(), setting)
        expression = next((group for group in match.groups() if group is not None), match.group())
        at_use = passage.place(match.start())
        values = evaluate(expression, passage.span(match.start(), match.end()))
        found.append(tuple(tuple(replace(part, at=at_use) for part in text) for text in values))
        at = match.end()
    found += _written(passage, at, len(passage.text), setting)
    return concatenate(found)


def _written(passage: Passage, start: int, end: int, setting: str) -> list[Values]:
    """Return literal text line by line, so that each line of a block knows its place."""
    found: list[Values] = []
    at = start
    for line in passage.text[start:end].splitlines(keepends=True):
        stop = at + len(line.rstrip("\r\n"))
        if stop > at:
            part = Part(passage.text[at:stop], span=passage.span(at, stop), setting=setting)
            found.append(((part,),))
        if stop < at + len(line):
            found.append(((Part("\n"),),))
        at += len(line)
    return found
