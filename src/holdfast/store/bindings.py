"""The statements over tag bindings and tombstones.

A binding is an interval: it begins, and at most ends. `begin` and `end` are the only changes there are, and triggers in
the schema refuse the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Binding:
    """A tag named a digest from `bound_at` on, until `ended_at` when that is set; microseconds since the epoch."""

    id: int
    tag: str
    digest: str
    bound_at: int
    bound_by: str
    ended_at: int | None = None
    ended_by: str | None = None
    end_cause: str | None = None


_COLUMNS = "id, tag, digest, bound_at, bound_by, ended_at, ended_by, end_cause"


def begin(txn: Transaction, repository_id: int, tag: str, digest: str, *, at: int, by: str) -> bool:
    """Bind a tag; return False when it names something already: the unique key decides, whoever asked first."""
    return (
        txn.run(
            "INSERT INTO bindings (repository_id, tag, digest, bound_at, bound_by) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (repository_id, tag) WHERE ended_at IS NULL DO NOTHING",
            repository_id,
            tag,
            digest,
            at,
            by,
        )
        > 0
    )


def end(txn: Transaction, binding_id: int, *, at: int, by: str, cause: str) -> None:
    """End a binding that is live."""
    txn.run(
        "UPDATE bindings SET ended_at = ?, ended_by = ?, end_cause = ? WHERE id = ? AND ended_at IS NULL",
        at,
        by,
        cause,
        binding_id,
    )


def live(reader: Reader, repository_id: int, tag: str) -> Binding | None:
    """Find what a tag names now."""
    row = reader.row(
        f"SELECT {_COLUMNS} FROM bindings WHERE repository_id = ? AND tag = ? AND ended_at IS NULL", repository_id, tag
    )
    return Binding(*cast("tuple[Any, ...]", row)) if row else None


def live_of_digest(reader: Reader, repository_id: int, digest: str) -> list[Binding]:
    """List the tags that name a digest now, by name."""
    rows = reader.rows(
        f"SELECT {_COLUMNS} FROM bindings WHERE repository_id = ? AND digest = ? AND ended_at IS NULL ORDER BY tag",
        repository_id,
        digest,
    )
    return [Binding(*cast("tuple[Any, ...]", row)) for row in rows]


def live_of_repository(reader: Reader, repository_id: int, *, after: str, limit: int) -> list[Binding]:
    """List live bindings by tag (byte order), those after a tag, at most `limit`."""
    rows = reader.rows(
        f"SELECT {_COLUMNS} FROM bindings WHERE repository_id = ? AND tag > ? AND ended_at IS NULL "
        "ORDER BY tag LIMIT ?",
        repository_id,
        after,
        limit,
    )
    return [Binding(*cast("tuple[Any, ...]", row)) for row in rows]


def tags(reader: Reader, repository_id: int, *, after: str, limit: int) -> list[str]:
    """List the live tags of a repository (byte order), those after a tag, at most `limit`."""
    rows = reader.rows(
        "SELECT tag FROM bindings WHERE repository_id = ? AND tag > ? AND ended_at IS NULL ORDER BY tag LIMIT ?",
        repository_id,
        after,
        limit,
    )
    return [cast("str", row[0]) for row in rows]


def tags_of_digests(reader: Reader, repository_id: int, digests: Sequence[str]) -> dict[str, list[str]]:
    """Find the live tags of several digests: digest -> tags by name; a digest without tags is absent."""
    found: dict[str, list[str]] = {}
    rows = reader.rows(
        f"SELECT digest, tag FROM bindings WHERE repository_id = ? AND ended_at IS NULL AND digest IN "
        f"({placeholders(digests)}) ORDER BY digest, tag",
        repository_id,
        *digests,
    )
    for digest, tag in cast("list[tuple[str, str]]", rows):
        found.setdefault(digest, []).append(tag)
    return found


def history(
    reader: Reader, registry_id: int, repository: str, tag: str | None, *, before: int, limit: int
) -> list[Binding]:
    """List bindings, newest first, of one tag or of all, also from repositories of this name that were deleted."""
    of_tag, values = ("AND b.tag = ?", (tag,)) if tag is not None else ("", ())
    columns = ", ".join(f"b.{column.strip()}" for column in _COLUMNS.split(","))
    rows = reader.rows(
        f"SELECT {columns} FROM repositories r JOIN bindings b ON b.repository_id = r.id "
        f"WHERE r.registry_id = ? AND r.name = ? {of_tag} AND b.id < ? ORDER BY b.id DESC LIMIT ?",
        registry_id,
        repository,
        *values,
        before,
        limit,
    )
    return [Binding(*cast("tuple[Any, ...]", row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A held tag that was deleted; only its digest may take the name again."""

    id: int
    tag: str
    digest: str
    deleted_at: int
    deleted_by: str


def tombstone(reader: Reader, registry_id: int, repository: str, tag: str) -> Tombstone | None:
    """Find the open tombstone of a name."""
    row = reader.row(
        "SELECT id, tag, digest, deleted_at, deleted_by FROM tombstones "
        "WHERE registry_id = ? AND repository = ? AND tag = ? AND closed_at IS NULL",
        registry_id,
        repository,
        tag,
    )
    return Tombstone(*cast("tuple[Any, ...]", row)) if row else None


def bury(txn: Transaction, registry_id: int, repository: str, tag: str, digest: str, *, at: int, by: str) -> None:
    """Leave a tombstone."""
    txn.run(
        "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        registry_id,
        repository,
        tag,
        digest,
        at,
        by,
    )


def close_tombstone(txn: Transaction, tombstone_id: int, *, at: int, by: str, cause: str) -> None:
    """Close a tombstone: its digest came back ('restored'), or an administrator gave the name up ('forgotten')."""
    txn.run(
        "UPDATE tombstones SET closed_at = ?, closed_by = ?, close_cause = ? WHERE id = ?", at, by, cause, tombstone_id
    )
