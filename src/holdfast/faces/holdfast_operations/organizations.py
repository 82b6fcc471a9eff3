"""Registries of other places, and the organisation over their accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.hosts import host_of
from holdfast.faces.json_call import THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.catalog import Registry
    from holdfast.store.organization import Guardrail, Unit


async def create_registry(call: Call) -> Result:
    """Make the registry of an account in a region."""
    given = call.parameters
    made = await call.use.registries.create(call.caller, given["registryId"], given["region"], through=THROUGH)
    return {"registry": _registry(call, made)}


async def list_registries(call: Call) -> Result:
    """List registries by pages."""
    limit, after = call.limit(), call.after()
    found = call.use.registries.page(call.caller, after=tuple(after or ("", "")), limit=limit + 1)
    token = call.next_token((found[limit - 1].account_id, found[limit - 1].region)) if len(found) > limit else None
    return {"registries": [_registry(call, one) for one in found[:limit]], "nextToken": token}


async def describe_organization(call: Call) -> Result:
    """Tell the tree."""
    tree = call.use.organizations.describe(call.caller, call.home)
    return {
        "organizationId": tree.organization.id,
        "managementAccountId": tree.organization.management_account,
        "units": [{**_unit(one), "guardrails": tree.guardrails[one.id]} for one in tree.units],
        "accounts": [
            {"accountId": account_id, "unitId": unit, "guardrails": tree.guardrails[account_id]}
            for account_id, unit in tree.accounts
        ],
    }


async def create_unit(call: Call) -> Result:
    """Make a unit."""
    given = call.parameters
    made = await call.use.organizations.create_unit(
        call.caller, call.home, given["name"], given.get("parentId"), through=THROUGH
    )
    return {"unit": _unit(made)}


async def delete_unit(call: Call) -> Result:
    """Delete a unit."""
    await call.use.organizations.delete_unit(call.caller, call.home, call.parameters["unitId"], through=THROUGH)
    return {}


async def move_account(call: Call) -> Result:
    """Move an account into a unit."""
    given = call.parameters
    await call.use.organizations.move_account(
        call.caller, call.home, given["accountId"], given["unitId"], through=THROUGH
    )
    return {}


async def put_guardrail(call: Call) -> Result:
    """Make a guardrail, or replace its document."""
    given = call.parameters
    made = await call.use.organizations.put_guardrail(
        call.caller, call.home, given["name"], given["document"], through=THROUGH
    )
    return {"guardrail": _guardrail(call, made)}


async def delete_guardrail(call: Call) -> Result:
    """Delete a guardrail."""
    await call.use.organizations.delete_guardrail(call.caller, call.home, call.parameters["name"], through=THROUGH)
    return {}


async def list_guardrails(call: Call) -> Result:
    """List guardrails by pages."""
    limit = call.limit()
    page = call.use.organizations.guardrails(call.caller, call.home, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].name) if len(page) > limit else None
    return {"guardrails": [_guardrail(call, one) for one in page[:limit]], "nextToken": token}


async def attach_guardrail(call: Call) -> Result:
    """Make a guardrail guard a unit or account."""
    return await _set_attached(call, attached=True)


async def detach_guardrail(call: Call) -> Result:
    """Take a guardrail from a unit or account."""
    return await _set_attached(call, attached=False)


async def _set_attached(call: Call, *, attached: bool) -> Result:
    given = call.parameters
    await call.use.organizations.set_attached(
        call.caller, call.home, given["name"], given["targetId"], attached=attached, through=THROUGH
    )
    return {}


def _registry(call: Call, registry: Registry) -> Result:
    return {
        "registryId": registry.account_id,
        "region": registry.region,
        "host": host_of(call.use.registries, registry, call.request.host),
        "isDefault": registry.id == call.use.registries.default.id,
    }


def _unit(unit: Unit) -> Result:
    return {"unitId": unit.id, "parentId": unit.parent, "name": unit.name}


def _guardrail(call: Call, guardrail: Guardrail) -> Result:
    return {
        "name": guardrail.name,
        "document": guardrail.document,
        "targets": call.use.organizations.targets(guardrail.name),
    }


ORGANIZATIONS: Final[dict[str, Operation]] = {
    "AttachGuardrail": attach_guardrail,
    "CreateRegistry": create_registry,
    "CreateUnit": create_unit,
    "DeleteGuardrail": delete_guardrail,
    "DeleteUnit": delete_unit,
    "DescribeOrganization": describe_organization,
    "DetachGuardrail": detach_guardrail,
    "ListGuardrails": list_guardrails,
    "ListRegistries": list_registries,
    "MoveAccount": move_account,
    "PutGuardrail": put_guardrail,
}
"""Operation -> what performs it."""
