"""Compose files: images of services, and what their builds take and give.

Source: Compose specification: services.image, build (tags, cache_from, cache_to, additional_contexts), volumes of the
type image, interpolation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.yaml_file import YamlFile, image_in
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, items, pairs, text_of
from holdfast.pin.slots import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_FOR_TESTS: Final = re.compile(r"(?:^|[._/-])(?:test|tests|ci|e2e|dev|development|local)(?=[._/-])", re.IGNORECASE)
_DOCKER_IMAGE: Final = "docker-image://"


def read(source: Source) -> list[Mention]:
    """Return the mentions of a Compose file; raises UnreadableFile."""
    file = YamlFile(source)
    return [mention for document in file.documents for mention in of_document(file, document)]


def is_compose(document: Node) -> bool:
    """Tell whether a document is a Compose file: services that have an image or a build."""
    return any(
        get(service, "image") is not None or get(service, "build") is not None
        for _, service in pairs(get(document, "services"))
    )


def of_document(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return the mentions of one document; one without `services` is of the oldest form, services all the way."""
    services = get(document, "services") or document
    context = Context.TEST if _FOR_TESTS.search(file.source.path) else Context.PRODUCTION
    for name, service in pairs(services):
        yield from _service(file, service, f"services.{name}", context)


def _service(file: YamlFile, service: Node, where: str, context: Context) -> Iterator[Mention]:
    build = get(service, "build")
    yield from file.image(
        get(service, "image"),
        kind=Kind.COMPOSE_IMAGE,
        where=f"{where}.image",
        role=Role.CONSUMES if build is None else Role.BUILDS,
        context=context,
    )
    for number, tag in enumerate(items(get(build, "tags"))):
        yield from file.image(tag, kind=Kind.COMPOSE_IMAGE, where=f"{where}.build.tags[{number}]", role=Role.BUILDS)
    for key, kind, role in (
        ("cache_from", Kind.CACHE_FROM, Role.CONSUMES),
        ("cache_to", Kind.CACHE_TO, Role.PUSHES),
    ):
        for number, one in enumerate(items(get(build, key))):
            if "type=" not in (text_of(one) or ""):
                yield from file.image(one, kind=kind, where=f"{where}.build.{key}[{number}]", role=role)
    for name, value in pairs(get(build, "additional_contexts")):
        text = excerpt(file.source, value)
        if text is not None and text.text.startswith(_DOCKER_IMAGE):
            yield from image_in(
                text,
                len(_DOCKER_IMAGE),
                len(text.text),
                kind=Kind.BAKE_CONTEXT,
                where=f"{where}.build.additional_contexts.{name}",
                defaults=Defaults(),
            )
    for number, volume in enumerate(items(get(service, "volumes"))):
        if text_of(get(volume, "type")) == "image":
            yield from file.image(
                get(volume, "source"), kind=Kind.COMPOSE_IMAGE, where=f"{where}.volumes[{number}]", context=context
            )
