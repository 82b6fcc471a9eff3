"""The statements over what a registry is set to: its signing configuration and its account settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class SigningRule:
    """Images of repositories that match a filter, or of all without filters, are to be signed with a profile."""

    profile_arn: str
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SigningConfiguration:
    """A registry's signing rules and since when they are in force, microseconds since the epoch."""

    rules: tuple[SigningRule, ...]
    put_at: int


def signing_configuration(reader: Reader, registry_id: int) -> SigningConfiguration | None:
    """Find a registry's signing configuration."""
    row = reader.row("SELECT rules, put_at FROM signing_configurations WHERE registry_id = ?", registry_id)
    if row is None:
        return None
    rules, put_at = cast("tuple[str, int]", row)
    return SigningConfiguration(tuple(SigningRule(arn, tuple(filters)) for arn, filters in json.loads(rules)), put_at)


def put_signing_configuration(txn: Transaction, registry_id: int, wanted: SigningConfiguration) -> None:
    """Write a registry's signing configuration."""
    txn.run(
        "INSERT INTO signing_configurations (registry_id, rules, put_at) VALUES (?, ?, ?) "
        "ON CONFLICT (registry_id) DO UPDATE SET rules = excluded.rules, put_at = excluded.put_at",
        registry_id,
        json.dumps([[rule.profile_arn, rule.filters] for rule in wanted.rules]),
        wanted.put_at,
    )


def delete_signing_configuration(txn: Transaction, registry_id: int) -> None:
    """Delete a registry's signing configuration."""
    txn.run("DELETE FROM signing_configurations WHERE registry_id = ?", registry_id)


def account_setting(reader: Reader, registry_id: int, name: str) -> str | None:
    """Find the value of an account setting that was put."""
    row = reader.row("SELECT value FROM account_settings WHERE registry_id = ? AND name = ?", registry_id, name)
    return cast("str", row[0]) if row else None


def put_account_setting(txn: Transaction, registry_id: int, name: str, value: str) -> None:
    """Write an account setting."""
    txn.run(
        "INSERT INTO account_settings (registry_id, name, value) VALUES (?, ?, ?) "
        "ON CONFLICT (registry_id, name) DO UPDATE SET value = excluded.value",
        registry_id,
        name,
        value,
    )
