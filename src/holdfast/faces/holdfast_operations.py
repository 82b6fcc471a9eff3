"""Operations of our own, for what Amazon ECR has none: the past of tags, settings, principals.

Their shapes are `service/holdfast`, a service model like AWS's, so that boto3 and `aws` can call them too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import strict_json
from holdfast.core.errors import ManifestNotFound, ParameterInvalid
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.catalog import Registry


async def list_tag_history(call: Call) -> Result:
    """List what tags named, from when until when, by whom."""
    limit, after = call.limit(), call.after()
    page = call.use.history.bindings(*call.where, call.parameters.get("imageTag"), before=after, limit=limit + 1)
    token = call.next_token(page[limit - 1].id) if len(page) > limit else None
    bindings = [
        {
            "imageTag": one.tag,
            "imageDigest": one.digest,
            "boundAt": one.bound_at / MICROSECONDS,
            "boundBy": one.bound_by,
            "endedAt": one.ended_at / MICROSECONDS if one.ended_at is not None else None,
            "endedBy": one.ended_by,
            "endCause": one.end_cause,
        }
        for one in page[:limit]
    ]
    return {"bindings": bindings, "nextToken": token}


async def list_entries(call: Call) -> Result:
    """List what happened in a repository, refused pushes included."""
    limit, after = call.limit(), call.after()
    page = call.use.history.entries(*call.where, call.parameters.get("imageTag"), before=after, limit=limit + 1)
    token = call.next_token(page[limit - 1].sequence) if len(page) > limit else None
    entries = [
        {
            "sequence": one.sequence,
            "kind": one.kind,
            "at": one.body["at"] / MICROSECONDS,
            "principal": one.body.get("principal"),
            "imageTag": one.tag,
            "imageDigest": one.body.get("pushed") or one.body.get("digest"),
            "body": json.dumps(one.body, sort_keys=True),
        }
        for one in page[:limit]
    ]
    return {"entries": entries, "nextToken": token}


async def forget_tag(call: Call) -> Result:
    """Give up the name of a held tag that was deleted."""
    tag = call.parameters["imageTag"]
    if not await call.use.registries.forget_tag(*call.where, tag, through=THROUGH):
        error = ManifestNotFound(tag)
        error.message = f"No deleted tag '{tag}' of the '{call.repository}' repository waits for its digest."
        raise error
    return {}


async def get_registry_settings(call: Call) -> Result:
    """Tell the registry's settings."""
    call.use.access.require(call.caller, call.registry, "holdfast:GetRegistrySettings")
    return _registry_settings(call.registry)


async def put_registry_settings(call: Call) -> Result:
    """Change the registry's settings."""
    changed = await call.use.registries.configure(
        call.caller,
        call.registry,
        refusal_style=call.parameters.get("refusalStyle"),
        deleted_tags=call.parameters.get("deletedTags"),
        through=THROUGH,
    )
    return _registry_settings(changed)


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


async def collect_garbage(call: Call) -> Result:
    """Remove what nobody needs, or tell what would be removed."""
    dry_run = bool(call.parameters.get("dryRun"))
    done = await call.use.upkeep.collect_for(call.caller, call.registry, dry_run=dry_run)
    return {
        "links": done.links,
        "blobs": done.blobs,
        "blobBytes": done.blob_bytes,
        "manifests": done.payloads,
        "uploads": done.sessions,
        "dryRun": dry_run,
    }


HOLDFAST: Final[dict[str, Operation]] = {
    "CollectGarbage": collect_garbage,
    "CreateAccessKey": create_access_key,
    "CreatePrincipal": create_principal,
    "DeleteAccessKey": delete_access_key,
    "DeletePrincipal": delete_principal,
    "ForgetTag": forget_tag,
    "GetRegistrySettings": get_registry_settings,
    "ListEntries": list_entries,
    "ListPrincipals": list_principals,
    "ListTagHistory": list_tag_history,
    "PutRegistrySettings": put_registry_settings,
}
"""Operations of our own model."""


def _registry_settings(registry: Registry) -> Result:
    return {
        "registryId": registry.account_id,
        "refusalStyle": registry.refusal_style,
        "deletedTags": registry.deleted_tags,
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
