"""Bitbucket Pipelines: `image`, services, docker:// pipes and scripts.

Source: Bitbucket Cloud docs, "Bitbucket Pipelines configuration reference".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.yaml_file import YamlFile, image_in
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, walk
from holdfast.pin.slots import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_SCRIPTS = frozenset({"script", "after-script"})
_DOCKER = "docker://"


def read(source: Source) -> list[Mention]:
    """Return the mentions of a pipeline; raises UnreadableFile."""
    return list(_pipelines(YamlFile(source)))


def _pipelines(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        for path, key, value, _ in walk(document):
            if key == "image":
                context = Context.TEST if ".services." in path else Context.BUILD
                for node in (value, get(value, "name")):
                    yield from file.image(node, kind=Kind.BITBUCKET_IMAGE, where=path, context=context)
            elif key == "pipe":
                yield from _pipe(file, value, path)
            elif key in _SCRIPTS:
                yield from file.script(value, where=f"{path}: ")


def _pipe(file: YamlFile, node: Node, where: str) -> Iterator[Mention]:
    """A pipe is a repository of Bitbucket's own, or an image when it says docker://."""
    text = excerpt(file.source, node)
    if text is not None and text.text.startswith(_DOCKER):
        yield from image_in(
            text, len(_DOCKER), len(text.text.rstrip()), kind=Kind.BITBUCKET_IMAGE, where=where, defaults=Defaults()
        )
