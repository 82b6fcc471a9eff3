"""AWS CodeBuild buildspecs: commands, and images of batch builds.

Source: AWS CodeBuild user guide, "Build specification reference", "Batch build buildspec reference".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.mention import Kind, Mention
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import get, items, pairs, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source


def read(source: Source) -> list[Mention]:
    """Return the mentions of a buildspec; raises UnreadableFile."""
    return list(_buildspec(YamlFile(source)))


def _buildspec(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        variables = file.variables(get(document, "env", "variables"))
        for name, phase in pairs(get(document, "phases")):
            for part in ("commands", "finally"):
                yield from file.script(get(phase, part), where=f"phases.{name}.{part}: ", known=variables.known)
        batch = get(document, "batch")
        if batch is None:
            continue
        for path, key, value, _ in walk(batch, "batch"):
            if key == "image":
                for node in (value, *items(value)):
                    yield from file.image(node, kind=Kind.CODEBUILD_IMAGE, where=path, defaults=variables)
