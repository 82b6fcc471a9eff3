"""Signing by rules: the registry's rules, and what became of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.ecr_operations.shapes import image_id_of, image_ids, where_of
from holdfast.faces.json_call import THROUGH, Call, Operation, Result
from holdfast.registry.image_pages import ImageId
from holdfast.store.settings import SigningRule

if TYPE_CHECKING:
    from holdfast.store.settings import SigningConfiguration

_NO_SIGNER: Final = (
    "Holdfast has no AWS Signer and did not sign the image. Sign it with cosign or notation; the signature is then "
    "listed as a referrer of the image."
)


async def put_signing_configuration(call: Call) -> Result:
    """Replace the registry's signing rules."""
    rules = [
        SigningRule(rule["signingProfileArn"], tuple(one["filter"] for one in rule.get("repositoryFilters") or ()))
        for rule in call.parameters["signingConfiguration"]["rules"]
    ]
    put = await call.use.signing.configure(call.caller, call.registry, rules, through=THROUGH)
    return {"signingConfiguration": _configuration(put)}


async def get_signing_configuration(call: Call) -> Result:
    """Tell the registry's signing rules."""
    found = call.use.signing.configuration(call.caller, call.registry)
    return {"registryId": call.registry.account_id, "signingConfiguration": _configuration(found)}


async def delete_signing_configuration(call: Call) -> Result:
    """Delete the registry's signing rules."""
    gone = await call.use.signing.delete(call.caller, call.registry, through=THROUGH)
    return {"registryId": call.registry.account_id, "signingConfiguration": _configuration(gone)}


async def describe_image_signing_status(call: Call) -> Result:
    """Tell, for each profile that the rules name, that the image was not signed with it."""
    image_id = image_ids([call.parameters["imageId"]])[0]
    image, profiles = call.use.signing.unsigned_for(*call.where, image_id)
    statuses = [
        {"signingProfileArn": one, "status": "FAILED", "failureCode": "SignerNotAvailable", "failureReason": _NO_SIGNER}
        for one in profiles
    ]
    return {
        **where_of(call),
        "imageId": image_id_of(ImageId(image.digest, image_id.tag)),
        "signingStatuses": statuses,
    }


def _configuration(configuration: SigningConfiguration) -> Result:
    return {
        "rules": [
            {
                "signingProfileArn": rule.profile_arn,
                "repositoryFilters": [{"filter": one, "filterType": "WILDCARD_MATCH"} for one in rule.filters] or None,
            }
            for rule in configuration.rules
        ]
    }


SIGNING: Final[dict[str, Operation]] = {
    "DeleteSigningConfiguration": delete_signing_configuration,
    "DescribeImageSigningStatus": describe_image_signing_status,
    "GetSigningConfiguration": get_signing_configuration,
    "PutSigningConfiguration": put_signing_configuration,
}
"""Operation -> what performs it."""
