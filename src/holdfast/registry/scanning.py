"""Scanning: when images are scanned, what is known about them, and reports loaded from outside.

There is no scanner inside yet. A scan that is asked for, or that a push asks for, therefore ends as UNSUPPORTED_IMAGE,
which says that nobody looked: "no findings" is told only where a report was read.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    FeatureDisabled,
    ReportInvalid,
    ScanNotFound,
    ScanQuotaExceeded,
    ScanUnsupported,
)
from holdfast.core.lifecycle import ImageStatus
from holdfast.core.lifecycle_errors import ImageArchived
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.scanning import IMAGE_CONFIGS, SCAN_QUOTA_SECONDS, ScanFrequency, ScanStatus, ScanType
from holdfast.registry.binding import Act, require_repository
from holdfast.registry.image_pages import require_image
from holdfast.registry.scan_start import begin
from holdfast.scan import reports
from holdfast.store import bindings, catalog, entries, manifests, scans
from holdfast.store.entries import EntryKind
from holdfast.store.scans import Finding, Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.scanning import ScanningConfiguration
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.image_pages import ImageId
    from holdfast.scan.reports import Report
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Reader, Transaction

COMPLETED: Final = "The scan was completed successfully."
"""Source: Amazon ECR user guide, replies of describe-image-scan-findings."""

_MICROSECONDS: Final = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class RepositoryScanning:
    """When the images of a repository are scanned, and why."""

    repository: Repository
    frequency: ScanFrequency
    filters: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ScannedImage:
    """An image, its scan, and a page of its findings."""

    digest: str
    tags: list[str]
    pushed_at: int
    scan: Scan
    findings: list[Finding]
    is_enhanced: bool
    """Whether the registry's scanning is enhanced, so that findings are told in that shape."""


