"""The statements over registries and repositories, and the rows they give.

This file and its neighbours (`manifests`, `content`, `bindings`, `accounts`, `entries`) hold all SQL. A function here
is one question or one change; which of them belong together, and what they mean, is for the use cases to know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.mutability import MutabilitySettings, TagMutability

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.store.database import Reader, Row, Transaction


@dataclass(frozen=True, slots=True)
class Registry:
    """One account's registry in one region."""

    id: int
    account_id: str
    region: str
    refusal_style: str
    deleted_tags: str

    @property
    def holds_deleted_tags(self) -> bool:
        """Whether the name of a held tag that was deleted waits for its digest."""
        return self.deleted_tags == "held"

    def arn_of(self, repository: str) -> str:
        """Return the ARN of a repository of this registry."""
        return f"arn:aws:ecr:{self.region}:{self.account_id}:repository/{repository}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that exists; times in microseconds since the epoch."""

    id: int
    registry_id: int
    name: str
    mutability: MutabilitySettings
    scan_on_push: bool
    encryption: dict[str, Any]
    created_at: int
    created_by: str


# --- registries ------------------------------------------------------------------------------------------------------

_REGISTRY = "SELECT id, account_id, region, refusal_style, deleted_tags FROM registries"


def ensure_registry(txn: Transaction, account_id: str, region: str, now: int) -> Registry:
    """Return the registry, made when it is not there."""
    txn.run(
        "INSERT INTO registries (account_id, region, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        account_id,
        region,
        now,
    )
    row = txn.row(f"{_REGISTRY} WHERE account_id = ? AND region = ?", account_id, region)
    return Registry(*cast("tuple[int, str, str, str, str]", row))


def registry(reader: Reader, registry_id: int) -> Registry:
    """Return a registry that is known to be there."""
    return Registry(*cast("tuple[int, str, str, str, str]", reader.row(f"{_REGISTRY} WHERE id = ?", registry_id)))


def registry_at(reader: Reader, account_id: str, region: str) -> Registry | None:
    """Find the registry of an account in a region."""
    row = reader.row(f"{_REGISTRY} WHERE account_id = ? AND region = ?", account_id, region)
    return Registry(*cast("tuple[int, str, str, str, str]", row)) if row else None


def registries(reader: Reader) -> list[Registry]:
    """List all registries."""
    return [Registry(*cast("tuple[int, str, str, str, str]", row)) for row in reader.rows(f"{_REGISTRY} ORDER BY id")]


def set_registry(txn: Transaction, registry_id: int, *, refusal_style: str, deleted_tags: str) -> None:
    """Write a registry's settings."""
    txn.run(
        "UPDATE registries SET refusal_style = ?, deleted_tags = ? WHERE id = ?",
        refusal_style,
        deleted_tags,
        registry_id,
    )


# --- repositories ----------------------------------------------------------------------------------------------------

_REPOSITORY = (
    "SELECT id, registry_id, name, tag_mutability, scan_on_push, encryption, created_at, created_by, "
    "(SELECT json_group_array(pattern) FROM (SELECT pattern FROM exclusion_filters f WHERE f.repository_id = r.id "
    "ORDER BY position)) FROM repositories r"
)


def _repository(row: Row) -> Repository:
    identity, registry_id, name, mode, scan, encryption, created_at, created_by, filters = cast("tuple[Any, ...]", row)
    settings = MutabilitySettings(TagMutability(mode), tuple(json.loads(filters)))
    return Repository(identity, registry_id, name, settings, bool(scan), json.loads(encryption), created_at, created_by)


def repository(reader: Reader, registry_id: int, name: str) -> Repository | None:
    """Find a repository by name."""
    row = reader.row(f"{_REPOSITORY} WHERE registry_id = ? AND name = ? AND deleted_at IS NULL", registry_id, name)
    return _repository(row) if row else None


