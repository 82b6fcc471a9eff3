"""Expressions of another language inside a script: `${{ github.sha }}` in a shell, `$(Build.BuildId)`, `${env.X}`.

This file alone decides how they are hidden from the shell's grammar: each becomes a shell variable of ours, whose
values are what the expression stands for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes.passage import Passage, Span
from holdfast.pin.pushes.tag import EMPTY, Part, Values, concatenate, literal

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACEHOLDER: Final = re.compile(r"\$\{(__hf\d+)\}")


@dataclass(slots=True)
class Placeholders:
    """Expressions of another language inside a script, each replaced by a shell variable of ours."""

    names: dict[str, Values] = field(default_factory=dict)

    def put(
        self, passage: Passage, pattern: re.Pattern[str], evaluate: Callable[[str, Span | None], Values]
    ) -> Passage:
        """Return the passage with every match of the pattern replaced; its first group is the expression."""
        texts: list[str] = []
        pieces: list[tuple[int, int, int]] = []
        length = at = 0
        for match in pattern.finditer(passage.text):
            name = f"__hf{len(self.names)}"
            expression = next((group for group in match.groups() if group is not None), match.group())
            self.names[name] = evaluate(expression, passage.span(match.start(), match.end()))
            before = passage.cut(at, match.start())
            pieces.extend((begin + length, place, size) for begin, place, size in before.pieces)
            texts += [before.text, f"${{{name}}}"]
            length += len(before.text) + len(name) + 3
            at = match.end()
        rest = passage.cut(at, len(passage.text))
        pieces.extend((begin + length, place, size) for begin, place, size in rest.pieces)
        return Passage("".join([*texts, rest.text]), tuple(pieces), passage.near)

    def expand(self, text: str, span: Span | None = None, setting: str = "") -> Values:
        """Return a text that holds placeholders as values."""
        found: list[Values] = []
        at = 0
        for match in _PLACEHOLDER.finditer(text):
            if match.start() > at:
                found.append((literal(text[at : match.start()]),))
            found.append(self.names.get(match.group(1), EMPTY))
            at = match.end()
        if not found:
            return ((Part(text, span=span, setting=setting),),) if text else EMPTY
        return concatenate([*found, (literal(text[at:]),)])
