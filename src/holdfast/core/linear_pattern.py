r"""Regular expressions whose cost grows with the text and nothing else: an automaton, no backtracking.

Service models come with patterns that a backtracking engine can be made to chew on for ever: ECR's own
`^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$` doubles its time with each character. This file alone decides which syntax
such a pattern may have; anything it cannot run in one pass over the text is refused when the pattern is made. It
answers one question, "does the whole text match", as Java's `Pattern.matches` does: `\d`, `\w`, `\s` are ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PATTERN_CHARACTERS: Final = 1_000
MAX_NODES: Final = 5_000
"""Of the automaton, counted repeats written out. The largest of ECR's patterns needs about 200."""

MAX_GROUP_DEPTH: Final = 20
MAX_CACHED_STATES: Final = 500
"""Of the lazily built table, about 1 kB each; past it the table starts anew, which costs time but never grows."""

_ALPHABET: Final = 129
_NOT_ASCII: Final = 128
"""All characters past ASCII are one letter to us: no pattern may name one."""

# A set of letters is an integer, bit n for the letter n.
_EVERYTHING: Final = (1 << _ALPHABET) - 1


class PatternUnsupported(ValueError):
    """A pattern with syntax that is wrong, or that cannot be run in linear time."""


def _letters(characters: Iterable[str]) -> int:
    mask = 0
    for character in characters:
        mask |= 1 << ord(character)
    return mask


_DIGITS: Final = _letters("0123456789")
_WORD: Final = _letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_SPACE: Final = _letters(" \t\n\x0b\f\r")
_CLASSES: Final = {
    "d": _DIGITS,
    "D": _EVERYTHING ^ _DIGITS,
    "w": _WORD,
    "W": _EVERYTHING ^ _WORD,
    "s": _SPACE,
    "S": _EVERYTHING ^ _SPACE,
}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_REPEATS: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class _Set:
    letters: int


@dataclass(frozen=True, slots=True)
class _Anchor:
    kind: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: list[_Tree]


@dataclass(frozen=True, slots=True)
class _Choice:
    parts: list[_Tree]


@dataclass(frozen=True, slots=True)
class _Repeat:
    part: _Tree
    low: int
    high: int | None


_Tree: TypeAlias = "_Set | _Anchor | _Sequence | _Choice | _Repeat"
_FREE, _LETTER, _AT_START, _AT_END = range(4)


class LinearPattern:
    """One compiled pattern. May be used from several threads at once."""

    __slots__ = ("_accept", "_edges", "_lock", "_start", "_states", "text")

    def __init__(self, text: str) -> None:
        """Compile; PatternUnsupported is the only error."""
        self.text: Final = text
        program = _Program()
        entry = program.add(_Parser(text).parse(), program.accept)
        self._edges: Final = program.edges
        self._accept: Final = program.accept
        self._lock: Final = Lock()
        self._states: dict[frozenset[int], _State] = {}
        # An empty text starts and ends at one place: there "$^" matches. No later state is this one.
        empty = self._accept in self._closure([entry], at_start=True, at_end=True)
        self._start: Final = _State(self._closure([entry], at_start=True), accepting=empty)

    def fullmatch(self, text: str) -> bool:
        """Tell whether the whole text matches: one table look-up a character once the table is warm."""
        try:
            letters: Iterable[int] = text.encode("ascii")
        except UnicodeEncodeError:
            letters = (min(ord(character), _NOT_ASCII) for character in text)
        state = self._start
        for letter in letters:
            after = state.row[letter]
            state = self._advance(state, letter) if after is None else after
            if not state.nodes:
                return False
        return state.accepting

    def _advance(self, state: _State, letter: int) -> _State:
        with self._lock:
            reached = [
                target
                for node in state.nodes
                for kind, argument, target in self._edges[node]
                if kind == _LETTER and argument >> letter & 1
            ]
            after = self._state(self._closure(reached, at_start=False))
            state.row[letter] = after
            return after

    def _state(self, nodes: frozenset[int]) -> _State:
        found = self._states.get(nodes)
        if found is None:
            if len(self._states) >= MAX_CACHED_STATES:
                self._states = {}  # matches under way keep the old states that they hold
            at_end = self._closure(nodes, at_start=False, at_end=True)
            found = self._states[nodes] = _State(nodes, accepting=self._accept in at_end)
        return found

    def _closure(self, nodes: Iterable[int], *, at_start: bool, at_end: bool = False) -> frozenset[int]:
        """All nodes that can be reached without a letter."""
        passable = {_FREE} | ({_AT_START} if at_start else set()) | ({_AT_END} if at_end else set())
        seen = set(nodes)
        waiting = list(seen)
        while waiting:
            for kind, _, target in self._edges[waiting.pop()]:
                if kind in passable and target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return frozenset(seen)


class _State:
    __slots__ = ("accepting", "nodes", "row")

    def __init__(self, nodes: frozenset[int], *, accepting: bool) -> None:
        self.nodes = nodes
        self.accepting = accepting
        self.row: list[_State | None] = [None] * _ALPHABET


