"""Groups, roles, policies that are attached, issuers of tokens; and why somebody may or may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from holdfast.core import iam
from holdfast.faces.json_call import THROUGH, Call, Operation, Result
from holdfast.faces.signatures import connection_of
from holdfast.registry.callers import role_id

if TYPE_CHECKING:
    from holdfast.store.identities import GroupRow, ProviderRow, RoleRow


async def create_group(call: Call) -> Result:
    """Make a group."""
    row = await call.use.identities.create_group(
        call.caller, call.registry, call.parameters["name"], call.parameters.get("policies") or [], through=THROUGH
    )
    return {"group": _group(call, row)}


async def delete_group(call: Call) -> Result:
    """Delete a group."""
    await call.use.identities.delete_group(call.caller, call.registry, call.parameters["name"], through=THROUGH)
    return {}


async def list_groups(call: Call) -> Result:
    """List groups by pages."""
    limit = call.limit()
    page = call.use.identities.groups(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].arn) if len(page) > limit else None
    return {"groups": [_group(call, one) for one in page[:limit]], "nextToken": token}


async def add_user_to_group(call: Call) -> Result:
    """Put a user into a group."""
    return await _set_member(call, member=True)


async def remove_user_from_group(call: Call) -> Result:
    """Take a user out of a group."""
    return await _set_member(call, member=False)


async def _set_member(call: Call, *, member: bool) -> Result:
    given = call.parameters
    await call.use.identities.set_member(
        call.caller, call.registry, given["groupName"], given["userName"], member=member, through=THROUGH
    )
    return {}


async def create_role(call: Call) -> Result:
    """Make a role."""
    given = call.parameters
    row = await call.use.identities.create_role(
        call.caller,
        call.registry,
        given["name"],
        given["trustPolicy"],
        policies=given.get("policies") or [],
        max_session_seconds=given.get("maxSessionSeconds"),
        tags=given.get("tags"),
        through=THROUGH,
    )
    return {"role": _role(call, row)}


async def put_role_trust(call: Call) -> Result:
    """Replace a role's trust policy."""
    given = call.parameters
    row = await call.use.identities.set_trust(
        call.caller,
        call.registry,
        given["name"],
        given["trustPolicy"],
        given.get("maxSessionSeconds"),
        through=THROUGH,
    )
    return {"role": _role(call, row)}


async def delete_role(call: Call) -> Result:
    """Delete a role."""
    await call.use.identities.delete_role(call.caller, call.registry, call.parameters["name"], through=THROUGH)
    return {}


async def list_roles(call: Call) -> Result:
    """List roles by pages."""
    limit = call.limit()
    page = call.use.identities.roles(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].arn) if len(page) > limit else None
    return {"roles": [_role(call, one) for one in page[:limit]], "nextToken": token}


async def put_policy(call: Call) -> Result:
    """Make a policy that can be attached, or replace its document."""
    given = call.parameters
    row = await call.use.identities.put_policy(
        call.caller, call.registry, given["name"], given["document"], through=THROUGH
    )
    return {"policy": {"arn": row.arn, "name": row.name, "document": row.document}}


async def delete_policy(call: Call) -> Result:
    """Delete a policy."""
    await call.use.identities.delete_policy(call.caller, call.registry, call.parameters["policyArn"], through=THROUGH)
    return {}


async def list_policies(call: Call) -> Result:
    """List policies by pages."""
    limit = call.limit()
    page = call.use.identities.policies(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].arn) if len(page) > limit else None
    policies = [{"arn": one.arn, "name": one.name, "document": one.document} for one in page[:limit]]
    return {"policies": policies, "nextToken": token}


async def attach_policy(call: Call) -> Result:
    """Attach a policy."""
    return await _set_attached(call, attached=True)


async def detach_policy(call: Call) -> Result:
    """Detach a policy."""
    return await _set_attached(call, attached=False)


async def _set_attached(call: Call, *, attached: bool) -> Result:
    given = call.parameters
    await call.use.identities.set_attached(
        call.caller, call.registry, given["identity"], given["policyArn"], attached=attached, through=THROUGH
    )
    return {}


