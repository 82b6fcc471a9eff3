"""Quotas of the registry and its repositories, and what is used of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid
from holdfast.core.quota import RESOURCES, Resource, Scope
from holdfast.faces.json_call import THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.core.quota import Amount, Quota

_NO_LIMIT: Final = -1


async def get_quotas(call: Call) -> Result:
    """Tell the quotas of the registry, or those that count for a repository, and what is used of them."""
    if "repositoryName" in call.parameters:
        used, quotas = call.use.quotas.of_repository(*call.where)
        return {"quotas": _told(quotas, Scope.REPOSITORY, used, call.repository)}
    used, quotas = call.use.quotas.of_registry(call.caller, call.registry)
    each = [one for one in quotas if one.scope is Scope.EACH_REPOSITORY]
    told = _told((one for one in quotas if one.scope is Scope.REGISTRY), Scope.REGISTRY, used)
    return {"quotas": told + _told(each, Scope.EACH_REPOSITORY, None)}


def _told(quotas: Iterable[Quota], scope: Scope, used: Amount | None, repository: str | None = None) -> list[Result]:
    """Tell every resource that a scope limits, with the quota that stands for it."""
    by_resource = {one.resource: one for one in quotas}
    return [
        {
            "scope": by_resource[resource].scope if resource in by_resource else scope,
            "repositoryName": repository,
            "resource": resource,
            "most": by_resource[resource].most if resource in by_resource else None,
            "used": used.of(resource) if used is not None else None,
        }
        for resource in RESOURCES[scope]
    ]


async def put_quotas(call: Call) -> Result:
    """Set quotas."""
    repository, each = call.parameters.get("repositoryName"), bool(call.parameters.get("eachRepository"))
    if repository is not None and each:
        parameter = "eachRepository"
        raise ParameterInvalid(parameter, "Name a repository or say each repository, not both")
    scope = Scope.REPOSITORY if repository is not None else Scope.EACH_REPOSITORY if each else Scope.REGISTRY
    await call.use.quotas.set(
        call.caller, call.registry, scope, repository or "", _wanted(call.parameters), through=THROUGH
    )
    return {}


def _wanted(parameters: Mapping[str, int]) -> dict[Resource, int | None]:
    return {
        resource: None if parameters[resource] == _NO_LIMIT else parameters[resource]
        for resource in Resource
        if resource in parameters
    }


async def list_usage(call: Call) -> Result:
    """List what each repository has."""
    limit = call.limit()
    page = call.use.quotas.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
    token = call.next_token(page[limit - 1].name) if len(page) > limit else None
    found = [{"repositoryName": one.name, "images": one.images, "bytes": one.bytes} for one in page[:limit]]
    return {"repositories": found, "nextToken": token}


QUOTAS: Final[dict[str, Operation]] = {
    "GetQuotas": get_quotas,
    "ListUsage": list_usage,
    "PutQuotas": put_quotas,
}
"""Operation -> what performs it."""
