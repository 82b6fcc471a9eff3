"""`holdfast settings`: how this registry tells refusals, and what becomes of the names of deleted tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from holdfast.cli.connection import Connection, connected
from holdfast.cli.teaching import TeachingCommand, TeachingGroup

if TYPE_CHECKING:
    from holdfast.cli.output import Output

_MEANINGS: Final = {
    ("refusal_style", "denied"): "a refused overwrite is told as 409 DENIED, with everything a person would ask",
    ("refusal_style", "ecr"): "a refused overwrite is told as Amazon ECR does, 400 TAG_INVALID",
    ("deleted_tags", "held"): "the name of a held tag that was deleted waits for its digest",
    ("deleted_tags", "free"): "the name of a deleted tag is free for any image, as in Amazon ECR",
    ("lifecycle_held_tags", "keep"): "lifecycle policies expire no image that a held tag names",
    ("lifecycle_held_tags", "expire"): "lifecycle policies expire held tags too; the names stay with their digests",
}


@click.group(
    invoke_without_command=True,
    cls=TeachingGroup,
    sections={"Examples": ("holdfast settings", "holdfast settings set --refusal-style ecr")},
)
@connected
def settings(at: Connection, out: Output) -> None:
    """Show or change the settings of the registry."""
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        _tell(out, at.api.holdfast("get_registry_settings"))
        return
    for parameter in context.params:
        if context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            msg = f"Options go after '{context.invoked_subcommand}'."
            raise click.UsageError(msg)


@settings.command(
    "set",
    cls=TeachingCommand,
    sections={"Values": {f"--{name.replace('_', '-')} {value}": text for (name, value), text in _MEANINGS.items()}},
)
@click.option("--refusal-style", type=click.Choice(["denied", "ecr"]), help="How a refused overwrite is told.")
@click.option("--deleted-tags", type=click.Choice(["held", "free"]), help="Names of held tags that are deleted.")
@click.option("--lifecycle-held-tags", type=click.Choice(["keep", "expire"]), help="Held tags and lifecycle policies.")
@connected
def set_(
    at: Connection, out: Output, refusal_style: str | None, deleted_tags: str | None, lifecycle_held_tags: str | None
) -> None:
    """Change settings of the registry; what is not named stays."""
    given = {"refusalStyle": refusal_style, "deletedTags": deleted_tags, "lifecycleHeldTags": lifecycle_held_tags}
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        msg = "Say what to change: --refusal-style, --deleted-tags, --lifecycle-held-tags."
        raise click.UsageError(msg)
    _tell(out, at.api.holdfast("put_registry_settings", **wanted))


def _tell(out: Output, told: dict[str, Any]) -> None:
    document = {
        "registry_id": told["registryId"],
        "refusal_style": told["refusalStyle"],
        "deleted_tags": told["deletedTags"],
        "lifecycle_held_tags": told["lifecycleHeldTags"],
    }
    rows = [
        (name.replace("_", "-"), document[name], _MEANINGS.get((name, document[name]), ""))
        for name in ("refusal_style", "deleted_tags", "lifecycle_held_tags")
    ]
    out.table(document, ("SETTING", "VALUE", "MEANS"), rows, "")
