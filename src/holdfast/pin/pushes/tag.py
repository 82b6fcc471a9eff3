"""What a tag is made of, and whether it is the same on every run: the verdict.

This file alone decides how the parts of a tag add up. It knows neither shells nor CI systems; those say of each part
what it is. The rule: a tag is as unique as its most unique part, because parts are only ever put side by side. So
`main-${{ github.sha }}` is unique per commit, and `app-latest` is reused.

What the classes mean for a repository whose tags hold:

* unique per run: every push has a tag of its own.
* unique per commit: a second run for the same commit pushes the same tag. It is refused unless the build is
  reproducible; re-runs should push only if the tag is not there yet. An abbreviated SHA is in this class: 7 digits are
  28 bits, so among 10,000 commits some two share theirs with a chance of 17 in 100; held tags refuse the second one
  aloud, where movable ones would hide it. Use the full SHA.
* release: a tag or a version of git; it is the same again only if somebody moves the tag in git.
* reused: the same on many runs. A date is here as soon as it is coarser than a second or a minute: two runs on one day
  push the same tag.
* unknown: decided outside of what was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.pin.pushes.passage import Span

MAX_ALTERNATIVES: Final = 24
"""Values that one name may have by the paths through a script; more are not followed."""

MAX_PARTS: Final = 60


class Repetition(StrEnum):
    """How often the same tag is pushed."""

    RUN = "unique per run"
    COMMIT = "unique per commit"
    RELEASE = "release"
    UNKNOWN = "unknown"
    REUSED = "reused"


_MOST_UNIQUE_FIRST: Final = tuple(Repetition)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text: written out, or standing for something."""

    text: str
    repetition: Repetition = Repetition.REUSED
    reason: str = ""
    literal: bool = True
    span: Span | None = None
    """Where it is written in the file, if exactly one place says it."""
    optional: bool = False
    """Whether it may be empty: a tag of git in a run for a branch."""
    whole: bool = False
    """Whether it stands for the name of a repository, and holds no tag of its own."""
    setting: str = ""
    """The kind of text that it is written in, for edits: yaml, shell, raw, make, groovy; empty where none is safe."""
    at: int | None = None
    """Where it is used, if that is another place than where it is written."""


Text = tuple[Part, ...]
"""Parts side by side."""

Values = tuple[Text, ...]
"""What a name may stand for: one text for each path."""

EMPTY: Final[Values] = ((),)


def literal(text: str, span: Span | None = None) -> Text:
    """Return a text that is written out."""
    return (Part(text, span=span),) if text else ()


def unknown(text: str, reason: str) -> Text:
    """Return a text that stands for something decided elsewhere."""
    return (Part(text, Repetition.UNKNOWN, reason, literal=False),)


def shown(text: Text) -> str:
    """Write a text for people: what is written out, and the names of what is not."""
    return "".join(part.text for part in text)


def is_literal(text: Text) -> bool:
    """Tell whether all of it is written out."""
    return all(part.literal for part in text)


def union(*many: Values) -> Values:
    """Return every text once."""
    found: dict[tuple[tuple[str, Repetition, bool], ...], Text] = {}
    for values in many:
        for text in values:
            found.setdefault(tuple((part.text, part.repetition, part.literal) for part in text), text)
    return tuple(found.values())[:MAX_ALTERNATIVES]


def concatenate(parts: Iterable[Values]) -> Values:
    """Return every way to put the values side by side, up to the limit."""
    result: list[Text] = [()]
    for values in parts:
        result = [before + text for before in result for text in values][:MAX_ALTERNATIVES]
    return union(tuple(_merged(text[:MAX_PARTS]) for text in result))


def without_places(values: Values) -> Values:
    """Return values whose place is no longer the place to edit."""
    return tuple(tuple(replace(part, span=None) for part in text) for text in values)


def _merged(text: Text) -> Text:
    """Put literal neighbours together where they also stand side by side in the file."""
    result: list[Part] = []
    for part in text:
        last = result[-1] if result else None
        if last is not None and _touch(last, part) and last.span and part.span:
            span = type(last.span)(last.span.start, part.span.end)
            result[-1] = replace(last, text=last.text + part.text, span=span)
        else:
            result.append(part)
    return tuple(result)


def _touch(last: Part, part: Part) -> bool:
    if not (last.literal and part.literal and last.span and part.span):
        return False
    return last.span.end == part.span.start and last.setting == part.setting


def judge(tag: Text) -> tuple[Repetition, str]:
    """Return the verdict on a tag, and its reason in plain words."""
    best = decisive(tag)
    if best is None:
        return Repetition.REUSED, f"{shown(tag) or 'latest'} is written out: every run pushes the same tag"
    return best.repetition, f"{best.text} {best.reason}"


def decisive(text: Text) -> Part | None:
    """Return the most unique part of a text; None if all of it is written out."""
    parts = (part for part in text if part.text and not part.literal)
    return min(parts, key=lambda part: _MOST_UNIQUE_FIRST.index(part.repetition), default=None)


def split_reference(reference: Text) -> tuple[Text, Text | None, bool]:
    """Split a reference into its repository and tag; (repository, tag or None, whether a digest is named).

    The tag begins at the last colon that is written out and has no slash after it (the grammar of distribution's
    reference package: a tag holds neither).
    """
    digest = next((at for at, part in enumerate(reference) if part.literal and "@" in part.text), None)
    if digest is not None:
        return _before(reference, digest, reference[digest].text.index("@")), None, True
    for at in range(len(reference) - 1, -1, -1):
        part = reference[at]
        if not part.literal:
            continue
        colon = part.text.rfind(":")
        if "/" in part.text[colon + 1 :]:
            break
        if colon >= 0:
            return _before(reference, at, colon), after(reference, at, colon + 1), False
    return reference, None, False


def _before(text: Text, at: int, offset: int) -> Text:
    part = text[at]
    return (*text[:at], *_piece(part, 0, offset))


def after(text: Text, at: int, offset: int) -> Text:
    """Return what follows the character `offset` of part `at`."""
    part = text[at]
    return (*_piece(part, offset, len(part.text)), *text[at + 1 :])


def _piece(part: Part, start: int, end: int) -> Text:
    if start >= end:
        return ()
    if start == 0 and end == len(part.text):
        return (part,)
    span = part.span
    if span is not None:
        exact = span.end - span.start == len(part.text)
        span = type(span)(span.start + start, span.start + end) if exact else None
    return (replace(part, text=part.text[start:end], span=span),)


def cut(text: Text, start: int, end: int | None = None) -> Text:
    """Return the range of characters of a text, as it is shown; parts that stand for something are kept whole."""
    result: list[Part] = []
    at = 0
    stop = sum(len(part.text) for part in text) if end is None else end
    for part in text:
        low, high = max(start - at, 0), min(stop - at, len(part.text))
        if low < high:
            result.extend(_piece(part, low, high) if part.literal else (part,))
        at += len(part.text)
    return tuple(result)


def words_of(text: Text, separators: str = " \t\r\n,") -> list[Text]:
    """Split at separators that are written out: white space and commas make a list of tags in one setting."""
    result: list[Text] = []
    current: list[Part] = []
    for part in text:
        if not part.literal:
            current.append(part)
            continue
        start = 0
        for at, letter in enumerate(part.text):
            if letter in separators:
                current.extend(_piece(part, start, at))
                if current:
                    result.append(tuple(current))
                current = []
                start = at + 1
        current.extend(_piece(part, start, len(part.text)))
    if current:
        result.append(tuple(current))
    return result
