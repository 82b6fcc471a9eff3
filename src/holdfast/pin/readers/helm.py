"""Helm: the values of charts, and their templates.

This file alone knows how charts name images. A template is no YAML before it is rendered: it is read by lines.

Source: Helm docs, "Chart best practices: Values"; "Template functions and pipelines".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.triples import triple
from holdfast.pin.readers.yaml_file import YamlFile, image_in
from holdfast.pin.readers.yaml_nodes import Node, get, text_of, walk
from holdfast.pin.slots import Defaults
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_IMAGE_LINE: Final = re.compile(
    r"""^[ \t]*(?:-[ \t]+)?["']?image["']?[ \t]*:[ \t]+"""
    r"""(?P<quote>["']?)(?P<image>(?:\{\{.*?\}\}|[^\s"'#{])+)(?P=quote)""",
    re.MULTILINE,
)
_FULL: Final = re.compile(r"[/:@]")
_PICTURE: Final = re.compile(r"\.(?:png|svg|jpe?g|gif|ico)$", re.IGNORECASE)


def values(source: Source) -> list[Mention]:
    """Return the mentions of a chart's values; raises UnreadableFile."""
    file = YamlFile(source)
    return [mention for document in file.documents for mention in values_of(file, document)]


def values_of(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return the mentions of one document of values: images in parts, and whole references."""
    yield from triple(file, document, "", Kind.HELM_VALUES, Context.PRODUCTION)
    for path, key, value, mapping in walk(document):
        yield from triple(file, value, path, Kind.HELM_VALUES, Context.PRODUCTION)
        written = text_of(value) or ""
        in_parts = any(get(mapping, name) is not None for name in ("tag", "imageTag", "repository"))
        if in_parts or not key.lower().endswith("image") or _PICTURE.search(written):
            continue
        if key == "image" or _FULL.search(written):
            yield from file.image(value, kind=Kind.HELM_VALUES, where=path, context=Context.PRODUCTION)


def template(source: Source) -> list[Mention]:
    """Return the mentions of a template: lines that say `image:`."""
    return list(image_lines(Excerpt.of(source), Kind.HELM_TEMPLATE, Context.PRODUCTION))


def image_lines(text: Excerpt, kind: Kind, context: Context) -> Iterator[Mention]:
    """Read YAML that may hold templates, line by line."""
    for found in _IMAGE_LINE.finditer(text.text):
        yield from image_in(text, *found.span("image"), kind=kind, where="image", context=context, defaults=Defaults())
