"""AWS as data: CloudFormation and SAM templates, and task definitions of ECS.

This file alone knows which properties of AWS's resources name an image, and how a template's functions stand in them.

Sources: AWS CloudFormation template reference (ECS TaskDefinition, Lambda Function, CodeBuild Project, AppRunner
Service, Batch JobDefinition, SageMaker Model); SAM specification (ImageUri); Amazon ECS API, RegisterTaskDefinition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import yaml

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.yaml_nodes import Node, get, items, pairs, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.readers.yaml_file import YamlFile
    from holdfast.pin.slots import Defaults

_IMAGE_KEYS: Final = frozenset({"Image", "ImageUri", "ImageIdentifier", "image"})
_NO_CONTAINERS: Final = ("AWS::EC2::", "AWS::ImageBuilder::", "AWS::WorkSpaces", "AWS::Lightsail::Instance")
_BUILD_TYPES: Final = ("AWS::CodeBuild::",)


def is_template(document: Node) -> bool:
    """Tell whether a document is a template: it says so, or its resources have types of AWS."""
    if get(document, "AWSTemplateFormatVersion") is not None:
        return True
    return any("::" in (text_of(get(resource, "Type")) or "") for _, resource in pairs(get(document, "Resources")))


def is_task(document: Node) -> bool:
    """Tell whether a document is a task definition of ECS, as the API takes or gives it."""
    return _definitions(document) is not None


def _definitions(document: Node) -> Node | None:
    if isinstance(document, yaml.SequenceNode):
        first = items(document)[:1]
        has = first and get(first[0], "image") is not None and get(first[0], "name") is not None
        return document if has else None
    return get(document, "containerDefinitions") or get(document, "taskDefinition", "containerDefinitions")


def of_task(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return the mentions of a task definition."""
    for number, container in enumerate(items(_definitions(document))):
        yield from file.image(
            get(container, "image"),
            kind=Kind.ECS_CONTAINER,
            where=f"containerDefinitions[{number}].image",
            context=Context.PRODUCTION,
        )


def of_document(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return the mentions of a template."""
    parameters = file.variables(None, "parameter")
    for name, parameter in pairs(get(document, "Parameters")):
        default = get(parameter, "Default")
        parameters.known[name] = text_of(default)
    for name, resource in pairs(get(document, "Resources")):
        kind = text_of(get(resource, "Type")) or ""
        properties = get(resource, "Properties")
        if properties is None or kind.startswith(_NO_CONTAINERS):
            continue
        context = Context.BUILD if kind.startswith(_BUILD_TYPES) else Context.PRODUCTION
        for path, key, value, _ in walk(properties, f"{name}.Properties"):
            if key in _IMAGE_KEYS:
                yield from _value(file, document, value, path, context, parameters)


def _value(
    file: YamlFile, document: Node, value: Node, where: str, context: Context, parameters: Defaults
) -> Iterator[Mention]:
    kind = Kind.CLOUDFORMATION_IMAGE
    referred = _reference(value)
    if referred is not None:
        default = get(document, "Parameters", referred, "Default")
        if text_of(default):
            place = f"Parameters.{referred}.Default (for {where})"
            yield from file.image(default, kind=kind, where=place, context=context)
        return
    substituted = get(value, "Fn::Sub")
    for node in (value, substituted, *items(substituted)[:1]):
        if isinstance(node, yaml.ScalarNode) and node.tag in {"!Sub", "tag:yaml.org,2002:str"}:
            yield from file.image(node, kind=kind, where=where, context=context, defaults=parameters)
    joined = items(value) if value.tag == "!Join" else items(get(value, "Fn::Join"))
    if len(joined) > 1:
        yield from _join(file, items(joined[1]), where, context)
    for branch in (*items(get(value, "Fn::If"))[1:], *_branches(value)):
        yield from _value(file, document, branch, where, context, parameters)


def _join(file: YamlFile, parts: list[Node], where: str, context: Context) -> Iterator[Mention]:
    """What is joined is known to its parts only: it is shown at the first that is text."""
    for part in parts:
        for mention in file.image(part, kind=Kind.CLOUDFORMATION_IMAGE, where=where, context=context):
            if part.tag == "tag:yaml.org,2002:str":
                note = "It is put together of parts: write it as one text to have it pinned."
                yield replace(mention, image=None, rewrite=None, notes=(note,))
                return


def _branches(value: Node) -> list[Node]:
    return items(value)[1:] if value.tag == "!If" else items(value)[:1] if value.tag == "!Sub" else []


def _reference(value: Node) -> str | None:
    """Return the name of the parameter that a value is, None for any other value."""
    return text_of(value) if value.tag == "!Ref" else text_of(get(value, "Ref"))
