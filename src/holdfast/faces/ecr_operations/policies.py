"""Policies of repositories and of the registry."""

from __future__ import annotations

from typing import Final

from holdfast.faces.ecr_operations.shapes import where_of
from holdfast.faces.json_call import THROUGH, Call, Operation, Result


async def set_repository_policy(call: Call) -> Result:
    """Set the policy of a repository."""
    given = call.parameters
    text = await call.use.policies.set_of_repository(
        *call.where, given["policyText"], force=bool(given.get("force")), through=THROUGH
    )
    return {**where_of(call), "policyText": text}


async def get_repository_policy(call: Call) -> Result:
    """Tell the policy of a repository."""
    return {**where_of(call), "policyText": call.use.policies.of_repository(*call.where)}


async def delete_repository_policy(call: Call) -> Result:
    """Delete the policy of a repository, and tell what it was."""
    text = await call.use.policies.delete_of_repository(*call.where, through=THROUGH)
    return {**where_of(call), "policyText": text}


async def put_registry_policy(call: Call) -> Result:
    """Set the policy of the registry."""
    text = await call.use.policies.set_of_registry(
        call.caller, call.registry, call.parameters["policyText"], through=THROUGH
    )
    return {"registryId": call.registry.account_id, "policyText": text}


async def get_registry_policy(call: Call) -> Result:
    """Tell the policy of the registry."""
    text = call.use.policies.of_registry(call.caller, call.registry)
    return {"registryId": call.registry.account_id, "policyText": text}


async def delete_registry_policy(call: Call) -> Result:
    """Delete the policy of the registry, and tell what it was."""
    text = await call.use.policies.delete_of_registry(call.caller, call.registry, through=THROUGH)
    return {"registryId": call.registry.account_id, "policyText": text}


POLICIES: Final[dict[str, Operation]] = {
    "DeleteRegistryPolicy": delete_registry_policy,
    "DeleteRepositoryPolicy": delete_repository_policy,
    "GetRegistryPolicy": get_registry_policy,
    "GetRepositoryPolicy": get_repository_policy,
    "PutRegistryPolicy": put_registry_policy,
    "SetRepositoryPolicy": set_repository_policy,
}
"""Operation -> what performs it."""
