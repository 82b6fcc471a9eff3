"""The statements over replication: configurations, peers, the queue that is also the record, backfills.

A row of the queue is WAITING until it is due, RUNNING while a worker has it, then COMPLETE or FAILED for good, unless
the same is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from holdfast.core.replication import Destination
from holdfast.store import catalog

if TYPE_CHECKING:
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Reader, Transaction

WAITING: Final = "WAITING"
RUNNING: Final = "RUNNING"
COMPLETE: Final = "COMPLETE"
FAILED: Final = "FAILED"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a destination is that this server does not host."""

    destination: Destination
    url: str
    credential: str | None
    updated_at: int


@dataclass(frozen=True, slots=True)
class Replication:
    """One thing that has to happen at one destination; `tag` and `backfill` are '' for none."""

    id: int
    registry_id: int
    repository: str
    act: str
    digest: str
    tag: str
    destination: Destination
    backfill: str
    status: str
    failure_code: str | None
    failure_reason: str | None
    attempts: int
    due_at: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """One replication of what was there before."""

    id: str
    registry_id: int
    destination: Destination
    status: str
    failure_code: str | None
    started_at: int
    ended_at: int | None


# --- configurations and peers ----------------------------------------------------------------------------------------


def configuration(reader: Reader, registry_id: int) -> str | None:
    """Return a registry's replication configuration, None when none was ever set."""
    row = reader.row("SELECT configuration FROM replication_configurations WHERE registry_id = ?", registry_id)
    return cast("str", row[0]) if row else None


def write_configuration(txn: Transaction, registry_id: int, text: str, *, at: int) -> None:
    """Write a registry's replication configuration."""
    txn.run(
        "INSERT INTO replication_configurations (registry_id, configuration, updated_at) VALUES (?, ?, ?) "
        "ON CONFLICT (registry_id) DO UPDATE SET configuration = excluded.configuration, "
        "updated_at = excluded.updated_at",
        registry_id,
        text,
        at,
    )


def hosted(reader: Reader, destination: Destination) -> Registry | None:
    """Find a destination among the registries that this server hosts."""
    row = reader.row(
        "SELECT id FROM registries WHERE account_id = ? AND region = ?", destination.account_id, destination.region
    )
    return catalog.registry(reader, cast("int", row[0])) if row else None


def peers(reader: Reader, registry_id: int) -> list[Peer]:
    """List where the destinations of a registry are that this server does not host."""
    rows = reader.rows(
        "SELECT region, account_id, url, credential, updated_at FROM replication_peers WHERE registry_id = ? "
        "ORDER BY region, account_id",
        registry_id,
    )
    return [
        Peer(Destination(region, account), url, credential, at)
        for region, account, url, credential, at in cast("list[tuple[Any, ...]]", rows)
    ]


def write_peer(txn: Transaction, registry_id: int, peer: Peer) -> None:
    """Write where a destination is, new or in place of what is there."""
    txn.run(
        "INSERT INTO replication_peers (registry_id, region, account_id, url, credential, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (registry_id, region, account_id) DO UPDATE SET url = excluded.url, "
        "credential = excluded.credential, updated_at = excluded.updated_at",
        registry_id,
        peer.destination.region,
        peer.destination.account_id,
        peer.url,
        peer.credential,
        peer.updated_at,
    )


def delete_peer(txn: Transaction, registry_id: int, destination: Destination) -> None:
    """Forget where a destination is."""
    txn.run(
        "DELETE FROM replication_peers WHERE registry_id = ? AND region = ? AND account_id = ?",
        registry_id,
        destination.region,
        destination.account_id,
    )


# --- the queue -------------------------------------------------------------------------------------------------------

_ROW = (
    "SELECT id, registry_id, repository, act, digest, tag, region, account_id, backfill, status, failure_code, "
    "failure_reason, attempts, due_at, changed_at FROM replications"
)


def _replication(row: tuple[Any, ...]) -> Replication:
    identity, registry_id, repository, act, digest, tag, region, account, *rest = row
    return Replication(identity, registry_id, repository, act, digest, tag, Destination(region, account), *rest)


