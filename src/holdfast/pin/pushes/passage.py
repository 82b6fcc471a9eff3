"""Passages: text that was cut out of a file, and where each of its characters stands there.

This file alone decides how a place inside a script of a pipeline is told as a place in the file. Readers cut passages,
interpreters read them; what cannot be placed exactly has no span, and is then reported by line and never edited.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of characters of the file."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """Text, and pieces (start in the text, start in the file, length) that stand in the file character by character."""

    text: str
    pieces: tuple[tuple[int, int, int], ...]
    near: int = 0
    """Where in the file it begins; for what cannot be placed exactly."""

    @classmethod
    def whole(cls, text: str, start: int = 0) -> Passage:
        """Return text that stands in the file as it is, from `start` on."""
        return cls(text, ((0, start, len(text)),), start)

    @classmethod
    def nowhere(cls, text: str, near: int) -> Passage:
        """Return text that does not stand in the file as it is; `near` is the place to tell people."""
        return cls(text, (), near)

    def span(self, start: int, end: int) -> Span | None:
        """Return where a range of the text stands in the file; None unless it stands there in one piece."""
        at = bisect_right(self.pieces, (start, 1 << 60, 0)) - 1
        if at < 0:
            return None
        begin, place, length = self.pieces[at]
        if end > begin + length:
            return None
        return Span(place + start - begin, place + end - begin)

    def place(self, start: int) -> int:
        """Return where in the file a character of the text is, or the nearest place before it."""
        at = bisect_right(self.pieces, (start, 1 << 60, 0)) - 1
        if at < 0:
            return self.near
        begin, place, length = self.pieces[at]
        return place + min(start - begin, length)

    def cut(self, start: int, end: int) -> Passage:
        """Return a part of it."""
        pieces = []
        for begin, place, length in self.pieces:
            low, high = max(begin, start), min(begin + length, end)
            if low < high:
                pieces.append((low - start, place + low - begin, high - low))
        return Passage(self.text[start:end], tuple(pieces), self.place(start))


def single_dollars(passage: Passage) -> Passage:
    """Return a passage with `$$` as `$`: how Cloud Build writes what the shell is to see."""
    parts: list[Passage] = []
    at = 0
    while (found := passage.text.find("$$", at)) >= 0:
        parts.append(passage.cut(at, found + 1))
        at = found + 2
    return join([*parts, passage.cut(at, len(passage.text))], "") if parts else passage


def join(passages: list[Passage], between: str = "\n") -> Passage:
    """Return passages one after the other, as a runner of CI joins the lines of a script."""
    texts: list[str] = []
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for passage in passages:
        pieces.extend((begin + at, place, length) for begin, place, length in passage.pieces)
        texts.append(passage.text)
        at += len(passage.text) + len(between)
    return Passage(between.join(texts), tuple(pieces), passages[0].near if passages else 0)
