"""Images: put, got, listed, described, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    DigestInvalid,
    ImageAlreadyExists,
    ParameterInvalid,
    RepositoryNotFound,
    TagInvalid,
    UpstreamFailed,
)
from holdfast.core.reference import parse_tag
from holdfast.faces.ecr_operations.scanning import scan_status, scan_summary
from holdfast.faces.ecr_operations.shapes import digest_of, failure_of, image_id_of, image_ids, seconds_of, where_of
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result
from holdfast.registry.image_pages import ImageId

if TYPE_CHECKING:
    from holdfast.registry.image_pages import Described, Failure


async def put_image(call: Call) -> Result:
    """Put a manifest, under a tag or under its digest alone."""
    given = call.parameters
    tag, wanted = given.get("imageTag"), given.get("imageDigest")
    if tag is not None:
        parse_tag(tag)
    pushed = await call.use.images.put(
        *call.where,
        given["imageManifest"].encode(),
        given.get("imageManifestMediaType"),
        digest=digest_of("imageDigest", wanted) if wanted is not None else None,
        tags=[tag] if tag else [],
        through=THROUGH,
    )
    call.note(pushed.ledger)
    digest = str(pushed.manifest.digest)
    if not pushed.changed:
        raise ImageAlreadyExists(digest, tag, call.repository, call.registry.account_id)
    image = _image(call, digest, tag, given["imageManifest"], pushed.manifest.media_type)
    return {"image": image}


async def batch_get_image(call: Call) -> Result:
    """Return manifests."""
    accepted = call.parameters.get("acceptedMediaTypes")
    ids = image_ids(call.parameters["imageIds"])
    upstream = await _fetch(call, ids)
    try:
        found, failures = call.use.pages.get_batch(*call.where, ids)
    except RepositoryNotFound:
        if upstream:
            raise next(iter(upstream.values())) from None
        raise
    failures = [_upstream_failure(one, upstream) for one in failures]
    for digest in {one.stored.digest for one in found}:
        call.use.pulls.note(*call.where, digest)
    images = [
        _image(call, one.stored.digest, one.tag, one.stored.payload.decode(), one.stored.media_type)
        for one in found
        if not accepted or one.stored.media_type in accepted
    ]
    refused = [
        failure_of(ImageId(one.stored.digest, one.tag), "ImageNotFound", "Requested image not found")
        for one in found
        if accepted and one.stored.media_type not in accepted
    ]
    return {"images": images, "failures": [*map(_failure, failures), *refused]}


async def _fetch(call: Call, ids: list[ImageId]) -> dict[ImageId, UpstreamFailed]:
    """Have fetched what a pull-through cache rule covers; return what upstream did not give."""
    failed: dict[ImageId, UpstreamFailed] = {}
    for one in dict.fromkeys(ids):
        try:
            reference = Digest.parse(one.digest) if one.digest is not None else parse_tag(one.tag or "")
            await call.use.flows.fetching.ensure(*call.where, reference)
        except (DigestInvalid, TagInvalid):
            continue  # which is told as a failure of its own
        except UpstreamFailed as error:
            failed[one] = error
    return failed


def _upstream_failure(failure: Failure, upstream: dict[ImageId, UpstreamFailed]) -> Failure:
    """Tell what is not here because upstream did not give it by ECR's code for that."""
    error = upstream.get(failure.image_id)
    if error is None or failure.code != "ImageNotFound":
        return failure
    return replace(failure, code=error.code, reason=error.message)


async def list_images(call: Call) -> Result:
    """List digests and tags by pages."""
    tagged, status = _filter(call)
    limit = call.limit()
    after = tuple(call.after() or ("", ""))
    ids = await call.use.pages.list_ids(*call.where, tagged=tagged, status=status, after=after, limit=limit + 1)
    last = ids[limit - 1] if len(ids) > limit else None
    token = call.next_token([last.digest, last.tag or ""]) if last else None
    return {"imageIds": [image_id_of(one) for one in ids[:limit]], "nextToken": token}


async def describe_images(call: Call) -> Result:
    """Describe the images named, or all of them by pages."""
    wanted = call.parameters.get("imageIds")
    if wanted:
        if call.is_paged:
            parameter, why = "imageIds", "maxResults and nextToken cannot be combined with imageIds"
            raise ParameterInvalid(parameter, why)
        found = call.use.pages.describe(*call.where, image_ids(wanted))
        where = where_of(call)
        return {"imageDetails": [_detail(where, one) for one in found]}
    tagged, status = _filter(call)
    limit, after = call.limit(), call.after() or ""
    page = await call.use.pages.describe_page(*call.where, tagged=tagged, status=status, after=after, limit=limit + 1)
    token = call.next_token(page[limit - 1].image.digest) if len(page) > limit else None
    where = where_of(call)
    return {"imageDetails": [_detail(where, one) for one in page[:limit]], "nextToken": token}


async def batch_delete_image(call: Call) -> Result:
    """Delete tags and images."""
    ids = image_ids(call.parameters["imageIds"])
    deleted, failures, places = await call.use.pages.delete_batch(*call.where, ids, through=THROUGH)
    call.note(places)
    return {"imageIds": [image_id_of(one) for one in deleted], "failures": [_failure(one) for one in failures]}


def _image(call: Call, digest: str, tag: str | None, manifest: str, media_type: str) -> Result:
    return {
        **where_of(call),
        "imageId": {"imageDigest": digest, "imageTag": tag},
        "imageManifest": manifest,
        "imageManifestMediaType": media_type,
    }


def _failure(failure: Failure) -> Result:
    return failure_of(failure.image_id, failure.code, failure.reason)


def _detail(where: Result, described: Described) -> Result:
    """Describe an image. A page has a thousand of them, and few have all there is to tell: only that is looked at."""
    image = described.image
    told = {
        **where,
        "imageDigest": image.digest,
        "imageSizeInBytes": image.image_bytes,
        "imagePushedAt": image.pushed_at / MICROSECONDS,
        "imageManifestMediaType": image.media_type,
        "imageStatus": image.status,
    }
    if described.tags:
        told["imageTags"] = described.tags
    if image.artifact_type is not None:
        told["artifactMediaType"] = image.artifact_type
    if image.subject is not None:
        told["subjectManifestDigest"] = image.subject
    if image.last_pulled_at is not None:
        told["lastRecordedPullTime"] = seconds_of(image.last_pulled_at)
    if described.scan:
        told["imageScanStatus"] = scan_status(described.scan)
        told["imageScanFindingsSummary"] = scan_summary(described.scan)
    if image.archived_at is not None or image.activated_at is not None:
        told["lastArchivedAt"] = seconds_of(image.archived_at)
        told["lastActivatedAt"] = seconds_of(image.activated_at)
    return told


def _filter(call: Call) -> tuple[bool | None, str | None]:
    """Read the filter: tagged, untagged or both; and the status wanted, None for any. Unasked, ECR tells the active."""
    given = call.parameters.get("filter") or {}
    tagged = {"TAGGED": True, "UNTAGGED": False}.get(given.get("tagStatus", "ANY"))
    status = given.get("imageStatus", "ACTIVE")
    return tagged, None if status == "ANY" else status


IMAGES: Final[dict[str, Operation]] = {
    "BatchDeleteImage": batch_delete_image,
    "BatchGetImage": batch_get_image,
    "DescribeImages": describe_images,
    "ListImages": list_images,
    "PutImage": put_image,
}
"""Operation -> what performs it."""
