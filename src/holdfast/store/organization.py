"""The statements over the organisation: units, accounts, guardrails and what they guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from holdfast.store.database import Reader, Row, Transaction


@dataclass(frozen=True, slots=True)
class Organization:
    """The organisation: its id, the account that manages it, the id of its root."""

    id: str
    management_account: str
    root: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit; the root has no parent."""

    id: str
    parent: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail (a service control policy)."""

    name: str
    document: str


def _values(row: Row) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", row)


def organization(reader: Reader) -> Organization | None:
    """Find the organisation."""
    row = reader.row(
        "SELECT o.id, o.management_account, u.id FROM organizations o JOIN org_units u ON u.parent IS NULL"
    )
    return Organization(*_values(row)) if row else None


def insert_organization(txn: Transaction, found: Organization, now: int) -> None:
    """Write the organisation and its root."""
    txn.run(
        "INSERT INTO organizations (id, management_account, created_at) VALUES (?, ?, ?)",
        found.id,
        found.management_account,
        now,
    )
    insert_unit(txn, Unit(found.root, None, "Root"), now)


def set_management_account(txn: Transaction, account_id: str) -> None:
    """Write which account manages the organisation."""
    txn.run("UPDATE organizations SET management_account = ?", account_id)


def units(reader: Reader) -> list[Unit]:
    """List all units, the root first."""
    rows = reader.rows("SELECT id, parent, name FROM org_units ORDER BY parent IS NOT NULL, name, id")
    return [Unit(*_values(row)) for row in rows]


def unit(reader: Reader, identity: str) -> Unit | None:
    """Find a unit."""
    row = reader.row("SELECT id, parent, name FROM org_units WHERE id = ?", identity)
    return Unit(*_values(row)) if row else None


def insert_unit(txn: Transaction, made: Unit, now: int) -> None:
    """Write a new unit."""
    txn.run(
        "INSERT INTO org_units (id, parent, name, created_at) VALUES (?, ?, ?, ?)", made.id, made.parent, made.name, now
    )


def delete_unit(txn: Transaction, identity: str) -> None:
    """Delete a unit, which is empty."""
    txn.run("DELETE FROM org_units WHERE id = ?", identity)


def accounts(reader: Reader) -> list[tuple[str, str]]:
    """List accounts with the ids of their units."""
    return cast("list[tuple[str, str]]", reader.rows("SELECT account_id, unit FROM org_accounts ORDER BY account_id"))


def unit_of(reader: Reader, account_id: str) -> str | None:
    """Find the id of the unit that an account is in."""
    row = reader.row("SELECT unit FROM org_accounts WHERE account_id = ?", account_id)
    return cast("str", row[0]) if row else None


def path_to(reader: Reader, account_id: str) -> list[str]:
    """List the ids of the units from the root to an account; empty when it is in none."""
    rows = reader.rows(
        "WITH RECURSIVE up (id, parent, depth) AS ("
        "SELECT u.id, u.parent, 0 FROM org_units u JOIN org_accounts a ON a.unit = u.id WHERE a.account_id = ? "
        "UNION ALL SELECT u.id, u.parent, up.depth + 1 FROM org_units u JOIN up ON u.id = up.parent) "
        "SELECT id FROM up ORDER BY depth DESC",
        account_id,
    )
    return [cast("str", row[0]) for row in rows]


def put_account(txn: Transaction, account_id: str, unit_id: str, now: int) -> None:
    """Put an account into a unit, out of the one it was in."""
    txn.run(
        "INSERT INTO org_accounts (account_id, unit, created_at) VALUES (?, ?, ?) "
        "ON CONFLICT (account_id) DO UPDATE SET unit = excluded.unit",
        account_id,
        unit_id,
        now,
    )


def guardrail(reader: Reader, name: str) -> Guardrail | None:
    """Find a guardrail."""
    row = reader.row("SELECT name, document FROM guardrails WHERE name = ?", name)
    return Guardrail(*_values(row)) if row else None


def guardrails(reader: Reader, *, after: str, limit: int) -> list[Guardrail]:
    """List guardrails by name, those after one, at most `limit`."""
    rows = reader.rows("SELECT name, document FROM guardrails WHERE name > ? ORDER BY name LIMIT ?", after, limit)
    return [Guardrail(*_values(row)) for row in rows]


def put_guardrail(txn: Transaction, made: Guardrail, now: int) -> None:
    """Write a guardrail, replacing the document of the one of its name."""
    txn.run(
        "INSERT INTO guardrails (name, document, created_at) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET document = excluded.document",
        made.name,
        made.document,
        now,
    )


def delete_guardrail(txn: Transaction, name: str) -> None:
    """Delete a guardrail, which guards nothing."""
    txn.run("DELETE FROM guardrails WHERE name = ?", name)


def guardrails_of(reader: Reader, target: str) -> list[Guardrail]:
    """List the guardrails of a unit or an account by name."""
    rows = reader.rows(
        "SELECT g.name, g.document FROM guardrails g JOIN guardrail_attachments a ON a.guardrail = g.name "
        "WHERE a.target = ? ORDER BY g.name",
        target,
    )
    return [Guardrail(*_values(row)) for row in rows]


def targets_of(reader: Reader, name: str) -> list[str]:
    """List the units and accounts that a guardrail guards."""
    rows = reader.rows("SELECT target FROM guardrail_attachments WHERE guardrail = ? ORDER BY target", name)
    return [cast("str", row[0]) for row in rows]


def attach_guardrail(txn: Transaction, name: str, target: str) -> bool:
    """Make a guardrail guard a unit or account; say whether it did not before."""
    return (
        txn.run(
            "INSERT INTO guardrail_attachments (target, guardrail) VALUES (?, ?) ON CONFLICT DO NOTHING", target, name
        )
        > 0
    )


def detach_guardrail(txn: Transaction, name: str, target: str) -> bool:
    """Make a guardrail guard a unit or account no more; say whether it did."""
    return txn.run("DELETE FROM guardrail_attachments WHERE target = ? AND guardrail = ?", target, name) > 0
