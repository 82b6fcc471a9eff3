"""`holdfast quota`: how much there may be, and how much there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import size
from holdfast.cli.teaching import TeachingCommand, TeachingGroup

if TYPE_CHECKING:
    from holdfast.cli.output import Output

_NO_LIMIT: Final = -1
_UNITS: Final = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS_OF_TWO: Final = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_COUNTED: Final = {
    "repositories": "repositories of the registry",
    "images": "manifests: an image of two platforms counts as three",
    "bytes": "blobs and manifests; a blob counts in each repository that has it",
}


class Most(click.ParamType[int]):
    """A quota: a number, a size like 10GB or 512MiB, or `none`."""

    name = "MOST"

    def __init__(self, *, sizes: bool) -> None:
        self._units = _UNITS | _UNITS_OF_TWO if sizes else {"": 1}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it."""
        if isinstance(value, int):
            return value
        if value == "none":
            return _NO_LIMIT
        found = re.fullmatch(r"([0-9]{1,15})\s*([a-zA-Z]*)", value, re.ASCII)
        unit = self._units.get(found[2].lower()) if found else None
        if found is None or unit is None:
            sizes = ", a size such as 10GB or 512MiB," if len(self._units) > 1 else ""
            self.fail(f"{value!r} is no whole number{sizes} or 'none'.", param, ctx)
        return int(found[1]) * unit


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast quota show",
            "holdfast quota set --repositories 500 --bytes 2TB",
            "holdfast quota set --each-repository --images 5000",
            "holdfast quota set demo/app --bytes 50GiB --images none",
            "holdfast quota usage",
        ),
        "What is counted": _COUNTED,
    },
)
def quota() -> None:
    """Limit how much there may be; show how much there is."""


@quota.command()
@click.argument("repository", required=False, callback=names.repository_if_any)
@connected
def show(at: Connection, out: Output, repository: str | None) -> None:
    """Show the quotas of the registry, or those that count for a repository."""
    found = at.api.holdfast("get_quotas", **({"repositoryName": repository} if repository else {}))["quotas"]
    told = [
        {"scope": one["scope"], "resource": one["resource"], "most": one.get("most"), "used": one.get("used")}
        for one in found
    ]
    rows = [
        (str(one["scope"]), str(one["resource"]), _shown(one, "most", "no limit"), _shown(one, "used", ""))
        for one in told
    ]
    out.table({"repository": repository, "quotas": told}, ("OF", "WHAT", "AT MOST", "USED"), rows, "")


@quota.command("set", cls=TeachingCommand, sections={"What is counted": _COUNTED})
@click.argument("repository", required=False, callback=names.repository_if_any)
@click.option("--each-repository", is_flag=True, help="For every repository that has no quota of its own.")
@click.option("--repositories", type=Most(sizes=False), help="How many repositories the registry may have.")
@click.option("--images", type=Most(sizes=False), help="How many images.")
@click.option("--bytes", "bytes_", type=Most(sizes=True), help="How many bytes; 10GB and 10GiB are understood.")
@connected
def set_(
    at: Connection,
    out: Output,
    repository: str | None,
    *,
    each_repository: bool,
    repositories: int | None,
    images: int | None,
    bytes_: int | None,
) -> None:
    """Set quotas of the registry, of each repository, or of one; 'none' takes one away, what is not named stays.

    What is there already stays, also where it is more than the new quota.
    """
    given = {"repositories": repositories, "images": images, "bytes": bytes_}
    wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        msg = "Say what to limit: --repositories, --images or --bytes."
        raise click.UsageError(msg)
    if repository and each_repository:
        msg = "Name a repository or say --each-repository, not both."
        raise click.UsageError(msg)
    if repositories is not None and (repository or each_repository):
        msg = "--repositories is a quota of the registry."
        raise click.UsageError(msg)
    where: dict[str, Any] = {"repositoryName": repository} if repository else {}
    if each_repository:
        where = {"eachRepository": True}
    at.api.holdfast("put_quotas", **where, **wanted)
    whose = repository or ("each repository" if each_repository else "the registry")
    limits = {name: None if value == _NO_LIMIT else value for name, value in wanted.items()}
    said = ", ".join(
        f"{name} {_shown({'resource': name, 'most': value}, 'most', 'no limit')}" for name, value in limits.items()
    )
    out.result({"repository": repository, "each_repository": each_repository, "most": limits}, f"Of {whose}: {said}.")


@quota.command()
@connected
def usage(at: Connection, out: Output) -> None:
    """List how much each repository has, the largest first."""
    found = [
        {"repository": one["repositoryName"], "images": one["images"], "bytes": one["bytes"]}
        for one in at.api.pages("holdfast", "list_usage", "repositories")
    ]
    found.sort(key=lambda one: (-one["bytes"], one["repository"]))
    rows = [(one["repository"], str(one["images"]), size(one["bytes"])) for one in found]
    none = "There is no repository yet. Make one: holdfast repo create NAME"
    out.table({"repositories": found}, ("REPOSITORY", "IMAGES", "SIZE"), rows, none)


def _shown(quota_: dict[str, Any], member: str, none: str) -> str:
    value = quota_[member]
    if value is None:
        return none
    return size(value) if quota_["resource"] == "bytes" else str(value)
