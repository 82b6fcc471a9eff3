"""The record of what happened: one row an act, written in the act's own transaction, never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

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
    TEMPLATE_CHANGED = "template-changed"
    PULL_THROUGH_RULE_CHANGED = "pull-through-rule-changed"
    UPSTREAM_CREDENTIAL_CHANGED = "upstream-credential-changed"
    UPSTREAM_DRIFTED = "upstream-drifted"
    REPLICATION_CONFIGURED = "replication-configured"
    REPLICATION_PEER_CHANGED = "replication-peer-changed"
    REPLICATION_BACKFILL = "replication-backfill"
    IMAGE_REPLICATED = "image-replicated"
    REPLICATION_FAILED = "replication-failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the record."""

    sequence: int
    kind: EntryKind
    repository: str | None
    tag: str | None
    body: dict[str, Any]


def append(
    txn: Transaction,
    registry_id: int,
    kind: EntryKind,
    body: Mapping[str, Any],
    *,
    repository: str | None = None,
    tag: str | None = None,
) -> int:
    """Write an entry; return its sequence number. Numbers have no gaps: a transaction that fails leaves none behind."""
    row = txn.row("SELECT coalesce(max(sequence), 0) + 1 FROM entries")
    sequence = cast("tuple[int]", row)[0]
    txn.run(
        "INSERT INTO entries (sequence, registry_id, kind, repository, tag, body) VALUES (?, ?, ?, ?, ?, ?)",
        sequence,
        registry_id,
        kind,
        repository,
        tag,
        json.dumps(body, separators=(",", ":"), sort_keys=True),
    )
    return sequence


def last_sequence(reader: Reader) -> int:
    """Return the number of the last entry, 0 before the first."""
    return cast("tuple[int]", reader.row("SELECT coalesce(max(sequence), 0) FROM entries"))[0]


def entries(
    reader: Reader, registry_id: int, repository: str, tag: str | None, *, before: int, limit: int
) -> list[Entry]:
    """List entries of a repository, or of one tag, newest first, those before a sequence number."""
    of_tag, values = ("AND tag = ?", (tag,)) if tag is not None else ("", ())
    rows = reader.rows(
        "SELECT sequence, kind, repository, tag, body FROM entries "
        f"WHERE registry_id = ? AND repository = ? {of_tag} AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        registry_id,
        repository,
        *values,
        before,
        limit,
    )
    return [
        Entry(sequence, EntryKind(kind), name, tagged, json.loads(body))
        for sequence, kind, name, tagged, body in cast("list[tuple[Any, ...]]", rows)
    ]
