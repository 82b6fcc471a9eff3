"""Checkpoints: what a log says it holds, in three lines.

This file alone decides how origin, size and root are written and read. Source: C2SP tlog-checkpoint v1.0.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from holdfast.core.merkle import HASH_BYTES
from holdfast.core.signed_note import Note, NoteInvalid, decode_base64, encode_base64

MAX_SIZE: Final = (1 << 63) - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of a log at one size."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that the log added. We write none and believe none."""

    def text(self) -> bytes:
        """Write the text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read the text of a note; raises NoteInvalid."""
        try:
            lines = text.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            msg = "a checkpoint is text in UTF-8"
            raise NoteInvalid(msg) from None
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):  # noqa: PLR2004 - three lines and the end of the last
            msg = "a checkpoint has at least three lines, and no empty one"
            raise NoteInvalid(msg)
        root = decode_base64(lines[2])
        if len(root) != HASH_BYTES:
            msg = "the root of a checkpoint has 32 bytes"
            raise NoteInvalid(msg)
        return cls(lines[0], parse_size(lines[1]), root, tuple(lines[3:-1]))

    @classmethod
    def of(cls, note: Note) -> Checkpoint:
        """Read the checkpoint of a note, whose signatures are for the caller to check; raises NoteInvalid."""
        return cls.parse(note.text)


def parse_size(text: str) -> int:
    """Read a size or index, written in one form only; raises NoteInvalid."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_SIZE:
        msg = f"not a number of entries: {text[:40]!r}"
        raise NoteInvalid(msg)
    return int(text)
