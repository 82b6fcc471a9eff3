"""Azure Pipelines: container resources, containers of jobs, scripts, and the Docker task.

Source: Microsoft Learn, "YAML schema reference for Azure Pipelines": resources.containers, jobs.job.container, steps;
"Docker@2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, get, items, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_SCRIPTS: Final = frozenset({"script", "bash", "pwsh", "powershell"})
_PUSHING: Final = frozenset({"buildandpush", "push"})


def read(source: Source) -> list[Mention]:
    """Return the mentions of a pipeline or of a template; raises UnreadableFile."""
    return list(_pipeline(YamlFile(source)))


def _pipeline(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        resources = items(get(document, "resources", "containers"))
        aliases = {text_of(get(one, "container")) for one in resources}
        for number, one in enumerate(resources):
            yield from file.image(
                get(one, "image"), kind=Kind.AZURE_IMAGE, where=f"resources.containers[{number}].image"
            )
        for path, key, value, _ in walk(document):
            if key == "container" and not path.startswith("resources.") and text_of(value) not in aliases:
                for node in (value, get(value, "image")):
                    yield from file.image(node, kind=Kind.AZURE_IMAGE, where=path)
            elif key in _SCRIPTS:
                yield from file.script(value, where=f"{path}: ")
            elif key == "inputs":
                yield from _inputs(file, value, path)


def _inputs(file: YamlFile, inputs: Node, where: str) -> Iterator[Mention]:
    """The Docker task names a repository; its tags stand beside it. Scripts are given to tasks, too."""
    for name in ("script", "inlineScript"):
        yield from file.script(get(inputs, name), where=f"{where}.{name}: ")
    command = (text_of(get(inputs, "command")) or "").lower()
    if command in _PUSHING | {"build"}:
        yield from file.image(
            get(inputs, "repository"),
            kind=Kind.AZURE_IMAGE,
            where=f"{where}.repository",
            role=Role.PUSHES if command in _PUSHING else Role.BUILDS,
            context=Context.BUILD,
        )
