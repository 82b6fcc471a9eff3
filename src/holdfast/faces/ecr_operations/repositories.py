"""Repositories, their mutability and their resource tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import parse_settings
from holdfast.faces.ecr_operations.shapes import resource_of
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Parameters, Result

if TYPE_CHECKING:
    from holdfast.core.mutability import MutabilitySettings
    from holdfast.store.catalog import Repository


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
    registry, name = resource_of(call)
    tags = call.use.repositories.resource_tags(call.caller, registry, name)
    return {"tags": [{"Key": key, "Value": value} for key, value in tags]}


async def tag_resource(call: Call) -> Result:
    """Set resource tags of a repository."""
    registry, name = resource_of(call)
    tags = [(tag["Key"], tag.get("Value", "")) for tag in call.parameters["tags"]]
    await call.use.repositories.set_resource_tags(call.caller, registry, name, tags)
    return {}


async def untag_resource(call: Call) -> Result:
    """Delete resource tags of a repository."""
    registry, name = resource_of(call)
    await call.use.repositories.delete_resource_tags(call.caller, registry, name, call.parameters["tagKeys"])
    return {}


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


REPOSITORIES: Final[dict[str, Operation]] = {
    "CreateRepository": create_repository,
    "DeleteRepository": delete_repository,
    "DescribeRepositories": describe_repositories,
    "ListTagsForResource": list_tags_for_resource,
    "PutImageTagMutability": put_image_tag_mutability,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
"""Operation -> what performs it."""
