"""CloudFormation and SAM templates: `AWS::ECR::Repository` and its creation templates, in YAML or JSON.

This file alone knows their properties. Source: CloudFormation template reference, "AWS::ECR::Repository".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.pin.creation.creation import Creation, Edit
from holdfast.pin.pushes import yaml_tree

if TYPE_CHECKING:
    from holdfast.pin.pushes.yaml_tree import Node

_TYPES: Final = frozenset({"AWS::ECR::Repository", "AWS::ECR::RepositoryCreationTemplate"})
_PROPERTY: Final = "ImageTagMutability"
_FILTERS: Final = "ImageTagMutabilityExclusionFilters"


def read(text: str) -> list[Creation]:
    """Return what a template creates; nothing if it cannot be read."""
    try:
        roots = yaml_tree.documents(text)
    except yaml_tree.PipelineUnreadable:
        return []
    return [
        _resource(text, root, name, node)
        for root in roots
        for name, node in yaml_tree.pairs(yaml_tree.get(root, "Resources"))
        if yaml_tree.word(yaml_tree.get(node, "Type")) in _TYPES
    ]


def _resource(text: str, root: Node, name: str, node: Node) -> Creation:
    properties = yaml_tree.get(node, "Properties")
    kind = yaml_tree.get(node, "Type")
    mode_node = yaml_tree.get(properties, _PROPERTY)
    by = f"resource {yaml_tree.word(kind)}"
    if mode_node is None:
        start, end = yaml_tree.bounds(kind or node)
        return Creation(name, by, start, end, None, (), _insertion(text, properties))
    start, end = yaml_tree.bounds(mode_node)
    mode, why = yaml_tree.word(mode_node), ""
    parameter = _reference(mode_node)
    if parameter:
        default = yaml_tree.word(yaml_tree.get(root, "Parameters", parameter, "Default"))
        mode, why = default or f"<{parameter}>", f" unless the parameter {parameter} says otherwise"
    elif not mode:
        mode = "<a function>"
    filters = tuple(
        yaml_tree.word(yaml_tree.get(one, key))
        for one in yaml_tree.elements(yaml_tree.get(properties, _FILTERS))
        for key in ("ImageTagMutabilityExclusionFilterValue", "Filter")
        if yaml_tree.word(yaml_tree.get(one, key))
    )
    edit = None
    written = text[start:end]
    if not parameter and mode == "MUTABLE" and written.strip("\"'") == "MUTABLE":
        edit = Edit(start, end, written.replace("MUTABLE", "IMMUTABLE"))
    return Creation(name, by, start, end, mode, filters, edit, why)


def _reference(node: Node) -> str:
    if yaml_tree.tag_of(node) == "!Ref":
        return yaml_tree.word(node)
    return yaml_tree.word(yaml_tree.get(node, "Ref"))


def _insertion(text: str, properties: Node | None) -> Edit | None:
    """Return a line before the first property, in block style alone."""
    first = next(iter(yaml_tree.keys(properties)), None)
    if first is None:
        return None
    at = yaml_tree.place(first)
    indent = text[text.rfind("\n", 0, at) + 1 : at]
    if indent.strip():
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    if text[at] == '"':
        return Edit(at, at, f'"{_PROPERTY}": "IMMUTABLE",{end}{indent}')
    return Edit(at, at, f"{_PROPERTY}: IMMUTABLE{end}{indent}")
