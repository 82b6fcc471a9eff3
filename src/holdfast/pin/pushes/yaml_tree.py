"""YAML with places: text in, nodes of PyYAML out, each scalar as a passage of the file.

This file alone decides how YAML is read for pipelines: composed, never constructed, so no tag can make an object; an
alias is the same node twice, so no file grows in memory. Whoever walks a tree counts its steps (`Walk`), so that
aliases of aliases end too. Errors are `PipelineUnreadable`, always.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import yaml

from holdfast.pin.pushes.passage import Passage

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARACTERS: Final = 1_000_000
MAX_DOCUMENTS: Final = 200
_MAX_FLOW_NESTING: Final = 60
_MAX_INDENT: Final = 400
_MAX_STEPS: Final = 100_000
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+)+")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Node = yaml.Node


class PipelineUnreadable(Exception):
    """Raised for a file that cannot be read as what its name says; the message is for its owner."""


class Walk:
    """Counts the steps of walking a tree."""

    def __init__(self) -> None:
        self._left = _MAX_STEPS

    def step(self) -> None:
        """Count one; raises PipelineUnreadable when there were too many."""
        self._left -= 1
        if self._left < 0:
            raise PipelineUnreadable("It repeats itself by aliases more than is followed.")


def documents(text: str) -> list[Node]:
    """Return the documents of a file."""
    if len(text) > MAX_CHARACTERS:
        raise PipelineUnreadable(f"It has {len(text)} characters; more than {MAX_CHARACTERS} are not read.")
    _check_nesting(text)
    found: list[Node] = []
    try:
        for node in yaml.compose_all(text, Loader=_LOADER):
            if node is not None:
                found.append(node)
            if len(found) >= MAX_DOCUMENTS:
                break
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PipelineUnreadable(f"It is no YAML: {_first_line(error)}") from error
    return found


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" (line {mark.line + 1})" if mark is not None else ""
    return f"{getattr(error, 'problem', None) or str(error).splitlines()[0] if str(error) else 'broken'}{place}"


def _check_nesting(text: str) -> None:
    """Refuse what is nested deeper than people write; a composer goes one call deeper for each level."""
    deep = widest = 0
    for line in text.splitlines():
        body = line.lstrip(" ")
        if len(line) - len(body) > _MAX_INDENT or body.count("- ") > _MAX_INDENT or body.count("? ") > _MAX_INDENT:
            raise PipelineUnreadable("It is nested too deeply.")
        for letter in body:
            if letter in "[{":
                deep += 1
                widest = max(widest, deep)
            elif letter in "]}":
                deep = max(deep - 1, 0)
        if not body.strip():
            continue
        # Brackets in scripts need not balance: a new key at the margin ends every flow collection.
        if line[:1].isalpha() and body.rstrip().endswith(":"):
            deep = 0
    if widest > 20 * _MAX_FLOW_NESTING:
        raise PipelineUnreadable("It is nested too deeply.")


def pairs(node: Node | None, depth: int = 0) -> Iterator[tuple[str, Node]]:
    """Return the entries of a mapping, merged ones (`<<`) after its own."""
    if not isinstance(node, yaml.MappingNode):
        return
    merged: list[Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == "<<":
            merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
        else:
            yield key.value, value
    if depth < 8:  # noqa: PLR2004 - merges of merges
        for one in merged:
            yield from pairs(one, depth + 1)


def get(node: Node | None, *keys: str) -> Node | None:
    """Return what stands under keys, one inside the other; None if it is not there."""
    for key in keys:
        node = next((value for name, value in pairs(node) if name == key), None)
        if node is None:
            return None
    return node


def elements(node: Node | None) -> list[Node]:
    """Return the elements of a sequence, or the one value that stands where a sequence could."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [] if node is None else [node]


def flat(node: Node | None, depth: int = 0) -> Iterator[Node]:
    """Return the scalars of sequences in sequences, as GitLab reads scripts made of anchors."""
    for one in elements(node):
        if isinstance(one, yaml.SequenceNode):
            if depth < 10:  # noqa: PLR2004 - GitLab's own limit of nested lists
                yield from flat(one, depth + 1)
        else:
            yield one


def word(node: Node | None) -> str:
    """Return a scalar's value; empty for everything else."""
    return node.value if isinstance(node, yaml.ScalarNode) else ""


def is_mapping(node: Node | None) -> bool:
    """Tell whether it is a mapping."""
    return isinstance(node, yaml.MappingNode)


def is_sequence(node: Node | None) -> bool:
    """Tell whether it is a sequence."""
    return isinstance(node, yaml.SequenceNode)


def tag_of(node: Node) -> str:
    """Return the tag of a node: `!reference`."""
    return str(node.tag)


def place(node: Node) -> int:
    """Return where a node begins."""
    return int(node.start_mark.index)


def bounds(node: Node) -> tuple[int, int]:
    """Return where a node begins and ends."""
    return int(node.start_mark.index), int(node.end_mark.index)


def passage(node: Node | None, text: str) -> Passage:
    """Return a scalar as a passage of the file; what was escaped or folded is without a place."""
    if not isinstance(node, yaml.ScalarNode):
        return Passage("", ())
    start, end = node.start_mark.index, node.end_mark.index
    raw = text[start:end]
    properties = _PROPERTIES.match(raw)
    if properties and node.value[:1] not in {"&", "!"}:
        start += properties.end()
        raw = raw[properties.end() :]
    value: str = node.value
    if node.style in {"'", '"'}:
        start, raw = start + 1, raw[1:-1]
    elif node.style in {"|", ">"}:
        header = raw.find("\n") + 1
        start, raw = start + header, raw[header:]
    if raw == value:
        return Passage.whole(value, start)
    pieces: list[tuple[int, int, int]] = []
    cursor, at = 0, start
    for line in raw.split("\n"):
        body = line.strip("\r\t ") if node.style != "|" else line.rstrip("\r").lstrip(" ")
        if body:
            found = value.find(body, cursor)
            if found < 0 or value[cursor:found].strip():
                break
            pieces.append((found, at + line.index(body), len(body)))
            cursor = found + len(body)
        at += len(line) + 1
    return Passage(value, tuple(pieces), start)


def keys(node: Node | None) -> list[Node]:
    """Return the keys of a mapping as nodes, for their places."""
    return [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
