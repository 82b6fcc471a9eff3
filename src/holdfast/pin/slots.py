"""Where a digest goes in a text that may hold variables.

This file alone decides which place of a file pins a reference: its own end, or the default of the variable that ends
it; and when no place does, why not. Readers say which defaults a file holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.pin.mention import Form, Rewrite, Slot, Span
from holdfast.pin.variables import Variable, find_variables

if TYPE_CHECKING:
    from holdfast.pin.source import Excerpt


@dataclass(slots=True)
class Defaults:
    """The defaults of variables that a file holds and that may be changed for the sake of an image."""

    noun: str = "variable"
    known: dict[str, str | None] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> where its default stands in the source."""
    uses: dict[str, int] = field(default_factory=dict)
    """Name -> of how many different references it is a part."""


def place_digest(text: Excerpt, start: int, end: int, defaults: Defaults) -> tuple[Rewrite | None, tuple[str, ...]]:
    """Return where a digest goes for the reference from `start` to `end`, and what is to be said of it."""
    written = text.text[start:end]
    variables = find_variables(written)
    if variables is None:
        return None, ("It holds an expression that only a run can tell.",)
    if not variables or ":" in written[variables[-1].end :]:
        return Rewrite((text.slot(start, end),)), ()
    form = _form(written[: variables[-1].start]) if variables[-1].end == len(written) else None
    if form is None:
        named = ", ".join(f"${variable.name}" for variable in variables)
        return None, (f"Its tag is put together of {named}: give the whole reference by one {defaults.noun}.",)
    return _into_default(text, start, variables[-1], form, defaults)


def _form(before: str) -> Form | None:
    """Return what a variable at the end of a reference holds, by what stands before it."""
    if not before or before.endswith("/"):
        return Form.REFERENCE
    return Form.TAG if before.endswith(":") else None


def _into_default(
    text: Excerpt, start: int, last: Variable, form: Form, defaults: Defaults
) -> tuple[Rewrite | None, tuple[str, ...]]:
    if last.operator in {":-", "-"} and not defaults.known.get(last.name):
        span = text.source.span(*text.bounds(start + last.word_start, start + last.word_end))
        return Rewrite((Slot(span, form),)), ()
    place = defaults.places.get(last.name)
    if place is None:
        return None, (f"The {defaults.noun} {last.name} has no default in this file that could hold a digest.",)
    if defaults.uses.get(last.name, 0) > 1:
        return None, (
            f"The {defaults.noun} {last.name} is part of more than one image: one digest cannot be right for all.",
        )
    if "$" in text.source.text[place[0] : place[1]]:
        return None, (f"The default of the {defaults.noun} {last.name} is itself put together of variables.",)
    span = Span(*text.source.span(*place))
    return Rewrite((Slot(span, form),)), (f"The digest goes into the default of the {defaults.noun} {last.name}.",)
