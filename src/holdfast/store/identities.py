"""The statements over groups, roles, managed policies and issuers of OIDC tokens; users stand in `accounts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Row, Transaction


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as stored; `policies` is a JSON list of policy documents."""

    arn: str
    account_id: str
    name: str
    policies: str
    created_at: int


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role as stored; `policies` is a JSON list of documents, `trust` a document, `tags` a JSON object."""

    arn: str
    account_id: str
    name: str
    policies: str
    trust: str
    max_session_seconds: int
    tags: str
    boundary: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ManagedPolicyRow:
    """A policy that can be attached."""

    arn: str
    account_id: str
    name: str
    document: str
    created_at: int


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """An issuer of OIDC tokens; `audiences` is a JSON list, `jwks` a JSON Web Key Set or None: fetch it."""

    arn: str
    account_id: str
    issuer: str
    audiences: str
    jwks: str | None
    created_at: int


def _values(row: Row) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", row)


# --- groups ----------------------------------------------------------------------------------------------------------

_GROUP = "SELECT g.arn, g.account_id, g.name, g.policies, g.created_at FROM groups g"


def group(reader: Reader, arn: str) -> GroupRow | None:
    """Find a group."""
    row = reader.row(f"{_GROUP} WHERE g.arn = ?", arn)
    return GroupRow(*_values(row)) if row else None


def groups(reader: Reader, account_id: str, *, after: str, limit: int) -> list[GroupRow]:
    """List the groups of an account by ARN, those after one, at most `limit`."""
    rows = reader.rows(
        f"{_GROUP} WHERE g.account_id = ? AND g.arn > ? ORDER BY g.arn LIMIT ?", account_id, after, limit
    )
    return [GroupRow(*_values(row)) for row in rows]


def groups_of(reader: Reader, principal: str) -> list[GroupRow]:
    """List the groups of a user by ARN."""
    rows = reader.rows(
        f"{_GROUP} JOIN group_members m ON m.group_arn = g.arn WHERE m.principal = ? ORDER BY g.arn", principal
    )
    return [GroupRow(*_values(row)) for row in rows]


def insert_group(txn: Transaction, row: GroupRow) -> None:
    """Write a new group."""
    txn.run(
        "INSERT INTO groups (arn, account_id, name, policies, created_at) VALUES (?, ?, ?, ?, ?)",
        row.arn,
        row.account_id,
        row.name,
        row.policies,
        row.created_at,
    )


def delete_group(txn: Transaction, arn: str) -> bool:
    """Delete a group; say whether it was there."""
    return txn.run("DELETE FROM groups WHERE arn = ?", arn) > 0


def members(reader: Reader, group_arn: str) -> list[str]:
    """List the ARNs of a group's users."""
    rows = reader.rows("SELECT principal FROM group_members WHERE group_arn = ? ORDER BY principal", group_arn)
    return [cast("str", row[0]) for row in rows]


def add_member(txn: Transaction, group_arn: str, principal: str) -> None:
    """Put a user into a group; one who is in it stays."""
    txn.run(
        "INSERT INTO group_members (group_arn, principal) VALUES (?, ?) ON CONFLICT DO NOTHING", group_arn, principal
    )


def remove_member(txn: Transaction, group_arn: str, principal: str) -> bool:
    """Take a user out of a group; say whether it was in it."""
    return txn.run("DELETE FROM group_members WHERE group_arn = ? AND principal = ?", group_arn, principal) > 0


# --- roles -----------------------------------------------------------------------------------------------------------

_ROLE = "SELECT arn, account_id, name, policies, trust, max_session_seconds, tags, boundary, created_at FROM roles"


def role(reader: Reader, arn: str) -> RoleRow | None:
    """Find a role."""
    row = reader.row(f"{_ROLE} WHERE arn = ?", arn)
    return RoleRow(*_values(row)) if row else None


def roles(reader: Reader, account_id: str, *, after: str, limit: int) -> list[RoleRow]:
    """List the roles of an account by ARN, those after one, at most `limit`."""
    rows = reader.rows(f"{_ROLE} WHERE account_id = ? AND arn > ? ORDER BY arn LIMIT ?", account_id, after, limit)
    return [RoleRow(*_values(row)) for row in rows]


def insert_role(txn: Transaction, row: RoleRow) -> None:
    """Write a new role."""
    txn.run(
        "INSERT INTO roles (arn, account_id, name, policies, trust, max_session_seconds, tags, boundary, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row.arn,
        row.account_id,
        row.name,
        row.policies,
        row.trust,
        row.max_session_seconds,
        row.tags,
        row.boundary,
        row.created_at,
    )


def set_trust(txn: Transaction, arn: str, trust: str, max_session_seconds: int) -> None:
    """Replace a role's trust policy and the longest life of its sessions."""
    txn.run("UPDATE roles SET trust = ?, max_session_seconds = ? WHERE arn = ?", trust, max_session_seconds, arn)


