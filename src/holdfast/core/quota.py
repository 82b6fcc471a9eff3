"""Quotas: may a registry, or a repository, have this much more?

This file alone decides. It must not know the database: the limits come with what is used of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Scope(StrEnum):
    """What a quota is set for."""

    REGISTRY = "registry"
    EACH_REPOSITORY = "each-repository"
    REPOSITORY = "repository"


class Resource(StrEnum):
    """What is counted. A blob counts in each repository that has it, at its size; a manifest as an image."""

    REPOSITORIES = "repositories"
    IMAGES = "images"
    BYTES = "bytes"


RESOURCES = {
    Scope.REGISTRY: (Resource.REPOSITORIES, Resource.IMAGES, Resource.BYTES),
    Scope.EACH_REPOSITORY: (Resource.IMAGES, Resource.BYTES),
    Scope.REPOSITORY: (Resource.IMAGES, Resource.BYTES),
}
"""What each scope limits."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of each resource."""

    repositories: int = 0
    images: int = 0
    bytes: int = 0

    def of(self, resource: Resource) -> int:
        """Return how much of one resource."""
        return int(getattr(self, resource))


@dataclass(frozen=True, slots=True)
class Quota:
    """The most there may be of a resource, and what is used of it."""

    scope: Scope
    resource: Resource
    most: int
    used: int


def effective(quotas: Iterable[Quota]) -> list[Quota]:
    """Return the quotas that count for one repository: its own stands in the place of the one for each repository."""
    found = list(quotas)
    own = {one.resource for one in found if one.scope is Scope.REPOSITORY}
    return [one for one in found if one.scope is not Scope.EACH_REPOSITORY or one.resource not in own]


def exceeded(quotas: Iterable[Quota], more: Amount) -> Quota | None:
    """Return the first quota that this much more would exceed, None when there is room.

    What is over its quota already (which was lowered since) refuses more of the same and nothing else.
    """
    for one in effective(quotas):
        wanted = more.of(one.resource)
        if wanted > 0 and one.used + wanted > one.most:
            return one
    return None


def room(quotas: Iterable[Quota], resource: Resource) -> int | None:
    """Return how much more of a resource there may be, None when nothing limits it."""
    left = [one.most - one.used for one in effective(quotas) if one.resource is resource]
    return max(0, min(left)) if left else None
