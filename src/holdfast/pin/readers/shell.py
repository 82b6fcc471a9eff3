"""Shell: commands, their words without quotes, and what variables come to. The grammar is tree-sitter's.

This file alone knows how shell text is taken apart, wherever it stands: a script, a recipe, a step of a pipeline. What
the commands mean is said in `shell_tools`.

Source: POSIX shell, 2.2 "Quoting"; the grammar of tree-sitter-bash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import tree_sitter_bash
from tree_sitter import Language, Parser, Query, QueryCursor

from holdfast.pin.source import UnreadableFile
from holdfast.pin.variables import expand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tree_sitter import Node

    from holdfast.pin.source import Excerpt

MAX_CHARACTERS: Final = 1_000_000
MAX_COMMANDS: Final = 50_000
MAX_DEPTH: Final = 3
"""Of `sh -c` within `sh -c`."""

_BASH: Final = Language(tree_sitter_bash.language())
_QUERY: Final = Query(_BASH, "(command) @command (variable_assignment) @assignment")
_EXPRESSION: Final = re.compile(
    r"\$\{\{.*?\}\}|\$\{[A-Za-z_]\w*(?:[.\[(][^{}\s]*)\}|\{\{.*?\}\}|<<\s?[a-z]+\.[\w. ]+?>>|\$\[\[.*?\]\]", re.DOTALL
)
"""What the system that starts the shell puts in before: GitHub's, Groovy's, a template's, CircleCI's, GitLab's."""


class Word(NamedTuple):
    """A word: where it stands in the text, without the quotes round all of it, and its value without any quotes."""

    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the text that it stands in, its words, the first its name; and what variables hold in this text."""

    text: Excerpt
    words: tuple[Word, ...]
    known: Mapping[str, str | None]

    def expand(self, value: str) -> str | None:
        """Return what a word comes to, None when only a run can tell."""
        return expand(value, self.known)


def commands(text: Excerpt, known: Mapping[str, str | None] | None = None, depth: int = 0) -> list[Command]:
    """Return the commands of a text, those of `sh -c '...'` too; raises UnreadableFile over the limits."""
    if len(text.text) > MAX_CHARACTERS:
        msg = f"A script in it has more than {MAX_CHARACTERS} characters."
        raise UnreadableFile(msg)
    plain = text.like(_EXPRESSION.sub(_as_variable, text.text))
    # One byte for each character, so that places are the same.
    root = Parser(_BASH).parse(plain.text.encode("ascii", "replace")).root_node
    captures = QueryCursor(_QUERY).captures(root)
    variables = _assignments(captures.get("assignment", []), plain.text, known or {})
    found: list[Command] = []
    for node in sorted(captures.get("command", []), key=lambda one: one.start_byte):
        command = Command(plain, tuple(_words(node, plain.text)), variables)
        if not command.words:
            continue
        found.append(command)
        if depth < MAX_DEPTH:
            found.extend(_inner(command, depth))
        if len(found) > MAX_COMMANDS:
            msg = f"A script in it has more than {MAX_COMMANDS} commands."
            raise UnreadableFile(msg)
    return found


def _as_variable(found: re.Match[str]) -> str:
    """Return a variable of the same length that nobody sets; a place of two characters cannot be less than `$_`."""
    length = len(found.group())
    return "${" + "_" * (length - 3) + "}"


def _assignments(nodes: list[Node], text: str, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what variables hold; one that is set to two values in one script holds neither for certain."""
    known: dict[str, str | None] = dict(given)
    seen: set[str] = set()
    for node in sorted(nodes, key=lambda one: one.start_byte):
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            continue
        key = text[name.start_byte : name.end_byte]
        new = expand(_value(value, text), known) if value is not None else ""
        known[key] = new if key not in seen or known.get(key) == new else None
        seen.add(key)
    return known


def _words(node: Node, text: str) -> list[Word]:
    found: list[Word] = []
    for child in node.children:
        if child.type == "command_name":
            child = child.children[0] if child.children else child  # noqa: PLW2901 - what is in it
        if child.type in {"variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect"}:
            continue
        start, end = child.start_byte, child.end_byte
        value = _value(child, text)
        if child.type in {"string", "raw_string"}:
            start, end = start + 1, max(start + 1, end - 1)
        found.append(Word(start, end, value))
    return found


def _value(node: Node, text: str) -> str:
    written = text[node.start_byte : node.end_byte]
    if node.type == "raw_string":
        return written[1:-1].replace("$", "\\$")
    if node.type == "string":
        return written[1:-1]
    if node.type == "concatenation":
        return "".join(_value(child, text) for child in node.children)
    if node.type == "word":
        return re.sub(r"\\([^$])", r"\1", written)
    return written


def _inner(command: Command, depth: int) -> list[Command]:
    """What `sh -c` is given is a script of its own."""
    for flag, script in zip(command.words, command.words[1:], strict=False):
        if re.fullmatch(r"-[a-z]*c", flag.value) and re.search(r"\s", script.value):
            return commands(command.text.piece(script.start, script.end), command.known, depth + 1)
    return []
