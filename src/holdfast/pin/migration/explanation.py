"""The words for the pull request, in Markdown: what changes, why, what a person still has to do, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.migration import deployments, pointer

if TYPE_CHECKING:
    from holdfast.pin.migration.plan import Migration

_WHY = """\
Tags such as `latest` name another image after every push: whoever pulls them gets what was pushed last, a roll-back to
them brings back nothing, and a registry whose tags hold refuses the second push. After this change each push has a tag
of its own, and what an environment runs stands in a file: a deployment is a reviewed commit, a roll-back a revert.
"""


def render(migration: Migration) -> str:
    """Write the explanation."""
    parts = ["# Unique tags, and a file that says what runs where\n", _WHY]
    steps = [step for one in migration.pipelines for step in one.done]
    if steps:
        parts.append("## Pipelines\n")
        parts.append(
            "| where | pushed until now | after this |\n|---|---|---|\n"
            + "".join(f"| `{step.path}:{step.line}` | `{_cell(step.image)}` | {step.what} |\n" for step in steps)
        )
    if migration.pointer is not None:
        reads = "".join(
            f"- {environment} of {name}: `{deployments.read_command(environment, name)}`\n"
            for environment, images in migration.entries.items()
            for name in images
        )
        parts.append(f"## `{pointer.PATH}`\n")
        parts.append(f"It says which image each environment runs. A deployment reads it (with yq 4):\n\n{reads}")
    if migration.pins:
        parts.append("## Manifests\n")
        parts.append("".join(f"- `{path}`: {count} images named by digest\n" for path, count in migration.pins))
    parts += _to_do(migration)
    return "\n".join(parts)


def _to_do(migration: Migration) -> list[str]:
    left = [step for one in migration.pipelines for step in one.left]
    parts = []
    if left:
        parts.append("## Left to a person\n")
        parts.append(
            "".join(f"- `{step.path}:{step.line}` still pushes `{_cell(step.image)}`. {step.what}\n" for step in left)
        )
    waiting = [one for one in migration.deployments if not one.read_from]
    if waiting:
        parts.append("## Deployments to look at\n")
        parts.append(
            "They deploy what a tag names; let them take the reference from the file.\n\n"
            + "".join(f"- `{one.path}:{one.line}`: `{_cell(one.text[:120])}`\n" for one in waiting)
        )
    order = [
        "Merge this; the next run pushes tags of the commit.",
        f"Put digests into `{pointer.PATH}` (`crane digest IMAGE:SHA`, or what the pipeline says) and deploy from it.",
        "See that nothing pulls the old tags any more: `holdfast lint`, and the registry's record of pulls.",
        "Switch the repositories to IMMUTABLE. The old tags stay, and stay what they were.",
    ]
    parts.append("## In this order\n")
    parts.append("".join(f"{number}. {text}\n" for number, text in enumerate(order, 1)))
    return parts


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
