"""The statements of an examination: everything that the database says, page by page, to be held against the bytes.

This file only reads, but for the few repairs at its end; what a finding is and what may be repaired is decided in
`registry/fsck.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A blob as the database has it."""

    digest: str
    size_bytes: int
    generation: str
    created_at: int


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A manifest of a repository with its bytes, and the name of the repository."""

    repository_id: int
    repository: str
    digest: str
    media_type: str
    artifact_type: str | None
    subject: str | None
    payload_bytes: int
    image_bytes: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class NamedRow:
    """What a tag of a repository names: a live binding, or what the record says of it."""

    registry_id: int
    repository: str
    tag: str
    digest: str


def totals(reader: Reader) -> dict[str, int]:
    """Count what there is to examine."""
    counted = {
        "blobs": "SELECT count(*) FROM blobs",
        "blob_bytes": "SELECT coalesce(sum(size_bytes), 0) FROM blobs",
        "manifests": "SELECT count(*) FROM manifests",
        "tags": "SELECT count(*) FROM bindings WHERE ended_at IS NULL",
        "entries": "SELECT count(*) FROM entries",
    }
    return {name: cast("tuple[int]", reader.row(statement))[0] for name, statement in counted.items()}


def blobs_page(reader: Reader, *, after: str, limit: int) -> list[BlobRow]:
    """List blobs by digest, those after one."""
    rows = reader.rows(
        "SELECT digest, size_bytes, generation, created_at FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
        after,
        limit,
    )
    return [BlobRow(*cast("tuple[Any, ...]", row)) for row in rows]


def blob(reader: Reader, digest: str) -> BlobRow | None:
    """Find a blob."""
    row = reader.row("SELECT digest, size_bytes, generation, created_at FROM blobs WHERE digest = ?", digest)
    return BlobRow(*cast("tuple[Any, ...]", row)) if row else None


def blobs_since(reader: Reader, moment: int, *, after: str, limit: int) -> list[BlobRow]:
    """List blobs by digest that were recorded at a moment or later (microseconds since the epoch), those after one."""
    rows = reader.rows(
        "SELECT digest, size_bytes, generation, created_at FROM blobs WHERE digest > ? AND created_at >= ? "
        "ORDER BY digest LIMIT ?",
        after,
        moment,
        limit,
    )
    return [BlobRow(*cast("tuple[Any, ...]", row)) for row in rows]


def is_named(reader: Reader, digest: str, generation: str) -> bool:
    """Whether a row names this file: a blob's, or that of a file which is doomed."""
    return (
        reader.row(
            "SELECT 1 FROM blobs WHERE digest = ? AND generation = ? "
            "UNION ALL SELECT 1 FROM doomed_files WHERE digest = ? AND generation = ?",
            digest,
            generation,
            digest,
            generation,
        )
        is not None
    )


def doomed(reader: Reader) -> list[tuple[str, str, bool]]:
    """List doomed files: digest, generation, and whether a blob's row names that very file (it must not)."""
    rows = reader.rows(
        "SELECT d.digest, d.generation, EXISTS (SELECT 1 FROM blobs b WHERE b.digest = d.digest "
        "AND b.generation = d.generation) FROM doomed_files d ORDER BY 1, 2"
    )
    return [(cast("str", row[0]), cast("str", row[1]), bool(row[2])) for row in rows]


def upload_ids(reader: Reader) -> set[str]:
    """List the ids of all upload sessions."""
    return {cast("str", row[0]) for row in reader.rows("SELECT id FROM uploads")}


def payloads_page(reader: Reader, *, after: str, limit: int) -> list[tuple[str, bytes]]:
    """List manifests' bytes by digest, those after one."""
    rows = reader.rows(
        "SELECT digest, payload FROM manifest_payloads WHERE digest > ? ORDER BY digest LIMIT ?", after, limit
    )
    return cast("list[tuple[str, bytes]]", rows)


def manifests_page(reader: Reader, *, after: tuple[int, str], limit: int) -> list[ManifestRow]:
    """List manifests by repository and digest, those after one."""
    rows = reader.rows(
        "SELECT m.repository_id, r.name, m.digest, m.media_type, m.artifact_type, m.subject, m.payload_bytes, "
        "m.image_bytes, p.payload FROM manifests m JOIN repositories r ON r.id = m.repository_id "
        "JOIN manifest_payloads p ON p.digest = m.digest "
        "WHERE (m.repository_id, m.digest) > (?, ?) ORDER BY m.repository_id, m.digest LIMIT ?",
        *after,
        limit,
    )
    return [ManifestRow(*cast("tuple[Any, ...]", row)) for row in rows]


def blobs_of_manifest(reader: Reader, repository_id: int, digest: str) -> dict[str, int | None]:
    """List the blobs that the references of a manifest name: digest -> size in bytes, None without the blob."""
    rows = reader.rows(
        "SELECT m.blob, b.size_bytes FROM manifest_blobs m LEFT JOIN blobs b ON b.digest = m.blob "
        "WHERE m.repository_id = ? AND m.manifest = ?",
        repository_id,
        digest,
    )
    return dict(cast("list[tuple[str, int | None]]", rows))


