"""The statements of the collection: what nobody needs any more, found and removed.

Finding walks a table in pages, outside any transaction; removing asks the question once more inside one. A blob goes in
two steps that no push can come between: its row is deleted, and its file is noted as doomed, in one transaction; the
file follows. A push that brings the bytes anew in between writes a new generation, of which no collection ever heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction

_UNNEEDED = (
    "l.leased_until < ? AND NOT EXISTS (SELECT 1 FROM manifest_blobs m WHERE m.repository_id = l.repository_id "
    "AND m.blob = l.digest)"
)
_UNLINKED = "NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest)"
_UNUSED = "NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = p.digest)"


@dataclass(frozen=True, slots=True)
class DoomedFile:
    """A file whose blob has no row any more."""

    digest: str
    generation: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of a table holds that nobody needs, and where the next page begins (None after the last)."""

    unneeded: list[tuple[Any, ...]]
    after: tuple[Any, ...] | None


def links_page(reader: Reader, now: int, *, after: tuple[int, str], limit: int) -> Page:
    """Find blobs of repositories that no manifest names and whose lease is over: (repository, digest)."""
    rows = reader.rows(
        f"SELECT l.repository_id, l.digest, {_UNNEEDED} FROM repository_blobs l "
        "WHERE (l.repository_id, l.digest) > (?, ?) ORDER BY l.repository_id, l.digest LIMIT ?",
        now,
        *after,
        limit,
    )
    return _page(rows, limit)


def blobs_page(reader: Reader, *, after: tuple[str], limit: int) -> Page:
    """Find blobs that no repository has: (digest,)."""
    rows = reader.rows(
        f"SELECT b.digest, {_UNLINKED} FROM blobs b WHERE b.digest > ? ORDER BY b.digest LIMIT ?", *after, limit
    )
    return _page(rows, limit)


def payloads_page(reader: Reader, *, after: tuple[str], limit: int) -> Page:
    """Find manifests' bytes that no repository has: (digest,)."""
    rows = reader.rows(
        f"SELECT p.digest, {_UNUSED} FROM manifest_payloads p WHERE p.digest > ? ORDER BY p.digest LIMIT ?",
        *after,
        limit,
    )
    return _page(rows, limit)


def _page(rows: list[tuple[Any, ...]], limit: int) -> Page:
    unneeded = [row[:-1] for row in rows if row[-1]]
    return Page(unneeded, rows[-1][:-1] if len(rows) == limit else None)


def unlink(txn: Transaction, now: int, repository_id: int, digest: str) -> bool:
    """Take a blob from a repository, unless it came to be needed; say whether it went."""
    return (
        txn.run(
            f"DELETE FROM repository_blobs AS l WHERE l.repository_id = ? AND l.digest = ? AND {_UNNEEDED}",
            repository_id,
            digest,
            now,
        )
        > 0
    )


def doom(txn: Transaction, digest: str) -> DoomedFile | None:
    """Delete the row of a blob and note its file as doomed, unless a repository came to have it."""
    row = txn.row(f"SELECT digest, generation, size_bytes FROM blobs b WHERE b.digest = ? AND {_UNLINKED}", digest)
    if row is None:
        return None
    file = DoomedFile(*cast("tuple[str, str, int]", row))
    txn.run(
        "INSERT INTO doomed_files (digest, generation, size_bytes) VALUES (?, ?, ?)",
        file.digest,
        file.generation,
        file.size_bytes,
    )
    txn.run("DELETE FROM blobs WHERE digest = ?", digest)
    return file


def delete_payload(txn: Transaction, digest: str) -> bool:
    """Delete the bytes of a manifest, unless a repository came to have it; say whether they went."""
    return txn.run(f"DELETE FROM manifest_payloads AS p WHERE p.digest = ? AND {_UNUSED}", digest) > 0


def doomed_files(reader: Reader, *, limit: int) -> list[DoomedFile]:
    """List doomed files, at most `limit`."""
    rows = reader.rows("SELECT digest, generation, size_bytes FROM doomed_files LIMIT ?", limit)
    return [DoomedFile(*cast("tuple[Any, ...]", row)) for row in rows]


def forget_doomed(txn: Transaction, file: DoomedFile) -> None:
    """Note that a doomed file is gone."""
    txn.run("DELETE FROM doomed_files WHERE digest = ? AND generation = ?", file.digest, file.generation)
