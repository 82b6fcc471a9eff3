"""The options that every command of the governance tool has to reach AWS or a Holdfast server, and what they make."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from holdfast.cli.connection import json_option, own_key
from holdfast.cli.output import Output
from holdfast.client.aws import AWS
from holdfast.client.transport import AddressInvalid, parse_address
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.estate import read_inventory
from holdfast.govern.events import read_history
from holdfast.govern.places import DEFAULT_ROLE, Where

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.govern.estate import Inventory
    from holdfast.govern.events import History

P = ParamSpec("P")
R = TypeVar("R")

READ_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
WRITTEN_FILE: Final = click.Path(dir_okay=False, path_type=Path)
INVENTORY: Final = "inventory.jsonl"
HISTORY: Final = "history.jsonl"
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reach:
    """How AWS, or a Holdfast server, is reached, and which accounts and regions are meant."""

    endpoint: str | None
    profile: str | None
    where: Where

    def aws(self, connections: int = 32) -> AWS:
        """Return the credentials; nothing is sent yet."""
        key = own_key(self.profile) if self.endpoint else None
        return AWS(profile=self.profile, endpoint=self.endpoint, key=key, connections=connections)


def reaching(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command a Reach and an Output, and the options that make them."""

    @click.option("--profile", metavar="NAME", help="A profile of AWS's files; left out, AWS's usual credentials.")
    @click.option(
        "--endpoint-url",
        "--endpoint",
        "endpoint",
        envvar="HOLDFAST_ENDPOINT",
        metavar="URL",
        callback=_checked,
        help="A Holdfast server, for ECR and STS; left out, AWS.  [HOLDFAST_ENDPOINT]",
    )
    @click.option("--organization", is_flag=True, help="All active accounts of the AWS organization.")
    @click.option("--account", "accounts", multiple=True, metavar="ID", callback=_accounts, help="These accounts only.")
    @click.option(
        "--role",
        default=DEFAULT_ROLE,
        show_default=True,
        metavar="NAME",
        help="The role that is assumed in accounts other than the credentials' own.",
    )
    @click.option("--external-id", metavar="TEXT", help="What the roles' trust policies ask for.")
    @click.option(
        "--region",
        "regions",
        multiple=True,
        metavar="NAME",
        callback=_regions,
        help="These regions only; left out, all that are enabled.",
    )
    @json_option
    @functools.wraps(command)
    def reached(
        *,
        profile: str | None,
        endpoint: str | None,
        organization: bool,
        accounts: tuple[str, ...],
        role: str,
        external_id: str | None,
        regions: tuple[str, ...],
        as_json: bool,
        **given: Any,  # noqa: ANN401 - the command's own options
    ) -> R:
        if organization and accounts:
            msg = "--organization is all accounts and --account is some: give one of them."
            raise click.UsageError(msg)
        where = Where(organization, accounts, regions, role, external_id)
        return command(Reach(endpoint, profile, where), Output(as_json=as_json), **given)

    return reached


def _checked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return parse_address(value).geturl()
    except AddressInvalid as error:
        raise click.BadParameter(str(error)) from None


def _accounts(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for one in values:
        if not _ACCOUNT.fullmatch(one):
            msg = f"'{one}' is no account: it has 12 digits."
            raise click.BadParameter(msg)
    return tuple(dict.fromkeys(values))


def _regions(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for one in values:
        if not _REGION.fullmatch(one):
            msg = f"'{one}' is no region, such as eu-central-1."
            raise click.BadParameter(msg)
    return tuple(dict.fromkeys(values))


def read_inventory_file(path: Path) -> Inventory:
    """Read the file of `holdfast inventory`; one that is none is a usage error."""
    try:
        with path.open("rb") as file:
            return read_inventory(file)
    except DocumentInvalid as error:
        msg = f"{path} is no inventory: {error}."
        raise click.UsageError(msg) from None


def read_history_file(path: Path) -> History:
    """Read the file of `holdfast history`; one that is none is a usage error."""
    try:
        with path.open("rb") as file:
            return read_history(file)
    except DocumentInvalid as error:
        msg = f"{path} is no history: {error}."
        raise click.UsageError(msg) from None


def inventory_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the option that names an inventory."""
    return click.option(
        "--inventory",
        "inventory_file",
        type=READ_FILE,
        default=Path(INVENTORY),
        show_default=True,
        help="The file of holdfast inventory.",
    )(command)


def history_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the option that names a history."""
    return click.option(
        "--history",
        "history_file",
        type=READ_FILE,
        help=f"The file of holdfast history.  [default: {HISTORY}, if there]",
    )(command)


def history_of(path: Path | None) -> History | None:
    """Return the history that was named, or the one that lies here; None when there is none."""
    if path is None and not Path(HISTORY).is_file():
        return None
    return read_history_file(path or Path(HISTORY))
