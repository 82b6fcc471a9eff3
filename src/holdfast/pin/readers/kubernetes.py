"""Kubernetes manifests: containers of every workload, image fields of custom resources, image volumes; Tekton too.

This file alone decides which fields of an object name an image. Schemas and configuration data are no objects that run.

Sources: Kubernetes API reference (Container, EphemeralContainer, ImageVolumeSource); Tekton docs, "Tasks" (steps,
sidecars, stepTemplate, script); the Operator Lifecycle Manager's RELATED_IMAGE_ variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.shell_tools import line_mentions
from holdfast.pin.readers.triples import triple
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, get, items, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_NOT_RUN: Final = frozenset({"CustomResourceDefinition", "ConfigMap", "Secret", "Kustomization", "Component"})
_PICTURES: Final = re.compile(r"\.(?:png|svg|jpe?g|gif|ico|iso|qcow2|img|vmdk)$", re.IGNORECASE)
_FULL: Final = re.compile(r"[/:@]")
_BUILD_KINDS: Final = frozenset({"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"})


def read(source: Source) -> list[Mention]:
    """Return the mentions of a file of manifests; raises UnreadableFile."""
    file = YamlFile(source)
    return [mention for document in file.documents for mention in of_document(file, document)]


def is_object(document: Node) -> bool:
    """Tell whether a document says what it is, as every object of Kubernetes does."""
    return text_of(get(document, "kind")) is not None and text_of(get(document, "apiVersion")) is not None


def of_document(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return the mentions of one document; those of a List are its items'."""
    if not is_object(document):
        return
    kind = text_of(get(document, "kind")) or ""
    version = text_of(get(document, "apiVersion")) or ""
    if kind in _NOT_RUN:
        return
    if kind.endswith("List") or kind == "List":
        for one in items(get(document, "items")):
            if not (text_of(get(one, "kind")) or "").endswith("List"):
                yield from of_document(file, one)
        return
    tekton = version.startswith("tekton.dev")
    builds = tekton or kind in _BUILD_KINDS
    yield from _fields(
        file,
        document,
        Kind.TEKTON_IMAGE if tekton else Kind.KUBERNETES_IMAGE,
        Context.BUILD if builds else Context.PRODUCTION,
    )


def _fields(file: YamlFile, document: Node, kind: Kind, context: Context) -> Iterator[Mention]:
    for path, key, value, mapping in walk(document):
        if key == "image" or (key.endswith("Image") and _FULL.search(text_of(value) or "")):
            if text_of(value) is not None and get(mapping, "tag") is not None and key == "image":
                yield from triple(file, mapping, path, kind, context)
            elif not _PICTURES.search(text_of(value) or ""):
                yield from file.image(value, kind=kind, where=path, context=context)
            yield from file.image(get(value, "reference"), kind=kind, where=f"{path}.reference", context=context)
            yield from triple(file, value, path, kind, context)
        elif key == "value" and (text_of(get(mapping, "name")) or "").startswith("RELATED_IMAGE_"):
            yield from file.image(value, kind=kind, where=path, context=context)
        elif key == "args" and kind is Kind.TEKTON_IMAGE:
            yield from _command(file, mapping, path)
        elif key == "script" and kind is Kind.TEKTON_IMAGE:
            yield from file.script(value, where=f"{path}: ", context=context)


def _command(file: YamlFile, step: Node, where: str) -> Iterator[Mention]:
    """A step is a command in two lists, or a shell's with the script as its last argument."""
    words = [text for key in ("command", "args") for text in file.scripts(get(step, key))]
    if not words:
        return
    if words[0].text.rpartition("/")[2] in {"sh", "bash"}:
        yield from file.script_text(words[-1], where=f"{where}: ")
    elif len(words) > 1:
        yield from line_mentions(words[0].text.rpartition("/")[2], words[1:], where=f"{where}: ")
