"""Terraform and OpenTofu: `aws_ecr_repository`, creation templates, and modules that make them.

This file alone knows their arguments and defaults. Variables are taken from the folder's own files; a local module is
looked into; of modules in registries, those in the table are known by their documented defaults. Sources: Terraform AWS
provider, "aws_ecr_repository"; the modules' variables.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import tree_sitter
import tree_sitter_hcl

from holdfast.pin.creation.creation import Creation, Edit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HCL: Final = tree_sitter.Language(tree_sitter_hcl.language())
_MAX_BYTES: Final = 1_000_000
_MAX_BLOCKS: Final = 5_000
_RESOURCES: Final = frozenset({"aws_ecr_repository", "aws_ecr_repository_creation_template"})
_ARGUMENT: Final = "image_tag_mutability"
_FILTERS: Final = "image_tag_mutability_exclusion_filter"
_NEIGHBOURS: Final = ("variables.tf", "main.tf", "vars.tf", "ecr.tf", "inputs.tf")

MODULES: Final[dict[str, tuple[str, str]]] = {
    "terraform-aws-modules/ecr/aws": ("repository_image_tag_mutability", "IMMUTABLE"),
    "cloudposse/ecr/aws": ("image_tag_mutability", "IMMUTABLE"),
}
"""Module -> its argument and its default. Source: the modules' variables.tf."""


