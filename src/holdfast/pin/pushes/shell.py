"""Shell scripts, read without being run: the commands called, their words, and what their variables stand for.

This file alone decides how a script is followed: assignments in their order, branches as alternatives, loops once over
all their values, functions in place. It knows no command but `echo` (for outputs that later steps read), and no CI
system. The grammar is tree-sitter's; where a script has errors, what was understood of it is used.

Limits: a script of 200,000 characters, 20,000 nodes looked at, functions and substitutions 6 deep. What lies behind a
limit is left out; nothing is raised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import tree_sitter
import tree_sitter_bash

from holdfast.pin.pushes import outputs, substitutions, variables
from holdfast.pin.pushes.passage import Passage
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.tag import (
    EMPTY,
    Part,
    Repetition,
    Values,
    concatenate,
    decisive,
    shown,
    union,
    unknown,
    without_places,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pin.pushes.variables import Meaning

_BASH: Final = tree_sitter.Language(tree_sitter_bash.language())
_MAX_CHARACTERS: Final = 200_000
_MAX_STEPS: Final = 20_000
_MAX_DEPTH: Final = 6
_MAX_WORDS: Final = 200
_MAX_NESTING: Final = 120
_LONGEST_SHOWN: Final = 80
_BLOCKS: Final = frozenset(
    {"program", "compound_statement", "do_group", "negated_command", "subshell", "ERROR", "test_command"}
)
_BRANCHING: Final = frozenset({"if_statement", "case_statement"})
_LOOPS: Final = frozenset({"while_statement", "c_style_for_statement"})
_ASSIGNING: Final = frozenset({"declaration_command", "variable_assignments"})
_EXPANSION: Final = re.compile(r"\$\{[!#]?([A-Za-z_]\w*|[0-9@*]+)(.*)\}\Z", re.DOTALL)
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_FOR_TAGS: Final = re.compile(
    r"REF_TYPE\}?\"?\s*(=|==|-eq)\s*\"?tag|(=|==|=~)\s*\"?\^?refs/tags|-n\s+\"?\$\{?\w*_TAG\b"
)
_RELEASED: Final = {variables.REF: variables.RELEASE_REF, variables.GIT_TAG: variables.RELEASE_REF}


def _made_of(part: Part) -> str:
    return f"comes from {part.text}, which {part.reason}"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command: what it may stand for, and where it is."""

    values: Values
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A command that a script calls."""

    words: tuple[Word, ...]
    script: Passage
    start: int
    end: int
    names: Mapping[str, Values] = field(default_factory=dict)
    """The variables as they are when it is called."""
    stdin: str = ""


class Script:
    """One script, and what came of following it."""

    def __init__(
        self,
        known: Mapping[str, Meaning],
        names: Mapping[str, Values] | None = None,
        placeholders: Placeholders | None = None,
        setting: str = "shell",
        *,
        releases_only: bool = False,
    ) -> None:
        self.known = known
        self.names: dict[str, Values] = dict(names or {})
        self.calls: list[Call] = []
        self._said = outputs.Outputs()
        self.placeholders = placeholders or Placeholders()
        self._setting = setting
        self._releases_only = releases_only
        self._functions: dict[str, tree_sitter.Node] = {}
        self._arrays: dict[str, list[Word]] = {}
        self._positional: list[Word] = []
        self._substituted: set[tuple[int, int]] = set()
        self._stdin: Values = ()
        self._steps = 0
        self._depth = 0
        self._nesting = 0
        self._script = Passage("", ())
        self._source = b""

    @property
    def outputs(self) -> dict[str, Values]:
        """What it says to later steps."""
        return self._said.found

    def run(self, script: Passage) -> None:
        """Follow a script; what it sets is there for the next one."""
        if len(script.text) > _MAX_CHARACTERS:
            return
        self._script, self._functions, self._substituted = script, {}, set()
        # A letter for each character that is not ASCII: the grammar takes both for parts of words, and a byte is then a
        # character, so that places need no table.
        self._source = _NOT_ASCII.sub("x", script.text).encode()
        tree = tree_sitter.Parser(_BASH).parse(self._source)
        self._visit(tree.root_node)

    # What a script does

    def _visit(self, node: tree_sitter.Node) -> None:  # noqa: C901 - one branch for each kind of statement
        self._steps += 1
        if self._steps > _MAX_STEPS or self._nesting > _MAX_NESTING:
            return
        self._nesting += 1
        kind = node.type
        if kind == "command":
            self._command(node)
        elif kind == "variable_assignment":
            self._assign(node)
        elif kind in _ASSIGNING or kind in _BLOCKS:
            for child in node.named_children:
                self._visit(child)
        elif kind in _BRANCHING:
            self._branches(node)
        elif kind == "list":
            self._either(node)
        elif kind == "for_statement":
            self._loop(node)
        elif kind in _LOOPS:
            self._maybe(node.named_children)
        elif kind == "function_definition":
            name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
            if name is not None and body is not None:
                self._functions[self._raw(name)] = body
        elif kind in {"redirected_statement", "pipeline"}:
            self._redirected(node)
        self._nesting -= 1

    def _redirected(self, node: tree_sitter.Node) -> None:
        writes, stdin = self._said.written, self._stdin
        for child in node.named_children:
            if child.type == "herestring_redirect" and child.named_children:
                self._stdin = self._value(child.named_children[0])
        if outputs.FILES.search(self._raw(node)):
            self._said.written = True
            for heredoc in node.named_children:
                if heredoc.type == "heredoc_redirect":
                    self._lines_of_heredoc(heredoc)
        for child in node.named_children:
            if child.type == "heredoc_redirect":
                for inner in child.named_children:
                    if inner.type in {"pipeline", "command"}:
                        self._visit(inner)
            self._visit(child)
        self._said.written, self._stdin = writes, stdin

    def _lines_of_heredoc(self, node: tree_sitter.Node) -> None:
        for body in node.named_children:
            if body.type == "heredoc_body":
                for text in self._pieces(body, body.start_byte, body.end_byte):
                    for line in words_of(text):
                        self._said.line(line)

    def _either(self, node: tree_sitter.Node) -> None:
        """Follow `a && b`: what b sets may be set."""
        for child in node.named_children[:1]:
            self._visit(child)
        self._maybe(node.named_children[1:])

    def _maybe(self, nodes: list[tree_sitter.Node]) -> None:
        before = dict(self.names)
        for child in nodes:
            self._visit(child)
        self._merge([before, self.names])

    def _branches(self, node: tree_sitter.Node) -> None:
        paths: list[list[tree_sitter.Node]] = [[]]
        complete = False
        for child in node.named_children:
            if child.type in {"elif_clause", "else_clause", "case_item"}:
                paths.append(list(child.named_children))
                complete = complete or child.type == "else_clause" or self._raw(child).lstrip("( ").startswith("*")
            else:
                paths[0].append(child)
        if node.type == "case_statement":
            paths = paths[1:]
        before, known = dict(self.names), self.known
        ends: list[dict[str, Values]] = [] if complete else [dict(before)]
        for path in paths:
            self.names = dict(before)
            condition = path[0] if path and node.type == "if_statement" else None
            if condition is not None and _FOR_TAGS.search(self._raw(condition)):
                self.known = {name: _RELEASED.get(meaning, meaning) for name, meaning in known.items()}
            for child in path:
                self._visit(child)
            ends.append(self.names)
            self.known = known
        self._merge(ends)

    def _merge(self, ends: list[dict[str, Values]]) -> None:
        merged: dict[str, Values] = {}
        for name in {name for end in ends for name in end}:
            values = [end[name] for end in ends if name in end]
            same = all(one is values[0] for one in values)
            if len(values) < len(ends) and (name.isupper() or name in self.known):
                values.append(self._outside(name))
            merged[name] = values[0] if same and len(values) == 1 else union(*values)
        self.names = merged

    def _loop(self, node: tree_sitter.Node) -> None:
        name = node.child_by_field_name("variable")
        if name is not None:
            values = [one for child in node.children_by_field_name("value") for one in self._split(child)]
            self.names[self._raw(name)] = (
                union(*(word.values for word in values))
                if values
                else (unknown(f"${self._raw(name)}", "is one of the words of a loop that are not known here"),)
            )
        before = dict(self.names)
        body = node.child_by_field_name("body")
        if body is not None:
            self._visit(body)
        self._merge([before, self.names])

    def _assign(self, node: tree_sitter.Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        key = self._raw(name)
        if name.type == "subscript":
            key = key.partition("[")[0]
        found = EMPTY if value is None else self._value(value)
        appended = b"+=" in self._source[name.end_byte : name.end_byte + 2]
        if value is not None and value.type == "array":
            words = [word for child in value.named_children for word in self._split(child)]
            self._arrays[key] = [*(self._arrays.get(key, []) if appended else []), *words][:_MAX_WORDS]
            found = union(*(word.values for word in words)) or EMPTY
        if appended and key in self.names:
            # A list that grows: what is put in separately is one more value of it.
            found = (
                union(self.names[key], found)
                if value is not None and value.type == "array"
                else concatenate([self.names[key], found])
            )
        self.names[key] = found

    def _command(self, node: tree_sitter.Node) -> None:
        name = node.child_by_field_name("name")
        own: dict[str, Values] = {}
        for child in node.named_children:
            if child.type == "variable_assignment":
                key, value = child.child_by_field_name("name"), child.child_by_field_name("value")
                if key is not None:
                    own[self._raw(key)] = EMPTY if value is None else self._value(value)
            elif child.type == "herestring_redirect" and child.named_children:
                self._stdin = self._value(child.named_children[0])
        if name is None:
            self.names.update(own)
            return
        words = [word for child in (name, *node.children_by_field_name("argument")) for word in self._split(child)]
        if not words:
            return
        start, end = node.start_byte, node.end_byte
        call = Call(tuple(words), self._script, start, end, {**self.names, **own})
        program = shown(words[0].values[0]) if words[0].values else ""
        if program in self._functions and self._depth < _MAX_DEPTH:
            # A function may stand for a program of its name: the call itself counts too.
            self.calls.append(call)
            self._call_function(self._functions[program], words[1:], own)
            return
        if program in {"echo", "printf"}:
            self._said.say(program, words[1:])
            return
        if program == "read":
            self._read(words[1:])
            return
        self.calls.append(call)

    def _read(self, words: list[Word]) -> None:
        """Set what `read` sets: the words that are handed in, as far as they are known."""
        named = [shown(word.values[0]) for word in words if word.values and not shown(word.values[0]).startswith("-")]
        flags = "".join(shown(word.values[0]) for word in words if word.values and shown(word.values[0])[:1] == "-")
        for name in named[-1:]:
            known = tuple(one for text in self._stdin for one in words_of(text))
            self.names[name] = known or (unknown(f"${name}", "is read when it runs"),)
            if "a" in flags:
                self._arrays[name] = [Word((one,), 0, 0) for one in self.names[name]]

    def _call_function(self, body: tree_sitter.Node, words: list[Word], own: dict[str, Values]) -> None:
        positional = {str(at): word.values for at, word in enumerate(words, 1)}
        positional["@"] = positional["*"] = union(*(word.values for word in words)) or EMPTY
        before = {key: value for key, value in self.names.items() if key.isdigit() or key in "@*"}
        for key in before:
            del self.names[key]
        self.names.update(own)
        self.names.update(positional)
        outer, self._positional = self._positional, words
        self._depth += 1
        self._visit(body)
        self._depth -= 1
        self._positional = outer
        for key in positional:
            self.names.pop(key, None)
        self.names.update(before)

    # What words stand for

    def _split(self, node: tree_sitter.Node) -> list[Word]:
        start, end = node.start_byte, node.end_byte
        raw = self._raw(node).strip('"')
        if raw in {"$@", "$*", "${@}"} and self._positional:
            return list(self._positional)
        array = re.fullmatch(r"\$\{(\w+)\[[@*]\]\}", raw)
        if array and array.group(1) in self._arrays:
            return [Word(word.values, start, end) for word in self._arrays[array.group(1)]]
        values = self._value(node)
        if node.type in {"simple_expansion", "expansion", "command_name"} and len(values) == 1:
            words = words_of(values[0])
            if len(words) > 1:
                return [Word((word,), start, end) for word in words]
        return [Word(values, start, end)]

    def _value(self, node: tree_sitter.Node) -> Values:  # noqa: C901, PLR0911 - one branch for each kind of word
        self._steps += 1
        if self._steps > _MAX_STEPS or self._nesting > _MAX_NESTING:
            return (unknown("...", "is beyond what is followed"),)
        kind = node.type
        if kind in {"word", "number", "extglob_pattern", "regex", "variable_name", "special_variable_name"}:
            if node.named_children:
                return self._pieces(node, node.start_byte, node.end_byte)
            return self._literal(node.start_byte, node.end_byte, escapes=True)
        if kind == "string":
            return self._pieces(node, node.start_byte + 1, node.end_byte - 1)
        if kind == "raw_string":
            return self._literal(node.start_byte + 1, node.end_byte - 1, setting="raw")
        if kind == "ansi_c_string":
            return self._literal(node.start_byte + 2, node.end_byte - 1, setting="raw")
        if kind in {"concatenation", "command_name", "translated_string"}:
            return self._pieces(node, node.start_byte, node.end_byte)
        if kind == "simple_expansion":
            return self._variable(self._raw(node)[1:], node)
        if kind == "expansion":
            return self._expansion(node)
        if kind == "command_substitution":
            return self._substitution(node)
        if kind == "arithmetic_expansion":
            return self._best_inside(node) or (unknown(self._short(node), "is a calculation"),)
        return (unknown(self._short(node), "is not followed"),)

    def _literal(self, start: int, end: int, *, escapes: bool = False, setting: str = "") -> Values:
        first, last = start, end
        text = self._script.text[first:last]
        span = self._script.span(first, last)
        if escapes and "\\" in text:
            text, span = re.sub(r"\\\n|\\(.)", r"\1", text), None
        return self.placeholders.expand(text, span, setting or self._setting)

    def _pieces(self, node: tree_sitter.Node, start: int, end: int) -> Values:
        """Return what stands between two bytes of a node: its children, and what is literal between them."""
        self._nesting += 1
        found: list[Values] = []
        at = start
        for child in node.named_children:
            if child.type in {"string_content", "comment"}:
                continue
            if child.start_byte > at:
                found.append(self._literal(at, child.start_byte, escapes=True))
            found.append(self._value(child))
            at = child.end_byte
        if at < end:
            found.append(self._literal(at, end, escapes=True))
        self._nesting -= 1
        return concatenate(found)

    def _variable(self, name: str, node: tree_sitter.Node) -> Values:
        if name in self.placeholders.names:
            return self.placeholders.names[name]
        if name in self.names:
            return self.names[name]
        meaning = self.known.get(name)
        span = self._script.span(node.start_byte, node.end_byte)
        if meaning is not None:
            part = meaning.part(f"${name}")
            return ((Part(part.text, part.repetition, part.reason, literal=False, span=span, optional=part.optional,
                          whole=part.whole, setting=self._setting),),)  # fmt: skip
        return ((Part(f"${name}", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)

    def _outside(self, name: str) -> Values:
        meaning = self.known.get(name)
        return ((meaning.part(f"${name}"),),) if meaning else (unknown(f"${name}", "is not set on every path"),)

    def _expansion(self, node: tree_sitter.Node) -> Values:
        match = _EXPANSION.match(self._raw(node))
        if match is None:
            return (unknown(self._short(node), "is not followed"),)
        name, rest = match.groups()
        values = self._variable(name, node)
        if not rest or rest in {"[@]", "[*]"}:
            return values
        default = re.match(r":?([-=+?])", rest)
        if default and default.group(1) in "-=":
            words = [child for child in node.named_children[1:] if child.type != "comment"]
            first = words[0].start_byte if words else node.end_byte - 1
            fallback = self._pieces_of(words, first, node.end_byte - 1) if words else EMPTY
            return self._with_default(values, fallback)
        if default and default.group(1) == "+":
            return (unknown(self._short(node), "is there only if a variable is set"),)
        if default:
            return values
        return tuple(self._changed(text, node) for text in values)

    def _pieces_of(self, nodes: list[tree_sitter.Node], start: int, end: int) -> Values:
        found: list[Values] = []
        at = start
        for child in nodes:
            if child.start_byte > at:
                found.append(self._literal(at, child.start_byte))
            found.append(self._value(child))
            at = child.end_byte
        if at < end:
            found.append(self._literal(at, end))
        return concatenate(found)

    @staticmethod
    def _with_default(values: Values, fallback: Values) -> Values:
        """Return what `${X:-y}` stands for: y counts only if X may be empty or is not known."""
        sure = [text for text in values if any(part.text for part in text)]
        may_be_empty = len(sure) < len(values) or any(
            all(part.optional or part.repetition is Repetition.UNKNOWN for part in text) for text in sure
        )
        return union(tuple(sure), fallback) if may_be_empty else tuple(sure)

    def _changed(self, text: tuple[Part, ...], node: tree_sitter.Node) -> tuple[Part, ...]:
        """Return a text after `${X:0:7}`, `${X//a/b}` and their kin: as unique as it was, and no longer the same."""
        if not text:
            return ()
        best = decisive(text)
        if best is None:
            return (Part(self._short(node), Repetition.REUSED, f"is made of {shown(text)!r}, which is written out",
                         literal=False),)  # fmt: skip
        return (Part(self._short(node), best.repetition, _made_of(best), literal=False),)

    def _substitution(self, node: tree_sitter.Node) -> Values:
        raw = self._raw(node)
        inner = raw[2:-1] if raw.startswith("$(") else raw[1:-1]
        program = inner.split()[0] if inner.split() else ""
        if (node.start_byte, node.end_byte) not in self._substituted and self._depth < _MAX_DEPTH:
            # What is called inside may push too: IMAGE=$(ko build ./cmd).
            self._substituted.add((node.start_byte, node.end_byte))
            self._depth += 1
            for child in node.named_children:
                self._visit(child)
            self._depth -= 1
        children = node.named_children
        span = self._script.span(node.start_byte, node.end_byte)
        if program in {"echo", "printf"}:
            if len(children) == 1 and children[0].type == "command" and program == "echo":
                words = [word for one in children[0].children_by_field_name("argument") for word in self._split(one)]
                return without_places(concatenate([word.values for word in words]))
            echoed = self._echoed(children[0]) if children else ()
            inside = tuple(self._changed(text, node) for text in echoed) or self._best_inside(node)
            if inside:
                return union(inside)
        meaning = substitutions.meaning_of(inner, releases_only=self._releases_only)
        if meaning is not None:
            return ((Part(self._short(node), meaning.repetition, meaning.reason, literal=False, span=span,
                          whole=meaning.whole, setting=self._setting),),)  # fmt: skip
        if program in self._functions:
            found = substitutions.meaning_of(self._raw(self._functions[program]))
            if found is not None:
                return ((found.part(self._short(node)),),)
        return self._best_inside(node) or (unknown(self._short(node), "is what a command says"),)

    def _echoed(self, node: tree_sitter.Node) -> Values:
        """Return what the `echo` that begins a pipeline says, each of its words by itself."""
        first = (
            node.named_children[0]
            if node.type in {"pipeline", "redirected_statement"} and node.named_children
            else node
        )
        if first.type != "command":
            return ()
        words = [word for one in first.children_by_field_name("argument") for word in self._split(one)]
        texts = (one for word in words for text in word.values for one in words_of(text))
        return tuple(text for text in texts if not shown(text).startswith("-"))

    def _best_inside(self, node: tree_sitter.Node) -> Values:
        """Return one part as unique as the most unique variable inside; nothing if none says anything."""
        best: Part | None = None
        order = list(Repetition)
        waiting, seen = list(node.named_children), 0
        while waiting and seen < 200:  # noqa: PLR2004 - a command of more words is not one that makes a tag
            child = waiting.pop()
            seen += 1
            if child.type not in {"simple_expansion", "expansion", "command_substitution"}:
                waiting.extend(child.named_children)
                continue
            for text in self._value(child):
                inner = decisive(text)
                if inner and (best is None or order.index(inner.repetition) < order.index(best.repetition)):
                    best = Part(self._short(node), inner.repetition, _made_of(inner), literal=False)
        return ((best,),) if best is not None and best.repetition is not Repetition.UNKNOWN else ()

    # Places

    def _raw(self, node: tree_sitter.Node) -> str:
        return self._script.text[node.start_byte : node.end_byte]

    def _short(self, node: tree_sitter.Node) -> str:
        text = " ".join(self._raw(node).split())
        return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
