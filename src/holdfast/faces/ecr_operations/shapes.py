"""What operations of several areas read and write alike: digests, places, image ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid, ParameterInvalid
from holdfast.faces.json_call import MICROSECONDS
from holdfast.registry.image_pages import ImageId

if TYPE_CHECKING:
    from holdfast.faces.json_call import Call, Result
    from holdfast.store.catalog import Registry


def digest_of(parameter: str, text: str) -> Digest:
    """Read a digest. One that is malformed is a bad parameter; that content has another digest is another matter."""
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        raise ParameterInvalid(parameter, error.message) from None


def resource_of(call: Call) -> tuple[Registry, str]:
    """Read the ARN of a repository."""
    arn = call.parameters["resourceArn"]
    prefix = call.registry.arn_of("")
    if not arn.startswith(prefix) or not arn.removeprefix(prefix):
        why = f"The ARN names no repository of this registry; it must begin with {prefix}"
        parameter = "resourceArn"
        raise ParameterInvalid(parameter, why)
    return call.registry, arn.removeprefix(prefix)


def where_of(call: Call) -> Result:
    """Tell the place that a call is about."""
    return {"registryId": call.registry.account_id, "repositoryName": call.repository}


def image_ids(given: list[Result]) -> list[ImageId]:
    """Read image ids."""
    return [ImageId(one.get("imageDigest"), one.get("imageTag")) for one in given]


def image_id_of(image_id: ImageId) -> Result:
    """Tell an image id."""
    return {"imageDigest": image_id.digest, "imageTag": image_id.tag}


def seconds_of(at: int | None) -> float | None:
    """Tell a time, given in microseconds since the epoch, as the JSON protocol does: in seconds."""
    return None if at is None else at / MICROSECONDS


def failure_of(image_id: ImageId, code: str, reason: str) -> Result:
    """Tell that one image of a batch failed, with ECR's failure code."""
    return {"imageId": image_id_of(image_id), "failureCode": code, "failureReason": reason}
