"""What refers to an image: signatures, attestations, SBOMs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.ecr_operations.shapes import digest_of

if TYPE_CHECKING:
    from holdfast.faces.json_call import Call, Operation, Result
    from holdfast.registry.images import Referrer

DEFAULT_PAGE: Final = 20
"""Source: Amazon ECR API, ListImageReferrers."""


async def list_image_referrers(call: Call) -> Result:
    """List the artifacts whose subject is an image, by pages."""
    given = call.parameters
    wanted = given.get("filter") or {}
    status = wanted.get("artifactStatus", "ACTIVE")
    limit = call.limit(DEFAULT_PAGE)
    found = call.use.images.referrers(
        *call.where,
        digest_of("subjectId.imageDigest", given["subjectId"]["imageDigest"]),
        artifact_types=wanted.get("artifactTypes") or (),
        status=None if status == "ANY" else status,
        in_repository=True,
        after=call.after() or "",
        limit=limit + 1,
    )
    token = call.next_token(str(found[limit - 1].manifest.digest)) if len(found) > limit else None
    return {"referrers": [_referrer(one) for one in found[:limit]], "nextToken": token}


def _referrer(referrer: Referrer) -> Result:
    manifest = referrer.manifest
    return {
        "digest": str(manifest.digest),
        "mediaType": manifest.media_type,
        "artifactType": manifest.referrer_type,
        "size": len(manifest.payload),
        "annotations": manifest.annotations or None,
        "artifactStatus": referrer.status,
    }


REFERRERS: Final[dict[str, Operation]] = {"ListImageReferrers": list_image_referrers}
"""Operation -> what performs it."""
