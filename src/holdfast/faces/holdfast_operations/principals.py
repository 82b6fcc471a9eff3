"""Principals and their access keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import strict_json
from holdfast.core.errors import ParameterInvalid
from holdfast.faces.json_call import THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.accounts import PrincipalRow


async def create_principal(call: Call) -> Result:
    """Make a principal."""
    policies = [_policy(text) for text in call.parameters["policies"]]
    row = await call.use.principals.create(
        call.caller, call.registry, call.parameters["name"], policies, through=THROUGH
    )
    return {"principal": {"arn": row.arn, "name": row.name, "policies": list(map(json.dumps, policies))}}


async def delete_principal(call: Call) -> Result:
    """Delete a principal."""
    await call.use.principals.delete(call.caller, call.registry, call.parameters["name"], through=THROUGH)
    return {}


async def list_principals(call: Call) -> Result:
    """List principals by pages."""
    limit = call.limit()
    page = call.use.principals.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].arn) if len(page) > limit else None
    principals = [
        {
            "arn": row.arn,
            "name": row.name,
            "policies": [json.dumps(one) for one in json.loads(row.policies)],
            "accessKeyIds": call.use.principals.keys(row.arn),
            **_had(call, row),
        }
        for row in page[:limit]
    ]
    return {"principals": principals, "nextToken": token}


async def create_access_key(call: Call) -> Result:
    """Make an access key; its secret is told here and never again."""
    key_id, secret = await call.use.principals.create_key(
        call.caller, call.registry, call.parameters["name"], through=THROUGH
    )
    return {"accessKeyId": key_id, "secretAccessKey": secret}


async def delete_access_key(call: Call) -> Result:
    """Delete an access key."""
    await call.use.principals.delete_key(call.caller, call.registry, call.parameters["accessKeyId"], through=THROUGH)
    return {}


def _had(call: Call, row: PrincipalRow) -> Result:
    attached, groups = call.use.identities.told(row.arn)
    return {
        "attachedPolicyArns": attached,
        "groups": groups,
        "permissionsBoundary": row.boundary,
        "tags": json.loads(row.tags),
    }


def _policy(text: str) -> dict[str, Any]:
    parameter, why = "policies", "A policy is a JSON object"
    try:
        document = strict_json.parse(text.encode())
    except strict_json.StrictJSONError as error:
        why = f"The policy is not acceptable JSON: {error}"
        raise ParameterInvalid(parameter, why) from None
    if not isinstance(document, dict):
        raise ParameterInvalid(parameter, why)
    return document


PRINCIPALS: Final[dict[str, Operation]] = {
    "CreateAccessKey": create_access_key,
    "CreatePrincipal": create_principal,
    "DeleteAccessKey": delete_access_key,
    "DeletePrincipal": delete_principal,
    "ListPrincipals": list_principals,
}
"""Operation -> what performs it."""