def enqueue(
    txn: Transaction,
    registry_id: int,
    repository: str,
    act: str,
    digest: str,
    tag: str,
    destination: Destination,
    *,
    backfill: str = "",
    at: int,
) -> None:
    """Ask for a replication; one that was asked for before begins anew."""
    txn.run(
        "INSERT INTO replications (registry_id, repository, act, digest, tag, region, account_id, backfill, status, "
        "due_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'WAITING', ?, ?) "
        "ON CONFLICT (registry_id, repository, digest, tag, act, region, account_id, backfill) DO UPDATE SET "
        "status = 'WAITING', failure_code = NULL, failure_reason = NULL, attempts = 0, due_at = excluded.due_at, "
        "changed_at = excluded.changed_at",
        registry_id,
        repository,
        act,
        digest,
        tag,
        destination.region,
        destination.account_id,
        backfill,
        at,
        at,
    )


def due(reader: Reader, now: int, *, limit: int) -> list[Replication]:
    """List what is due, the oldest first, at most `limit`."""
    rows = reader.rows(f"{_ROW} WHERE status = 'WAITING' AND due_at <= ? ORDER BY due_at, id LIMIT ?", now, limit)
    return [_replication(row) for row in rows]


def next_due(reader: Reader) -> int | None:
    """Return when the next one is due, in microseconds since the epoch; None when none waits."""
    row = reader.row("SELECT min(due_at) FROM replications WHERE status = 'WAITING'")
    return cast("int | None", row[0]) if row else None


def count_waiting(reader: Reader) -> int:
    """Count what is not done yet."""
    row = reader.row("SELECT count(*) FROM replications WHERE status IN ('WAITING', 'RUNNING')")
    return cast("tuple[int]", row)[0]


def claim(txn: Transaction, identity: int) -> bool:
    """Take one to work on; say whether it still waited."""
    return txn.run("UPDATE replications SET status = 'RUNNING' WHERE id = ? AND status = 'WAITING'", identity) > 0


def release(txn: Transaction) -> None:
    """Let all wait again that a server had taken before it stopped."""
    txn.run("UPDATE replications SET status = 'WAITING' WHERE status = 'RUNNING'")


def finish(
    txn: Transaction, identity: int, status: str, *, code: str | None = None, reason: str | None = None, at: int
) -> bool:
    """End one that was taken; False when it was asked for again meanwhile, so that it waits anew."""
    return (
        txn.run(
            "UPDATE replications SET status = ?, failure_code = ?, failure_reason = ?, attempts = attempts + 1, "
            "changed_at = ? WHERE id = ? AND status = 'RUNNING'",
            status,
            code,
            reason,
            at,
            identity,
        )
        > 0
    )


def put_off(txn: Transaction, identity: int, *, code: str, reason: str, due_at: int, at: int) -> None:
    """Let one that was taken wait until a time, with why it failed."""
    txn.run(
        "UPDATE replications SET status = 'WAITING', failure_code = ?, failure_reason = ?, attempts = attempts + 1, "
        "due_at = ?, changed_at = ? WHERE id = ? AND status = 'RUNNING'",
        code,
        reason,
        due_at,
        at,
        identity,
    )


def of_image(reader: Reader, registry_id: int, repository: str, digest: str) -> list[Replication]:
    """List the copies of an image, the one asked for last coming last."""
    rows = reader.rows(
        f"{_ROW} WHERE registry_id = ? AND repository = ? AND digest = ? AND act = 'copy' ORDER BY changed_at, id",
        registry_id,
        repository,
        digest,
    )
    return [_replication(row) for row in rows]


def page(
    reader: Reader, registry_id: int, *, repository: str | None, status: str | None, before: int, limit: int
) -> list[Replication]:
    """List replications, newest first, those before an id; `status`: COMPLETE, FAILED, or IN_PROGRESS for the rest."""
    where, values = "", cast("list[str]", [])
    if repository is not None:
        where, values = " AND repository = ?", [repository]
    if status == "IN_PROGRESS":
        where += " AND status IN ('WAITING', 'RUNNING')"
    elif status is not None:
        where, values = where + " AND status = ?", [*values, status]
    rows = reader.rows(
        f"{_ROW} WHERE registry_id = ?{where} AND id < ? ORDER BY id DESC LIMIT ?", registry_id, *values, before, limit
    )
    return [_replication(row) for row in rows]


