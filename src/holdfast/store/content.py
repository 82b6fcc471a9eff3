"""The statements over content: blobs, which repositories have them, and upload sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a repository has."""

    digest: str
    size_bytes: int
    generation: str
    leased_until: int = 0
    """Until when the repository keeps it without a manifest that names it; microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session."""

    id: str
    repository_id: int
    principal: str
    short_part_end: int | None
    created_at: int


# --- blobs -----------------------------------------------------------------------------------------------------------


def blob(reader: Reader, identity: int, digest: str) -> Blob | None:
    """Find a blob of a repository."""
    row = reader.row(
        "SELECT b.digest, b.size_bytes, b.generation, l.leased_until "
        "FROM repository_blobs l JOIN blobs b ON b.digest = l.digest "
        "WHERE l.repository_id = ? AND l.digest = ?",
        identity,
        digest,
    )
    return Blob(*cast("tuple[Any, ...]", row)) if row else None


def blob_of(reader: Reader, registry_id: int, name: str, digest: str) -> Blob | None:
    """Find a blob of a repository given by name."""
    row = reader.row(
        "SELECT b.digest, b.size_bytes, b.generation, l.leased_until FROM repositories r "
        "JOIN repository_blobs l ON l.repository_id = r.id AND l.digest = ? JOIN blobs b ON b.digest = l.digest "
        "WHERE r.registry_id = ? AND r.name = ? AND r.deleted_at IS NULL",
        digest,
        registry_id,
        name,
    )
    return Blob(*cast("tuple[Any, ...]", row)) if row else None


def blob_anywhere(reader: Reader, digest: str) -> Blob | None:
    """Find a blob whichever repository has it: never to be told to a client."""
    row = reader.row("SELECT digest, size_bytes, generation FROM blobs WHERE digest = ?", digest)
    return Blob(*cast("tuple[Any, ...]", row)) if row else None


def blobs(reader: Reader, identity: int, digests: Sequence[str]) -> dict[str, Blob]:
    """Find blobs of a repository by digest; those that it does not have are absent."""
    rows = reader.rows(
        "SELECT b.digest, b.size_bytes, b.generation, l.leased_until "
        "FROM repository_blobs l JOIN blobs b ON b.digest = l.digest "
        f"WHERE l.repository_id = ? AND l.digest IN ({placeholders(digests)})",
        identity,
        *digests,
    )
    return {blob.digest: blob for blob in (Blob(*cast("tuple[Any, ...]", row)) for row in rows)}


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


def lease_blob(txn: Transaction, identity: int, digest: str, *, until: int) -> None:
    """Give a repository a blob, or prolong the lease of one that it has; a lease is never cut short."""
    txn.run(
        "INSERT INTO repository_blobs (repository_id, digest, leased_until) VALUES (?, ?, ?) "
        "ON CONFLICT (repository_id, digest) DO UPDATE SET leased_until = excluded.leased_until "
        "WHERE excluded.leased_until > leased_until",
        identity,
        digest,
        until,
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
        "INSERT INTO uploads (id, repository_id, principal, short_part_end, created_at) VALUES (?, ?, ?, ?, ?)",
        upload.id,
        upload.repository_id,
        upload.principal,
        upload.short_part_end,
        upload.created_at,
    )


def upload(reader: Reader, identity: str) -> Upload | None:
    """Find an upload session."""
    row = reader.row(
        "SELECT id, repository_id, principal, short_part_end, created_at FROM uploads WHERE id = ?", identity
    )
    return Upload(*cast("tuple[Any, ...]", row)) if row else None


def has_uploads(reader: Reader, principal: str, count: int) -> bool:
    """Whether a principal has at least so many upload sessions, `count` being 1 or more."""
    return reader.row("SELECT 1 FROM uploads WHERE principal = ? LIMIT 1 OFFSET ?", principal, count - 1) is not None


def count_uploads(reader: Reader) -> int:
    """Count upload sessions."""
    return cast("tuple[int]", reader.row("SELECT count(*) FROM uploads"))[0]


def note_short_part(txn: Transaction, identity: str, end: int) -> None:
    """Note where a part ended that was shorter than ECR's least part size."""
    txn.run("UPDATE uploads SET short_part_end = ? WHERE id = ?", end, identity)


def delete_upload(txn: Transaction, identity: str) -> bool:
    """Delete an upload session; say whether it was there."""
    return txn.run("DELETE FROM uploads WHERE id = ?", identity) > 0


def uploads_before(reader: Reader, created_before: int, *, limit: int) -> list[Upload]:
    """List upload sessions that were begun before a time, at most `limit`."""
    rows = reader.rows(
        "SELECT id, repository_id, principal, short_part_end, created_at FROM uploads WHERE created_at < ? LIMIT ?",
        created_before,
        limit,
    )
    return [Upload(*cast("tuple[Any, ...]", row)) for row in rows]
