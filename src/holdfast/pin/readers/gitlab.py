"""GitLab CI: `image`, `services` and scripts, with the variables of the file.

Source: GitLab docs, "CI/CD YAML syntax reference": image, services, variables, script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, get, items, pairs
from holdfast.pin.slots import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_NO_JOBS: Final = frozenset({"variables", "include", "stages", "workflow", "cache", "pages:deploy", "spec"})
_SCRIPTS: Final = ("before_script", "script", "after_script")


def read(source: Source) -> list[Mention]:
    """Return the mentions of a pipeline; raises UnreadableFile."""
    return list(_pipeline(YamlFile(source)))


def _pipeline(file: YamlFile) -> Iterator[Mention]:
    for document in file.documents:
        variables = file.variables(get(document, "variables"))
        yield from _job(file, document, "", variables)
        for name, job in pairs(document):
            if name in _NO_JOBS:
                continue
            own = file.variables(get(job, "variables"))
            merged = Defaults(
                "variable",
                {**variables.known, **own.known},
                {**variables.places, **own.places},
                {**variables.uses, **own.uses},
            )
            yield from _job(file, job, f"{name}.", merged)
            yield from _job(file, get(job, "hooks"), f"{name}.hooks.", merged)


def _job(file: YamlFile, job: Node | None, where: str, variables: Defaults) -> Iterator[Mention]:
    yield from _named(file, get(job, "image"), f"{where}image", Context.BUILD, variables)
    for number, service in enumerate(items(get(job, "services"))):
        yield from _named(file, service, f"{where}services[{number}]", Context.TEST, variables)
    for name in _SCRIPTS:
        yield from file.script(get(job, name), where=f"{where}{name}: ", known=variables.known)


def _named(file: YamlFile, node: Node | None, where: str, context: Context, variables: Defaults) -> Iterator[Mention]:
    """An image is a text, or a mapping with a name."""
    for one in (node, get(node, "name")):
        yield from file.image(one, kind=Kind.GITLAB_IMAGE, where=where, context=context, defaults=variables)
