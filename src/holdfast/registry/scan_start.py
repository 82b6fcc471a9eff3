"""How the scan of an image begins, inside a transaction: asked for, or on push.

There is no scanner inside yet: a scan ends where it begins, as UNSUPPORTED_IMAGE, unless a report was loaded before.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from holdfast.core.manifest import Kind
from holdfast.core.scanning import IMAGE_CONFIGS, ScanFrequency, ScanStatus
from holdfast.store import entries, scans
from holdfast.store.entries import EntryKind
from holdfast.store.scans import Scan

if TYPE_CHECKING:
    from holdfast.core.manifest import Manifest
    from holdfast.registry.binding import Act
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Transaction


def scan_pushed(txn: Transaction, registry: Registry, repository: Repository, manifest: Manifest, act: Act) -> None:
    """Begin the scan of an image that was just pushed, when the rules say so; inside the push's transaction."""
    if manifest.kind is not Kind.IMAGE or manifest.referrer_type not in IMAGE_CONFIGS:
        return
    configured = scans.configuration(txn, registry.id)
    frequency, _ = configured.frequency_for(repository.name, scan_on_push=repository.scan_on_push)
    if frequency is not ScanFrequency.MANUAL:
        begin(txn, registry, repository, str(manifest.digest), act, why="it was pushed")


def begin(txn: Transaction, registry: Registry, repository: Repository, digest: str, act: Act, *, why: str) -> Scan:
    """Note that a scan was asked for, with its entry; a report that was loaded stays what is known."""
    before = scans.scan(txn, repository.id, digest)
    if before is not None and before.status is ScanStatus.COMPLETE:
        scan = dataclasses.replace(before, started_at=act.at)
    else:
        described = (
            "UnsupportedImageError: nobody looked into this image, as this registry has no scanner yet. Scan it "
            f"outside and load the report: holdfast scan load {repository.name}@{digest} REPORT"
        )
        scan = Scan(ScanStatus.UNSUPPORTED_IMAGE, described, act.at)
    scans.put_scan(txn, repository.id, digest, scan)
    body = act.body(digest=digest, status=scan.status, why=why)
    entries.append(txn, registry.id, EntryKind.SCAN_STARTED, body, repository=repository.name)
    return scan
