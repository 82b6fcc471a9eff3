"""The pointer file: what each environment runs, in git, instead of tags that move.

This file alone decides its form: environment, image, reference. It is written once; from then on people and pipelines
change it, and a change of it is what a deployment is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes.remedies import POINTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.pin.migration.pipelines import Step

PATH: Final = "deploy/images.yaml"
PLACEHOLDER: Final = "FILL-IN"
_ENVIRONMENTS: Final = {
    "prod": "production",
    "live": "production",
    "main": "production",
    "master": "production",
    "stage": "staging",
    "stg": "staging",
    "dev": "development",
    "develop": "development",
}
_HEAD: Final = """\
# What runs where: environment, image, reference. Deployments read this file; a change of it is a reviewed commit.
# Put the digest that the pipeline pushed in the place of FILL-IN (holdfast pin and crane digest tell it), as
# NAME@sha256:..., or for now the tag of the commit, as NAME:SHA.
"""


def environment_of(step: Step) -> str:
    """Return the environment that a tag stood for; `production` for tags that only say "the newest"."""
    tag = step.tag.lower()
    if not step.literal or tag in POINTERS or not re.fullmatch(r"[a-z][a-z0-9-]*", tag):
        return "production"
    return _ENVIRONMENTS.get(tag, tag)


def name_of(repository: str) -> str:
    """Return a short name for an image: the last part of its repository, variables by their names."""
    last = repository.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-") or "app"


def entries(steps: Iterable[Step]) -> dict[str, dict[str, str]]:
    """Return environment -> image -> reference."""
    found: dict[str, dict[str, str]] = {}
    for step in steps:
        found.setdefault(environment_of(step), {})[name_of(step.repository)] = step.repository
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def render(found: Mapping[str, Mapping[str, str]], resolved: Mapping[str, str]) -> str:
    """Write the file; `resolved` knows the digest that a repository's image has now, if somebody told it."""
    lines = [_HEAD]
    for environment, images in found.items():
        lines.append(f"{environment}:\n")
        for name, repository in images.items():
            plain = re.fullmatch(r"[\w./:-]+", repository) is not None
            reference = resolved.get(repository) or f"{repository if plain else name}@sha256:{PLACEHOLDER}"
            note = "" if plain else f"  # pushed as {repository}"
            lines.append(f"  {name}: {reference}{note}\n")
    return "".join(lines)
