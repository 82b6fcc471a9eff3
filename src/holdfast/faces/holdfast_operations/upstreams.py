"""Credentials of other registries, and where held tags drifted from their upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.flows import CredentialRow


async def put_upstream_credential(call: Call) -> Result:
    """Seal a credential."""
    given = call.parameters
    row = await call.use.flows.credentials.put(
        call.caller, call.registry, given["name"], given["username"], given["password"], through=THROUGH
    )
    return {"upstreamCredential": _credential(call, row)}


async def delete_upstream_credential(call: Call) -> Result:
    """Delete a credential."""
    await call.use.flows.credentials.delete(call.caller, call.registry, call.parameters["name"], through=THROUGH)
    return {}


async def list_upstream_credentials(call: Call) -> Result:
    """List credentials by pages."""
    limit = call.limit()
    page = call.use.flows.credentials.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].name) if len(page) > limit else None
    return {"upstreamCredentials": [_credential(call, row) for row in page[:limit]], "nextToken": token}


async def list_upstream_drift(call: Call) -> Result:
    """List tags that hold while upstream moved, by pages."""
    limit = call.limit()
    after = tuple(call.after() or ("", ""))
    page = call.use.flows.pull_through.drifted(call.caller, call.registry, after=after, limit=limit + 1)
    last = page[limit - 1] if len(page) > limit else None
    drift = [
        {
            "repositoryName": one.repository,
            "imageTag": one.tag,
            "imageDigest": one.cached,
            "upstreamDigest": one.upstream,
            "upstreamRegistryUrl": one.url,
            "driftedAt": one.drifted_at / MICROSECONDS if one.drifted_at is not None else None,
            "checkedAt": one.checked_at / MICROSECONDS,
        }
        for one in page[:limit]
    ]
    return {"drift": drift, "nextToken": call.next_token([last.repository, last.tag]) if last else None}


def _credential(call: Call, row: CredentialRow) -> Result:
    return {
        "name": row.name,
        "credentialArn": call.use.flows.credentials.arn_of(call.registry, row.name),
        "username": row.username,
        "updatedAt": row.updated_at / MICROSECONDS,
    }


UPSTREAMS: Final[dict[str, Operation]] = {
    "DeleteUpstreamCredential": delete_upstream_credential,
    "ListUpstreamCredentials": list_upstream_credentials,
    "ListUpstreamDrift": list_upstream_drift,
    "PutUpstreamCredential": put_upstream_credential,
}
"""Operation -> what performs it."""
