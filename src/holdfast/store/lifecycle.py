"""The statements over lifecycle policies, the storage class of images, pull times, and what hangs together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.lifecycle import Image, ImageStatus
from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.store.database import Reader, Row, Transaction


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """The policy of a repository; times in microseconds since the epoch."""

    repository_id: int
    policy: str
    due_at: int
    last_evaluated_at: int | None
    removals: int
    """A number that grows with everything that can make an image count for less."""


@dataclass(frozen=True, slots=True)
class Due:
    """A repository whose policy is due."""

    registry_id: int
    repository: str


# --- policies --------------------------------------------------------------------------------------------------------

_POLICY = "SELECT repository_id, policy, due_at, last_evaluated_at, removals FROM lifecycle_policies"


def policy(reader: Reader, repository_id: int) -> PolicyRow | None:
    """Find the policy of a repository."""
    row = reader.row(f"{_POLICY} WHERE repository_id = ?", repository_id)
    return PolicyRow(*cast("tuple[Any, ...]", row)) if row else None


def put_policy(txn: Transaction, repository_id: int, text: str, *, at: int, by: str, due_at: int) -> None:
    """Write the policy of a repository, replacing one that is there; it was never evaluated then."""
    txn.run(
        "INSERT INTO lifecycle_policies (repository_id, policy, put_at, put_by, due_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (repository_id) DO UPDATE SET policy = excluded.policy, put_at = excluded.put_at, "
        "put_by = excluded.put_by, due_at = excluded.due_at, last_evaluated_at = NULL",
        repository_id,
        text,
        at,
        by,
        due_at,
    )


def delete_policy(txn: Transaction, repository_id: int) -> None:
    """Delete the policy of a repository."""
    txn.run("DELETE FROM lifecycle_policies WHERE repository_id = ?", repository_id)


def note_evaluated(txn: Transaction, repository_id: int, *, at: int, due_at: int) -> None:
    """Note that a policy was evaluated, and when it is due again."""
    txn.run(
        "UPDATE lifecycle_policies SET last_evaluated_at = ?, due_at = ? WHERE repository_id = ?",
        at,
        due_at,
        repository_id,
    )


def put_off(txn: Transaction, repository_id: int, *, due_at: int) -> None:
    """Let a policy be due at another time."""
    txn.run("UPDATE lifecycle_policies SET due_at = ? WHERE repository_id = ?", due_at, repository_id)


def due(reader: Reader, now: int) -> Due | None:
    """Find the repository whose policy is due the longest."""
    row = reader.row(
        "SELECT r.registry_id, r.name FROM lifecycle_policies p JOIN repositories r ON r.id = p.repository_id "
        "WHERE p.due_at <= ? AND r.deleted_at IS NULL ORDER BY p.due_at LIMIT 1",
        now,
    )
    return Due(*cast("tuple[int, str]", row)) if row else None


def expires_held(reader: Reader, registry_id: int) -> bool:
    """Whether the registry lets lifecycle runs expire images that a held tag names."""
    row = reader.row("SELECT lifecycle_held_tags FROM registries WHERE id = ?", registry_id)
    return row is not None and row[0] == "expire"


def set_expires_held(txn: Transaction, registry_id: int, *, allowed: bool) -> None:
    """Write whether lifecycle runs may expire images that a held tag names."""
    txn.run("UPDATE registries SET lifecycle_held_tags = ? WHERE id = ?", "expire" if allowed else "keep", registry_id)


# --- images as a policy sees them ------------------------------------------------------------------------------------

# Neither tags nor digests can hold a comma.
_IMAGE = (
    "SELECT m.digest, m.pushed_at, m.last_pulled_at, m.archived_at, m.activated_at, m.status, m.subject, "
    "(SELECT group_concat(b.tag) FROM bindings b WHERE b.repository_id = m.repository_id AND b.digest = m.digest "
    "AND b.ended_at IS NULL), "
    "(SELECT group_concat(c.parent) FROM manifest_children c WHERE c.repository_id = m.repository_id "
    "AND c.child = m.digest) FROM manifests m"
)


def image_rows(reader: Reader, repository_id: int, *, after: str, limit: int) -> list[Row]:
    """Read rows for `image_of`, by digest, those after one, at most `limit`."""
    return reader.rows(
        f"{_IMAGE} WHERE m.repository_id = ? AND m.digest > ? ORDER BY m.digest LIMIT ?", repository_id, after, limit
    )


def image(reader: Reader, repository_id: int, digest: str, is_held: Callable[[str], bool]) -> Image | None:
    """Find one image as a policy sees it; `is_held` judges a tag."""
    row = reader.row(f"{_IMAGE} WHERE m.repository_id = ? AND m.digest = ?", repository_id, digest)
    return image_of(row, is_held) if row else None


def image_of(row: Row, is_held: Callable[[str], bool]) -> Image:
    """Make an image of a row of `image_rows`."""
    digest, pushed, pulled, archived, activated, status, subject, tags, parents = cast("tuple[Any, ...]", row)
    names = tuple(sorted(tags.split(","))) if tags else ()
    return Image(
        digest,
        names,
        pushed,
        pulled,
        archived,
        activated,
        ImageStatus(status),
        tuple(sorted(parents.split(","))) if parents else (),
        subject,
        any(map(is_held, names)),
    )


# --- storage class ---------------------------------------------------------------------------------------------------


def set_status(txn: Transaction, repository_id: int, digest: str, status: ImageStatus, *, at: int) -> None:
    """Write the status of an image, and when it was archived or activated."""
    column = {ImageStatus.ARCHIVED: ", archived_at = ?", ImageStatus.ACTIVE: ", activated_at = ?"}.get(status, "")
    txn.run(
        f"UPDATE manifests SET status = ?{column} WHERE repository_id = ? AND digest = ?",
        status,
        *((at,) if column else ()),
        repository_id,
        digest,
    )


def set_resting(txn: Transaction, repository_id: int, digest: str) -> None:
    """Let an image that could not be restored rest on; it was archived when it was."""
    txn.run("UPDATE manifests SET status = 'ARCHIVED' WHERE repository_id = ? AND digest = ?", repository_id, digest)


def at_rest(reader: Reader, status: ImageStatus, *, limit: int) -> list[tuple[int, str, str]]:
    """List (registry id, repository, digest) of images of one status other than ACTIVE, at most `limit`."""
    rows = reader.rows(
        "SELECT r.registry_id, r.name, m.digest FROM manifests m INDEXED BY images_at_rest "
        "JOIN repositories r ON r.id = m.repository_id WHERE m.status <> 'ACTIVE' AND m.status = ? LIMIT ?",
        status,
        limit,
    )
    return cast("list[tuple[int, str, str]]", rows)


def children(reader: Reader, repository_id: int, digest: str) -> list[str]:
    """List the images that an index lists."""
    rows = reader.rows(
        "SELECT child FROM manifest_children WHERE repository_id = ? AND parent = ? ORDER BY child",
        repository_id,
        digest,
    )
    return [cast("str", row[0]) for row in rows]


def referrers(reader: Reader, repository_id: int, digest: str) -> list[str]:
    """List the images whose subject is a digest."""
    rows = reader.rows(
        "SELECT digest FROM manifests WHERE repository_id = ? AND subject = ? ORDER BY digest", repository_id, digest
    )
    return [cast("str", row[0]) for row in rows]


def blobs_of(reader: Reader, repository_id: int, digest: str) -> list[tuple[str, str]]:
    """List (digest, generation) of the blobs that an image names."""
    rows = reader.rows(
        "SELECT b.digest, b.generation FROM manifest_blobs m JOIN blobs b ON b.digest = m.blob "
        "WHERE m.repository_id = ? AND m.manifest = ?",
        repository_id,
        digest,
    )
    return cast("list[tuple[str, str]]", rows)


def archived_blobs(reader: Reader, repository_id: int, digests: Sequence[str]) -> set[str]:
    """Return which of the blobs are named by images of the repository, none of which is active."""
    rows = reader.rows(
        "SELECT mb.blob FROM manifest_blobs mb JOIN manifests m ON m.repository_id = mb.repository_id "
        f"AND m.digest = mb.manifest WHERE mb.repository_id = ? AND mb.blob IN ({placeholders(digests)}) "
        "GROUP BY mb.blob HAVING sum(m.status = 'ACTIVE') = 0",
        repository_id,
        *digests,
    )
    return {cast("str", row[0]) for row in rows}


# --- pull times ------------------------------------------------------------------------------------------------------


def note_pull(txn: Transaction, registry_id: int, repository: str, digest: str, at: int) -> None:
    """Write when an image was pulled last, unless a later pull is known."""
    txn.run(
        "UPDATE manifests SET last_pulled_at = ? WHERE digest = ? AND coalesce(last_pulled_at, 0) < ? "
        "AND repository_id = (SELECT id FROM repositories WHERE registry_id = ? AND name = ? AND deleted_at IS NULL)",
        at,
        digest,
        at,
        registry_id,
        repository,
    )


def exclusions(reader: Reader, registry_id: int, *, after: str, limit: int) -> list[str]:
    """List principals whose pulls do not count, those after one, at most `limit`."""
    rows = reader.rows(
        "SELECT principal FROM pull_time_exclusions WHERE registry_id = ? AND principal > ? ORDER BY principal LIMIT ?",
        registry_id,
        after,
        limit,
    )
    return [cast("str", row[0]) for row in rows]


def all_exclusions(reader: Reader) -> set[tuple[int, str]]:
    """Return (registry id, principal) of every exclusion; there are at most a hundred a registry."""
    rows = reader.rows("SELECT registry_id, principal FROM pull_time_exclusions")
    return set(cast("list[tuple[int, str]]", rows))


def insert_exclusion(txn: Transaction, registry_id: int, principal: str, *, at: int) -> bool:
    """Exclude a principal; say whether it was not excluded before."""
    statement = "INSERT INTO pull_time_exclusions (registry_id, principal, created_at) VALUES (?, ?, ?) "
    return txn.run(f"{statement} ON CONFLICT DO NOTHING", registry_id, principal, at) > 0


def delete_exclusion(txn: Transaction, registry_id: int, principal: str) -> bool:
    """Count a principal's pulls again; say whether they did not count."""
    return (
        txn.run("DELETE FROM pull_time_exclusions WHERE registry_id = ? AND principal = ?", registry_id, principal) > 0
    )


