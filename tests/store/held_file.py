"""A real database file with a held tag in it, and two ways to work on it: the product's adapter, and a shell."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import apsw

from holdfast.core.digest import Digest
from holdfast.core.errors import GuardRefused
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.store import bindings, catalog, entries
from holdfast.store.entries import EntryKind
from holdfast.store.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.store.catalog import Repository
    from holdfast.store.database import Transaction, Value

A, B = b'{"image": "a"}', b'{"image": "b"}'
DIGEST_A, DIGEST_B = str(Digest.of(A)), str(Digest.of(B))
WHO: Final = "arn:aws:iam::123456789012:user/alice"
IMMUTABLE: Final = MutabilitySettings(TagMutability.IMMUTABLE)

GUARDED: Final = {
    "registries": "rowid,",
    "repositories": "rowid,",
    "bindings": "rowid,",
    "tombstones": "rowid,",
    "entries": "rowid,",
    "manifests": "",
    "manifest_payloads": "rowid,",
}
"""What says, or said, what a tag names, and its hidden number; a row of these changes along the rule or not at all."""


@dataclass(frozen=True)
class Numbers:
    """The keys of the rows that the file begins with."""

    registry: int
    held: int
    free: int
    gone: int
    held_binding: int
    free_binding: int
    ended_binding: int
    tombstone: int


def fill(txn: Transaction) -> Numbers:
    """Write the scene.

    `team/held` is IMMUTABLE: `v1` names A, `gone` named A and was deleted; it has A and B. `team/free` is MUTABLE:
    `v1` named A and was moved to B. `team/gone` was deleted.
    """
    registry = catalog.ensure_registry(txn, "123456789012", "eu-central-1", 1)
    held = _repository(txn, registry.id, "team/held", IMMUTABLE)
    free = _repository(txn, registry.id, "team/free", MutabilitySettings())
    gone = _repository(txn, registry.id, "team/gone", IMMUTABLE)
    for repository in (held, free):
        for payload in (A, B):
            insert_manifest(txn, repository.id, payload)
    bindings.begin(txn, held.id, "v1", DIGEST_A, at=2, by=WHO)
    bindings.begin(txn, held.id, "gone", DIGEST_A, at=2, by=WHO)
    bindings.bury(txn, registry.id, "team/held", "gone", DIGEST_A, at=3, by=WHO)
    _end(txn, held.id, "gone", "deleted")
    bindings.begin(txn, free.id, "v1", DIGEST_A, at=2, by=WHO)
    ended = _end(txn, free.id, "v1", "moved")
    bindings.begin(txn, free.id, "v1", DIGEST_B, at=3, by=WHO)
    entries.append(txn, registry.id, EntryKind.TAG_BOUND, {"digest": DIGEST_A}, repository="team/held", tag="v1")
    catalog.end_repository(txn, gone.id, at=4, by=WHO)
    tombstone = bindings.tombstone(txn, registry.id, "team/held", "gone")
    live_held, live_free = bindings.live(txn, held.id, "v1"), bindings.live(txn, free.id, "v1")
    assert tombstone is not None
    assert live_held is not None
    assert live_free is not None
    return Numbers(registry.id, held.id, free.id, gone.id, live_held.id, live_free.id, ended, tombstone.id)


def _repository(txn: Transaction, registry_id: int, name: str, settings: MutabilitySettings) -> Repository:
    return catalog.insert_repository(
        txn, registry_id, name, settings, scan_on_push=False, encryption={}, created_at=1, created_by=WHO
    )


def _end(txn: Transaction, repository_id: int, tag: str, cause: str) -> int:
    live = bindings.live(txn, repository_id, tag)
    assert live is not None
    bindings.end(txn, live.id, at=3, by=WHO, cause=cause)
    return live.id


def insert_manifest(txn: Transaction, repository_id: int, payload: bytes) -> None:
    """Write a manifest, as the product's own statement does."""
    digest = str(Digest.of(payload))
    txn.run(
        "INSERT INTO manifest_payloads (digest, payload) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", digest, payload
    )
    txn.run(
        "INSERT INTO manifests (repository_id, digest, media_type, payload_bytes, image_bytes, pushed_at, pushed_by) "
        "VALUES (?, ?, 'application/vnd.oci.image.manifest.v1+json', ?, 0, 1, ?)",
        repository_id,
        digest,
        len(payload),
        WHO,
    )


class Refused(Exception):
    """The file did not take a statement."""


class Through:
    """One way to work on the file."""

    def __init__(self, run: Callable[..., object], rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._run = run
        self.rows = rows

    def run(self, statement: str, *values: Value) -> None:
        """Run one statement in a transaction of its own. Raises Refused when a guard or a constraint says no."""
        try:
            self._run(statement, *values)
        except (GuardRefused, apsw.ConstraintError, apsw.MismatchError) as error:
            raise Refused(str(error)) from error

    def guarded(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every guarded row, by table."""
        return {table: self.rows(f"SELECT {rowid} * FROM {table} ORDER BY 1, 2") for table, rowid in GUARDED.items()}

    def v1(self) -> tuple[Any, ...]:
        """Return what the held tag names, as the product finds it."""
        (row,) = self.rows(
            "SELECT b.digest, p.payload FROM registries g JOIN repositories r ON r.registry_id = g.id "
            "JOIN bindings b ON b.repository_id = r.id AND b.tag = 'v1' AND b.ended_at IS NULL "
            "JOIN manifests m ON m.repository_id = r.id AND m.digest = b.digest "
            "JOIN manifest_payloads p ON p.digest = m.digest "
            "WHERE g.account_id = '123456789012' AND r.name = 'team/held' AND r.deleted_at IS NULL"
        )
        return row


@contextmanager
def product(path: Path) -> Iterator[Through]:
    """Work through the product's own adapter."""
    database = SQLiteDatabase(path)
    with asyncio.Runner() as runner:

        def run(statement: str, *values: Value) -> int:
            return runner.run(database.write(lambda txn: txn.run(statement, *values)))

        yield Through(run, database.rows)
    database.close()


@contextmanager
def shell(path: Path) -> Iterator[Through]:
    """Work as a shell on the file does: a plain connection with SQLite's own defaults, so no foreign keys."""
    connection = apsw.Connection(str(path))
    yield Through(
        lambda statement, *values: connection.execute(statement, values),
        lambda statement, *values: list(connection.execute(statement, values)),
    )
    connection.close()
