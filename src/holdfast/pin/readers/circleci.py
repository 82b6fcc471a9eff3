"""CircleCI: the `docker` executor's images and `run` steps, wherever they stand: jobs, executors, commands, orbs.

The image of a `machine` is one of a virtual machine, and none of ours.

Source: CircleCI docs, "Configuration reference": docker, run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import get, items, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source


def read(source: Source) -> list[Mention]:
    """Return the mentions of a configuration; raises UnreadableFile."""
    return list(_configuration(YamlFile(source)))


def _configuration(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        for path, key, value, _ in walk(document):
            if key == "docker":
                for number, one in enumerate(items(value)):
                    yield from file.image(
                        get(one, "image"),
                        kind=Kind.CIRCLECI_IMAGE,
                        where=f"{path}[{number}].image",
                        context=Context.TEST if number else Context.BUILD,
                    )
            elif key == "run":
                yield from file.script(value, where=f"{path}: ")
                yield from file.script(get(value, "command"), where=f"{path}: ")
