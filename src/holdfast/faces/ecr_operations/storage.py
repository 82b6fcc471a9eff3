"""The storage class of images, and the principals whose pulls do not count."""

from __future__ import annotations

from typing import Final

from holdfast.faces.ecr_operations.shapes import image_id_of, image_ids, seconds_of, where_of
from holdfast.faces.json_call import THROUGH, Call, Operation, Result
from holdfast.registry.image_pages import ImageId


async def update_image_storage_class(call: Call) -> Result:
    """Archive an image, or begin to restore it."""
    (image_id,) = image_ids([call.parameters["imageId"]])
    archive = call.parameters["targetStorageClass"] == "ARCHIVE"
    digest, status = await call.use.storage_classes.update(*call.where, image_id, archive=archive, through=THROUGH)
    return {**where_of(call), "imageId": image_id_of(ImageId(digest, image_id.tag)), "imageStatus": status}


async def register_pull_time_update_exclusion(call: Call) -> Result:
    """Let a principal's pulls not count."""
    principal = call.parameters["principalArn"]
    at = await call.use.pulls.exclude(call.caller, call.registry, principal, through=THROUGH)
    return {"principalArn": principal, "createdAt": seconds_of(at)}


async def deregister_pull_time_update_exclusion(call: Call) -> Result:
    """Let a principal's pulls count again."""
    principal = call.parameters["principalArn"]
    await call.use.pulls.include(call.caller, call.registry, principal, through=THROUGH)
    return {"principalArn": principal}


async def list_pull_time_update_exclusions(call: Call) -> Result:
    """List the principals whose pulls do not count, by pages."""
    limit = call.limit()
    found = call.use.pulls.exclusions(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(found[limit - 1]) if len(found) > limit else None
    return {"pullTimeUpdateExclusions": found[:limit], "nextToken": token}


STORAGE: Final[dict[str, Operation]] = {
    "DeregisterPullTimeUpdateExclusion": deregister_pull_time_update_exclusion,
    "ListPullTimeUpdateExclusions": list_pull_time_update_exclusions,
    "RegisterPullTimeUpdateExclusion": register_pull_time_update_exclusion,
    "UpdateImageStorageClass": update_image_storage_class,
}
"""Operation -> what performs it."""
