"""YAML and JSON whose name says nothing: each document is known by what it holds.

This file alone decides what a document is: an object of Kubernetes, a kustomization, a CloudFormation template, a
Compose file, a task definition of ECS, values of a chart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.readers import cloudformation, compose, helm, kubernetes, kustomize
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, get, text_of
from holdfast.pin.source import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.mention import Mention
    from holdfast.pin.source import Source

_SCHEMA: Final = re.compile(r"(?m)^(?:kind:\s*[\"']?CustomResourceDefinition\b|(?:swagger|openapi):\s)")
"""Describes what others may write, in half a megabyte where the API is large; names no image that is run."""

_VALUES: Final = re.compile(
    r"(?:^|/)(?:[^/]*[._-])?values[^/]*\.ya?ml$|(?:^|/)(?:charts?|helm)/[^/]*/?ci/", re.IGNORECASE
)


def read(source: Source) -> list[Mention]:
    """Return the mentions of a file; one that is no YAML because templates stand in it is read as a template."""
    try:
        file = YamlFile(source, _may_name_images)
    except UnreadableFile:
        if "{{" in source.text or "{%" in source.text:
            return helm.template(source)
        raise
    return [mention for document in file.documents for mention in _document(file, document)]


def _may_name_images(document: str) -> bool:
    return "mage" in document and not _SCHEMA.search(document)


def _document(file: YamlFile, document: Node) -> Iterator[Mention]:
    if kubernetes.is_object(document) and text_of(get(document, "kind")) not in {"Kustomization", "Component"}:
        yield from kubernetes.of_document(file, document)
    elif get(document, "images") is not None and get(document, "kind") is not None:
        yield from kustomize.of_document(file, document)
    elif cloudformation.is_template(document):
        yield from cloudformation.of_document(file, document)
    elif compose.is_compose(document):
        yield from compose.of_document(file, document)
    elif cloudformation.is_task(document):
        yield from cloudformation.of_task(file, document)
    elif _VALUES.search(file.source.path.replace("\\", "/")):
        yield from helm.values_of(file, document)
