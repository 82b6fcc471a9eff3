"""The record of what happened: one row an act, written in the act's own transaction, never changed.

The row holds the entry as `core/entry.py` writes it; its place in the ledger's tree is for `store/ledger.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from holdfast.core import entry
from holdfast.core.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.database import Reader, Transaction


class EntryKind(StrEnum):
    """What happened."""

    TAG_BOUND = "tag-bound"
    TAG_RESTORED = "tag-restored"
    TAG_MOVED = "tag-moved"
    TAG_REFUSED = "tag-refused"
    TAG_DELETED = "tag-deleted"
    TAG_FORGOTTEN = "tag-forgotten"
    REPOSITORY_CREATED = "repository-created"
    REPOSITORY_DELETED = "repository-deleted"
    MUTABILITY_CHANGED = "mutability-changed"
    READ_ONLY_SET = "read-only-set"
    REGISTRY_CHANGED = "registry-changed"
    SCANNING_CHANGED = "scanning-changed"
    SCAN_STARTED = "scan-started"
    SCAN_REPORT_LOADED = "scan-report-loaded"
    SIGNING_CHANGED = "signing-changed"
    ACCOUNT_SETTING_CHANGED = "account-setting-changed"
    QUOTA_CHANGED = "quota-changed"
    LIFECYCLE_POLICY_PUT = "lifecycle-policy-put"
    LIFECYCLE_POLICY_DELETED = "lifecycle-policy-deleted"
    LIFECYCLE_RUN = "lifecycle-run"
    IMAGE_EXPIRED = "image-expired"
    IMAGE_ARCHIVED = "image-archived"
    IMAGE_RESTORING = "image-restoring"
    IMAGE_RESTORED = "image-restored"
    PULL_TIME_EXCLUDED = "pull-time-excluded"
    PULL_TIME_INCLUDED = "pull-time-included"
    REGISTRY_CREATED = "registry-created"
    REPOSITORY_POLICY_CHANGED = "repository-policy-changed"
    REGISTRY_POLICY_CHANGED = "registry-policy-changed"
    IDENTITY_CHANGED = "identity-changed"
    ORGANIZATION_CHANGED = "organization-changed"
    ROLE_ASSUMED = "role-assumed"
    PRINCIPAL_CREATED = "principal-created"
    PRINCIPAL_DELETED = "principal-deleted"
    ACCESS_KEY_CREATED = "access-key-created"
    ACCESS_KEY_DELETED = "access-key-deleted"
    SEAL_KEY_ROTATED = "seal-key-rotated"
    TEMPLATE_CHANGED = "template-changed"
    PULL_THROUGH_RULE_CHANGED = "pull-through-rule-changed"
    UPSTREAM_CREDENTIAL_CHANGED = "upstream-credential-changed"
    UPSTREAM_DRIFTED = "upstream-drifted"
    REPLICATION_CONFIGURED = "replication-configured"
    REPLICATION_PEER_CHANGED = "replication-peer-changed"
    REPLICATION_BACKFILL = "replication-backfill"
    IMAGE_REPLICATED = "image-replicated"
    REPLICATION_FAILED = "replication-failed"
    LEDGER_KEY_ADDED = "ledger-key-added"
    LEDGER_KEY_RETIRED = "ledger-key-retired"
    LEDGER_RECOVERED = "ledger-recovered"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the record."""

    sequence: int
    kind: EntryKind
    repository: str | None
    tag: str | None
    body: dict[str, Any]
    leaf_index: int | None = None


def append(
    txn: Transaction,
    registry_id: int,
    kind: EntryKind,
    body: Mapping[str, Any],
    *,
    repository: str | None = None,
    tag: str | None = None,
) -> int:
    """Write an entry; return its sequence number. Numbers have no gaps: a transaction that fails leaves none behind.

    `body` are the facts; what every entry has is put around them. The entry has no place in the tree yet.
    """
    sequence, account_id, region = cast(
        "tuple[int, str, str]",
        txn.row(
            "SELECT (SELECT coalesce(max(sequence), 0) + 1 FROM entries), account_id, region FROM registries "
            "WHERE id = ?",
            registry_id,
        ),
    )
    before = txn.row(
        "SELECT number, body FROM entries WHERE registry_id = ? AND repository IS ? ORDER BY sequence DESC LIMIT 1",
        registry_id,
        repository,
    )
    number, previous = 1, None
    if before is not None:
        number = cast("int", before[0] or 0) + 1
        previous = leaf_hash(cast("str", before[1]).encode()).hex()
    leaf = entry.write(entry.Entry(kind, f"{account_id}/{region}", repository, tag, number, previous, dict(body)))
    for digest, document in leaf.documents.items():
        txn.run("INSERT INTO entry_documents (sha256, content) VALUES (?, ?)", digest, document)
    insert(txn, Row(sequence, registry_id, kind, repository, tag, leaf.content.decode(), number))
    return sequence


def last_sequence(reader: Reader) -> int:
    """Return the number of the last entry, 0 before the first."""
    return cast("tuple[int]", reader.row("SELECT coalesce(max(sequence), 0) FROM entries"))[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is written; `body` is the entry itself."""

    sequence: int
    registry_id: int
    kind: str
    repository: str | None
    tag: str | None
    body: str
    number: int
    leaf_index: int | None = None


def insert(txn: Transaction, row: Row) -> None:
    """Write a row."""
    txn.run(
        "INSERT INTO entries (sequence, registry_id, kind, repository, tag, body, number, leaf_index) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row.sequence,
        row.registry_id,
        row.kind,
        row.repository,
        row.tag,
        row.body,
        row.number,
        row.leaf_index,
    )


def document(reader: Reader, sha256: str) -> bytes | None:
    """Find what was too large for an entry."""
    row = reader.row("SELECT content FROM entry_documents WHERE sha256 = ?", sha256)
    return cast("bytes", row[0]) if row else None


def entries(
    reader: Reader, registry_id: int, repository: str, tag: str | None, *, before: int, limit: int
) -> list[Entry]:
    """List entries of a repository, or of one tag, newest first, those before a sequence number."""
    of_tag, values = ("AND tag = ?", (tag,)) if tag is not None else ("", ())
    rows = reader.rows(
        "SELECT sequence, kind, repository, tag, body, leaf_index FROM entries "
        f"WHERE registry_id = ? AND repository = ? {of_tag} AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        registry_id,
        repository,
        *values,
        before,
        limit,
    )
    return [
        Entry(sequence, EntryKind(kind), name, tagged, json.loads(body), leaf_index)
        for sequence, kind, name, tagged, body, leaf_index in cast("list[tuple[Any, ...]]", rows)
    ]
