"""The statements over manifests: their bytes, what they refer to, and how images are described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.manifest import Manifest
    from holdfast.store.database import Reader, Transaction

_ROWS_PER_INSERT: Final = 100
"""Written by one statement; an image seldom has as many layers, and each length of list is a statement of its own."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is served."""

    digest: str
    media_type: str
    payload: bytes
    status: str = "ACTIVE"


class Image(NamedTuple):
    """A manifest as it is described; sizes in bytes, times in microseconds since the epoch.

    A tuple, as the row is one: a page of ECR's API has a thousand of them.
    """

    digest: str
    media_type: str
    artifact_type: str | None
    subject: str | None
    payload_bytes: int
    image_bytes: int
    pushed_at: int
    last_pulled_at: int | None
    status: str
    archived_at: int | None
    activated_at: int | None


_STORED = (
    "SELECT m.digest, m.media_type, p.payload, m.status FROM repositories r "
    "{tag} JOIN manifests m ON m.repository_id = r.id AND m.digest = {digest} "
    "JOIN manifest_payloads p ON p.digest = m.digest WHERE r.registry_id = ? AND r.name = ? AND r.deleted_at IS NULL"
)
_BY_TAG = _STORED.format(
    tag="JOIN bindings b ON b.repository_id = r.id AND b.tag = ? AND b.ended_at IS NULL", digest="b.digest"
)
_BY_DIGEST = _STORED.format(tag="", digest="?")


def manifest_by_tag(reader: Reader, registry_id: int, name: str, tag: str) -> StoredManifest | None:
    """Find the manifest that a tag names."""
    row = reader.row(_BY_TAG, tag, registry_id, name)
    return StoredManifest(*cast("tuple[str, str, bytes, str]", row)) if row else None


def manifest_by_digest(reader: Reader, registry_id: int, name: str, digest: str) -> StoredManifest | None:
    """Find a manifest by digest."""
    row = reader.row(_BY_DIGEST, digest, registry_id, name)
    return StoredManifest(*cast("tuple[str, str, bytes, str]", row)) if row else None


def payload(reader: Reader, identity: int, digest: str) -> StoredManifest | None:
    """Find a manifest of a repository whose number is known."""
    row = reader.row(
        "SELECT m.digest, m.media_type, p.payload, m.status "
        "FROM manifests m JOIN manifest_payloads p ON p.digest = m.digest "
        "WHERE m.repository_id = ? AND m.digest = ?",
        identity,
        digest,
    )
    return StoredManifest(*cast("tuple[str, str, bytes, str]", row)) if row else None


_IMAGE = (
    "SELECT digest, media_type, artifact_type, subject, payload_bytes, image_bytes, pushed_at, last_pulled_at, "
    "status, archived_at, activated_at FROM manifests"
)


def image(reader: Reader, identity: int, digest: str) -> Image | None:
    """Describe one manifest."""
    row = reader.row(f"{_IMAGE} WHERE repository_id = ? AND digest = ?", identity, digest)
    return Image._make(cast("tuple[Any, ...]", row)) if row else None


_TAGGED = {
    None: "",
    True: "AND EXISTS (SELECT 1 FROM bindings b WHERE b.repository_id = m.repository_id AND b.digest = m.digest "
    "AND b.ended_at IS NULL)",
    False: "AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.repository_id = m.repository_id AND b.digest = m.digest "
    "AND b.ended_at IS NULL)",
}