def delete_role(txn: Transaction, arn: str) -> bool:
    """Delete a role; say whether it was there."""
    return txn.run("DELETE FROM roles WHERE arn = ?", arn) > 0


def set_own(txn: Transaction, table: str, arn: str, policies: str, tags: str | None, boundary: str | None) -> bool:
    """Replace what an identity has of its own; `table` is principals, groups or roles. Groups have policies alone."""
    if table == "groups":
        return txn.run("UPDATE groups SET policies = ? WHERE arn = ?", policies, arn) > 0
    if table not in {"principals", "roles"}:
        raise ValueError(table)
    return (
        txn.run(f"UPDATE {table} SET policies = ?, tags = ?, boundary = ? WHERE arn = ?", policies, tags, boundary, arn)
        > 0
    )


# --- managed policies ------------------------------------------------------------------------------------------------

_POLICY = "SELECT arn, account_id, name, document, created_at FROM managed_policies"


def managed_policy(reader: Reader, arn: str) -> ManagedPolicyRow | None:
    """Find a policy that can be attached."""
    row = reader.row(f"{_POLICY} WHERE arn = ?", arn)
    return ManagedPolicyRow(*_values(row)) if row else None


def managed_policies(reader: Reader, account_id: str, *, after: str, limit: int) -> list[ManagedPolicyRow]:
    """List the policies of an account by ARN, those after one, at most `limit`."""
    rows = reader.rows(f"{_POLICY} WHERE account_id = ? AND arn > ? ORDER BY arn LIMIT ?", account_id, after, limit)
    return [ManagedPolicyRow(*_values(row)) for row in rows]


def put_managed_policy(txn: Transaction, row: ManagedPolicyRow) -> None:
    """Write a policy, replacing the document of the one of its ARN."""
    txn.run(
        "INSERT INTO managed_policies (arn, account_id, name, document, created_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (arn) DO UPDATE SET document = excluded.document",
        row.arn,
        row.account_id,
        row.name,
        row.document,
        row.created_at,
    )


def delete_managed_policy(txn: Transaction, arn: str) -> bool:
    """Delete a policy; say whether it was there."""
    return txn.run("DELETE FROM managed_policies WHERE arn = ?", arn) > 0


def attached(reader: Reader, identity: str) -> list[str]:
    """List the ARNs of the policies attached to an identity."""
    rows = reader.rows("SELECT policy FROM attachments WHERE identity = ? ORDER BY policy", identity)
    return [cast("str", row[0]) for row in rows]


def holders(reader: Reader, policy: str) -> list[str]:
    """List the ARNs of the identities that have a policy attached, or as their boundary."""
    rows = reader.rows(
        "SELECT identity FROM attachments WHERE policy = ? UNION SELECT arn FROM principals WHERE boundary = ? "
        "UNION SELECT arn FROM roles WHERE boundary = ? ORDER BY 1",
        policy,
        policy,
        policy,
    )
    return [cast("str", row[0]) for row in rows]


def attach(txn: Transaction, identity: str, policy: str) -> bool:
    """Attach a policy; say whether it was not attached before."""
    return (
        txn.run("INSERT INTO attachments (identity, policy) VALUES (?, ?) ON CONFLICT DO NOTHING", identity, policy) > 0
    )


def detach(txn: Transaction, identity: str, policy: str) -> bool:
    """Detach a policy; say whether it was attached."""
    return txn.run("DELETE FROM attachments WHERE identity = ? AND policy = ?", identity, policy) > 0


# --- issuers of OIDC tokens ------------------------------------------------------------------------------------------

_PROVIDER = "SELECT arn, account_id, issuer, audiences, jwks, created_at FROM oidc_providers"


def provider(reader: Reader, arn: str) -> ProviderRow | None:
    """Find an issuer by its ARN."""
    row = reader.row(f"{_PROVIDER} WHERE arn = ?", arn)
    return ProviderRow(*_values(row)) if row else None


def providers(reader: Reader, account_id: str, *, after: str, limit: int) -> list[ProviderRow]:
    """List the issuers that an account knows by ARN, those after one, at most `limit`."""
    rows = reader.rows(f"{_PROVIDER} WHERE account_id = ? AND arn > ? ORDER BY arn LIMIT ?", account_id, after, limit)
    return [ProviderRow(*_values(row)) for row in rows]


def put_provider(txn: Transaction, row: ProviderRow) -> None:
    """Write an issuer, replacing audiences and keys of the one of its ARN."""
    txn.run(
        "INSERT INTO oidc_providers (arn, account_id, issuer, audiences, jwks, created_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (arn) DO UPDATE SET audiences = excluded.audiences, jwks = excluded.jwks",
        row.arn,
        row.account_id,
        row.issuer,
        row.audiences,
        row.jwks,
        row.created_at,
    )


def delete_provider(txn: Transaction, arn: str) -> bool:
    """Delete an issuer; say whether it was there."""
    return txn.run("DELETE FROM oidc_providers WHERE arn = ?", arn) > 0