def children_of_manifest(reader: Reader, repository_id: int, digest: str) -> dict[str, tuple[int, int] | None]:
    """List the manifests that an index's references name: digest -> payload and image bytes, None without it."""
    rows = reader.rows(
        "SELECT c.child, m.payload_bytes, m.image_bytes FROM manifest_children c "
        "LEFT JOIN manifests m ON m.repository_id = c.repository_id AND m.digest = c.child "
        "WHERE c.repository_id = ? AND c.parent = ?",
        repository_id,
        digest,
    )
    found = cast("list[tuple[str, int | None, int]]", rows)
    return {child: None if payload is None else (payload, image) for child, payload, image in found}


def live_bindings(reader: Reader) -> list[NamedRow]:
    """List what every tag names."""
    rows = reader.rows(
        "SELECT r.registry_id, r.name, b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id "
        "WHERE b.ended_at IS NULL ORDER BY 1, 2, 3"
    )
    return [NamedRow(*cast("tuple[Any, ...]", row)) for row in rows]


def bindings_without_image(reader: Reader) -> list[NamedRow]:
    """List live tags whose manifest, or whose repository, is not there."""
    rows = reader.rows(
        "SELECT r.registry_id, r.name, b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id "
        "WHERE b.ended_at IS NULL AND (r.deleted_at IS NOT NULL OR NOT EXISTS "
        "(SELECT 1 FROM manifests m WHERE m.repository_id = b.repository_id AND m.digest = b.digest))"
    )
    return [NamedRow(*cast("tuple[Any, ...]", row)) for row in rows]


def bindings_passed_over(reader: Reader) -> list[NamedRow]:
    """List bindings that never ended although the tag was bound again later."""
    rows = reader.rows(
        "SELECT r.registry_id, r.name, b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id "
        "WHERE b.ended_at IS NULL AND EXISTS (SELECT 1 FROM bindings later WHERE later.repository_id = b.repository_id "
        "AND later.tag = b.tag AND later.id > b.id)"
    )
    return [NamedRow(*cast("tuple[Any, ...]", row)) for row in rows]


def tombstones_without_past(reader: Reader) -> list[NamedRow]:
    """List names that wait for a digest which the tag never had.

    Where the content is gone, as after a recovery of an older state, only the record tells that the tag had it.
    """
    rows = reader.rows(
        "SELECT t.registry_id, t.repository, t.tag, t.digest FROM tombstones t WHERE NOT EXISTS ("
        "SELECT 1 FROM bindings b JOIN repositories r ON r.id = b.repository_id WHERE r.registry_id = t.registry_id "
        "AND r.name = t.repository AND b.tag = t.tag AND b.digest = t.digest AND b.end_cause = 'deleted') "
        "AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.registry_id = t.registry_id AND e.repository = t.repository "
        "AND e.tag = t.tag AND e.kind = 'tag-deleted' AND e.body ->> '$.digest' = t.digest)"
    )
    return [NamedRow(*cast("tuple[Any, ...]", row)) for row in rows]


def entries_page(reader: Reader, *, after: int, limit: int) -> list[tuple[int, int, str, str | None, str | None, str]]:
    """List entries in order: sequence, registry, kind, repository, tag, body."""
    rows = reader.rows(
        "SELECT sequence, registry_id, kind, repository, tag, body FROM entries WHERE sequence > ? "
        "ORDER BY sequence LIMIT ?",
        after,
        limit,
    )
    return cast("list[tuple[int, int, str, str | None, str | None, str]]", rows)


# --- repairs ---------------------------------------------------------------------------------------------------------


def add_blob_reference(txn: Transaction, repository: str, manifest: str, blob: str) -> bool:
    """Let a manifest hold a blob that its bytes name, where the repository has the blob; say whether it has."""
    return (
        txn.run(
            "INSERT INTO manifest_blobs (repository_id, manifest, blob) SELECT m.repository_id, m.digest, l.digest "
            "FROM repositories r JOIN manifests m ON m.repository_id = r.id AND m.digest = ? JOIN repository_blobs l "
            "ON l.repository_id = r.id AND l.digest = ? WHERE r.name = ? ON CONFLICT DO NOTHING",
            manifest,
            blob,
            repository,
        )
        > 0
    )


def add_child_reference(txn: Transaction, repository: str, index: str, child: str) -> bool:
    """Let an index hold an image that its bytes name, where the repository has the image; say whether it has."""
    return (
        txn.run(
            "INSERT INTO manifest_children (repository_id, parent, child) SELECT p.repository_id, p.digest, c.digest "
            "FROM repositories r JOIN manifests p ON p.repository_id = r.id AND p.digest = ? "
            "JOIN manifests c ON c.repository_id = r.id AND c.digest = ? WHERE r.name = ? ON CONFLICT DO NOTHING",
            index,
            child,
            repository,
        )
        > 0
    )


def set_generation(txn: Transaction, row: BlobRow, generation: str) -> None:
    """Let a blob's row name another file of the same bytes."""
    txn.run(
        "UPDATE blobs SET generation = ? WHERE digest = ? AND generation = ?", generation, row.digest, row.generation
    )


def forget_doom(txn: Transaction, digest: str, generation: str) -> None:
    """Note that a file is not doomed, or gone."""
    txn.run("DELETE FROM doomed_files WHERE digest = ? AND generation = ?", digest, generation)
