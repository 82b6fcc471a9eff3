"""The statements over quotas and what is used of them. What is used is counted by triggers (0008_limits.sql)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.quota import Amount, Quota, Resource, Scope

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """What one repository has."""

    name: str
    images: int
    bytes: int


def of_registry(reader: Reader, registry_id: int) -> Amount:
    """Return what a registry has in all."""
    row = reader.row("SELECT repositories, images, bytes FROM registry_usage WHERE registry_id = ?", registry_id)
    return Amount(*cast("tuple[int, int, int]", row or (0, 0, 0)))


def of_every_registry(reader: Reader) -> Amount:
    """Return what all registries have together."""
    row = reader.row(
        "SELECT coalesce(sum(repositories), 0), coalesce(sum(images), 0), coalesce(sum(bytes), 0) FROM registry_usage"
    )
    return Amount(*cast("tuple[int, int, int]", row))


def of_repository(reader: Reader, repository_id: int) -> Amount:
    """Return what a repository has."""
    row = reader.row("SELECT images, bytes FROM repository_usage WHERE repository_id = ?", repository_id)
    images, used_bytes = cast("tuple[int, int]", row or (0, 0))
    return Amount(images=images, bytes=used_bytes)


def of_repositories(reader: Reader, registry_id: int, *, after: str, limit: int) -> list[RepositoryUsage]:
    """List what the repositories have, by name, those after a name, at most `limit`."""
    rows = reader.rows(
        "SELECT r.name, u.images, u.bytes FROM repositories r JOIN repository_usage u ON u.repository_id = r.id "
        "WHERE r.registry_id = ? AND r.name > ? AND r.deleted_at IS NULL ORDER BY r.name LIMIT ?",
        registry_id,
        after,
        limit,
    )
    return [RepositoryUsage(*cast("tuple[str, int, int]", row)) for row in rows]


def quotas(reader: Reader, registry_id: int, repository: str, repository_id: int | None) -> list[Quota]:
    """List the quotas of a registry, of each repository and of the one named, with what is used of each.

    Without the number of a repository, nothing is used of it.
    """
    rows = reader.rows(
        "SELECT scope, resource, most FROM quotas WHERE registry_id = ? AND repository IN ('', ?) "
        "ORDER BY scope, resource",
        registry_id,
        repository,
    )
    if not rows:
        return []
    whole = of_registry(reader, registry_id)
    own = of_repository(reader, repository_id) if repository_id is not None else Amount()
    found = []
    for scope, resource, most in cast("list[tuple[Any, ...]]", rows):
        used = whole if scope == Scope.REGISTRY else own
        found.append(Quota(Scope(scope), Resource(resource), most, used.of(Resource(resource))))
    return found


def quotas_of(reader: Reader, repository_id: int) -> tuple[str, list[Quota]]:
    """Return the name of a repository and the quotas that limit it."""
    row = reader.row("SELECT registry_id, name FROM repositories WHERE id = ?", repository_id)
    registry_id, name = cast("tuple[int, str]", row)
    return name, quotas(reader, registry_id, name, repository_id)


def set_quota(
    txn: Transaction, registry_id: int, scope: Scope, repository: str, resource: Resource, most: int | None
) -> None:
    """Write a quota, or remove it with None; `repository` is empty but for the scope of one repository."""
    if most is None:
        txn.run(
            "DELETE FROM quotas WHERE registry_id = ? AND scope = ? AND repository = ? AND resource = ?",
            registry_id,
            scope,
            repository,
            resource,
        )
        return
    txn.run(
        "INSERT INTO quotas (registry_id, scope, repository, resource, most) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (registry_id, scope, repository, resource) DO UPDATE SET most = excluded.most",
        registry_id,
        scope,
        repository,
        resource,
        most,
    )
