"""Variables in references: `$NAME`, `${NAME}`, `${NAME:-default}`, with the defaults that a file gives.

This file alone decides what a text comes to when only the file is known. What a run would put in is never guessed: then
there is no answer.

Sources: Dockerfile reference, "Environment replacement"; POSIX shell, 2.6.2 "Parameter Expansion"; Compose
specification, "Interpolation".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH: Final = 8
"""Of defaults within defaults."""

MAX_CHARACTERS: Final = 4096
"""Of a text with its variables put in: longer is no reference, and doubling defaults would grow for ever."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Variable(NamedTuple):
    """One variable in a text: where it stands, its name, and what follows the name in braces."""

    start: int
    end: int
    name: str
    operator: str
    word_start: int
    word_end: int


def find_variables(text: str) -> list[Variable] | None:
    """Return the outermost variables of a text; None when something stands there that only a run can tell."""
    found: list[Variable] = []
    at = 0
    while (at := text.find("$", at)) >= 0:
        if at and text[at - 1] == "\\":
            at += 1
            continue
        braced = text.startswith("${", at)
        name = _NAME.match(text, at + 1 + braced)
        if name is None:
            return None
        end, operator, word = name.end(), "", (name.end(), name.end())
        if braced:
            close = _closing(text, at + 2)
            if close is None:
                return None
            operator_found = re.compile(r":?[-+?]").match(text, end)
            if operator_found:
                operator, word = operator_found.group(), (operator_found.end(), close)
            elif close != end:
                return None
            end = close + 1
        found.append(Variable(at, end, name.group(), operator, *word))
        at = end
    return found


def expand(text: str, known: Mapping[str, str | None], depth: int = 0) -> str | None:
    """Return the text with its variables put in; None when one has no value that the file tells."""
    if "$" not in text:
        return text
    variables = find_variables(text) if depth <= MAX_DEPTH else None
    if variables is None:
        return None
    made: list[str] = []
    at = 0
    for variable in variables:
        made.append(text[at : variable.start])
        value = _value(variable, text[variable.word_start : variable.word_end], known, depth)
        if value is None:
            return None
        made.append(value)
        at = variable.end
    made.append(text[at:])
    whole = "".join(made)
    return whole if len(whole) <= MAX_CHARACTERS else None


def _value(variable: Variable, word: str, known: Mapping[str, str | None], depth: int) -> str | None:
    value = known.get(variable.name)
    if variable.operator in {":-", "-"}:
        return value or expand(word, known, depth + 1)
    if variable.operator in {":+", "+"}:
        return expand(word, known, depth + 1) if value else ""
    return value


def _closing(text: str, at: int) -> int | None:
    open_braces = 1
    for index in range(at, len(text)):
        if text[index] == "{":
            open_braces += 1
        elif text[index] == "}":
            open_braces -= 1
            if not open_braces:
                return index
    return None