def forget_gone(txn: Transaction, *, limit: int) -> int:
    """Forget what was done with images that are gone, at most `limit` rows; return how many."""
    return txn.run(
        "DELETE FROM replications WHERE id IN (SELECT p.id FROM replications p "
        "WHERE p.status IN ('COMPLETE', 'FAILED') AND p.backfill = '' AND NOT EXISTS ("
        "SELECT 1 FROM repositories r JOIN manifests m ON m.repository_id = r.id AND m.digest = p.digest "
        "WHERE r.registry_id = p.registry_id AND r.name = p.repository AND r.deleted_at IS NULL) LIMIT ?)",
        limit,
    )


# --- backfills -------------------------------------------------------------------------------------------------------

_BACKFILL = (
    "SELECT id, registry_id, region, account_id, status, failure_code, started_at, ended_at FROM replication_backfills"
)


def _backfill(row: tuple[Any, ...]) -> Backfill:
    return Backfill(row[0], row[1], Destination(row[2], row[3]), *row[4:])


def insert_backfill(txn: Transaction, backfill: Backfill) -> None:
    """Write a new backfill."""
    txn.run(
        "INSERT INTO replication_backfills (id, registry_id, region, account_id, status, started_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        backfill.id,
        backfill.registry_id,
        backfill.destination.region,
        backfill.destination.account_id,
        backfill.status,
        backfill.started_at,
    )


def backfill(reader: Reader, identity: str) -> Backfill | None:
    """Find a backfill."""
    row = reader.row(f"{_BACKFILL} WHERE id = ?", identity)
    return _backfill(row) if row else None


def backfills(reader: Reader, registry_id: int, *, since: int, before: tuple[int, str], limit: int) -> list[Backfill]:
    """List backfills that run or ended since a time, newest first, those before (start, id)."""
    rows = reader.rows(
        f"{_BACKFILL} WHERE registry_id = ? AND (ended_at IS NULL OR ended_at >= ?) AND (started_at, id) < (?, ?) "
        "ORDER BY started_at DESC, id DESC LIMIT ?",
        registry_id,
        since,
        *before,
        limit,
    )
    return [_backfill(row) for row in rows]


def unfinished_backfills(reader: Reader, registry_id: int | None = None) -> list[Backfill]:
    """List backfills that have not ended, of one registry or of all."""
    where, values = (" AND registry_id = ?", (registry_id,)) if registry_id is not None else ("", ())
    rows = reader.rows(f"{_BACKFILL} WHERE ended_at IS NULL{where} ORDER BY started_at, id", *values)
    return [_backfill(row) for row in rows]


def set_backfill(
    txn: Transaction, identity: str, status: str, *, code: str | None = None, ended_at: int | None = None
) -> None:
    """Write how a backfill stands."""
    txn.run(
        "UPDATE replication_backfills SET status = ?, failure_code = ?, ended_at = ? WHERE id = ?",
        status,
        code,
        ended_at,
        identity,
    )


def drop_waiting(txn: Transaction, identity: str) -> None:
    """Drop what a backfill has not begun."""
    txn.run("DELETE FROM replications WHERE backfill = ? AND status = 'WAITING'", identity)


def forget_backfills(txn: Transaction, *, ended_before: int) -> None:
    """Forget backfills that ended before a time, and their results."""
    txn.run(
        "DELETE FROM replications WHERE backfill IN (SELECT id FROM replication_backfills WHERE ended_at < ?)",
        ended_before,
    )
    txn.run("DELETE FROM replication_backfills WHERE ended_at < ?", ended_before)


def progress(reader: Reader, identity: str) -> dict[str, int]:
    """Count the replications of a backfill by status."""
    rows = reader.rows("SELECT status, count(*) FROM replications WHERE backfill = ? GROUP BY status", identity)
    return dict(cast("list[tuple[str, int]]", rows))


def failure_codes(reader: Reader, identity: str) -> list[str]:
    """List why replications of a backfill failed, each code once."""
    rows = reader.rows(
        "SELECT DISTINCT failure_code FROM replications WHERE backfill = ? AND status = 'FAILED' ORDER BY 1", identity
    )
    return [cast("str", row[0]) for row in rows]


def results(reader: Reader, identity: str, *, status: str | None, after: int, limit: int) -> list[Replication]:
    """List what a backfill did, those after an id; `status` picks COMPLETE or FAILED."""
    where, values = (" AND status = ?", (status,)) if status else (" AND status IN ('COMPLETE', 'FAILED')", ())
    rows = reader.rows(
        f"{_ROW} WHERE backfill = ?{where} AND id > ? ORDER BY id LIMIT ?", identity, *values, after, limit
    )
    return [_replication(row) for row in rows]