# --- what takes room -------------------------------------------------------------------------------------------------


def size_rows(reader: Reader, repository_id: int, *, after: str, limit: int) -> list[tuple[str, int, int]]:
    """List (digest, bytes of the manifest, bytes of its image) by digest, those after one, at most `limit`."""
    rows = reader.rows(
        "SELECT digest, payload_bytes, image_bytes FROM manifests WHERE repository_id = ? AND digest > ? "
        "ORDER BY digest LIMIT ?",
        repository_id,
        after,
        limit,
    )
    return cast("list[tuple[str, int, int]]", rows)


def blob_rows(reader: Reader, repository_id: int, *, after: tuple[str, str], limit: int) -> list[tuple[str, str, int]]:
    """List (manifest, blob, bytes of the blob) in this order, those after a pair, at most `limit`."""
    rows = reader.rows(
        "SELECT m.manifest, m.blob, b.size_bytes FROM manifest_blobs m JOIN blobs b ON b.digest = m.blob "
        "WHERE m.repository_id = ? AND (m.manifest, m.blob) > (?, ?) ORDER BY m.manifest, m.blob LIMIT ?",
        repository_id,
        *after,
        limit,
    )
    return cast("list[tuple[str, str, int]]", rows)


def held_elsewhere(reader: Reader, repository_id: int, digests: Sequence[str]) -> set[str]:
    """Return which blobs or manifests another repository has as well, so that their bytes stay on the disk."""
    marks = placeholders(digests)
    rows = reader.rows(
        f"SELECT digest FROM repository_blobs WHERE digest IN ({marks}) AND repository_id <> ? "
        f"UNION SELECT digest FROM manifests WHERE digest IN ({marks}) AND repository_id <> ?",
        *digests,
        repository_id,
        *digests,
        repository_id,
    )
    return {cast("str", row[0]) for row in rows}
