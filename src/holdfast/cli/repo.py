"""`holdfast repo`: make repositories, list them, switch how their tags hold, delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import Output, agreed, moment
from holdfast.cli.teaching import TeachingCommand, TeachingGroup
from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import TagMutability, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.mutability import MutabilitySettings

_MODES = click.Choice([str(mode) for mode in TagMutability], case_sensitive=False)


def _with_exclusions(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--exclude",
        "patterns",
        multiple=True,
        metavar="PATTERN",
        help="A filter of the modes WITH_EXCLUSION, like 'dev-*'. Up to five.",
    )(command)


_MEANINGS: Final = {
    "IMMUTABLE": "every tag holds: once bound, it never names another digest",
    "IMMUTABLE_WITH_EXCLUSION": "every tag holds, but for those that match a filter",
    "MUTABLE_WITH_EXCLUSION": "tags move freely, but those that match a filter hold",
    "MUTABLE": "tags move freely",
}


@click.group(cls=TeachingGroup, sections={"How tags hold (mutability)": _MEANINGS})
def repo() -> None:
    """Make, list, switch and delete repositories."""


@repo.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast repo create demo/app",
            "holdfast repo create demo/app --mutability IMMUTABLE_WITH_EXCLUSION --exclude 'dev-*'",
        ),
        "How tags hold (mutability)": _MEANINGS,
    },
)
@click.argument("name", callback=names.repository)
@click.option(
    "--mutability", type=_MODES, metavar="MODE", default="IMMUTABLE", show_default=True, help="How tags hold."
)
@_with_exclusions
@connected
def create(at: Connection, out: Output, name: str, mutability: str, patterns: Sequence[str]) -> None:
    """Make a repository."""
    settings = _settings(mutability, patterns)
    made = at.api.ecr("create_repository", repositoryName=name, **_parameters(settings))["repository"]
    told = _told(made)
    out.result(told, f"{name} was made: {_said(told)}.", f"Push to it as {told['uri']}:TAG")


@repo.command("list")
@connected
def list_(at: Connection, out: Output) -> None:
    """List the repositories and how their tags hold."""
    found = [_told(one) for one in at.api.pages("ecr", "describe_repositories", "repositories")]
    rows = [(one["name"], one["mutability"], " ".join(one["filters"]), one["created_at"]) for one in found]
    none = "There is no repository yet. Make one: holdfast repo create NAME"
    out.table({"repositories": found}, ("REPOSITORY", "MUTABILITY", "FILTERS", "SINCE"), rows, none)


@repo.command(
    "set",
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast repo set demo/app --mutability IMMUTABLE",
            "holdfast repo set demo/app --mutability MUTABLE_WITH_EXCLUSION --exclude 'v*'",
        ),
        "How tags hold (mutability)": _MEANINGS,
    },
)
@click.argument("name", callback=names.repository)
@click.option("--mutability", type=_MODES, metavar="MODE", required=True, help="How tags hold from now on.")
@_with_exclusions
@connected
def set_(at: Connection, out: Output, name: str, mutability: str, patterns: Sequence[str]) -> None:
    """Switch how the tags of a repository hold.

    Mode and filters are replaced as a whole. Every push that is answered after this command was judged by them; tags
    that are bound stay as they are.
    """
    settings = _settings(mutability, patterns)
    before = _told(at.api.ecr("describe_repositories", repositoryNames=[name])["repositories"][0])
    changed = at.api.ecr("put_image_tag_mutability", repositoryName=name, **_parameters(settings))
    after = {"mutability": changed["imageTagMutability"], "filters": _filters(changed)}
    was = {"mutability": before["mutability"], "filters": before["filters"]}
    sentence = f"{name} was {_said(was)}; it is {_said(after)} from now on."
    if was == after:
        sentence = f"{name} is {_said(after)} already; nothing changed."
    out.result({"name": name, "before": was, "after": after}, sentence)


@repo.command()
@click.argument("name", callback=names.repository)
@click.option("--force", is_flag=True, help="Delete its images with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def delete(at: Connection, out: Output, name: str, *, force: bool, yes: bool) -> int:
    """Delete a repository, with its images only by --force.

    A tag that held keeps its name for its digest, also when the repository is made anew (see `holdfast forget`).
    """
    question = f"Delete the repository {name}{' and every image in it' if force else ''} at {at.endpoint}?"
    if not agreed(question, yes=yes):
        out.result({"name": name, "deleted": False}, "Nothing was deleted.")
        return Exit.UNFINISHED
    at.api.ecr("delete_repository", repositoryName=name, force=force)
    out.result({"name": name, "deleted": True}, f"{name} was deleted.")
    return Exit.DONE


def settings_of(repository: dict[str, Any]) -> MutabilitySettings:
    """Read how tags hold out of what DescribeRepositories tells."""
    return parse_settings(repository["imageTagMutability"], _filters(repository))


def _settings(mutability: str, patterns: Sequence[str]) -> MutabilitySettings:
    try:
        return parse_settings(mutability, list(patterns))
    except ParameterInvalid as error:
        takes = TagMutability(mutability).takes_filters
        if patterns and not takes:
            msg = f"{mutability} takes no --exclude; the mode with filters is {mutability}_WITH_EXCLUSION."
        elif takes and not patterns:
            msg = f"{mutability} needs at least one --exclude PATTERN."
        else:
            msg = error.why
        raise click.UsageError(msg) from None


def _parameters(settings: MutabilitySettings) -> dict[str, Any]:
    parameters: dict[str, Any] = {"imageTagMutability": str(settings.mode)}
    if settings.filters:
        filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in settings.filters]
        parameters["imageTagMutabilityExclusionFilters"] = filters
    return parameters


def _filters(repository: dict[str, Any]) -> list[str]:
    return [one["filter"] for one in repository.get("imageTagMutabilityExclusionFilters") or ()]


def _told(repository: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": repository["repositoryName"],
        "arn": repository["repositoryArn"],
        "uri": repository["repositoryUri"],
        "mutability": repository["imageTagMutability"],
        "filters": _filters(repository),
        "created_at": moment(repository["createdAt"]),
    }


def _said(settings: dict[str, Any]) -> str:
    filters = settings["filters"]
    return f"{settings['mutability']} ({', '.join(filters)})" if filters else str(settings["mutability"])
