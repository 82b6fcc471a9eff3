"""YAML as nodes that know where they stand, and the text of a scalar with the way back to the file.

This file alone knows how YAML writes a text: plain, quoted, in a block. Aliases are followed, never copied; nesting has
a limit, since the C parser has none of its own. It knows no format.

Source: YAML 1.2.2, chapters 7 (flow styles) and 8 (block styles).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from holdfast.pin.source import Excerpt, Source, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH: Final = 200
"""Of nodes in nodes. Schemas of CRDs, the deepest that is written, have some sixty."""

Node: TypeAlias = yaml.Node

_SUSPICIOUS_BRACKETS: Final = 2000
_SUSPICIOUS: Final = re.compile(rf"(?m)^ {{{MAX_DEPTH},}}|(?:[-?:] +){{{MAX_DEPTH // 4},}}|[\[{{]{{{MAX_DEPTH // 4},}}")
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s]*\s+)*")
_ESCAPES: Final = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_DOCUMENT: Final = re.compile(r"(?m)^---(?=\s|$)")
"""Wherever it stands in the first column, it begins a document: no scalar may hold it."""
_HEX: Final = {"x": 2, "u": 4, "U": 8}


class _Loader(yaml.CSafeLoader):
    """The C parser; nobody here asks whether a plain scalar is a number, and that question is a quarter of the time."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:  # noqa: ANN401, ARG002 - yaml's signature
        """Return the tag of a node that has none of its own."""
        return _TAGS[kind]


_TAGS: Final[dict[type[Node], str]] = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}


def documents(source: Source, wanted: Callable[[str], bool] | None = None) -> list[Node]:
    """Return the documents of a file; raises UnreadableFile for what is no YAML or is nested too deeply.

    A document whose text is not wanted is not parsed: bundles hold megabytes of schemas and one workload.
    """
    text = source.text if wanted is None else _without_unwanted(source.text, wanted)
    if not text:
        return []
    if not text.isascii():
        # Bytes that are no UTF-8, in comments as a rule: one character each, so that places stay.
        text = re.sub(r"[\ud800-\udfff]", "?", text)
    try:
        if text.count("[") + text.count("{") > _SUSPICIOUS_BRACKETS or _SUSPICIOUS.search(text):
            _check_depth(text)
        found = list(yaml.compose_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableFile(_told(error)) from None
    return found


def _without_unwanted(text: str, wanted: Callable[[str], bool]) -> str:
    """Return the text with empty lines in the place of unwanted documents, so that all places stay; "" for none."""
    starts = [0, *(found.start() for found in _DOCUMENT.finditer(text) if found.start())]
    pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    kept = [wanted(piece) for piece in pieces]
    if not any(kept):
        return ""
    return "".join(piece if keep else "\n" * len(piece) for piece, keep in zip(pieces, kept, strict=True))


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                msg = f"It is nested deeper than {MAX_DEPTH} levels."
                raise UnreadableFile(msg)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _told(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"It is no YAML: {problem}" + (f" (line {mark.line + 1})." if mark is not None else ".")


def pairs(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Return the keys and values of a mapping, those that `<<` brings last; nothing for what is no mapping."""
    yield from _pairs(node, set())


def _pairs(node: Node | None, seen: set[int]) -> Iterator[tuple[str, Node]]:
    if not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return
    seen.add(id(node))
    own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    merged: list[Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == "<<":
            merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
        else:
            yield key.value, value
    for one in merged:
        yield from ((key, value) for key, value in _pairs(one, seen) if key not in own)


def get(node: Node | None, *path: str) -> Node | None:
    """Return what stands at a path of keys, None where there is nothing."""
    for name in path:
        node = next((value for key, value in pairs(node) if key == name), None)
    return node


def items(node: Node | None) -> list[Node]:
    """Return the elements of a sequence; nothing for what is none."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def text_of(node: Node | None) -> str | None:
    """Return the value of a scalar, None for what is none."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def walk(node: Node, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, str, Node, Node]]:
    """Return every (path, key, value, mapping) at and below a node, each node once whatever aliases say."""
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in pairs(node):
            here = f"{path}.{key}" if path else key
            yield here, key, value, node
            yield from walk(value, here, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from walk(value, f"{path}[{number}]", seen)


# --- the text of a scalar --------------------------------------------------------------------------------------------


def excerpt(source: Source, node: Node | None) -> Excerpt | None:
    """Return the value of a scalar that knows where each of its characters stands; None where that cannot be told."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    start, end = node.start_mark.index, node.end_mark.index
    raw = source.text[start:end]
    skipped = _PROPERTIES.match(raw)
    at = skipped.end() if skipped and node.style != ":" else 0
    style = node.style or ""
    if style in {"|", ">"}:
        return Excerpt.joined(source, _block(raw, at, start, folded=style == ">"))
    if style:
        at, raw = at + 1, raw[:-1]
    if raw[at:] == node.value:
        return Excerpt.of(source, start + at, start + len(raw))
    made = Excerpt.joined(source, _flow(raw, at, start, style))
    return made if made.text == node.value else None


def _block(raw: str, at: int, start: int, *, folded: bool) -> Iterator[tuple[str, int]]:
    head_end = raw.find("\n", at)
    if head_end < 0:
        return
    explicit = re.search(r"[1-9]", raw[at:head_end].partition("#")[0])
    lines: list[tuple[int, str]] = []
    at = head_end + 1
    for line in raw[at:].split("\n"):
        lines.append((at, line.rstrip("\r")))
        at += len(line) + 1
    filled = [line for _, line in lines if line.strip()]
    if not filled:
        return
    indent = len(filled[0]) - len(filled[0].lstrip(" "))
    if explicit:
        # The indicator counts from the parent's column, which the mark does not tell: never more than what is there.
        indent = min(len(line) - len(line.lstrip(" ")) for line in filled)
    for number, (begins, line) in enumerate(lines):
        body = line[indent:]
        following = lines[number + 1][1][indent:] if number + 1 < len(lines) else ""
        joins = folded and body and following and body[0] != " " and following[0] != " "
        yield body, start + begins + min(indent, len(line))
        if number + 1 < len(lines):
            yield (" " if joins else "\n"), start + begins + len(line)


_FLOW_TOKEN: Final = re.compile(r"[ \t]*\r?\n[ \t\r\n]*|''|\\(?:\r?\n[ \t]*|.)|[^\s'\\]+|.", re.DOTALL)


def _flow(raw: str, at: int, start: int, style: str) -> Iterator[tuple[str, int]]:
    while at < len(raw):
        found = _FLOW_TOKEN.match(raw, at)
        if found is None:
            return
        piece, here = found.group(), at
        at = found.end()
        if "\n" in piece and not piece.startswith("\\"):
            breaks = piece.count("\n")
            yield (" " if breaks == 1 else "\n" * (breaks - 1)), start + here
        elif style == "'" and piece == "''":
            yield "'", start + here
        elif style == '"' and piece.startswith("\\"):
            if "\n" in piece:
                continue
            digits = _HEX.get(piece[1], 0)
            if digits:
                code = raw[at : at + digits]
                at += digits
                yield (chr(int(code, 16)) if re.fullmatch(r"[0-9a-fA-F]+", code) else "?"), start + here
            else:
                yield _ESCAPES.get(piece[1], piece[1]), start + here
        else:
            yield piece, start + here