async def put_identity(call: Call) -> Result:
    """Replace what an identity has of its own."""
    given = call.parameters
    await call.use.identities.put_own(
        call.caller,
        call.registry,
        given["identity"],
        policies=given.get("policies"),
        tags=given.get("tags"),
        boundary=given.get("permissionsBoundary"),
        through=THROUGH,
    )
    return {}


async def put_identity_provider(call: Call) -> Result:
    """Make an issuer of tokens known."""
    given = call.parameters
    row = await call.use.identities.put_provider(
        call.caller, call.registry, given["issuer"], given["audiences"], given.get("keys"), through=THROUGH
    )
    return {"identityProvider": _provider(row)}


async def delete_identity_provider(call: Call) -> Result:
    """Forget an issuer of tokens."""
    await call.use.identities.delete_provider(call.caller, call.registry, call.parameters["issuer"], through=THROUGH)
    return {}


async def list_identity_providers(call: Call) -> Result:
    """List issuers by pages."""
    limit = call.limit()
    page = call.use.identities.providers(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].arn) if len(page) > limit else None
    return {"identityProviders": [_provider(one) for one in page[:limit]], "nextToken": token}


async def explain_access(call: Call) -> Result:
    """Tell whether somebody may do something, and why."""
    given, registry = call.parameters, call.registry
    asked: dict[str, list[str]] = given.get("contextKeys") or {}
    keys: dict[str, iam.Value] = {key: each[0] if len(each) == 1 else tuple(each) for key, each in asked.items()}
    action, name = given["action"], given.get("repositoryName")
    arn, decision = call.use.identities.explain(
        call.caller, registry, given["principal"], action, name, keys, connection_of(call.request)
    )
    resource = registry.arn_of(name) if name is not None else "*"
    told = f"User: {arn} is authorized to perform: {action} on resource: {resource} {decision.reason}"
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "message": told if decision.allowed else iam.denial_message(arn, action, resource, decision),
        "resource": resource,
        "statements": [
            {
                "policy": one.policy,
                "kind": one.kind.value,
                "place": one.place,
                "sid": one.sid,
                "effect": "Allow" if one.allows else "Deny",
            }
            for one in decision.statements
        ],
        "steps": [
            {
                "kind": step.kind.value,
                "policies": list(step.policies),
                "allowing": len(step.allowing),
                "denying": len(step.denying),
            }
            for step in decision.steps
        ],
    }


def _group(call: Call, row: GroupRow) -> Result:
    attached, members = call.use.identities.told(row.arn)
    return {
        "arn": row.arn,
        "name": row.name,
        "policies": [json.dumps(one) for one in json.loads(row.policies)],
        "attachedPolicyArns": attached,
        "members": members,
    }


def _role(call: Call, row: RoleRow) -> Result:
    attached, _ = call.use.identities.told(row.arn)
    return {
        "arn": row.arn,
        "name": row.name,
        "roleId": role_id(row),
        "trustPolicy": row.trust,
        "policies": [json.dumps(one) for one in json.loads(row.policies)],
        "attachedPolicyArns": attached,
        "maxSessionSeconds": row.max_session_seconds,
        "permissionsBoundary": row.boundary,
        "tags": json.loads(row.tags),
    }


def _provider(row: ProviderRow) -> Result:
    return {
        "arn": row.arn,
        "issuer": row.issuer,
        "audiences": json.loads(row.audiences),
        "hasKeys": row.jwks is not None,
    }


IDENTITIES: Final[dict[str, Operation]] = {
    "AddUserToGroup": add_user_to_group,
    "AttachPolicy": attach_policy,
    "CreateGroup": create_group,
    "CreateRole": create_role,
    "DeleteGroup": delete_group,
    "DeleteIdentityProvider": delete_identity_provider,
    "DeletePolicy": delete_policy,
    "DeleteRole": delete_role,
    "DetachPolicy": detach_policy,
    "ExplainAccess": explain_access,
    "ListGroups": list_groups,
    "ListIdentityProviders": list_identity_providers,
    "ListPolicies": list_policies,
    "ListRoles": list_roles,
    "PutIdentity": put_identity,
    "PutIdentityProvider": put_identity_provider,
    "PutPolicy": put_policy,
    "PutRoleTrust": put_role_trust,
    "RemoveUserFromGroup": remove_user_from_group,
}
"""Operation -> what performs it."""
