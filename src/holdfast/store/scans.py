"""The statements over scanning: a registry's rules, the scans of images and their findings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.scanning import ScanFrequency, ScanningConfiguration, ScanningRule, ScanStatus, ScanType
from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known about an image's vulnerabilities; times in microseconds since the epoch."""

    status: ScanStatus
    description: str
    started_at: int | None = None
    completed_at: int | None = None
    source_updated_at: int | None = None
    scanner: str | None = None
    report_sha256: str | None = None
    counts: dict[str, int] | None = None
    """Severity -> number of findings; None unless the scan is complete."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, by its place in the order of gravity."""

    position: int
    name: str
    severity: str
    description: str
    uri: str
    attributes: tuple[tuple[str, str], ...]


def configuration(reader: Reader, registry_id: int) -> ScanningConfiguration:
    """Return a registry's scanning configuration; basic scanning without rules when none was put."""
    row = reader.row("SELECT scan_type, rules FROM scanning_configurations WHERE registry_id = ?", registry_id)
    if row is None:
        return ScanningConfiguration()
    scan_type, rules = cast("tuple[str, str]", row)
    parsed = tuple(ScanningRule(ScanFrequency(frequency), tuple(filters)) for frequency, filters in json.loads(rules))
    return ScanningConfiguration(ScanType(scan_type), parsed)


def put_configuration(txn: Transaction, registry_id: int, wanted: ScanningConfiguration) -> None:
    """Write a registry's scanning configuration."""
    txn.run(
        "INSERT INTO scanning_configurations (registry_id, scan_type, rules) VALUES (?, ?, ?) "
        "ON CONFLICT (registry_id) DO UPDATE SET scan_type = excluded.scan_type, rules = excluded.rules",
        registry_id,
        wanted.scan_type,
        json.dumps([[rule.frequency, rule.filters] for rule in wanted.rules]),
    )


def set_scan_on_push(txn: Transaction, repository_id: int, *, scan_on_push: bool) -> None:
    """Write a repository's own setting."""
    txn.run("UPDATE repositories SET scan_on_push = ? WHERE id = ?", int(scan_on_push), repository_id)


_SCAN = (
    "SELECT digest, status, description, started_at, completed_at, source_updated_at, scanner, report_sha256, counts "
    "FROM image_scans"
)


def _scan(row: tuple[Any, ...]) -> Scan:
    status = ScanStatus(row[1])
    description, started_at, completed_at, updated_at, scanner, report, counts = row[2:]
    told = json.loads(counts) if status is ScanStatus.COMPLETE else None
    return Scan(status, description, started_at, completed_at, updated_at, scanner, report, told)


def scan(reader: Reader, repository_id: int, digest: str) -> Scan | None:
    """Find the scan of an image."""
    row = reader.row(f"{_SCAN} WHERE repository_id = ? AND digest = ?", repository_id, digest)
    return _scan(row) if row else None


def scans_of_digests(reader: Reader, repository_id: int, digests: Sequence[str]) -> dict[str, Scan]:
    """Find the scans of several images: digest -> scan; an image without one is absent."""
    rows = reader.rows(
        f"{_SCAN} WHERE repository_id = ? AND digest IN ({placeholders(digests)})", repository_id, *digests
    )
    return {cast("str", row[0]): _scan(row) for row in rows}


def put_scan(txn: Transaction, repository_id: int, digest: str, wanted: Scan) -> None:
    """Write the scan of an image; the findings of the one before go when it is another report."""
    txn.run(
        "INSERT INTO image_scans (repository_id, digest, status, description, started_at, completed_at, "
        "source_updated_at, scanner, report_sha256, counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (repository_id, digest) DO UPDATE SET status = excluded.status, "
        "description = excluded.description, started_at = excluded.started_at, completed_at = excluded.completed_at, "
        "source_updated_at = excluded.source_updated_at, scanner = excluded.scanner, "
        "report_sha256 = excluded.report_sha256, counts = excluded.counts",
        repository_id,
        digest,
        wanted.status,
        wanted.description,
        wanted.started_at,
        wanted.completed_at,
        wanted.source_updated_at,
        wanted.scanner,
        wanted.report_sha256,
        json.dumps(wanted.counts or {}),
    )


def put_findings(txn: Transaction, repository_id: int, digest: str, findings: Sequence[Finding]) -> None:
    """Write the findings of an image's scan, replacing those that are there."""
    txn.run("DELETE FROM scan_findings WHERE repository_id = ? AND digest = ?", repository_id, digest)
    for one in findings:
        body = {"description": one.description, "uri": one.uri, "attributes": one.attributes}
        txn.run(
            "INSERT INTO scan_findings (repository_id, digest, position, name, severity, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            repository_id,
            digest,
            one.position,
            one.name,
            one.severity,
            json.dumps(body, ensure_ascii=False),
        )


def findings(reader: Reader, repository_id: int, digest: str, *, after: int, limit: int) -> list[Finding]:
    """List the findings of an image gravest first, those after a position, at most `limit`."""
    rows = reader.rows(
        "SELECT position, name, severity, body FROM scan_findings "
        "WHERE repository_id = ? AND digest = ? AND position > ? ORDER BY position LIMIT ?",
        repository_id,
        digest,
        after,
        limit,
    )
    found = []
    for position, name, severity, text in cast("list[tuple[int, str, str, str]]", rows):
        body = json.loads(text)
        attributes = tuple((key, value) for key, value in body["attributes"])
        found.append(Finding(position, name, severity, body["description"], body["uri"], attributes))
    return found
