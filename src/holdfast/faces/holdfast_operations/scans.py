"""Reports of scanners, loaded from outside."""

from __future__ import annotations

from typing import Final

from holdfast.faces.json_call import THROUGH, Call, Operation, Result
from holdfast.registry.image_pages import ImageId


async def load_scan_report(call: Call) -> Result:
    """Take a scanner's report as what is known about an image."""
    given = call.parameters["imageId"]
    image_id = ImageId(given.get("imageDigest"), given.get("imageTag"))
    digest, report = await call.use.scanning.load(*call.where, image_id, call.parameters["report"], through=THROUGH)
    return {
        "registryId": call.registry.account_id,
        "repositoryName": call.repository,
        "imageDigest": digest,
        "format": report.format,
        "scanner": report.scanner,
        "findings": len(report.findings),
        "findingSeverityCounts": report.counts,
    }


SCANS: Final[dict[str, Operation]] = {"LoadScanReport": load_scan_report}
"""Operation -> what performs it."""
