"""Layers: found, uploaded in parts, downloaded by a link; and the token of the registry protocol."""

from __future__ import annotations

import base64
from typing import Final

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid, ParameterInvalid, UploadRangeInvalid, UploadSizeInvalid
from holdfast.faces.ecr_operations.shapes import digest_of, where_of
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

PART_BYTES: Final = 10 * 1024 * 1024
"""The part size that clients are told to use. Source: Amazon ECR API, InitiateLayerUpload."""

DOWNLOAD_SECONDS: Final = 3_600


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
    archived = call.use.blobs.archived(call.registry, call.repository, list(found))
    layers = []
    for digest in dict.fromkeys(map(str, digests)):
        if digest in found:
            available = "ARCHIVED" if digest in archived else "AVAILABLE"
            size = found[digest].size_bytes
            layers.append({"layerDigest": digest, "layerAvailability": available, "layerSize": size})
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
    told = {**where_of(call), "uploadId": given["uploadId"]}
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
    digest = digest_of("layerDigests", given["layerDigests"][0])
    await call.use.uploads.finish(*call.where, given["uploadId"], digest, in_parts=True)
    return {**where_of(call), "uploadId": given["uploadId"], "layerDigest": str(digest)}


async def get_download_url_for_layer(call: Call) -> Result:
    """Make a link to a layer, good for an hour and for as long as the caller keeps the right."""
    digest = digest_of("layerDigest", call.parameters["layerDigest"])
    call.use.blobs.require_downloadable(*call.where, digest)
    grant = {
        "repository": call.repository,
        "digest": str(digest),
        "registry": call.registry.id,
        "holder": call.caller.grant,
        "until": call.use.clock() + DOWNLOAD_SECONDS * MICROSECONDS,
    }
    url = f"{call.endpoint}/download/{call.use.seal.seal('download', grant)}"
    return {"downloadUrl": url, "layerDigest": str(digest)}


async def get_authorization_token(call: Call) -> Result:
    """Make a log-in token."""
    call.use.access.require(call.caller, call.registry, "ecr:GetAuthorizationToken")
    wanted = call.parameters.get("registryIds") or [call.caller.account_id]
    data = []
    for account_id in wanted:
        registry = call.use.registries.owned_by(account_id, call.region)
        if registry is None:
            parameter, why = "registryIds", f"There is no registry with id '{account_id}' here"
            raise ParameterInvalid(parameter, why)
        token = call.use.access.issue_token(call.caller)
        data.append(
            {
                "authorizationToken": base64.b64encode(f"AWS:{token.text}".encode()).decode(),
                "expiresAt": token.until / MICROSECONDS,
                "proxyEndpoint": call.endpoint_of(registry),
            }
        )
    return {"authorizationData": data}


class _Given:
    """Bytes that are there already, as incoming ones."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self._content = content

    async def pieces(self, least_bytes: int = 1) -> list[bytes]:  # noqa: ARG002 - it has what it has
        content, self._content = self._content, b""
        return [content] if content else []


LAYERS: Final[dict[str, Operation]] = {
    "BatchCheckLayerAvailability": batch_check_layer_availability,
    "CompleteLayerUpload": complete_layer_upload,
    "GetAuthorizationToken": get_authorization_token,
    "GetDownloadUrlForLayer": get_download_url_for_layer,
    "InitiateLayerUpload": initiate_layer_upload,
    "UploadLayerPart": upload_layer_part,
}
"""Operation -> what performs it."""
