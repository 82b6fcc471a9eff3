"""Texts of a policy: wildcards, and policy variables that the request fills in.

This file alone decides what `*`, `?` and `${...}` mean. Source: AWS IAM User Guide, "IAM policy elements: Variables and
tags". What a variable stands for is literal: a `*` in it matches a `*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast.core.iam.refusal import echo, expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.iam.context import Context

_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_CONTENT: Final = re.compile(r"\s*([A-Za-z0-9._-]+:[^,'$]*[^,'$\s])\s*(?:,\s*'([^']*)'\s*)?")
_ESCAPES: Final = frozenset("*?$")


class Literal(str):
    """Text in which `*` and `?` are themselves."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key}` or `${key, 'default'}`; the key in lower case."""

    key: str
    default: str | None


Part: TypeAlias = str | Literal | Variable


class Wildcard:
    """One pattern: `*` is any run of characters, none included; `?` is any one; all others are themselves.

    Matching takes one step a character of the text, whatever the pattern: bit n of a number tells whether the first n
    letters of the pattern can have been used up, and all places advance at once.
    """

    __slots__ = ("_any", "_end", "_exact", "_prefix", "_stays", "_steps")

    def __init__(self, *pieces: str) -> None:
        """`pieces` are joined; in a Literal no character is special."""
        letters = [(one, not isinstance(piece, Literal) and one in "*?") for piece in pieces for one in piece]
        special = next((place for place, (_, is_special) in enumerate(letters) if is_special), None)
        self._prefix: Final = "".join(one for one, _ in letters[:special])
        self._exact: Final = special is None
        steps: dict[str, int] = {}
        place = self._any = self._stays = 0
        for character, is_special in letters:
            if is_special and character == "*":
                self._stays |= 1 << place
                continue
            if is_special:
                self._any |= 1 << place
            else:
                steps[character] = steps.get(character, 0) | 1 << place
            place += 1
        self._steps: Final = steps
        self._end: Final = place

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        if self._exact:
            return text == self._prefix
        if not text.startswith(self._prefix):
            return False
        places = 1
        for character in text:
            moving = places & (self._steps.get(character, 0) | self._any)
            places = moving << 1 | places & self._stays
            if not places:
                return False
        return bool(places >> self._end & 1)


class Pattern:
    """A text as it stands in a policy."""

    __slots__ = ("_wildcard", "is_fixed", "parts", "text")

    def __init__(self, parts: Sequence[Part], text: str) -> None:
        self.parts: Final = tuple(parts)
        self.text: Final = text
        self.is_fixed: Final = not any(isinstance(part, Variable) for part in self.parts)
        """Whether it has no variable."""
        self._wildcard = Wildcard(*self._filled(None) or ()) if self.is_fixed else None

    @classmethod
    def parse(cls, text: str, where: str, *, variables: bool) -> Pattern:
        """Read a text, with policy variables (Version 2012-10-17) or without. Raises PolicyInvalid."""
        if not variables or "${" not in text:
            return cls((text,), text)
        parts: list[Part] = []
        end = 0
        for found in _VARIABLE.finditer(text):
            parts.append(_plain(text[end : found.start()], where))
            end = found.end()
            content = found[1]
            if content in _ESCAPES:
                parts.append(Literal(content))
                continue
            named = _CONTENT.fullmatch(content)
            why = f"{echo(found[0])!r} must be a policy variable, such as ${{aws:username}} or ${{aws:username, 'x'}}"
            expect(named is not None, where, why)
            parts.append(Variable(named[1].lower(), named[2]) if named else "")
        parts.append(_plain(text[end:], where))
        return cls(tuple(part for part in parts if part != ""), text)

    def matches(self, text: str, context: Context) -> bool | None:
        """Tell whether the whole text matches; None when a variable has no value."""
        if self._wildcard is not None:
            return self._wildcard.matches(text)
        filled = self._filled(context)
        return None if filled is None else Wildcard(*filled).matches(text)

    def plain(self, context: Context) -> str | None:
        """Return the text in which nothing is special, variables filled in; None when one has no value."""
        filled = self._filled(context)
        return None if filled is None else "".join(filled)

    def split(self, separator: str, most: int) -> list[Pattern]:
        """Split as a text is split, but never inside what a variable stands for."""
        pieces: list[list[Part]] = [[]]
        for part in self.parts:
            if isinstance(part, Variable | Literal):
                pieces[-1].append(part)
                continue
            first, *others = part.split(separator, most - len(pieces) + 1)
            pieces[-1].append(first)
            pieces.extend([other] for other in others)
        return [Pattern(piece, self.text) for piece in pieces]

    def _filled(self, context: Context | None) -> list[str] | None:
        filled: list[str] = []
        for part in self.parts:
            if not isinstance(part, Variable):
                filled.append(part)
                continue
            value = context.get(part.key) if context is not None else None
            if not isinstance(value, str):  # no value, or several
                value = part.default
            if value is None:
                return None
            filled.append(Literal(value))
        return filled


def _plain(text: str, where: str) -> str:
    expect("${" not in text, where, f"{echo(text)!r} holds a policy variable that does not end")
    return text


def lower(name: str) -> str:
    """Lower the case of an action's or a key's name. ASCII only: others can become ASCII by it (the Kelvin sign)."""
    return name.lower() if name.isascii() else name
