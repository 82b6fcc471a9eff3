"""The statements of the collection: what nobody needs any more, found and removed.

A blob goes in two steps that no push can come between: its row is deleted, and its file is noted as doomed, in one
transaction; the file follows. A push that brings the bytes anew in between writes a new generation, which no collection
ever heard of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class DoomedFile:
    """A file whose blob has no row any more."""

    digest: str
    generation: str
    size_bytes: int


def unlink_unneeded(txn: Transaction, now: int, *, limit: int) -> int:
    """Take from repositories the blobs that no manifest of theirs names and whose lease is over; return how many."""
    return txn.run(
        "DELETE FROM repository_blobs WHERE (repository_id, digest) IN (SELECT l.repository_id, l.digest "
        "FROM repository_blobs l WHERE l.leased_until < ? AND NOT EXISTS (SELECT 1 FROM manifest_blobs m "
        "WHERE m.repository_id = l.repository_id AND m.blob = l.digest) LIMIT ?)",
        now,
        limit,
    )


def doom_unlinked(txn: Transaction, *, limit: int) -> list[DoomedFile]:
    """Delete the rows of blobs that no repository has, and note their files as doomed; return the files."""
    rows = txn.rows(
        "SELECT digest, generation, size_bytes FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l "
        "WHERE l.digest = b.digest) LIMIT ?",
        limit,
    )
    doomed = [DoomedFile(*cast("tuple[Any, ...]", row)) for row in rows]
    for file in doomed:
        txn.run(
            "INSERT INTO doomed_files (digest, generation, size_bytes) VALUES (?, ?, ?)",
            file.digest,
            file.generation,
            file.size_bytes,
        )
        txn.run("DELETE FROM blobs WHERE digest = ?", file.digest)
    return doomed


def delete_unused_payloads(txn: Transaction, *, limit: int) -> int:
    """Delete the bytes of manifests that no repository has; return how many."""
    return txn.run(
        "DELETE FROM manifest_payloads WHERE digest IN (SELECT digest FROM manifest_payloads p "
        "WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = p.digest) LIMIT ?)",
        limit,
    )


def doomed_files(reader: Reader, *, limit: int) -> list[DoomedFile]:
    """List doomed files, at most `limit`."""
    rows = reader.rows("SELECT digest, generation, size_bytes FROM doomed_files LIMIT ?", limit)
    return [DoomedFile(*cast("tuple[Any, ...]", row)) for row in rows]


def forget_doomed(txn: Transaction, file: DoomedFile) -> None:
    """Note that a doomed file is gone."""
    txn.run("DELETE FROM doomed_files WHERE digest = ? AND generation = ?", file.digest, file.generation)
