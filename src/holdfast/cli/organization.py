"""`holdfast org`, `holdfast guardrail` and `holdfast registry`: accounts, units, what guards them, registries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.identities import read_policy
from holdfast.cli.teaching import TeachingGroup
from holdfast.core.iam import PolicyKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.cli.output import Output

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": ("holdfast org show", "holdfast org unit create workloads", "holdfast org move 111122223333 ou-...")
    },
)
def org() -> None:
    """Order accounts in units."""


@org.command()
@connected
def show(at: Connection, out: Output) -> None:
    """Show the tree of units and accounts, and what guards each."""
    told = at.api.holdfast("describe_organization")
    units = told["units"]
    document = {
        "id": told["organizationId"],
        "management_account": told["managementAccountId"],
        "units": [
            {"id": one["unitId"], "parent": one.get("parentId"), "name": one["name"], "guardrails": one["guardrails"]}
            for one in units
        ],
        "accounts": [
            {"account": one["accountId"], "unit": one["unitId"], "guardrails": one["guardrails"]}
            for one in told["accounts"]
        ],
    }

    def lines(parent: str | None, depth: int) -> Iterator[str]:
        for unit in units:
            if unit.get("parentId") == parent:
                yield f"{'  ' * depth}{unit['name']} ({unit['unitId']}): {', '.join(unit['guardrails'])}"
                for one in told["accounts"]:
                    if one["unitId"] == unit["unitId"]:
                        yield f"{'  ' * depth}  account {one['accountId']}: {', '.join(one['guardrails'])}"
                yield from lines(unit["unitId"], depth + 1)

    out.result(document, *lines(None, 0))


@org.group()
def unit() -> None:
    """Make and delete units."""


@unit.command("create")
@click.argument("name")
@click.option("--parent", metavar="UNIT", help="The unit above; left out, the root.")
@connected
def create_unit(at: Connection, out: Output, name: str, parent: str | None) -> None:
    """Make a unit."""
    more = {"parentId": parent} if parent else {}
    made = at.api.holdfast("create_unit", name=name, **more)["unit"]
    out.result({"name": name, "id": made["unitId"]}, f"{name} is {made['unitId']}.")


@unit.command("delete")
@click.argument("unit_id", metavar="UNIT")
@connected
def delete_unit(at: Connection, out: Output, unit_id: str) -> None:
    """Delete a unit that is empty."""
    at.api.holdfast("delete_unit", unitId=unit_id)
    out.result({"id": unit_id, "deleted": True}, f"{unit_id} was deleted.")


@org.command()
@click.argument("account")
@click.argument("unit_id", metavar="UNIT")
@connected
def move(at: Connection, out: Output, account: str, unit_id: str) -> None:
    """Move an account into a unit."""
    at.api.holdfast("move_account", accountId=account, unitId=unit_id)
    out.result({"account": account, "unit": unit_id}, f"{account} is in {unit_id} now.")


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast guardrail put immutable immutable.json",
            "holdfast guardrail attach immutable 111122223333",
        )
    },
)
def guardrail() -> None:
    """Make guardrails (service control policies)."""


@guardrail.command("put")
@click.argument("name")
@click.argument("file", type=_FILE)
@connected
def put(at: Connection, out: Output, name: str, file: Path) -> None:
    """Make a guardrail, or replace its document: it counts at once where it guards."""
    at.api.holdfast("put_guardrail", name=name, document=read_policy(file, PolicyKind.GUARDRAIL))
    out.result({"name": name}, f"{name} is as the file says now. Attach it: holdfast guardrail attach {name} TARGET")


@guardrail.command("list")
@connected
def list_(at: Connection, out: Output) -> None:
    """List guardrails and what they guard."""
    found: list[dict[str, Any]] = [
        {"name": one["name"], "document": json.loads(one["document"]), "targets": one["targets"]}
        for one in at.api.pages("holdfast", "list_guardrails", "guardrails")
    ]
    rows = [(one["name"], " ".join(one["targets"])) for one in found]
    out.table({"guardrails": found}, ("NAME", "GUARDS"), rows, "There is no guardrail.")


@guardrail.command("delete")
@click.argument("name")
@connected
def delete(at: Connection, out: Output, name: str) -> None:
    """Delete a guardrail that guards nothing."""
    at.api.holdfast("delete_guardrail", name=name)
    out.result({"name": name, "deleted": True}, f"{name} was deleted.")


@guardrail.command("attach")
@click.argument("name")
@click.argument("target")
@connected
def attach(at: Connection, out: Output, name: str, target: str) -> None:
    """Make a guardrail guard a unit or an account, and all below."""
    at.api.holdfast("attach_guardrail", name=name, targetId=target)
    out.result({"name": name, "target": target, "attached": True}, f"{name} guards {target} now.")


@guardrail.command("detach")
@click.argument("name")
@click.argument("target")
@connected
def detach(at: Connection, out: Output, name: str, target: str) -> None:
    """Take a guardrail from a unit or an account; one must stay."""
    at.api.holdfast("detach_guardrail", name=name, targetId=target)
    out.result({"name": name, "target": target, "attached": False}, f"{name} guards {target} no more.")


@click.group(cls=TeachingGroup, sections={"Examples": ("holdfast registry create 111122223333 eu-central-1",)})
def registry() -> None:
    """Make registries: accounts in regions."""


@registry.command("create")
@click.argument("account")
@click.argument("region_name", metavar="REGION")
@connected
def create(at: Connection, out: Output, account: str, region_name: str) -> None:
    """Make the registry of an account in a region; a new account joins the organisation at its root."""
    made = at.api.holdfast("create_registry", registryId=account, region=region_name)["registry"]
    out.result(
        {"registry_id": account, "region": region_name, "host": made["host"]},
        f"The registry is at {made['host']}. Make its first user: holdfast user create NAME --administrator "
        f"--account {account} --region {region_name}",
    )


@registry.command("list")
@connected
def list_registries(at: Connection, out: Output) -> None:
    """List registries."""
    found = [
        {"registry_id": one["registryId"], "region": one["region"], "host": one["host"], "default": one["isDefault"]}
        for one in at.api.pages("holdfast", "list_registries", "registries")
    ]
    rows = [(one["registry_id"], one["region"], one["host"], "default" if one["default"] else "") for one in found]
    out.table({"registries": found}, ("ACCOUNT", "REGION", "HOST", ""), rows, "There is none.")
