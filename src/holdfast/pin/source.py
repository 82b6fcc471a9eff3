"""The text of one file, and the way back from a place in the text to the bytes of the file.

This file alone decides how characters and bytes correspond: UTF-8 with or without a byte order mark, any line ends, and
bytes that are no UTF-8 (kept as they are). Readers work on text and never count bytes themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from holdfast.pin.mention import Context, Kind, Mention, Rewrite, Role, Slot, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BOM = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """Raised by a reader; the message says what is wrong with the file, for its owner."""


class Source:
    """A file: its path, its bytes, its text."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self._shift = len(_BOM) if data.startswith(_BOM) else 0
        body = data[self._shift :]
        self._plain = body.isascii()
        self.text = body.decode("utf-8", "surrogateescape")
        self._line_starts: list[int] = []
        self._byte_starts: list[int] = []

    def span(self, start: int, end: int) -> Span:
        """Return the bytes that characters `start` to `end` are written in."""
        return Span(self._byte(start), self._byte(end))

    def place(self, index: int) -> tuple[int, int]:
        """Return the line and the column of a character, both from 1."""
        self._index_lines()
        line = bisect_right(self._line_starts, index) - 1
        return line + 1, index - self._line_starts[line] + 1

    def _byte(self, index: int) -> int:
        if self._plain:
            return index + self._shift
        self._index_lines()
        line = bisect_right(self._line_starts, index) - 1
        before = self.text[self._line_starts[line] : index]
        return self._shift + self._byte_starts[line] + len(before.encode("utf-8", "surrogateescape"))

    def _index_lines(self) -> None:
        if self._line_starts:
            return
        at = byte = 0
        for line in self.text.split("\n"):
            self._line_starts.append(at)
            self._byte_starts.append(byte)
            at += len(line) + 1
            byte += (len(line) if self._plain else len(line.encode("utf-8", "surrogateescape"))) + 1


class Excerpt:
    """A text that was taken from a source in runs: what is left of an instruction when its continuations are gone.

    `starts` are places in the text where a run begins, the first of them 0; `origins` are where those stand in the
    source.
    """

    __slots__ = ("origins", "source", "starts", "text")

    def __init__(self, source: Source, text: str, starts: Sequence[int], origins: Sequence[int]) -> None:
        self.source = source
        self.text = text
        self.starts = starts
        self.origins = origins

    @classmethod
    def of(cls, source: Source, start: int = 0, end: int | None = None) -> Excerpt:
        """Take one run of a source, or all of it."""
        return cls(source, source.text[start:end], (0,), (start,))

    @classmethod
    def joined(cls, source: Source, parts: Iterable[tuple[str, int]]) -> Excerpt:
        """Put pieces together, each with the place in the source where it stands."""
        texts, starts, origins, length = [], [], [], 0
        for text, origin in parts:
            texts.append(text)
            starts.append(length)
            origins.append(origin)
            length += len(text)
        return cls(source, "".join(texts), starts or (0,), origins or (0,))

    @classmethod
    def lines(cls, parts: Sequence[Excerpt]) -> Excerpt:
        """Put texts of one source below one another; at least one."""
        texts: list[str] = []
        starts: list[int] = []
        origins: list[int] = []
        length = 0
        for part in parts:
            starts.extend(length + start for start in part.starts)
            origins.extend(part.origins)
            texts.append(part.text)
            length += len(part.text) + 1
        return cls(parts[0].source, "\n".join(texts), starts, origins)

    def like(self, text: str) -> Excerpt:
        """Return another text of the same length at the same place, parts made plain for a parser."""
        return Excerpt(self.source, text, self.starts, self.origins)

    def origin(self, index: int) -> int:
        """Return where a character of this text stands in the source."""
        run = bisect_right(self.starts, index) - 1
        return self.origins[run] + index - self.starts[run]

    def bounds(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the source that a piece of this text stands in; an empty piece stays empty."""
        first = self.origin(start)
        # The line end that stands between joined texts need not stand in the source.
        return (first, first) if end <= start else (first, min(self.origin(end - 1) + 1, len(self.source.text)))

    def piece(self, start: int, end: int) -> Excerpt:
        """Return a part of this text that still knows where it came from."""
        inner = [i for i, at in enumerate(self.starts) if start < at < end]
        starts = [0, *(self.starts[i] - start for i in inner)]
        return Excerpt(
            self.source, self.text[start:end], starts, [self.origin(start), *(self.origins[i] for i in inner)]
        )

    def slot(self, start: int, end: int) -> Slot:
        """Return a place for a whole reference."""
        return Slot(self.source.span(*self.bounds(start, end)))

    def mention(
        self,
        start: int,
        end: int,
        *,
        kind: Kind,
        where: str,
        image: str | None,
        role: Role = Role.CONSUMES,
        context: Context = Context.BUILD,
        rewrite: Rewrite | None = None,
        notes: tuple[str, ...] = (),
    ) -> Mention:
        """Make the mention of what stands from `start` to `end` of this text."""
        first, last = self.bounds(start, end)
        line, column = self.source.place(first)
        return Mention(
            span=self.source.span(first, last),
            text=self.source.text[first:last],
            image=image,
            kind=kind,
            role=role,
            where=where,
            line=line,
            column=column,
            context=context,
            rewrite=rewrite,
            notes=notes,
        )
