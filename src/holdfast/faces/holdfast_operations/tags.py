"""The past of tags: what they named, what happened, and names that are given up."""

from __future__ import annotations

import json
from typing import Final

from holdfast.core.errors import ManifestNotFound
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result


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
            "ledgerIndex": one.leaf_index,
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


TAGS: Final[dict[str, Operation]] = {
    "ForgetTag": forget_tag,
    "ListEntries": list_entries,
    "ListTagHistory": list_tag_history,
}
"""Operation -> what performs it."""
