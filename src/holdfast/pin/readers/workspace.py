"""Small files of tools: dev containers, and the base images of ko.

Sources: the Development Container specification ("image"); ko's documentation (defaultBaseImage, baseImageOverrides).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.mention import Context, Kind
from holdfast.pin.readers.helm import image_lines
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import get, pairs
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from holdfast.pin.mention import Mention
    from holdfast.pin.source import Source


def devcontainer(source: Source) -> list[Mention]:
    """Return the mention of a dev container: JSON that may hold comments, read by lines."""
    return list(image_lines(Excerpt.of(source), Kind.DEVCONTAINER_IMAGE, Context.BUILD))


def ko(source: Source) -> list[Mention]:
    """Return the base images that ko puts programs on; raises UnreadableFile."""
    file = YamlFile(source)
    found: list[Mention] = []
    for document in file.documents:
        named = [("defaultBaseImage", get(document, "defaultBaseImage")), *pairs(get(document, "baseImageOverrides"))]
        for where, node in named:
            found.extend(file.image(node, kind=Kind.KO_BASE, where=where, context=Context.PRODUCTION))
    return found
