"""Amazon ECR's operations, one short function each, in one table keyed by the service model.

Parameters come checked against botocore's model and go to a use case; what it returns is put into the model's shapes.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    DigestInvalid,
    ImageAlreadyExists,
    ParameterInvalid,
    UploadRangeInvalid,
    UploadSizeInvalid,
)
from holdfast.core.mutability import parse_settings
from holdfast.core.reference import parse_tag
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Parameters, Result
from holdfast.registry.image_pages import ImageId

if TYPE_CHECKING:
    from holdfast.core.mutability import MutabilitySettings
    from holdfast.registry.image_pages import Described, Failure
    from holdfast.store.catalog import Registry, Repository

PART_BYTES: Final = 10 * 1024 * 1024
"""The part size that clients are told to use. Source: Amazon ECR API, InitiateLayerUpload."""

DOWNLOAD_SECONDS: Final = 3_600

# --- repositories ----------------------------------------------------------------------------------------------------


async def create_repository(call: Call) -> Result:
    """Make a repository."""
    given = call.parameters
    if (given.get("encryptionConfiguration") or {}).get("encryptionType", "AES256") != "AES256":
        parameter, why = "encryptionConfiguration", "Holdfast has no keys of KMS; encrypt the disk that it stores on"
        raise ParameterInvalid(parameter, why)
    made = await call.use.repositories.create(
        *call.where,
        _settings(given),
        scan_on_push=bool((given.get("imageScanningConfiguration") or {}).get("scanOnPush")),
        encryption=given.get("encryptionConfiguration"),
        tags=[(tag["Key"], tag.get("Value", "")) for tag in given.get("tags") or ()],
        through=THROUGH,
    )
    return {"repository": _repository(call, made)}


async def describe_repositories(call: Call) -> Result:
    """Describe the repositories named, or all of them by pages."""
    names = call.parameters.get("repositoryNames")
    if names:
        if call.is_paged:
            parameter, why = "repositoryNames", "maxResults and nextToken cannot be combined with repositoryNames"
            raise ParameterInvalid(parameter, why)
        found = [call.use.repositories.describe(call.caller, call.registry, name) for name in names]
        return {"repositories": [_repository(call, one) for one in found]}
    limit = call.limit()
    page = call.use.repositories.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].name) if len(page) > limit else None
    return {"repositories": [_repository(call, one) for one in page[:limit]], "nextToken": token}


async def delete_repository(call: Call) -> Result:
    """Delete a repository."""
    gone = await call.use.repositories.delete(*call.where, force=bool(call.parameters.get("force")), through=THROUGH)
    return {"repository": _repository(call, gone)}


async def put_image_tag_mutability(call: Call) -> Result:
    """Switch mode and filters."""
    changed = await call.use.repositories.set_mutability(*call.where, _settings(call.parameters), through=THROUGH)
    return {"registryId": call.registry.account_id, "repositoryName": changed.name, **_mutability(changed)}


async def list_tags_for_resource(call: Call) -> Result:
    """List the resource tags of a repository."""
    registry, name = _resource(call)
    tags = call.use.repositories.resource_tags(call.caller, registry, name)
    return {"tags": [{"Key": key, "Value": value} for key, value in tags]}


async def tag_resource(call: Call) -> Result:
    """Set resource tags of a repository."""
    registry, name = _resource(call)
    tags = [(tag["Key"], tag.get("Value", "")) for tag in call.parameters["tags"]]
    await call.use.repositories.set_resource_tags(call.caller, registry, name, tags)
    return {}


async def untag_resource(call: Call) -> Result:
    """Delete resource tags of a repository."""
    registry, name = _resource(call)
    await call.use.repositories.delete_resource_tags(call.caller, registry, name, call.parameters["tagKeys"])
    return {}


# --- images ----------------------------------------------------------------------------------------------------------


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
        digest=_digest("imageDigest", wanted) if wanted is not None else None,
        tags=[tag] if tag else [],
        through=THROUGH,
    )
    digest = str(pushed.manifest.digest)
    if not pushed.changed:
        raise ImageAlreadyExists(digest, tag, call.repository, call.registry.account_id)
    image = _image(call, digest, tag, given["imageManifest"], pushed.manifest.media_type)
    return {"image": image}


async def batch_get_image(call: Call) -> Result:
    """Return manifests."""
    accepted = call.parameters.get("acceptedMediaTypes")
    found, failures = call.use.pages.get_batch(*call.where, _image_ids(call.parameters["imageIds"]))
    images = [
        _image(call, one.stored.digest, one.tag, one.stored.payload.decode(), one.stored.media_type)
        for one in found
        if not accepted or one.stored.media_type in accepted
    ]
    refused = [
        _failure_of(ImageId(one.stored.digest, one.tag), "ImageNotFound", "Requested image not found")
        for one in found
        if accepted and one.stored.media_type not in accepted
    ]
    return {"images": images, "failures": [*map(_failure, failures), *refused]}


async def list_images(call: Call) -> Result:
    """List digests and tags by pages."""
    tagged, none_match = _filter(call)
    limit = call.limit()
    after = tuple(call.after() or ("", ""))
    ids = call.use.pages.list_ids(*call.where, tagged=tagged, after=after, limit=limit + 1)
    if none_match:
        ids = []
    last = ids[limit - 1] if len(ids) > limit else None
    token = call.next_token([last.digest, last.tag or ""]) if last else None
    return {"imageIds": [_image_id(one) for one in ids[:limit]], "nextToken": token}


async def describe_images(call: Call) -> Result:
    """Describe the images named, or all of them by pages."""
    wanted = call.parameters.get("imageIds")
    if wanted:
        if call.is_paged:
            parameter, why = "imageIds", "maxResults and nextToken cannot be combined with imageIds"
            raise ParameterInvalid(parameter, why)
        found = call.use.pages.describe(*call.where, _image_ids(wanted))
        return {"imageDetails": [_detail(call, one) for one in found]}
    tagged, none_match = _filter(call)
    limit, after = call.limit(), call.after() or ""
    page = call.use.pages.describe_page(*call.where, tagged=tagged, after=after, limit=limit + 1)
    if none_match:
        page = []
    token = call.next_token(page[limit - 1].image.digest) if len(page) > limit else None
    return {"imageDetails": [_detail(call, one) for one in page[:limit]], "nextToken": token}


async def batch_delete_image(call: Call) -> Result:
    """Delete tags and images."""
    ids = _image_ids(call.parameters["imageIds"])
    deleted, failures = await call.use.pages.delete_batch(*call.where, ids, through=THROUGH)
    return {"imageIds": [_image_id(one) for one in deleted], "failures": [_failure(one) for one in failures]}


# --- layers ----------------------------------------------------------------------------------------------------------


async def batch_check_layer_availability(call: Call) -> Result:
    """Tell which layers the repository has."""
    digests: list[Digest] = []
    failures: list[Result] = []
    for text in call.parameters["layerDigests"]:
        try:
            digests.append(Digest.parse(text))
        except DigestInvalid:
            code = "InvalidLayerDigest" if text else "MissingLayerDigest"
            reason = f"Invalid request parameters: layer digest '{text}' is not a digest"
            failures.append({"layerDigest": text, "failureCode": code, "failureReason": reason})
    found = await call.use.blobs.availability(*call.where, digests)
    layers = []
    for digest in dict.fromkeys(map(str, digests)):
        if digest in found:
            size = found[digest].size_bytes
            layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size})
        else:
            layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
    return {"layers": layers, "failures": failures}


async def initiate_layer_upload(call: Call) -> Result:
    """Begin an upload."""
    upload = await call.use.uploads.start(*call.where, through=THROUGH)
    return {"uploadId": upload.id, "partSize": PART_BYTES}


async def upload_layer_part(call: Call) -> Result:
    """Take a part of a layer."""
    given = call.parameters
    first, last = int(given["partFirstByte"]), int(given["partLastByte"])
    if last - first + 1 != len(given["layerPartBlob"]):
        msg = f"The part has {len(given['layerPartBlob'])} bytes, the range names {last - first + 1}."
        raise UploadSizeInvalid(msg)
    told = {**_at(call), "uploadId": given["uploadId"]}
    try:
        received = await call.use.uploads.append(
            *call.where, given["uploadId"], _Given(given["layerPartBlob"]), span=(first, last), is_part=True
        )
    except UploadRangeInvalid as error:
        error.detail |= told
        raise
    return {**told, "lastByteReceived": received - 1}


async def complete_layer_upload(call: Call) -> Result:
    """Turn an upload into a layer."""
    given = call.parameters
    if len(set(given["layerDigests"])) > 1:
        parameter, why = "layerDigests", "Member must have length less than or equal to 1: a layer has one digest here"
        raise ParameterInvalid(parameter, why)
    digest = _digest("layerDigests", given["layerDigests"][0])
    await call.use.uploads.finish(*call.where, given["uploadId"], digest, in_parts=True)
    return {**_at(call), "uploadId": given["uploadId"], "layerDigest": str(digest)}


async def get_download_url_for_layer(call: Call) -> Result:
    """Make a link to a layer, good for an hour and for as long as the caller keeps the right."""
    digest = _digest("layerDigest", call.parameters["layerDigest"])
    call.use.blobs.require_downloadable(*call.where, digest)
    grant = {
        "repository": call.repository,
        "digest": str(digest),
        "arn": call.caller.arn,
        "key": call.caller.access_key_id,
        "until": call.use.clock() + DOWNLOAD_SECONDS * MICROSECONDS,
    }
    url = f"{call.endpoint}/download/{call.use.seal.seal('download', grant)}"
    return {"downloadUrl": url, "layerDigest": str(digest)}


async def get_authorization_token(call: Call) -> Result:
    """Make a log-in token."""
    call.use.access.require(call.caller, call.registry, "ecr:GetAuthorizationToken")
    wanted = call.parameters.get("registryIds") or [None]
    data = []
    for account_id in wanted:
        if call.use.registries.owned_by(account_id) is None:
            parameter, why = "registryIds", f"There is no registry with id '{account_id}' here"
            raise ParameterInvalid(parameter, why)
        token = call.use.access.issue_token(call.caller)
        data.append(
            {
                "authorizationToken": base64.b64encode(f"AWS:{token.text}".encode()).decode(),
                "expiresAt": token.until / MICROSECONDS,
                "proxyEndpoint": call.endpoint,
            }
        )
    return {"authorizationData": data}


ECR: Final[dict[str, Operation]] = {
    "BatchCheckLayerAvailability": batch_check_layer_availability,
    "BatchDeleteImage": batch_delete_image,
    "BatchGetImage": batch_get_image,
    "CompleteLayerUpload": complete_layer_upload,
    "CreateRepository": create_repository,
    "DeleteRepository": delete_repository,
    "DescribeImages": describe_images,
    "DescribeRepositories": describe_repositories,
    "GetAuthorizationToken": get_authorization_token,
    "GetDownloadUrlForLayer": get_download_url_for_layer,
    "InitiateLayerUpload": initiate_layer_upload,
    "ListImages": list_images,
    "ListTagsForResource": list_tags_for_resource,
    "PutImage": put_image,
    "PutImageTagMutability": put_image_tag_mutability,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "UploadLayerPart": upload_layer_part,
}
"""Amazon ECR's operations that are offered; the model's others are answered with a clear refusal."""


# --- shapes ----------------------------------------------------------------------------------------------------------


class _Given:
    """Bytes that are there already, as incoming ones."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self._content = content

    async def pieces(self) -> list[bytes]:
        content, self._content = self._content, b""
        return [content] if content else []


