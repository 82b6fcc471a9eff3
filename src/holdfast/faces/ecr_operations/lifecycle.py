"""Lifecycle policies and their previews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid
from holdfast.core.lifecycle import ImageStatus, Outcome
from holdfast.faces.ecr_operations.shapes import image_ids, where_of
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.core.lifecycle import Decision
    from holdfast.registry.image_pages import ImageId
    from holdfast.store.lifecycle import PolicyRow


async def put_lifecycle_policy(call: Call) -> Result:
    """Set a policy."""
    text = call.parameters["lifecyclePolicyText"]
    await call.use.lifecycle.put(*call.where, text, through=THROUGH)
    return {**where_of(call), "lifecyclePolicyText": text}


async def get_lifecycle_policy(call: Call) -> Result:
    """Tell a policy."""
    return _policy(call, call.use.lifecycle.get(*call.where))


async def delete_lifecycle_policy(call: Call) -> Result:
    """Delete a policy."""
    return _policy(call, await call.use.lifecycle.delete(*call.where, through=THROUGH))


async def start_lifecycle_policy_preview(call: Call) -> Result:
    """Begin a preview."""
    preview = call.use.lifecycle_runs.start_preview(*call.where, call.parameters.get("lifecyclePolicyText"))
    return {**where_of(call), "lifecyclePolicyText": preview.policy, "status": preview.status}


async def get_lifecycle_policy_preview(call: Call) -> Result:
    """Tell what a preview found, by pages."""
    preview = call.use.lifecycle_runs.preview(*call.where)
    wanted = call.parameters.get("imageIds")
    if wanted and call.is_paged:
        parameter, why = "imageIds", "maxResults and nextToken cannot be combined with imageIds"
        raise ParameterInvalid(parameter, why)
    found = _filtered(call, preview.plan.going)
    if wanted:
        page, token = _named(found, image_ids(wanted)), None
    else:
        after, limit = call.after() or [0, preview.started_at], call.limit()
        begin = after[0] if after[1] == preview.started_at else 0
        page = found[begin : begin + limit]
        more = begin + limit < len(found)
        token = call.next_token([begin + limit, preview.started_at]) if more else None
    archiving = preview.plan.archiving
    return {
        **where_of(call),
        "lifecyclePolicyText": preview.policy,
        "status": preview.status,
        "nextToken": token,
        "previewResults": [_result(one) for one in page],
        "summary": {
            "expiringImageTotalCount": len(preview.plan.going) - archiving,
            "transitioningImageTotalCounts": [{"targetStorageClass": "ARCHIVE", "imageTotalCount": archiving}],
        },
    }


def _policy(call: Call, row: PolicyRow) -> Result:
    """Tell a policy. One that was never evaluated was so at the epoch, as on AWS."""
    evaluated = (row.last_evaluated_at or 0) / MICROSECONDS
    return {**where_of(call), "lifecyclePolicyText": row.policy, "lastEvaluatedAt": evaluated}


def _filtered(call: Call, decisions: list[Decision]) -> list[Decision]:
    tagged = {"TAGGED": True, "UNTAGGED": False}.get((call.parameters.get("filter") or {}).get("tagStatus", "ANY"))
    return decisions if tagged is None else [one for one in decisions if bool(one.image.tags) is tagged]


def _named(decisions: list[Decision], ids: list[ImageId]) -> list[Decision]:
    """Return the images that are named; most of a long list are told apart by one look."""
    digests, tags = {one.digest for one in ids}, {one.tag for one in ids}
    near = [one for one in decisions if one.image.digest in digests or not tags.isdisjoint(one.image.tags)]
    return [one for one in near if any(_is(one, id_.digest, id_.tag) for id_ in ids)]


def _is(one: Decision, digest: str | None, tag: str | None) -> bool:
    return digest in {None, one.image.digest} and (tag is None or tag in one.image.tags)


def _result(one: Decision) -> Result:
    action: Result = {"type": "EXPIRE"}
    if one.outcome is Outcome.ARCHIVE:
        action = {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}
    return {
        "imageTags": list(one.image.tags) or None,
        "imageDigest": one.image.digest,
        "imagePushedAt": one.image.pushed_at / MICROSECONDS,
        "action": action,
        "appliedRulePriority": one.rule.priority if one.rule is not None else None,
        "storageClass": "ARCHIVE" if one.image.status is ImageStatus.ARCHIVED else "STANDARD",
    }


LIFECYCLE: Final[dict[str, Operation]] = {
    "DeleteLifecyclePolicy": delete_lifecycle_policy,
    "GetLifecyclePolicy": get_lifecycle_policy,
    "GetLifecyclePolicyPreview": get_lifecycle_policy_preview,
    "PutLifecyclePolicy": put_lifecycle_policy,
    "StartLifecyclePolicyPreview": start_lifecycle_policy_preview,
}
"""Operation -> what performs it."""
