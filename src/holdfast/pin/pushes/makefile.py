"""Makefiles to pushes: variables, and recipes as shell scripts.

This file alone knows Make's language, as far as pushes need it: assignments of all kinds, `$(shell ...)`, recipes with
their prefixes, and `$$`. Variables are expanded when they are used, as Make does. Functions other than `shell` are
unknown. Source: GNU make manual, "How to Use Variables", "Writing Recipes in Rules".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import substitutions, variables
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.passage import Passage, Span, join
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import EMPTY, MAX_ALTERNATIVES, Part, Repetition, Values, unknown
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARACTERS: Final = 400_000
_MAX_DEPTH: Final = 8
_ASSIGNMENT: Final = re.compile(
    r"^(?:export\s+|override\s+)*(?P<name>[A-Za-z_][\w.-]*)\s*(?P<kind>::?:?|\?|\+|!)?=[ \t]*(?P<value>.*)$"
)
_REFERENCE: Final = re.compile(r"\$\$|\$\(((?:[^()$]|\$\$|\$\([^()]*\)|\([^()]*\))*)\)|\$\{([^{}]*)\}|\$([@<^*?+%|])")
_WHOLE: Final = re.compile(r"(\$\$|\$\((?:[^()$]|\$\$|\$\([^()]*\)|\([^()]*\))*\)|\$\{[^{}]*\}|\$[@<^*?+%|])")
"""The same as one group."""
_NAME: Final = re.compile(r"[\w.-]+\Z")


class Reader:
    """One makefile."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.findings = Findings("make")
        self._values: dict[str, list[tuple[str, Passage]]] = {}
        self._expanded: dict[str, Values] = {}
        self._depth = 0

    def read(self) -> Findings:
        """Read all assignments, then every recipe."""
        if len(self._text) > MAX_CHARACTERS:
            return self.findings
        recipes: list[list[Passage]] = [[]]
        for passage in self._lines():
            if passage.text.startswith("\t"):
                recipes[-1].append(passage.cut(1, len(passage.text)))
                continue
            found = _ASSIGNMENT.match(passage.text)
            if found and ":" not in found.group("name"):
                value = passage.cut(found.start("value"), found.end("value"))
                self._values.setdefault(found.group("name"), []).append((found.group("kind") or "", value))
            elif passage.text.strip():
                recipes.append([])
        for recipe in recipes:
            self._recipe(recipe)
        return self.findings

    def _lines(self) -> Iterator[Passage]:
        """Return logical lines: those that end in a backslash go on."""
        held: list[Passage] = []
        at = 0
        for line in self._text.splitlines(keepends=True):
            body = line.rstrip("\r\n")
            if not body.startswith("\t") and not held:
                comment = re.search(r"(?:^|\s)#", body)
                body = body[: comment.start()].rstrip() if comment else body
            goes_on = body.endswith("\\")
            held.append(Passage.whole(body[:-1] if goes_on else body, at))
            at += len(line)
            if not goes_on:
                yield held[0] if len(held) == 1 else join(held, " ")
                held = []
        if held:
            yield join(held, " ")

    def _recipe(self, lines: list[Passage]) -> None:
        made: list[Passage] = []
        placeholders = Placeholders()
        for line in lines:
            start = len(line.text) - len(line.text.lstrip("@-+ \t"))
            body = line.cut(start, len(line.text))
            made.append(placeholders.put(body, _WHOLE, self._evaluate))
        if made:
            self.findings.follow(Script(variables.SHELL, {}, placeholders, "make"), join(made))

    def _evaluate(self, whole: str, span: Span | None) -> Values:
        if whole == "$$":
            return ((Part("$", span=span),),)
        found = _REFERENCE.match(whole)
        if found is None:
            return EMPTY
        inner = next((group for group in found.groups() if group is not None), "")
        return self._reference(inner, span)

    def _reference(self, inner: str, span: Span | None) -> Values:
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                return (unknown(f"$({inner})", "goes deeper than is followed"),)
            if inner.startswith("shell "):
                return self._shell(inner[6:])
            if _NAME.match(inner):
                return self._variable(inner, span)
            changed = re.match(r"([\w.-]+):[^=]*=", inner)
            function = re.match(r"(\w+)\s+(.*)", inner, re.DOTALL)
            if changed:
                return self._variable(changed.group(1), None)
            if function and function.group(1) in {"strip", "subst", "patsubst", "lastword", "firstword", "or", "if"}:
                return self._inside(function.group(2), inner)
            return (unknown(f"$({inner[:60]})", "is not followed"),)
        finally:
            self._depth -= 1

    def _inside(self, text: str, shown: str) -> Values:
        for found in _REFERENCE.finditer(text):
            name = next((group for group in found.groups() if group is not None), "")
            if name:
                return tuple(
                    tuple(Part(part.text, part.repetition, part.reason, part.literal) for part in one)
                    for one in self._reference(name, None)
                )
        return (unknown(f"$({shown[:60]})", "is not followed"),)

    def _shell(self, command: str) -> Values:
        text = command.replace("$$", "$")
        meaning = substitutions.meaning_of(text)
        if meaning is not None:
            return ((meaning.part(f"$(shell {' '.join(text.split())[:60]})"),),)
        return (unknown(f"$(shell {' '.join(text.split())[:60]})", "is what a command says"),)

    def _variable(self, name: str, span: Span | None) -> Values:
        given = self._values.get(name)
        known = variables.SHELL.get(name)
        if given is None:
            if known is not None:
                return ((known.part(f"$({name})"),),)
            return ((Part(f"$({name})", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)
        if name in self._expanded:
            return self._expanded[name]
        # While it is expanded it stands for nothing: Make refuses a variable that names itself. Each is expanded once,
        # however often it is named, or doubling ones would grow for ever.
        self._expanded[name] = (unknown(f"$({name})", "names itself"),)
        values: list[Values] = []
        for kind, passage in given:
            if kind == "!":
                values.append(self._shell(passage.text))
            elif kind == "?" and known is not None:
                values.append(((known.part(f"$({name})"),),))
            else:
                values.append(template(passage.cut(0, len(passage.text.rstrip())), _WHOLE, self._evaluate, "make"))
        self._expanded[name] = tuple(dict.fromkeys(text for one in values for text in one))[:MAX_ALTERNATIVES] or EMPTY
        return self._expanded[name]


def read(text: str) -> Findings:
    """Read a makefile."""
    return Reader(text).read()
