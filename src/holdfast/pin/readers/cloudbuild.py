"""Google Cloud Build: builders that steps run in, what docker is told in `args`, and the images that are pushed.

Source: Google Cloud docs, "Build configuration file schema".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.mention import Kind, Mention, Role
from holdfast.pin.readers.shell_tools import line_mentions
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, items, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.slots import Defaults
    from holdfast.pin.source import Source


def read(source: Source) -> list[Mention]:
    """Return the mentions of a build; raises UnreadableFile."""
    return list(_build(YamlFile(source)))


def _build(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        variables = file.variables(get(document, "substitutions"), "substitution")
        for number, step in enumerate(items(get(document, "steps"))):
            where = f"steps[{number}]"
            name = get(step, "name")
            yield from file.image(name, kind=Kind.CLOUDBUILD_STEP, where=f"{where}.name", defaults=variables)
            yield from file.script(get(step, "script"), where=f"{where}.script: ", known=variables.known)
            yield from _args(file, step, where, variables)
        for number, image in enumerate(items(get(document, "images"))):
            yield from file.image(
                image, kind=Kind.CLOUDBUILD_IMAGE, where=f"images[{number}]", role=Role.PUSHES, defaults=variables
            )


def _args(file: YamlFile, step: Node, where: str, variables: Defaults) -> Iterator[Mention]:
    args = [text for one in items(get(step, "args")) if (text := excerpt(file.source, one)) is not None]
    entry = text_of(get(step, "entrypoint")) or ""
    if not args:
        return
    if entry.rpartition("/")[2] in {"bash", "sh"}:
        for text in args[1:]:
            yield from file.script_text(text, where=f"{where}.args: ", known=variables.known)
        return
    builder = text_of(get(step, "name")) or ""
    tool = entry or builder.partition("@")[0].rpartition("/")[2].partition(":")[0]
    yield from line_mentions(tool, args, where=f"{where}.args: ", known=variables.known)