class Scanning:
    """The use cases over scanning."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    # --- when --------------------------------------------------------------------------------------------------------

    def configuration(self, caller: Caller, registry: Registry) -> ScanningConfiguration:
        """Return the registry's scanning configuration."""
        self._access.require(caller, registry, "ecr:GetRegistryScanningConfiguration")
        return scans.configuration(self._database, registry.id)

    async def configure(
        self, caller: Caller, registry: Registry, wanted: ScanningConfiguration, *, through: str
    ) -> ScanningConfiguration:
        """Replace the registry's scanning configuration; the same again changes nothing."""
        self._access.require(caller, registry, "ecr:PutRegistryScanningConfiguration")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> ScanningConfiguration:
            before = scans.configuration(txn, registry.id)
            if before != wanted:
                scans.put_configuration(txn, registry.id, wanted)
                body = act.body(before=_told(before), after=_told(wanted))
                entries.append(txn, registry.id, EntryKind.SCANNING_CHANGED, body)
            return wanted

        return await self._database.write(job)

    async def set_scan_on_push(
        self, caller: Caller, registry: Registry, name: str, *, scan_on_push: bool, through: str
    ) -> Repository:
        """Set whether a repository's images are scanned when they are pushed: the older setting, for basic scanning."""
        self._access.require(caller, registry, "ecr:PutImageScanningConfiguration", name)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Repository:
            found = require_repository(txn, registry, name)
            if found.scan_on_push != scan_on_push:
                scans.set_scan_on_push(txn, found.id, scan_on_push=scan_on_push)
                body = act.body(before={"scan_on_push": found.scan_on_push}, after={"scan_on_push": scan_on_push})
                entries.append(txn, registry.id, EntryKind.SCANNING_CHANGED, body, repository=name)
            return require_repository(txn, registry, name)

        return await self._database.write(job)

    def repositories(
        self, caller: Caller, registry: Registry, names: Sequence[str]
    ) -> tuple[list[RepositoryScanning], list[str]]:
        """Say when the images of repositories are scanned, and which of the names are of no repository."""
        for name in names:
            self._access.require(caller, registry, "ecr:BatchGetRepositoryScanningConfiguration", name)
        configured = scans.configuration(self._database, registry.id)
        found, missing = [], []
        for name in names:
            repository = catalog.repository(self._database, registry.id, name)
            if repository is None:
                missing.append(name)
                continue
            found.append(
                RepositoryScanning(repository, *configured.frequency_for(name, scan_on_push=repository.scan_on_push))
            )
        return found, missing

    # --- what is known -----------------------------------------------------------------------------------------------

    async def start(
        self, caller: Caller, registry: Registry, name: str, image_id: ImageId, *, through: str
    ) -> tuple[str, Scan]:
        """Ask for a scan of an image; return its digest and where its scan stands.

        A report that was loaded stays what is known. Raises ManifestNotFound, ImageArchived for one that is not active,
        ScanUnsupported for what is no image, ScanQuotaExceeded when one was asked for within a day, FeatureDisabled
        with enhanced scanning.
        """
        self._access.require(caller, registry, "ecr:StartImageScan", name)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> tuple[str, Scan]:
            found = require_repository(txn, registry, name)
            image = require_image(txn, registry, found, image_id)
            if scans.configuration(txn, registry.id).scan_type is ScanType.ENHANCED:
                raise FeatureDisabled
            if image.status != ImageStatus.ACTIVE:
                raise ImageArchived(image.digest, image.status)
            if image.artifact_type not in IMAGE_CONFIGS:
                raise ScanUnsupported(image.digest, image.artifact_type or image.media_type)
            before = scans.scan(txn, found.id, image.digest)
            quota = SCAN_QUOTA_SECONDS * _MICROSECONDS
            if before is not None and before.started_at is not None and act.at < before.started_at + quota:
                raise ScanQuotaExceeded(before.started_at + quota)
            return image.digest, begin(txn, registry, found, image.digest, act, why="it was asked for")

        return await self._database.write(job)

    def findings(
        self, caller: Caller, registry: Registry, name: str, image_id: ImageId, *, after: int, limit: int
    ) -> ScannedImage:
        """Return the scan of an image and its findings, gravest first, those after a position.

        Raises ManifestNotFound, ScanNotFound.
        """
        self._access.require(caller, registry, "ecr:DescribeImageScanFindings", name)
        found = require_repository(self._database, registry, name)
        image = require_image(self._database, registry, found, image_id)
        scan = scans.scan(self._database, found.id, image.digest)
        if scan is None:
            raise ScanNotFound(image_id.digest, image_id.tag, name, registry.account_id)
        tags = bindings.tags_of_digests(self._database, found.id, [image.digest]).get(image.digest, [])
        page = scans.findings(self._database, found.id, image.digest, after=after, limit=limit)
        enhanced = scans.configuration(self._database, registry.id).scan_type is ScanType.ENHANCED
        return ScannedImage(image.digest, tags, image.pushed_at, scan, page, enhanced)

    async def load(
        self, caller: Caller, registry: Registry, name: str, image_id: ImageId, content: bytes, *, through: str
    ) -> tuple[str, Report]:
        """Take a scanner's report as what is known about an image; return the image's digest and what was read.

        Raises ManifestNotFound, ScanUnsupported, ReportInvalid: also when the report names digests and none of them is
        the image's, its config's or that of an index that lists it.
        """
        self._access.require(caller, registry, "holdfast:LoadScanReport", name)
        report = await asyncio.to_thread(reports.parse, content)
        report_sha256 = hashlib.sha256(content).hexdigest()
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            found = require_repository(txn, registry, name)
            image = require_image(txn, registry, found, image_id)
            if image.artifact_type not in IMAGE_CONFIGS:
                raise ScanUnsupported(image.digest, image.artifact_type or image.media_type)
            _require_about(txn, found, image.digest, report)
            before = scans.scan(txn, found.id, image.digest)
            scan = Scan(
                ScanStatus.COMPLETE,
                COMPLETED,
                before.started_at if before else None,
                min(report.made_at or act.at, act.at),
                report.source_updated_at,
                report.scanner,
                report_sha256,
                report.counts,
            )
            scans.put_scan(txn, found.id, image.digest, scan)
            rows = [
                Finding(position, one.name, one.severity, one.description, one.uri, one.attributes)
                for position, one in enumerate(report.findings, start=1)
            ]
            scans.put_findings(txn, found.id, image.digest, rows)
            body = act.body(
                digest=image.digest,
                format=report.format,
                scanner=report.scanner,
                report_sha256=report_sha256,
                counts=report.counts,
                before=before.report_sha256 if before else None,
            )
            entries.append(txn, registry.id, EntryKind.SCAN_REPORT_LOADED, body, repository=name)
            return image.digest

        return await self._database.write(job), report


def _require_about(reader: Reader, repository: Repository, digest: str, report: Report) -> None:
    """Raise ReportInvalid for a report that names its image by digests, none of which is of this one."""
    if not report.digests:
        return
    own = {digest, *manifests.parents(reader, repository.id, digest)}
    stored = manifests.payload(reader, repository.id, digest)
    if stored is not None:
        algorithm = Digest.parse(digest).algorithm
        config = parse_manifest(stored.payload, stored.media_type, algorithm=algorithm).config
        own |= {str(config.digest)} if config else set()
    if not own & report.digests:
        named = ", ".join(sorted(report.digests))
        msg = f"The report is about another image: it names {named}, and this is {digest}."
        raise ReportInvalid(msg)


def _told(configuration: ScanningConfiguration) -> dict[str, object]:
    rules = [{"frequency": rule.frequency, "filters": list(rule.filters)} for rule in configuration.rules]
    return {"scan_type": configuration.scan_type, "rules": rules}
