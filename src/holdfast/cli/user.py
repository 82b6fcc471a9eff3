"""`holdfast user`: principals, what they may do, and their access keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.identities import account_option, of_account
from holdfast.cli.output import Output, agreed
from holdfast.cli.teaching import TeachingGroup
from holdfast.core import iam

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRESETS: Final = {
    "administrator": iam.ADMINISTRATOR,
    "power-user": iam.POWER_USER,
    "read-only": iam.READ_ONLY,
}


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast user create ci --power-user",
            "holdfast user key create ci",
            "holdfast user create boss --administrator --account 111122223333",
        )
    },
)
def user() -> None:
    """Make users, their policies and access keys."""


@user.command()
@click.argument("name")
@click.option("--administrator", "preset", flag_value="administrator", help="May do everything.")
@click.option("--power-user", "preset", flag_value="power-user", help="May pull and push; no deleting, no settings.")
@click.option("--read-only", "preset", flag_value="read-only", help="May pull and look.")
@click.option(
    "--policy",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="May do what a policy in AWS's language allows (a file of JSON). Can stand several times.",
)
@account_option
@connected
def create(
    at: Connection, out: Output, name: str, preset: str | None, files: Sequence[Path], account: str | None
) -> None:
    """Make a user. It may do nothing but what one of the options says."""
    if (preset is None) == (not files):
        msg = "Say what the user may do: --administrator, --power-user, --read-only, or --policy FILE."
        raise click.UsageError(msg)
    policies = [json.dumps(_PRESETS[preset])] if preset else [_policy(file) for file in files]
    made = at.api.holdfast("create_principal", name=name, policies=policies, **of_account(account))["principal"]
    out.result(
        {"name": made["name"], "arn": made["arn"], "policies": [json.loads(one) for one in policies]},
        f"{made['arn']} was made. Give it an access key: holdfast user key create {name}{_again(at, account)}",
    )


def _again(at: Connection, account: str | None) -> str:
    """Return the options that lead the next command to the same account."""
    return "" if account is None else f" --account {account} --region {at.api.region}"


def _policy(file: Path) -> str:
    try:
        text = file.read_text("utf-8")
        iam.PolicyDocument.parse(text)
    except (UnicodeDecodeError, iam.PolicyInvalid) as error:
        msg = f"{file} is no policy: {error}"
        raise click.UsageError(msg) from None
    return text


@user.command("list")
@account_option
@connected
def list_(at: Connection, out: Output, account: str | None) -> None:
    """List the users, what they may do, and the ids of their access keys."""
    users = [
        {
            "name": one["name"],
            "arn": one["arn"],
            "policies": [json.loads(text) for text in one["policies"]],
            "access_key_ids": one.get("accessKeyIds", []),
        }
        for one in at.api.pages("holdfast", "list_principals", "principals", **of_account(account))
    ]
    rows = [(one["name"], _may(one["policies"]), " ".join(one["access_key_ids"]), one["arn"]) for one in users]
    out.table({"users": users}, ("NAME", "MAY", "ACCESS KEYS", "ARN"), rows, "There is no user.")


def _may(policies: list[Any]) -> str:
    named = {json.dumps(document, sort_keys=True): name for name, document in _PRESETS.items()}
    told = [named.get(json.dumps(one, sort_keys=True)) for one in policies]
    known = [one for one in told if one is not None]
    others = len(told) - len(known)
    custom = [f"{others} polic{'y' if others == 1 else 'ies'}"] if others else []
    return ", ".join([*known, *custom])


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@account_option
@connected
def delete(at: Connection, out: Output, name: str, account: str | None, *, yes: bool) -> int:
    """Delete a user, its access keys, and every log-in made from them."""
    if not agreed(f"Delete the user {name} and its access keys at {at.endpoint}?", yes=yes):
        out.result({"name": name, "deleted": False}, "Nothing was deleted.")
        return Exit.UNFINISHED
    at.api.holdfast("delete_principal", name=name, **of_account(account))
    out.result({"name": name, "deleted": True}, f"{name} was deleted; its keys and log-ins are of no use from now on.")
    return Exit.DONE


@user.group()
def key() -> None:
    """Make and delete access keys."""


@key.command("create")
@click.argument("name")
@account_option
@connected
def create_key(at: Connection, out: Output, name: str, account: str | None) -> None:
    """Make an access key for a user; its secret is shown once and kept nowhere."""
    made = at.api.holdfast("create_access_key", name=name, **of_account(account))
    key_id, secret = made["accessKeyId"], made["secretAccessKey"]
    out.result(
        {"name": name, "access_key_id": key_id, "secret_access_key": secret},
        f"The access key of {name}, shown this once:",
        f"  export AWS_ACCESS_KEY_ID={key_id}",
        f"  export AWS_SECRET_ACCESS_KEY={secret}",
    )


@key.command("delete")
@click.argument("key_id", metavar="ID")
@account_option
@connected
def delete_key(at: Connection, out: Output, key_id: str, account: str | None) -> None:
    """Delete an access key, and every log-in made from it."""
    at.api.holdfast("delete_access_key", accessKeyId=key_id, **of_account(account))
    out.result({"access_key_id": key_id, "deleted": True}, f"The access key {key_id} was deleted.")
