"""The statements over templates, upstream credentials, pull-through rules, and what upstream tags were seen to name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Template:
    """A repository creation template; `settings` as ECR's API tells them, times in microseconds since the epoch."""

    prefix: str
    settings: dict[str, Any]
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A sealed credential of an upstream registry."""

    name: str
    username: str
    sealed: str
    updated_at: int


@dataclass(frozen=True, slots=True)
class PullThroughRule:
    """Which upstream the repositories below a prefix come from; `credential` and `custom_role` are ARNs as given."""

    prefix: str
    url: str
    upstream: str | None
    upstream_prefix: str
    credential: str | None
    custom_role: str | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class UpstreamTag:
    """A tag that came from upstream: what came, and what the upstream said it names when it was asked last."""

    repository: str
    tag: str
    url: str
    cached: str
    upstream: str | None
    checked_at: int
    drifted_at: int | None


# --- templates -------------------------------------------------------------------------------------------------------


def templates(reader: Reader, registry_id: int, *, after: str = "", limit: int = 1_000) -> list[Template]:
    """List templates by prefix, those after one, at most `limit`."""
    rows = reader.rows(
        "SELECT prefix, settings, created_at, updated_at FROM creation_templates "
        "WHERE registry_id = ? AND prefix > ? ORDER BY prefix LIMIT ?",
        registry_id,
        after,
        limit,
    )
    return [
        Template(prefix, json.loads(settings), made, changed)
        for prefix, settings, made, changed in cast("list[tuple[Any, ...]]", rows)
    ]


def template(reader: Reader, registry_id: int, prefix: str) -> Template | None:
    """Find the template of a prefix."""
    row = reader.row(
        "SELECT prefix, settings, created_at, updated_at FROM creation_templates WHERE registry_id = ? AND prefix = ?",
        registry_id,
        prefix,
    )
    if row is None:
        return None
    found, settings, made, changed = cast("tuple[Any, ...]", row)
    return Template(found, json.loads(settings), made, changed)


def template_prefixes(reader: Reader, registry_id: int) -> list[tuple[str, list[str]]]:
    """List the prefixes of all templates, each with the occasions that it is applied for."""
    rows = reader.rows(
        "SELECT prefix, settings ->> '$.appliedFor' FROM creation_templates WHERE registry_id = ?", registry_id
    )
    return [(prefix, json.loads(applied)) for prefix, applied in cast("list[tuple[str, str]]", rows)]


def write_template(txn: Transaction, registry_id: int, prefix: str, settings: Mapping[str, Any], *, at: int) -> None:
    """Write a template, new or in place of the one that is there."""
    txn.run(
        "INSERT INTO creation_templates (registry_id, prefix, settings, created_at, updated_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (registry_id, prefix) DO UPDATE SET settings = excluded.settings, "
        "updated_at = excluded.updated_at",
        registry_id,
        prefix,
        json.dumps(settings, separators=(",", ":")),
        at,
        at,
    )


def delete_template(txn: Transaction, registry_id: int, prefix: str) -> None:
    """Delete a template."""
    txn.run("DELETE FROM creation_templates WHERE registry_id = ? AND prefix = ?", registry_id, prefix)


# --- credentials -----------------------------------------------------------------------------------------------------

_CREDENTIAL = "SELECT name, username, sealed, updated_at FROM upstream_credentials"


def credential(reader: Reader, registry_id: int, name: str) -> CredentialRow | None:
    """Find a credential."""
    row = reader.row(f"{_CREDENTIAL} WHERE registry_id = ? AND name = ?", registry_id, name)
    return CredentialRow(*cast("tuple[Any, ...]", row)) if row else None


def credentials(reader: Reader, registry_id: int, *, after: str, limit: int) -> list[CredentialRow]:
    """List credentials by name, those after one, at most `limit`."""
    rows = reader.rows(
        f"{_CREDENTIAL} WHERE registry_id = ? AND name > ? ORDER BY name LIMIT ?", registry_id, after, limit
    )
    return [CredentialRow(*cast("tuple[Any, ...]", row)) for row in rows]


def write_credential(txn: Transaction, registry_id: int, row: CredentialRow) -> None:
    """Write a credential, new or in place of the one that is there."""
    txn.run(
        "INSERT INTO upstream_credentials (registry_id, name, username, sealed, updated_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (registry_id, name) DO UPDATE SET username = excluded.username, sealed = excluded.sealed, "
        "updated_at = excluded.updated_at",
        registry_id,
        row.name,
        row.username,
        row.sealed,
        row.updated_at,
    )


def sealed_credentials(reader: Reader) -> list[tuple[int, str, str]]:
    """List the credentials of all registries: registry, name, and what is sealed."""
    rows = reader.rows("SELECT registry_id, name, sealed FROM upstream_credentials ORDER BY registry_id, name")
    return cast("list[tuple[int, str, str]]", rows)


def write_sealed(txn: Transaction, registry_id: int, name: str, sealed: str) -> None:
    """Write what a credential has sealed anew; it is no change of the credential."""
    txn.run("UPDATE upstream_credentials SET sealed = ? WHERE registry_id = ? AND name = ?", sealed, registry_id, name)


def delete_credential(txn: Transaction, registry_id: int, name: str) -> bool:
    """Delete a credential; say whether it was there."""
    return txn.run("DELETE FROM upstream_credentials WHERE registry_id = ? AND name = ?", registry_id, name) > 0


# --- pull-through rules ----------------------------------------------------------------------------------------------

_RULE = (
    "SELECT prefix, url, upstream, upstream_prefix, credential, custom_role, created_at, updated_at "
    "FROM pull_through_rules"
)


def rule(reader: Reader, registry_id: int, prefix: str) -> PullThroughRule | None:
    """Find the rule of a prefix."""
    row = reader.row(f"{_RULE} WHERE registry_id = ? AND prefix = ?", registry_id, prefix)
    return PullThroughRule(*cast("tuple[Any, ...]", row)) if row else None


def rules(reader: Reader, registry_id: int, *, after: str = "", limit: int = 1_000) -> list[PullThroughRule]:
    """List rules by prefix, those after one, at most `limit`."""
    rows = reader.rows(
        f"{_RULE} WHERE registry_id = ? AND prefix > ? ORDER BY prefix LIMIT ?", registry_id, after, limit
    )
    return [PullThroughRule(*cast("tuple[Any, ...]", row)) for row in rows]


def write_rule(txn: Transaction, registry_id: int, row: PullThroughRule) -> None:
    """Write a rule, new or in place of the one that is there."""
    txn.run(
        "INSERT INTO pull_through_rules (registry_id, prefix, url, upstream, upstream_prefix, credential, custom_role, "
        "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (registry_id, prefix) DO UPDATE SET "
        "credential = excluded.credential, custom_role = excluded.custom_role, updated_at = excluded.updated_at",
        registry_id,
        row.prefix,
        row.url,
        row.upstream,
        row.upstream_prefix,
        row.credential,
        row.custom_role,
        row.created_at,
        row.updated_at,
    )


def delete_rule(txn: Transaction, registry_id: int, prefix: str) -> None:
    """Delete a rule; what came by it stays."""
    txn.run("DELETE FROM pull_through_rules WHERE registry_id = ? AND prefix = ?", registry_id, prefix)


# --- what upstream tags name -----------------------------------------------------------------------------------------

_SEEN = "SELECT r.name, u.tag, u.url, u.cached, u.upstream, u.checked_at, u.drifted_at FROM upstream_tags u"


def upstream_tag(reader: Reader, registry_id: int, repository: str, tag: str) -> UpstreamTag | None:
    """Find what is known of a tag that came from upstream."""
    row = reader.row(
        f"{_SEEN} JOIN repositories r ON r.id = u.repository_id "
        "WHERE r.registry_id = ? AND r.name = ? AND r.deleted_at IS NULL AND u.tag = ?",
        registry_id,
        repository,
        tag,
    )
    return UpstreamTag(*cast("tuple[Any, ...]", row)) if row else None


def note_upstream_tag(txn: Transaction, repository_id: int, seen: UpstreamTag) -> None:
    """Write what is known of a tag that came from upstream."""
    txn.run(
        "INSERT INTO upstream_tags (repository_id, tag, url, cached, upstream, checked_at, drifted_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repository_id, tag) DO UPDATE SET url = excluded.url, "
        "cached = excluded.cached, upstream = excluded.upstream, checked_at = excluded.checked_at, "
        "drifted_at = excluded.drifted_at",
        repository_id,
        seen.tag,
        seen.url,
        seen.cached,
        seen.upstream,
        seen.checked_at,
        seen.drifted_at,
    )


def drifted(reader: Reader, registry_id: int, *, after: tuple[str, str], limit: int) -> list[UpstreamTag]:
    """List tags whose upstream names something else than they do, by (repository, tag), those after a pair."""
    rows = reader.rows(
        f"{_SEEN} JOIN repositories r ON r.id = u.repository_id JOIN bindings b ON b.repository_id = u.repository_id "
        "AND b.tag = u.tag AND b.digest = u.cached AND b.ended_at IS NULL WHERE r.registry_id = ? "
        "AND r.deleted_at IS NULL AND u.drifted_at IS NOT NULL AND (r.name, u.tag) > (?, ?) ORDER BY r.name, u.tag "
        "LIMIT ?",
        registry_id,
        *after,
        limit,
    )
    return [UpstreamTag(*cast("tuple[Any, ...]", row)) for row in rows]


def count_drifted(reader: Reader) -> int:
    """Count such tags over all registries."""
    row = reader.row(
        "SELECT count(*) FROM upstream_tags u JOIN bindings b ON b.repository_id = u.repository_id AND b.tag = u.tag "
        "AND b.digest = u.cached AND b.ended_at IS NULL WHERE u.drifted_at IS NOT NULL"
    )
    return cast("tuple[int]", row)[0]