class _File:
    """One file's blocks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.source = text.encode("utf-8", "surrogateescape")
        self.plain = text.isascii()
        self.root = tree_sitter.Parser(_HCL).parse(self.source).root_node

    def blocks(self) -> Iterator[tuple[list[str], tree_sitter.Node]]:
        """Return the blocks at the top, each with its words."""
        for body in self.root.named_children:
            for node in body.named_children[:_MAX_BLOCKS]:
                if body.type == "body" and node.type == "block":
                    yield self.labels(node), node

    def labels(self, block: tree_sitter.Node) -> list[str]:
        """Return a block's words: `resource`, its type, its name."""
        words = [child for child in block.named_children if child.type in {"identifier", "string_lit"}]
        return [self.raw(child).strip('"') for child in words]

    def attributes(self, block: tree_sitter.Node) -> dict[str, tree_sitter.Node]:
        """Return a block's own arguments: name -> the argument."""
        found: dict[str, tree_sitter.Node] = {}
        for body in block.named_children:
            if body.type == "body":
                for child in body.named_children:
                    if child.type == "attribute" and len(child.named_children) > 1:
                        found[self.raw(child.named_children[0])] = child
        return found

    def inner(self, block: tree_sitter.Node, name: str) -> list[tree_sitter.Node]:
        """Return the blocks of a name inside a block, `dynamic` ones too."""
        bodies = [body for body in block.named_children if body.type == "body"]
        return [child for body in bodies for child in body.named_children
                if child.type == "block" and name in self.labels(child)]  # fmt: skip

    def raw(self, node: tree_sitter.Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def at(self, offset: int) -> int:
        """Return the character of a byte."""
        return offset if self.plain else len(self.source[:offset].decode("utf-8", "surrogateescape"))

    def value(self, attribute: tree_sitter.Node | None) -> str | None:
        """Return what an argument is set to, as written, without the quotes of a plain string."""
        if attribute is None:
            return None
        text = self.raw(attribute.named_children[1]).strip()
        plain = re.fullmatch(r'"([^"$]*)"', text)
        return plain.group(1) if plain else text

    def variables(self) -> dict[str, str | None]:
        """Return the variables that are declared, with their defaults."""
        return {
            words[1]: self.value(self.attributes(node).get("default"))
            for words, node in self.blocks()
            if words[:1] == ["variable"] and len(words) > 1
        }


def read(path: str, text: str, neighbour: Callable[[str], str | None]) -> list[Creation]:
    """Return what a file creates; `neighbour` reads another file of the tree."""
    if len(text) > _MAX_BYTES:
        return []
    file = _File(text)
    variables = dict(file.variables())
    folder = posixpath.dirname(path)
    found: list[Creation] = []
    asked = False
    for words, node in file.blocks():
        if words[:1] == ["resource"] and len(words) > 2 and words[1] in _RESOURCES:  # noqa: PLR2004 - kind, type, name
            mode = file.value(file.attributes(node).get(_ARGUMENT))
            if mode and "var." in mode and not asked:
                variables |= _declared(folder, neighbour)
                asked = True
            found.append(_resource(file, words, node, variables))
        elif words[:1] == ["module"] and len(words) > 1:
            called = _module(file, words[1], node, folder, neighbour)
            found += [called] if called is not None else []
    return found


def _declared(folder: str, neighbour: Callable[[str], str | None]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in _NEIGHBOURS:
        text = neighbour(posixpath.join(folder, name))
        if text is not None and len(text) <= _MAX_BYTES:
            found |= _File(text).variables()
    return found


def _resource(file: _File, words: list[str], node: tree_sitter.Node, variables: dict[str, str | None]) -> Creation:
    attributes = file.attributes(node)
    argument = attributes.get(_ARGUMENT)
    written = file.value(argument)
    mode, why = written, ""
    if written is not None and (name := re.fullmatch(r"var\.([\w-]+)", written)):
        default = variables.get(name.group(1))
        mode = default if default is not None else f"<{written}>"
        why = f" unless var.{name.group(1)} is set"
    elif written is not None and not re.fullmatch(r"[A-Z_]+", written):
        both = re.findall(r'"((?:IM)?MUTABLE)"', written)
        mode = "MUTABLE" if both and "MUTABLE" in both else f"<{written[:40]}>"
        why = " on one side of a condition" if both else ""
    filters = tuple(
        value for one in file.inner(node, _FILTERS) if (value := file.value(file.attributes(one).get("filter")))
    )
    anchor = argument or node
    end = anchor.end_byte if argument is not None else node.children[0].end_byte
    start = file.at(anchor.start_byte)
    made = Creation(f"{words[1]}.{words[2]}", f"resource {words[1]}", start, file.at(end), mode, filters, None, why)
    return replace(made, edit=_edit(file, node, argument, written))


def _edit(file: _File, node: tree_sitter.Node, argument: tree_sitter.Node | None, written: str | None) -> Edit | None:
    """Return the change that makes it IMMUTABLE; None where the mode is decided elsewhere."""
    if argument is not None:
        value = argument.named_children[1]
        if written == "MUTABLE":
            return Edit(file.at(value.start_byte), file.at(value.end_byte), '"IMMUTABLE"')
        return None
    first = next((child for body in node.named_children if body.type == "body" for child in body.named_children), None)
    if first is None or first.start_point.row == node.start_point.row:
        return None
    at = file.at(first.start_byte)
    indent = file.text[file.text.rfind("\n", 0, at) + 1 : at]
    end = "\r\n" if "\r\n" in file.text else "\n"
    return Edit(at, at, f'{_ARGUMENT} = "IMMUTABLE"{end}{indent}') if not indent.strip() else None


def _module(
    file: _File, name: str, node: tree_sitter.Node, folder: str, neighbour: Callable[[str], str | None]
) -> Creation | None:
    attributes = file.attributes(node)
    source = file.value(attributes.get("source")) or ""
    known = MODULES.get(source)
    if known is not None:
        return _called(file, name, node, source, attributes.get(known[0]), known[1])
    if not source.startswith("."):
        return None
    inside = posixpath.normpath(posixpath.join(folder, source))
    for neighbour_name in ("main.tf", "ecr.tf", "repository.tf"):
        text = neighbour(posixpath.join(inside, neighbour_name))
        if text is None or "aws_ecr_repository" not in text or len(text) > _MAX_BYTES:
            continue
        inner = _File(text)
        for words, block in inner.blocks():
            if words[:1] == ["resource"] and words[1:2] == ["aws_ecr_repository"]:
                mode = inner.value(inner.attributes(block).get(_ARGUMENT)) or ""
                variable = re.fullmatch(r"var\.([\w-]+)", mode)
                if variable and variable.group(1) in attributes:
                    return _called(file, name, node, source, attributes[variable.group(1)], "")
    return None


def _called(
    file: _File, name: str, node: tree_sitter.Node, source: str, argument: tree_sitter.Node | None, default: str
) -> Creation | None:
    if argument is None and default in {"", "IMMUTABLE"}:
        return None
    if argument is None:
        return Creation(f"module.{name}", f"module {source}", file.at(node.start_byte), file.at(node.end_byte), default)
    written = file.value(argument) or ""
    value = argument.named_children[1]
    start, end = file.at(value.start_byte), file.at(value.end_byte)
    edit = Edit(start, end, '"IMMUTABLE"') if written == "MUTABLE" else None
    mode = written if re.fullmatch(r"[A-Z_]+", written) else f"<{written[:40]}>"
    return Creation(f"module.{name}", f"module {source}", file.at(argument.start_byte), end, mode, (), edit)