def _digest(parameter: str, text: str) -> Digest:
    """Read a digest. One that is malformed is a bad parameter; that content has another digest is another matter."""
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        raise ParameterInvalid(parameter, error.message) from None


def _settings(given: Parameters) -> MutabilitySettings:
    filters = given.get("imageTagMutabilityExclusionFilters")
    mode = given.get("imageTagMutability") or "MUTABLE"
    return parse_settings(mode, [one["filter"] for one in filters] if filters is not None else None)


def _mutability(repository: Repository) -> Result:
    settings = repository.mutability
    filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in settings.filters]
    return {"imageTagMutability": settings.mode, "imageTagMutabilityExclusionFilters": filters or None}


def _repository(call: Call, repository: Repository) -> Result:
    return {
        "repositoryArn": call.registry.arn_of(repository.name),
        "registryId": call.registry.account_id,
        "repositoryName": repository.name,
        "repositoryUri": f"{call.host}/{repository.name}",
        "createdAt": repository.created_at / MICROSECONDS,
        **_mutability(repository),
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
        "encryptionConfiguration": repository.encryption,
    }


def _resource(call: Call) -> tuple[Registry, str]:
    arn = call.parameters["resourceArn"]
    prefix = call.registry.arn_of("")
    if not arn.startswith(prefix) or not arn.removeprefix(prefix):
        why = f"The ARN names no repository of this registry; it must begin with {prefix}"
        parameter = "resourceArn"
        raise ParameterInvalid(parameter, why)
    return call.registry, arn.removeprefix(prefix)


