"""The statements over principals and their access keys. Secrets come here sealed and leave sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    """A principal as stored; `policies` is a JSON list of policy documents."""

    arn: str
    account_id: str
    name: str
    policies: str
    created_at: int
    tags: str = "{}"
    """A JSON object."""
    boundary: str | None = None
    """The ARN of the policy that bounds what the others may allow."""


@dataclass(frozen=True, slots=True)
class AccessKeyRow:
    """An access key as stored."""

    id: str
    principal: str
    sealed_secret: str
    created_at: int


_PRINCIPAL = "SELECT arn, account_id, name, policies, created_at, tags, boundary FROM principals"


def principal(reader: Reader, arn: str) -> PrincipalRow | None:
    """Find a principal."""
    row = reader.row(f"{_PRINCIPAL} WHERE arn = ?", arn)
    return PrincipalRow(*cast("tuple[Any, ...]", row)) if row else None


def principals(reader: Reader, account_id: str, *, after: str, limit: int) -> list[PrincipalRow]:
    """List the principals of an account by ARN, those after one, at most `limit`."""
    rows = reader.rows(f"{_PRINCIPAL} WHERE account_id = ? AND arn > ? ORDER BY arn LIMIT ?", account_id, after, limit)
    return [PrincipalRow(*cast("tuple[Any, ...]", row)) for row in rows]


def insert_principal(txn: Transaction, row: PrincipalRow) -> None:
    """Write a new principal."""
    txn.run(
        "INSERT INTO principals (arn, account_id, name, policies, created_at) VALUES (?, ?, ?, ?, ?)",
        row.arn,
        row.account_id,
        row.name,
        row.policies,
        row.created_at,
    )


def set_policies(txn: Transaction, arn: str, policies: str) -> bool:
    """Replace a principal's policies; say whether the principal is there."""
    return txn.run("UPDATE principals SET policies = ? WHERE arn = ?", policies, arn) > 0


def delete_principal(txn: Transaction, arn: str) -> bool:
    """Delete a principal with its access keys; say whether it was there."""
    return txn.run("DELETE FROM principals WHERE arn = ?", arn) > 0


def access_key(reader: Reader, key_id: str) -> AccessKeyRow | None:
    """Find an access key."""
    row = reader.row("SELECT id, principal, sealed_secret, created_at FROM access_keys WHERE id = ?", key_id)
    return AccessKeyRow(*cast("tuple[Any, ...]", row)) if row else None


def access_keys(reader: Reader, principal_arn: str) -> list[AccessKeyRow]:
    """List the access keys of a principal."""
    rows = reader.rows(
        "SELECT id, principal, sealed_secret, created_at FROM access_keys WHERE principal = ? ORDER BY id",
        principal_arn,
    )
    return [AccessKeyRow(*cast("tuple[Any, ...]", row)) for row in rows]


def sealed_secrets(reader: Reader) -> list[tuple[str, str]]:
    """List the ids of all access keys, and their sealed secrets."""
    return cast("list[tuple[str, str]]", reader.rows("SELECT id, sealed_secret FROM access_keys ORDER BY id"))


def write_secret(txn: Transaction, key_id: str, sealed: str) -> None:
    """Write the secret of an access key, sealed anew."""
    txn.run("UPDATE access_keys SET sealed_secret = ? WHERE id = ?", sealed, key_id)


def insert_access_key(txn: Transaction, row: AccessKeyRow) -> None:
    """Write a new access key."""
    txn.run(
        "INSERT INTO access_keys (id, principal, sealed_secret, created_at) VALUES (?, ?, ?, ?)",
        row.id,
        row.principal,
        row.sealed_secret,
        row.created_at,
    )


def delete_access_key(txn: Transaction, key_id: str) -> bool:
    """Delete an access key; say whether it was there."""
    return txn.run("DELETE FROM access_keys WHERE id = ?", key_id) > 0