class _Program:
    """Thompson's construction: edges (kind, letters, target) by node."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[int, int, int]]] = [[]]
        self.accept: Final = 0

    def _node(self) -> int:
        if len(self.edges) >= MAX_NODES:
            raise PatternUnsupported(f"the pattern needs more than {MAX_NODES} states")
        self.edges.append([])
        return len(self.edges) - 1

    def add(self, tree: _Tree, after: int) -> int:
        """Add what matches `tree` and then goes on at `after`; return where it is entered."""
        if isinstance(tree, _Sequence):
            for part in reversed(tree.parts):
                after = self.add(part, after)
            return after
        if isinstance(tree, _Repeat):
            return self._add_repeat(tree, after)
        node = self._node()
        if isinstance(tree, _Choice):
            self.edges[node] = [(_FREE, 0, self.add(part, after)) for part in tree.parts]
        elif isinstance(tree, _Set):
            self.edges[node] = [(_LETTER, tree.letters, after)]
        else:
            self.edges[node] = [(tree.kind, 0, after)]
        return node

    def _add_repeat(self, tree: _Repeat, after: int) -> int:
        if tree.high is None:
            loop = self._node()
            self.edges[loop] = [(_FREE, 0, self.add(tree.part, loop)), (_FREE, 0, after)]
            after = loop
        else:
            end = after
            for _ in range(tree.high - tree.low):
                node = self._node()
                self.edges[node] = [(_FREE, 0, self.add(tree.part, after)), (_FREE, 0, end)]
                after = node
        for _ in range(tree.low):
            after = self.add(tree.part, after)
        return after


class _Parser:
    """Recursive descent over the syntax that service models use; everything else is refused by name."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN_CHARACTERS or not text.isascii():
            raise PatternUnsupported("the pattern is too long or names characters past ASCII")
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> _Tree:
        tree = self._alternatives()
        if self._at < len(self._text):
            raise self._error("unbalanced )")
        return tree

    def _error(self, why: str) -> PatternUnsupported:
        return PatternUnsupported(f"{why} at character {self._at} of the pattern {self._text!r}")

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise self._error("unexpected end")
        self._at += 1
        return character

    def _alternatives(self) -> _Tree:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Choice(parts)

    def _sequence(self) -> _Tree:
        parts: list[_Tree] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else _Sequence(parts)

    def _repeated(self, part: _Tree) -> _Tree:
        sign = self._peek()
        if sign == "{":
            low, high = self._count()
        elif sign in _REPEATS and sign:
            self._at += 1
            low, high = _REPEATS[sign]
        else:
            return part
        if self._peek() == "?":
            self._at += 1  # lazy or greedy is one for a match of the whole text
        if self._peek() and self._peek() in "*+?{":
            raise self._error("a repeat of a repeat, or a possessive one")
        return _Repeat(part, low, high)

    def _count(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, self._at + 1)].partition(",")
        if not low.isdigit() or (high and not high.isdigit()) or len(low) > 4 or len(high) > 4:  # noqa: PLR2004
            raise self._error("a malformed count")
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        if high and int(high) < int(low):
            raise self._error("a count that goes down")
        return int(low), int(high) if high else None

    def _atom(self) -> _Tree:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _Set(self._class())
        if character == "\\":
            return _Set(self._escape())
        if character == "^":
            return _Anchor(_AT_START)
        if character == "$":
            return _Anchor(_AT_END)
        if character in ".*+?{}]":
            raise self._error(f"an unescaped {character}")
        return _Set(_letters(character))

    def _group(self) -> _Tree:
        if self._peek() == "?":
            if self._peek(1) != ":":
                raise self._error("a group other than (...) and (?:...)")
            self._at += 2
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            raise self._error("too many groups in one another")
        tree = self._alternatives()
        if self._next() != ")":
            raise self._error("an unclosed group")
        self._depth -= 1
        return tree

    def _escape(self) -> int:
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _letters(_CONTROLS[character])
        if character.isalnum():
            raise self._error(f"the escape \\{character}")
        return _letters(character)

    def _class(self) -> int:
        negated = self._peek() == "^"
        self._at += negated
        mask = 0
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._class_item()
            if self._peek() == "-" and self._peek(1) not in ("", "]"):
                self._at += 1
                mask |= self._range(low, self._class_item())
            else:
                mask |= low
        self._at += 1
        return _EVERYTHING ^ mask if negated else mask

    def _class_item(self) -> int:
        character = self._next()
        if character == "\\":
            return self._escape()
        if character in "[]&":
            # To Java "[" nests and "&&" intersects, to others they are letters: refuse what is read two ways.
            raise self._error(f"an unescaped {character} in a class")
        return _letters(character)

    def _range(self, low: int, high: int) -> int:
        if low.bit_count() != 1 or high.bit_count() != 1 or low > high:
            raise self._error("a malformed range")
        return (high << 1) - low