def _at(call: Call) -> Result:
    return {"registryId": call.registry.account_id, "repositoryName": call.repository}


def _image_ids(given: list[Result]) -> list[ImageId]:
    return [ImageId(one.get("imageDigest"), one.get("imageTag")) for one in given]


def _image_id(image_id: ImageId) -> Result:
    return {"imageDigest": image_id.digest, "imageTag": image_id.tag}


def _image(call: Call, digest: str, tag: str | None, manifest: str, media_type: str) -> Result:
    return {
        **_at(call),
        "imageId": {"imageDigest": digest, "imageTag": tag},
        "imageManifest": manifest,
        "imageManifestMediaType": media_type,
    }


def _failure(failure: Failure) -> Result:
    return _failure_of(failure.image_id, failure.code, failure.reason)


def _failure_of(image_id: ImageId, code: str, reason: str) -> Result:
    return {"imageId": _image_id(image_id), "failureCode": code, "failureReason": reason}


def _detail(call: Call, described: Described) -> Result:
    image = described.image
    pulled = image.last_pulled_at
    return {
        **_at(call),
        "imageDigest": image.digest,
        "imageTags": described.tags or None,
        "imageSizeInBytes": image.image_bytes,
        "imagePushedAt": image.pushed_at / MICROSECONDS,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": image.artifact_type,
        "lastRecordedPullTime": pulled / MICROSECONDS if pulled is not None else None,
        "subjectManifestDigest": image.subject,
        "imageStatus": "ACTIVE",
    }


def _filter(call: Call) -> tuple[bool | None, bool]:
    """Read the filter: tagged, untagged or both; and whether no image can match, none being archived here."""
    given = call.parameters.get("filter") or {}
    tagged = {"TAGGED": True, "UNTAGGED": False}.get(given.get("tagStatus", "ANY"))
    return tagged, given.get("imageStatus") in {"ARCHIVED", "ACTIVATING"}
