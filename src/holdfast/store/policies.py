"""The statements over policies of repositories and registries, and the number that tells when decisions may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


def version(reader: Reader) -> int:
    """Return a number that differs after each change of anything that a decision depends on."""
    return cast("tuple[int]", reader.row("SELECT version FROM policy_version"))[0]


def repository_policy(reader: Reader, registry_id: int, name: str) -> str | None:
    """Find the policy of a repository by name."""
    row = reader.row(
        "SELECT p.document FROM repository_policies p JOIN repositories r ON r.id = p.repository_id "
        "WHERE r.registry_id = ? AND r.name = ? AND r.deleted_at IS NULL",
        registry_id,
        name,
    )
    return cast("str", row[0]) if row else None


def set_repository_policy(txn: Transaction, repository_id: int, document: str) -> None:
    """Write the policy of a repository, replacing the one before."""
    txn.run(
        "INSERT INTO repository_policies (repository_id, document) VALUES (?, ?) "
        "ON CONFLICT (repository_id) DO UPDATE SET document = excluded.document",
        repository_id,
        document,
    )


def delete_repository_policy(txn: Transaction, repository_id: int) -> None:
    """Delete the policy of a repository."""
    txn.run("DELETE FROM repository_policies WHERE repository_id = ?", repository_id)


def registry_policy(reader: Reader, registry_id: int) -> str | None:
    """Find the policy of a registry."""
    row = reader.row("SELECT document FROM registry_policies WHERE registry_id = ?", registry_id)
    return cast("str", row[0]) if row else None


def set_registry_policy(txn: Transaction, registry_id: int, document: str) -> None:
    """Write the policy of a registry, replacing the one before."""
    txn.run(
        "INSERT INTO registry_policies (registry_id, document) VALUES (?, ?) "
        "ON CONFLICT (registry_id) DO UPDATE SET document = excluded.document",
        registry_id,
        document,
    )


def delete_registry_policy(txn: Transaction, registry_id: int) -> None:
    """Delete the policy of a registry."""
    txn.run("DELETE FROM registry_policies WHERE registry_id = ?", registry_id)
