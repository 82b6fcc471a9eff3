"""The statements over quotas and what is used of them. What is used is counted by triggers (0008_limits.sql)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from holdfast.core.quota import Amount, Quota, Resource, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

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


_COUNTED: Final = (
    "SELECT r.id AS repository_id, r.registry_id, r.name, "
    "(SELECT count(*) FROM manifests m WHERE m.repository_id = r.id) AS images, "
    "(SELECT coalesce(sum(m.payload_bytes), 0) FROM manifests m WHERE m.repository_id = r.id) + "
    "(SELECT coalesce(sum(b.size_bytes), 0) FROM repository_blobs l JOIN blobs b ON b.digest = l.digest "
    "WHERE l.repository_id = r.id) AS bytes "
    "FROM repositories r WHERE r.deleted_at IS NULL"
)
"""What the triggers count, counted anew."""

_PLENTY: Final = 1 << 60


def miscounted(reader: Reader) -> list[tuple[str, str, str]]:
    """List repositories and registries of which another use is noted than there is: whose, noted, counted anew."""
    of_repositories = reader.rows(
        f"WITH counted AS ({_COUNTED}) SELECT c.name, u.images, u.bytes, c.images, c.bytes FROM counted c "
        "LEFT JOIN repository_usage u USING (repository_id) "
        "WHERE (u.images, u.bytes) IS NOT (c.images, c.bytes) ORDER BY c.repository_id"
    )
    of_registries = reader.rows(
        f"WITH counted AS ({_COUNTED}), summed AS ("
        "SELECT g.id AS registry_id, g.account_id || '/' || g.region AS name, count(c.repository_id) AS repositories, "
        "coalesce(sum(c.images), 0) AS images, coalesce(sum(c.bytes), 0) AS bytes "
        "FROM registries g LEFT JOIN counted c ON c.registry_id = g.id GROUP BY g.id) "
        "SELECT s.name, u.repositories, u.images, u.bytes, s.repositories, s.images, s.bytes FROM summed s "
        "LEFT JOIN registry_usage u USING (registry_id) "
        "WHERE (u.repositories, u.images, u.bytes) IS NOT (s.repositories, s.images, s.bytes) ORDER BY s.registry_id"
    )
    return [
        (f"{whose} {name}", _amount(values[:count]), _amount(values[count:]))
        for whose, count, found in (("repository", 2, of_repositories), ("registry", 3, of_registries))
        for name, *values in cast("list[tuple[Any, ...]]", found)
    ]


def recount(txn: Transaction) -> None:
    """Write down what there is, counted anew.

    The registries come last. A trigger keeps their sums meanwhile, which may not fall below nothing on the way.
    """
    counted = f"WITH counted AS ({_COUNTED}) "
    txn.run("UPDATE registry_usage SET images = ?, bytes = ?", _PLENTY, _PLENTY)
    live = "SELECT id FROM repositories WHERE deleted_at IS NULL"
    txn.run(f"DELETE FROM repository_usage WHERE repository_id NOT IN ({live})")
    txn.run(f"INSERT INTO repository_usage (repository_id) {live} ON CONFLICT DO NOTHING")
    txn.run(
        counted + "UPDATE repository_usage SET (images, bytes) = "
        "(SELECT c.images, c.bytes FROM counted c WHERE c.repository_id = repository_usage.repository_id)"
    )
    txn.run("INSERT INTO registry_usage (registry_id) SELECT id FROM registries WHERE true ON CONFLICT DO NOTHING")
    txn.run(
        counted + "UPDATE registry_usage SET (repositories, images, bytes) = "
        "(SELECT count(*), coalesce(sum(c.images), 0), coalesce(sum(c.bytes), 0) FROM counted c "
        "WHERE c.registry_id = registry_usage.registry_id)"
    )


def _amount(values: Sequence[int | None]) -> str:
    names = ("repositories", "images", "bytes")[-len(values) :]
    return ", ".join(f"{value} {name}" for value, name in zip(values, names, strict=True))
