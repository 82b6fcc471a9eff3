"""Makefiles: the recipes as shell, with the variables of the file.

This file alone knows how a recipe is written: tabs, `$$`, `$(NAME)`, continued lines.

Source: GNU make manual, "Recipe Syntax", "The Two Flavors of Variables".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.readers.shell_tools import shell_mentions
from holdfast.pin.source import Excerpt
from holdfast.pin.variables import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.mention import Mention
    from holdfast.pin.source import Source

_ASSIGNMENT: Final = re.compile(
    r"^(?: *(?:export|override|private) +)* *([A-Za-z_][\w.-]*)[ \t]*(\?=|:{1,3}=|\+=|=)[ \t]*(.*)$"
)
_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_]\w*)\)")
_RECIPE: Final = re.compile(r"^\t[ \t]*[@+-]*")
_ON_ONE_LINE: Final = re.compile(r"^[^\t#:=\n][^=#\n]*:[^=;\n]*;")


def read(source: Source) -> list[Mention]:
    """Return the mentions of a makefile's recipes; raises UnreadableFile."""
    known: dict[str, str | None] = {}
    parts: list[tuple[str, int]] = []
    for start, line in _lines(source.text):
        recipe = _RECIPE.match(line) or _ON_ONE_LINE.match(line)
        if recipe is not None:
            parts.extend(_as_shell(line[recipe.end() :], start + recipe.end()))
            parts.append(("\n", start + len(line)))
            continue
        assignment = _ASSIGNMENT.match(line)
        if assignment is not None:
            _assign(known, *assignment.groups())
    return shell_mentions(Excerpt.joined(source, parts), known=known)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Return lines with those that continue them; what is in `define` is a recipe in all but its tab, and left out."""
    at = 0
    while at < len(text):
        end = _end(text, at)
        yield at, text[at:end].rstrip("\r")
        at = end + 1


def _end(text: str, at: int) -> int:
    while True:
        end = text.find("\n", at)
        if end < 0:
            return len(text)
        if not text[max(at, end - 2) : end].rstrip("\r").endswith("\\"):
            return end
        at = end + 1


def _assign(known: dict[str, str | None], name: str, operator: str, written: str) -> None:
    """A variable that is set to two values holds neither for certain."""
    value = expand(_REFERENCE.sub(r"${\1}", re.split(r"[ \t]+#", written)[0].strip()), known)
    if operator == "+=" or (name in known and known[name] != value):
        value = None
    known[name] = value


def _as_shell(line: str, start: int) -> Iterator[tuple[str, int]]:
    """Write make's variables as shell's, at the same length, and `$$` as one."""
    plain = _REFERENCE.sub(r"${\1}", line)
    at = 0
    for found in re.finditer(r"\$\$", plain):
        yield plain[at : found.start() + 1], start + at
        at = found.end()
    yield plain[at:], start + at
