"""The statements over repositories, blobs, manifests and uploads, and the rows they give.

This file and its neighbours `bindings.py`, `accounts.py` and `entries.py` hold all SQL. A function here is one question
or one change; which of them belong together, and what they mean, is for the use cases to know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.core.manifest import Manifest
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


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is served."""

    digest: str
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest as it is described; sizes in bytes, times in microseconds since the epoch."""

    digest: str
    media_type: str
    artifact_type: str | None
    subject: str | None
    payload_bytes: int
    image_bytes: int
    pushed_at: int
    last_pulled_at: int | None


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a repository has."""

    digest: str
    size_bytes: int
    generation: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session."""

    id: str
    repository_id: int
    principal: str
    short_part_at: int | None
    created_at: int


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
    return Repository(
        identity, registry_id, name, settings, bool(scan), json.loads(encryption), created_at, created_by
    )


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


def insert_repository(  # noqa: PLR0913 - the columns of one row
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
        "INSERT INTO repositories (registry_id, name, tag_mutability, scan_on_push, encryption, created_at, created_by) "
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
        txn.run(f"DELETE FROM {table} WHERE repository_id = ?", identity)  # noqa: S608 - names from the line above
    txn.run("UPDATE repositories SET deleted_at = ?, deleted_by = ? WHERE id = ?", at, by, identity)


# --- manifests -------------------------------------------------------------------------------------------------------

_STORED = (
    "SELECT m.digest, m.media_type, p.payload FROM repositories r "
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
    return StoredManifest(*cast("tuple[str, str, bytes]", row)) if row else None


def manifest_by_digest(reader: Reader, registry_id: int, name: str, digest: str) -> StoredManifest | None:
    """Find a manifest by digest."""
    row = reader.row(_BY_DIGEST, digest, registry_id, name)
    return StoredManifest(*cast("tuple[str, str, bytes]", row)) if row else None


def payload(reader: Reader, identity: int, digest: str) -> StoredManifest | None:
    """Find a manifest of a repository whose number is known."""
    row = reader.row(
        "SELECT m.digest, m.media_type, p.payload FROM manifests m JOIN manifest_payloads p ON p.digest = m.digest "
        "WHERE m.repository_id = ? AND m.digest = ?",
        identity,
        digest,
    )
    return StoredManifest(*cast("tuple[str, str, bytes]", row)) if row else None


_IMAGE = (
    "SELECT digest, media_type, artifact_type, subject, payload_bytes, image_bytes, pushed_at, last_pulled_at "
    "FROM manifests"
)


def image(reader: Reader, identity: int, digest: str) -> Image | None:
    """Describe one manifest."""
    row = reader.row(f"{_IMAGE} WHERE repository_id = ? AND digest = ?", identity, digest)
    return Image(*cast("tuple[Any, ...]", row)) if row else None


_TAGGED = {
    None: "",
    True: "AND EXISTS (SELECT 1 FROM bindings b WHERE b.repository_id = m.repository_id AND b.digest = m.digest "
    "AND b.ended_at IS NULL)",
    False: "AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.repository_id = m.repository_id AND b.digest = m.digest "
    "AND b.ended_at IS NULL)",
}


def images(reader: Reader, identity: int, *, tagged: bool | None, after: str, limit: int) -> list[Image]:
    """List manifests by digest, those after one, at most `limit`; `tagged` picks those with tags, or without."""
    rows = reader.rows(
        f"{_IMAGE} m WHERE repository_id = ? AND digest > ? {_TAGGED[tagged]} ORDER BY digest LIMIT ?",
        identity,
        after,
        limit,
    )
    return [Image(*cast("tuple[Any, ...]", row)) for row in rows]


def image_ids(
    reader: Reader, identity: int, *, tagged: bool | None, after: tuple[str, str], limit: int
) -> list[tuple[str, str | None]]:
    """List (digest, tag), and (digest, None) for what has no tag, in this order, those after a pair."""
    digest, tag = after
    join = "JOIN" if tagged else "LEFT JOIN"
    untagged = "AND b.tag IS NULL" if tagged is False else ""
    rows = reader.rows(
        f"SELECT m.digest, b.tag FROM manifests m {join} bindings b ON b.repository_id = m.repository_id "  # noqa: S608 - literals
        f"AND b.digest = m.digest AND b.ended_at IS NULL WHERE m.repository_id = ? AND m.digest >= ? {untagged} "
        "AND (m.digest > ? OR coalesce(b.tag, '') > ?) ORDER BY m.digest, b.tag LIMIT ?",
        identity,
        digest,
        digest,
        tag,
        limit,
    )
    return cast("list[tuple[str, str | None]]", rows)


def referrers(  # noqa: PLR0913 - the key, and the page
    reader: Reader, identity: int, subject: str, *, artifact_type: str | None, after: str, limit: int
) -> list[StoredManifest]:
    """List the manifests whose subject is a digest, of one artifact type or all, by digest, at most `limit`."""
    of_type, values = ("AND m.artifact_type = ?", (artifact_type,)) if artifact_type is not None else ("", ())
    rows = reader.rows(
        "SELECT m.digest, m.media_type, p.payload FROM manifests m JOIN manifest_payloads p ON p.digest = m.digest "  # noqa: S608 - literals
        f"WHERE m.repository_id = ? AND m.subject = ? {of_type} AND m.digest > ? ORDER BY m.digest LIMIT ?",
        identity,
        subject,
        *values,
        after,
        limit,
    )
    return [StoredManifest(*cast("tuple[str, str, bytes]", row)) for row in rows]


def has_images(reader: Reader, identity: int) -> bool:
    """Whether the repository has any manifest."""
    return reader.row("SELECT 1 FROM manifests WHERE repository_id = ? LIMIT 1", identity) is not None


def insert_manifest(  # noqa: PLR0913 - the columns of one row
    txn: Transaction, identity: int, manifest: Manifest, *, image_bytes: int, at: int, by: str
) -> bool:
    """Write a manifest with what it refers to; return False, and change nothing, when it is there already."""
    digest = str(manifest.digest)
    if image(txn, identity, digest):
        return False
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
        for part in dict.fromkeys(str(one.digest) for one in parts):
            txn.run(
                f"INSERT INTO {table} (repository_id, {column}) VALUES (?, ?, ?)",  # noqa: S608 - names from above
                identity,
                digest,
                part,
            )
    return True


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


# --- blobs -----------------------------------------------------------------------------------------------------------


def blob(reader: Reader, identity: int, digest: str) -> Blob | None:
    """Find a blob of a repository."""
    row = reader.row(
        "SELECT b.digest, b.size_bytes, b.generation FROM repository_blobs l JOIN blobs b ON b.digest = l.digest "
        "WHERE l.repository_id = ? AND l.digest = ?",
        identity,
        digest,
    )
    return Blob(*cast("tuple[str, int, str]", row)) if row else None


def blob_of(reader: Reader, registry_id: int, name: str, digest: str) -> Blob | None:
    """Find a blob of a repository given by name."""
    row = reader.row(
        "SELECT b.digest, b.size_bytes, b.generation FROM repositories r "
        "JOIN repository_blobs l ON l.repository_id = r.id AND l.digest = ? JOIN blobs b ON b.digest = l.digest "
        "WHERE r.registry_id = ? AND r.name = ? AND r.deleted_at IS NULL",
        digest,
        registry_id,
        name,
    )
    return Blob(*cast("tuple[str, int, str]", row)) if row else None


def blob_anywhere(reader: Reader, digest: str) -> Blob | None:
    """Find a blob whichever repository has it: never to be told to a client."""
    row = reader.row("SELECT digest, size_bytes, generation FROM blobs WHERE digest = ?", digest)
    return Blob(*cast("tuple[str, int, str]", row)) if row else None


def blob_sizes(reader: Reader, identity: int, digests: Sequence[str]) -> dict[str, int]:
    """Find blobs of a repository: digest -> size in bytes."""
    rows = reader.rows(
        "SELECT b.digest, b.size_bytes FROM repository_blobs l JOIN blobs b ON b.digest = l.digest "
        f"WHERE l.repository_id = ? AND l.digest IN ({placeholders(digests)})",
        identity,
        *digests,
    )
    return {cast("str", row[0]): cast("int", row[1]) for row in rows}


def repositories_with_blob(reader: Reader, registry_id: int, digest: str, *, limit: int) -> list[str]:
    """List names of repositories of the registry that have a blob, at most `limit`."""
    rows = reader.rows(
        "SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id "
        "WHERE l.digest = ? AND r.registry_id = ? AND r.deleted_at IS NULL LIMIT ?",
        digest,
        registry_id,
        limit,
    )
    return [cast("str", row[0]) for row in rows]


def insert_blob(txn: Transaction, found: Blob, *, at: int) -> bool:
    """Write a blob that lies in the blob store; return False when one of this digest is there already."""
    return (
        txn.run(
            "INSERT INTO blobs (digest, size_bytes, generation, created_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (digest) DO NOTHING",
            found.digest,
            found.size_bytes,
            found.generation,
            at,
        )
        > 0
    )


def replace_blob(txn: Transaction, damaged: Blob, sound: Blob) -> None:
    """Let a blob's row name another file, unless somebody did so before."""
    txn.run(
        "UPDATE blobs SET generation = ?, size_bytes = ? WHERE digest = ? AND generation = ?",
        sound.generation,
        sound.size_bytes,
        damaged.digest,
        damaged.generation,
    )