def _of_status(status: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Return how to look for a status: the index to go by (what rests has one), a condition, its values."""
    if status in {None, "ACTIVE"}:
        return "", "AND m.status = ?" if status else "", (status,) if status else ()
    return "INDEXED BY images_at_rest", "AND m.status <> 'ACTIVE' AND m.status = ?", (status,)


def end_of_step(reader: Reader, identity: int, *, after: str, rows: int) -> str | None:
    """Find the digest that stands so many manifests after another, so that no statement looks at more of them."""
    row = reader.row(
        "SELECT digest FROM manifests WHERE repository_id = ? AND digest > ? ORDER BY digest LIMIT 1 OFFSET ?",
        identity,
        after,
        rows - 1,
    )
    return cast("str", row[0]) if row else None


def images(
    reader: Reader,
    identity: int,
    *,
    tagged: bool | None,
    status: str | None = None,
    after: str,
    until: str | None = None,
    limit: int,
) -> list[Image]:
    """List manifests by digest, at most `limit`; `tagged` picks those with tags, or without.

    They are those after a digest, and up to another where `until` names one.
    """
    index, of_status, values = _of_status(status)
    up_to, end = ("AND digest <= ?", (until,)) if until is not None else ("", ())
    rows = reader.rows(
        f"{_IMAGE} m {index} WHERE repository_id = ? AND digest > ? {up_to} {_TAGGED[tagged]} {of_status} "
        "ORDER BY digest LIMIT ?",
        identity,
        after,
        *end,
        *values,
        limit,
    )
    return [Image._make(row) for row in cast("list[tuple[Any, ...]]", rows)]


def image_ids(
    reader: Reader,
    identity: int,
    *,
    tagged: bool | None,
    status: str | None = None,
    after: tuple[str, str],
    until: str | None = None,
    limit: int,
) -> list[tuple[str, str | None]]:
    """List (digest, tag), and (digest, None) for what has no tag, in this order.

    They are those after a pair, and up to a digest where `until` names one.
    """
    digest, tag = after
    join = "JOIN" if tagged else "LEFT JOIN"
    untagged = "AND b.tag IS NULL" if tagged is False else ""
    index, of_status, values = _of_status(status)
    up_to, end = ("AND m.digest <= ?", (until,)) if until is not None else ("", ())
    rows = reader.rows(
        f"SELECT m.digest, b.tag FROM manifests m {index} {join} bindings b ON b.repository_id = m.repository_id "
        "AND b.digest = m.digest AND b.ended_at IS NULL WHERE m.repository_id = ? AND m.digest >= ? "
        f"{up_to} {untagged} {of_status} AND (m.digest > ? OR coalesce(b.tag, '') > ?) "
        "ORDER BY m.digest, b.tag LIMIT ?",
        identity,
        digest,
        *end,
        *values,
        digest,
        tag,
        limit,
    )
    return cast("list[tuple[str, str | None]]", rows)


def referrers(
    reader: Reader,
    identity: int,
    subject: str,
    *,
    artifact_types: Sequence[str],
    status: str | None,
    after: str,
    limit: int,
) -> list[StoredManifest]:
    """List the manifests whose subject is a digest, of some artifact types and a status or all, by digest."""
    of_type = f"AND m.artifact_type IN ({placeholders(artifact_types)})" if artifact_types else ""
    of_status, statuses = ("AND m.status = ?", (status,)) if status is not None else ("", ())
    rows = reader.rows(
        "SELECT m.digest, m.media_type, p.payload, m.status "
        "FROM manifests m JOIN manifest_payloads p ON p.digest = m.digest "
        f"WHERE m.repository_id = ? AND m.subject = ? {of_type} {of_status} AND m.digest > ? "
        "ORDER BY m.digest LIMIT ?",
        identity,
        subject,
        *artifact_types,
        *statuses,
        after,
        limit,
    )
    return [StoredManifest(*cast("tuple[str, str, bytes, str]", row)) for row in rows]


def has_images(reader: Reader, identity: int) -> bool:
    """Whether the repository has any manifest."""
    return reader.row("SELECT 1 FROM manifests WHERE repository_id = ? LIMIT 1", identity) is not None


def insert_manifest(txn: Transaction, identity: int, manifest: Manifest, *, image_bytes: int, at: int, by: str) -> None:
    """Write a manifest, which the repository does not have yet, with what it refers to."""
    digest = str(manifest.digest)
    txn.run(
        "INSERT INTO manifest_payloads (digest, payload) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        digest,
        manifest.payload,
    )
    txn.run(
        "INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, payload_bytes, image_bytes, "
        "pushed_at, pushed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        identity,
        digest,
        manifest.media_type,
        manifest.referrer_type,
        str(manifest.subject.digest) if manifest.subject else None,
        len(manifest.payload),
        image_bytes,
        at,
        by,
    )
    for table, column, parts in (
        ("manifest_blobs", "manifest, blob", manifest.blobs),
        ("manifest_children", "parent, child", manifest.children),
    ):
        distinct = list(dict.fromkeys(str(one.digest) for one in parts))
        for start in range(0, len(distinct), _ROWS_PER_INSERT):
            some = distinct[start : start + _ROWS_PER_INSERT]
            rows = ", ".join(["(?, ?, ?)"] * len(some))
            values = [value for part in some for value in (identity, digest, part)]
            txn.run(f"INSERT INTO {table} (repository_id, {column}) VALUES {rows}", *values)
    for part in dict.fromkeys(str(one.digest) for one in manifest.foreign_blobs):
        txn.run(
            "INSERT INTO manifest_blobs (repository_id, manifest, blob) SELECT repository_id, ?, digest "
            "FROM repository_blobs WHERE repository_id = ? AND digest = ? ON CONFLICT DO NOTHING",
            digest,
            identity,
            part,
        )


def delete_manifest(txn: Transaction, identity: int, digest: str) -> bool:
    """Delete a manifest, its tags being ended already; say whether it was there."""
    return txn.run("DELETE FROM manifests WHERE repository_id = ? AND digest = ?", identity, digest) > 0


def delete_unused_payload(txn: Transaction, digest: str) -> None:
    """Delete the bytes of a manifest that no repository has any more."""
    txn.run(
        "DELETE FROM manifest_payloads WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?)",
        digest,
        digest,
    )


def parents(reader: Reader, identity: int, child: str) -> list[str]:
    """List the indexes of the repository that list a manifest."""
    rows = reader.rows(
        "SELECT parent FROM manifest_children WHERE repository_id = ? AND child = ? ORDER BY parent", identity, child
    )
    return [cast("str", row[0]) for row in rows]


def image_sizes(reader: Reader, identity: int, digests: Sequence[str]) -> dict[str, tuple[int, int, str]]:
    """Find manifests: digest -> payload bytes, image bytes, media type."""
    rows = reader.rows(
        f"SELECT digest, payload_bytes, image_bytes, media_type FROM manifests WHERE repository_id = ? AND digest IN "
        f"({placeholders(digests)})",
        identity,
        *digests,
    )
    return {cast("str", row[0]): cast("tuple[int, int, str]", row[1:]) for row in rows}
