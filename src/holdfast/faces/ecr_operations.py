"""The operations of the JSON API, one short function each, in one table keyed by the service models.

Parameters come checked against the model and go to a use case; what it returns is put into the model's shapes. The
models are botocore's own for Amazon ECR, and ours (`service/holdfast`) for what ECR has no operation for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    DigestInvalid,
    ImageAlreadyExists,
    ManifestNotFound,
    PageTokenInvalid,
    ParameterInvalid,
    RepositoryNotFound,
    UploadSizeInvalid,
)
from holdfast.core.mutability import parse_settings
from holdfast.core.reference import parse_tag
from holdfast.registry.image_pages import ImageId
from holdfast.registry.seal import SealBroken

if TYPE_CHECKING:
    from holdfast.core.mutability import MutabilitySettings
    from holdfast.faces.http import Request
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.history import History
    from holdfast.registry.image_pages import Described, Failure, ImagePages
    from holdfast.registry.images import Images
    from holdfast.registry.principals import Principals
    from holdfast.registry.registries import Registries
    from holdfast.registry.repositories import Repositories
    from holdfast.registry.seal import Seal
    from holdfast.registry.uploads import Uploads
    from holdfast.store.catalog import Registry, Repository

Parameters = Mapping[str, Any]
Result = dict[str, Any]

THROUGH: Final = "ecr"
PART_BYTES: Final = 10 * 1024 * 1024
"""The part size that clients are told to use. Source: Amazon ECR API, InitiateLayerUpload."""

DEFAULT_PAGE: Final = 100
DOWNLOAD_SECONDS: Final = 3_600
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the operations call."""

    access: Access
    registries: Registries
    repositories: Repositories
    images: Images
    pages: ImagePages
    blobs: Blobs
    uploads: Uploads
    principals: Principals
    history: History
    seal: Seal
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation by a caller whose signature was verified."""

    operation: str
    request: Request
    caller: Caller
    parameters: Parameters
    use: UseCases

    @property
    def repository(self) -> str:
        """The repository that the call names."""
        return str(self.parameters["repositoryName"])

    @property
    def registry(self) -> Registry:
        """The registry that the call names, or the default one."""
        account_id = self.parameters.get("registryId")
        registry = self.use.registries.owned_by(account_id)
        if registry is None:
            raise RepositoryNotFound(self.parameters.get("repositoryName") or "", str(account_id))
        return registry

    @property
    def where(self) -> tuple[Caller, Registry, str]:
        """Who, and where."""
        return self.caller, self.registry, self.repository

    @property
    def endpoint(self) -> str:
        """This server as the client reached it."""
        return f"{self.request.scheme}://{self.request.host}"

    def limit(self, default: int = DEFAULT_PAGE) -> int:
        """Return how many results the caller wants on a page."""
        return int(self.parameters.get("maxResults") or default)

    def after(self) -> Any:  # noqa: ANN401 - what `next_token` was given
        """Return where the page begins: what the token of the page before says, None for the first."""
        token = self.parameters.get("nextToken")
        if token is None:
            return None
        try:
            content = self.use.seal.open("page", token)
        except SealBroken:
            raise PageTokenInvalid from None
        if content["bound"] != self._bound():
            raise PageTokenInvalid
        return content["after"]

    def next_token(self, after: object) -> str:
        """Make the token of the next page, good for this caller, operation and parameters alone."""
        return self.use.seal.seal("page", {"bound": self._bound(), "after": after})

    def _bound(self) -> list[str]:
        others = {key: value for key, value in self.parameters.items() if key not in {"nextToken", "maxResults"}}
        return [self.caller.arn, self.operation, json.dumps(others, sort_keys=True, default=str)]


Operation = Callable[[Call], Awaitable[Result]]


# --- repositories ----------------------------------------------------------------------------------------------------


async def create_repository(call: Call) -> Result:
    """Make a repository."""
    given = call.parameters
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
        if call.parameters.get("maxResults") or call.parameters.get("nextToken"):
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
        digest=Digest.parse(wanted) if wanted else None,
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
    ids = [] if none_match else call.use.pages.list_ids(*call.where, tagged=tagged, after=after, limit=limit + 1)
    last = ids[limit - 1] if len(ids) > limit else None
    token = call.next_token([last.digest, last.tag or ""]) if last else None
    return {"imageIds": [_image_id(one) for one in ids[:limit]], "nextToken": token}


async def describe_images(call: Call) -> Result:
    """Describe the images named, or all of them by pages."""
    wanted = call.parameters.get("imageIds")
    if wanted:
        if call.parameters.get("maxResults") or call.parameters.get("nextToken"):
            parameter, why = "imageIds", "maxResults and nextToken cannot be combined with imageIds"
            raise ParameterInvalid(parameter, why)
        found = call.use.pages.describe(*call.where, _image_ids(wanted))
        return {"imageDetails": [_detail(call, one) for one in found]}
    tagged, none_match = _filter(call)
    limit, after = call.limit(), call.after() or ""
    page = [] if none_match else call.use.pages.describe_page(*call.where, tagged=tagged, after=after, limit=limit + 1)
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
            reason = f"Invalid request parameters: layer digest '{text}' is not a digest"
            failures.append({"layerDigest": text, "failureCode": "InvalidLayerDigest", "failureReason": reason})
    sizes = call.use.blobs.availability(*call.where, digests)
    layers = []
    for digest in dict.fromkeys(map(str, digests)):
        if digest in sizes:
            layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": sizes[digest]})
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
    received = await call.use.uploads.append(
        *call.where, given["uploadId"], _Given(given["layerPartBlob"]), span=(first, last), is_part=True
    )
    return {**_at(call), "uploadId": given["uploadId"], "lastByteReceived": received - 1}


async def complete_layer_upload(call: Call) -> Result:
    """Turn an upload into a layer."""
    given = call.parameters
    digest = Digest.parse(given["layerDigests"][0])
    await call.use.uploads.finish(*call.where, given["uploadId"], digest, in_parts=True)
    return {**_at(call), "uploadId": given["uploadId"], "layerDigest": str(digest)}


async def get_download_url_for_layer(call: Call) -> Result:
    """Make a link to a layer, good for an hour and for as long as the caller keeps the right."""
    digest = Digest.parse(call.parameters["layerDigest"])
    call.use.blobs.require_downloadable(*call.where, digest)
    grant = {
        "repository": call.repository,
        "digest": str(digest),
        "arn": call.caller.arn,
        "key": call.caller.access_key_id,
        "until": call.use.clock() + DOWNLOAD_SECONDS * _MICROSECONDS,
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
        token, until = call.use.access.issue_token(call.caller)
        data.append(
            {
                "authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(),
                "expiresAt": until / _MICROSECONDS,
                "proxyEndpoint": call.endpoint,
            }
        )
    return {"authorizationData": data}


# --- what ECR has no operation for -----------------------------------------------------------------------------------


async def list_tag_history(call: Call) -> Result:
    """List what tags named, from when until when, by whom."""
    limit, after = call.limit(), call.after()
    page = call.use.history.bindings(*call.where, call.parameters.get("imageTag"), before=after, limit=limit + 1)
    token = call.next_token(page[limit - 1].id) if len(page) > limit else None
    bindings = [
        {
            "imageTag": one.tag,
            "imageDigest": one.digest,
            "boundAt": one.bound_at / _MICROSECONDS,
            "boundBy": one.bound_by,
            "endedAt": one.ended_at / _MICROSECONDS if one.ended_at is not None else None,
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
            "at": one.body["at"] / _MICROSECONDS,
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

HOLDFAST: Final[dict[str, Operation]] = {
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


# --- shapes ----------------------------------------------------------------------------------------------------------


class _Given:
    """Bytes that are there already, as incoming ones."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self._content = content

    async def pieces(self) -> list[bytes]:
        content, self._content = self._content, b""
        return [content] if content else []


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
        "repositoryUri": f"{call.request.host}/{repository.name}",
        "createdAt": repository.created_at / _MICROSECONDS,
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
        "imagePushedAt": image.pushed_at / _MICROSECONDS,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": image.artifact_type,
        "lastRecordedPullTime": pulled / _MICROSECONDS if pulled is not None else None,
        "subjectManifestDigest": image.subject,
        "imageStatus": "ACTIVE",
    }


def _filter(call: Call) -> tuple[bool | None, bool]:
    """Read the filter: tagged, untagged or both; and whether no image can match, none being archived here."""
    given = call.parameters.get("filter") or {}
    tagged = {"TAGGED": True, "UNTAGGED": False}.get(given.get("tagStatus", "ANY"))
    return tagged, given.get("imageStatus") in {"ARCHIVED", "ACTIVATING"}


def _registry_settings(registry: Registry) -> Result:
    return {
        "registryId": registry.account_id,
        "refusalStyle": registry.refusal_style,
        "deletedTags": registry.deleted_tags,
    }


def _policy(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        parameter, why = "policies", "A policy is a JSON object"
        raise ParameterInvalid(parameter, why)
    return document