def link_blob(txn: Transaction, identity: int, digest: str, *, at: int) -> bool:
    """Give a repository a blob; return False when it has it already."""
    return (
        txn.run(
            "INSERT INTO repository_blobs (repository_id, digest, linked_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            identity,
            digest,
            at,
        )
        > 0
    )


def unlink_blob(txn: Transaction, identity: int, digest: str) -> bool:
    """Take a blob from a repository; say whether it had it."""
    return txn.run("DELETE FROM repository_blobs WHERE repository_id = ? AND digest = ?", identity, digest) > 0


def blob_is_referenced(reader: Reader, identity: int, digest: str) -> bool:
    """Whether a manifest of the repository needs the blob."""
    return (
        reader.row("SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND blob = ? LIMIT 1", identity, digest)
        is not None
    )


# --- uploads ---------------------------------------------------------------------------------------------------------


def insert_upload(txn: Transaction, upload: Upload) -> None:
    """Write a new upload session."""
    txn.run(
        "INSERT INTO uploads (id, repository_id, principal, short_part_at, created_at) VALUES (?, ?, ?, ?, ?)",
        upload.id,
        upload.repository_id,
        upload.principal,
        upload.short_part_at,
        upload.created_at,
    )


def upload(reader: Reader, identity: str) -> Upload | None:
    """Find an upload session."""
    row = reader.row("SELECT id, repository_id, principal, short_part_at, created_at FROM uploads WHERE id = ?", identity)
    return Upload(*cast("tuple[Any, ...]", row)) if row else None


def note_short_part(txn: Transaction, identity: str, start: int) -> None:
    """Note where a part began that was shorter than ECR's least part size."""
    txn.run("UPDATE uploads SET short_part_at = ? WHERE id = ?", start, identity)


def delete_upload(txn: Transaction, identity: str) -> bool:
    """Delete an upload session; say whether it was there."""
    return txn.run("DELETE FROM uploads WHERE id = ?", identity) > 0


def uploads_before(reader: Reader, created_before: int, *, limit: int) -> list[Upload]:
    """List upload sessions that were begun before a time, at most `limit`."""
    rows = reader.rows(
        "SELECT id, repository_id, principal, short_part_at, created_at FROM uploads WHERE created_at < ? LIMIT ?",
        created_before,
        limit,
    )
    return [Upload(*cast("tuple[Any, ...]", row)) for row in rows]
