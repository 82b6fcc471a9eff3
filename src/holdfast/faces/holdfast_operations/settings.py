"""A registry's settings, and the care of what it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.json_call import THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.catalog import Registry


async def get_registry_settings(call: Call) -> Result:
    """Tell the registry's settings."""
    call.use.access.require(call.caller, call.registry, "holdfast:GetRegistrySettings")
    return _registry_settings(call, call.registry)


async def put_registry_settings(call: Call) -> Result:
    """Change the registry's settings."""
    held = call.parameters.get("lifecycleHeldTags")
    if held is not None:
        await call.use.lifecycle.set_expires_held(call.caller, call.registry, allowed=held == "expire", through=THROUGH)
    changed = await call.use.registries.configure(
        call.caller,
        call.registry,
        refusal_style=call.parameters.get("refusalStyle"),
        deleted_tags=call.parameters.get("deletedTags"),
        through=THROUGH,
    )
    return _registry_settings(call, changed)


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


def _registry_settings(call: Call, registry: Registry) -> Result:
    return {
        "registryId": registry.account_id,
        "refusalStyle": registry.refusal_style,
        "deletedTags": registry.deleted_tags,
        "lifecycleHeldTags": "expire" if call.use.lifecycle.expires_held(registry) else "keep",
    }


SETTINGS: Final[dict[str, Operation]] = {
    "CollectGarbage": collect_garbage,
    "GetRegistrySettings": get_registry_settings,
    "PutRegistrySettings": put_registry_settings,
}
"""Operation -> what performs it."""