def repository_id(reader: Reader, registry_id: int, name: str) -> int | None:
    """Find a repository's number by name: the quick form of `repository`."""
    row = reader.row(
        "SELECT id FROM repositories WHERE registry_id = ? AND name = ? AND deleted_at IS NULL", registry_id, name
    )
    return cast("int", row[0]) if row else None


def repositories(reader: Reader, registry_id: int, *, after: str, limit: int) -> list[Repository]:
    """List repositories by name (byte order), those after a name, at most `limit`."""
    rows = reader.rows(
        f"{_REPOSITORY} WHERE registry_id = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?",
        registry_id,
        after,
        limit,
    )
    return [_repository(row) for row in rows]


def repository_names(reader: Reader, registry_id: int, *, after: str, limit: int) -> list[str]:
    """List names of repositories (byte order), those after a name, at most `limit`."""
    rows = reader.rows(
        "SELECT name FROM repositories WHERE registry_id = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?",
        registry_id,
        after,
        limit,
    )
    return [cast("str", row[0]) for row in rows]


def insert_repository(
    txn: Transaction,
    registry_id: int,
    name: str,
    settings: MutabilitySettings,
    *,
    scan_on_push: bool,
    encryption: dict[str, Any],
    created_at: int,
    created_by: str,
) -> Repository:
    """Write a new repository; the caller looked before, in the same transaction, that the name is free."""
    txn.run(
        "INSERT INTO repositories "
        "(registry_id, name, tag_mutability, scan_on_push, encryption, created_at, created_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        registry_id,
        name,
        settings.mode,
        int(scan_on_push),
        json.dumps(encryption),
        created_at,
        created_by,
    )
    identity = cast("int", repository_id(txn, registry_id, name))
    _write_filters(txn, identity, settings.filters)
    return Repository(identity, registry_id, name, settings, scan_on_push, encryption, created_at, created_by)


def set_mutability(txn: Transaction, identity: int, settings: MutabilitySettings) -> None:
    """Write a repository's mode and filters, replacing both."""
    txn.run("UPDATE repositories SET tag_mutability = ? WHERE id = ?", settings.mode, identity)
    _write_filters(txn, identity, settings.filters)


def _write_filters(txn: Transaction, identity: int, filters: Sequence[str]) -> None:
    txn.run("DELETE FROM exclusion_filters WHERE repository_id = ?", identity)
    for position, pattern in enumerate(filters):
        txn.run(
            "INSERT INTO exclusion_filters (repository_id, position, pattern) VALUES (?, ?, ?)",
            identity,
            position,
            pattern,
        )


def repository_tags(reader: Reader, identity: int) -> list[tuple[str, str]]:
    """List the resource tags of a repository by key."""
    rows = reader.rows("SELECT key, value FROM repository_tags WHERE repository_id = ? ORDER BY key", identity)
    return cast("list[tuple[str, str]]", rows)


def delete_repository_tags(txn: Transaction, identity: int, keys: Iterable[str]) -> None:
    """Delete resource tags of a repository."""
    for key in keys:
        txn.run("DELETE FROM repository_tags WHERE repository_id = ? AND key = ?", identity, key)


def set_repository_tags(txn: Transaction, identity: int, tags: Iterable[tuple[str, str]]) -> None:
    """Write the resource tags of a repository, replacing values of keys that are there."""
    for key, value in tags:
        txn.run(
            "INSERT INTO repository_tags (repository_id, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (repository_id, key) DO UPDATE SET value = excluded.value",
            identity,
            key,
            value,
        )


def end_repository(txn: Transaction, identity: int, *, at: int, by: str) -> None:
    """Delete a repository and what it holds, its tags being ended already; its record stays."""
    for table in ("manifest_children", "manifest_blobs", "manifests", "repository_blobs", "uploads", "repository_tags"):
        txn.run(f"DELETE FROM {table} WHERE repository_id = ?", identity)
    txn.run("DELETE FROM lifecycle_policies WHERE repository_id = ?", identity)
    txn.run("UPDATE repositories SET deleted_at = ?, deleted_by = ? WHERE id = ?", at, by, identity)
