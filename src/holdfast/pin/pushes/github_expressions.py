"""Expressions of GitHub Actions: `github.sha`, `steps.meta.outputs.version`, `a && b || c`, `format('{0}-x', y)`.

This file alone reads that language. A condition is never decided: both sides of `a && b || c` are alternatives. Source:
GitHub docs, "Evaluate expressions in workflows and actions".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes.tag import EMPTY, Part, Repetition, Values, concatenate, decisive, literal, union, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.pin.pushes.passage import Span

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w-]*(?:\.[\w*-]+|\['[^']*'\])*)"
    r"|(?P<number>-?\d[\w.]*)|(?P<mark>&&|\|\||==|!=|<=|>=|[()!,<>\[\]]))"
)
_JSON_TAG: Final = re.compile(r"fromJSON\(\s*steps\.([\w-]+)\.outputs\.json\s*\)\.tags\[(\d+)\]", re.IGNORECASE)
_MAX_DEPTH: Final = 20
_SAME: Final = frozenset({"tojson", "fromjson", "join"})
EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def evaluate(expression: str, lookup: Callable[[str], Values], span: Span | None = None) -> Values:
    """Return what an expression stands for; `lookup` knows names with their dots."""
    expression = _JSON_TAG.sub(r"steps.\1.outputs.tags-\2", expression)
    shown = "${{ " + " ".join(expression.split()) + " }}"
    try:
        values = _Reader(expression, lookup).read()
    except (IndexError, RecursionError):
        return (unknown(shown, "is not understood"),)
    return tuple(_placed(text, shown, span) for text in values)


def _placed(text: tuple[Part, ...], shown: str, span: Span | None) -> tuple[Part, ...]:
    """Give the part of an expression that is one name the expression's place and text."""
    if len(text) == 1 and not text[0].literal and text[0].span is None and text[0].setting == "name":
        return (replace(text[0], text=shown, span=span, setting="yaml"),)
    return text


class _Reader:
    def __init__(self, expression: str, lookup: Callable[[str], Values]) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(expression):
            match = _TOKEN.match(expression, at)
            if match is None:
                if not expression[at:].strip():
                    break
                at += 1
                continue
            self._tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
            at = match.end()
        self._at = 0
        self._lookup = lookup
        self._depth = 0
        self._conditional = False

    def read(self) -> Values:
        return self._either() if self._tokens else EMPTY

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _either(self) -> Values:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RecursionError
        values = self._both()
        while self._peek() == "||":
            self._at += 1
            conditional = self._conditional
            after = self._both()
            kept = tuple(text for text in values if any(part.text for part in text))
            sure = kept and all(
                any(part.literal or not (part.optional or part.repetition is Repetition.UNKNOWN) for part in text)
                for text in kept
            )
            # After `condition && value` nothing is sure; a plain value that is never empty is.
            values = kept if sure and not conditional else union(kept, after)
        self._depth -= 1
        return values

    def _both(self) -> Values:
        self._conditional = False
        values = self._compared()
        while self._peek() == "&&":
            self._at += 1
            values = self._compared()
            self._conditional = True
        return values

    def _compared(self) -> Values:
        values = self._one()
        while self._peek() in {"==", "!=", "<", ">", "<=", ">="}:
            self._at += 1
            self._one()
            values = (unknown("condition", "is a condition"),)
        return values

    def _one(self) -> Values:
        kind, written = self._tokens[self._at]
        self._at += 1
        if kind == "string":
            return (literal(written[1:-1].replace("''", "'")) or (),)
        if kind == "number":
            return (literal(written),)
        if written == "!":
            self._one()
            return (unknown("condition", "is a condition"),)
        if written == "(":
            values = self._either()
            self._at += self._peek() == ")"
            return values
        if kind == "name" and self._peek() == "(":
            return self._call(written.lower())
        if kind == "name":
            return self._lookup(re.sub(r"\['([^']*)'\]", r".\1", written))
        return EMPTY

    def _call(self, name: str) -> Values:
        self._at += 1
        arguments: list[Values] = []
        while self._peek() not in {")", ""}:
            arguments.append(self._either())
            self._at += self._peek() == ","
        self._at += self._peek() == ")"
        if name == "format" and arguments:
            return _formatted(arguments)
        if name == "hashfiles":
            return ((Part("hashFiles()", Repetition.COMMIT, "is made of the content of files", literal=False),),)
        if name in _SAME and arguments:
            return arguments[0]
        best = [part for values in arguments for text in values if (part := decisive(text)) is not None]
        if best:
            return ((Part(f"{name}(...)", best[0].repetition, best[0].reason, literal=False),),)
        return (unknown(f"{name}(...)", "is made when it runs"),)


def _formatted(arguments: list[Values]) -> Values:
    template = "".join(part.text for part in arguments[0][0])
    found: list[Values] = []
    for piece in re.split(r"(\{\d+\})", template):
        slot = re.fullmatch(r"\{(\d+)\}", piece)
        if slot is None:
            found += [(literal(piece),)] if piece else []
        elif int(slot.group(1)) + 1 < len(arguments):
            found.append(arguments[int(slot.group(1)) + 1])
    return concatenate(found)
