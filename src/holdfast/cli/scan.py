"""`holdfast scan`: load what a scanner found in an image, and show it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, moment
from holdfast.cli.teaching import TeachingCommand, TeachingGroup
from holdfast.core.digest import Digest
from holdfast.core.scanning import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPLETE: Final = frozenset({"COMPLETE", "ACTIVE"})
_FORMATS: Final = {
    "trivy": "trivy image --format json --output REPORT IMAGE",
    "grype": "grype IMAGE -o json --file REPORT",
    "sarif": "SARIF 2.1.0, of any scanner",
    "cyclonedx": "CycloneDX JSON with vulnerabilities",
}


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "trivy image --format json --output report.json HOST/demo/app@sha256:4f53...",
            "holdfast scan load demo/app@sha256:4f53... report.json",
            "holdfast scan show demo/app:v1 --fail-on high",
        )
    },
)
def scan() -> None:
    """Load reports of scanners, and show what they found."""


@scan.command(cls=TeachingCommand, sections={"Reports": _FORMATS})
@click.argument("image", metavar="REPO@DIGEST", callback=names.image("REPO@DIGEST"))
@click.argument(
    "report", metavar="REPORT", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@connected
def load(at: Connection, out: Output, image: tuple[str, Digest], report: Path) -> None:
    """Take a scanner's report as what is known about an image; `-` reads it from standard input.

    It replaces the report before. A report that names another image's digest is refused.
    """
    repository, digest = image
    content = sys.stdin.buffer.read() if str(report) == "-" else report.read_bytes()
    done = at.api.holdfast(
        "load_scan_report", repositoryName=repository, imageId={"imageDigest": str(digest)}, report=content
    )
    counts = done.get("findingSeverityCounts") or {}
    document = {
        "repository": repository,
        "digest": done["imageDigest"],
        "format": done["format"],
        "scanner": done.get("scanner"),
        "findings": done["findings"],
        "counts": counts,
    }
    sentence = f"{repository}@{digest}: {done['findings']} findings by {done.get('scanner') or done['format']}"
    out.result(document, f"{sentence}{_counted(counts)}.")


@scan.command()
@click.argument("image", metavar="REPO@DIGEST", callback=names.image("REPO@DIGEST", "REPO:TAG"))
@click.option(
    "--fail-on",
    type=click.Choice([str(one) for one in Severity], case_sensitive=False),
    metavar="SEVERITY",
    help="End with code 1 when there is a finding this grave or graver.",
)
@connected
def show(at: Connection, out: Output, image: tuple[str, str | Digest], fail_on: str | None) -> int:
    """Show what is known about an image: findings, gravest first. An image that nobody looked into is no clean one."""
    repository, reference = image
    image_id = {"imageDigest": str(reference)} if isinstance(reference, Digest) else {"imageTag": reference}
    described = at.api.ecr("describe_image_scan_findings", repositoryName=repository, imageId=image_id)
    status = described["imageScanStatus"]
    if status["status"] not in _COMPLETE:
        msg = f"The findings of {repository} are not known ({status['status']}): {status.get('description', '')}"
        raise Unfinished(msg)
    findings = _all_findings(at, repository, image_id)
    counts = described["imageScanFindings"].get("findingSeverityCounts", {})
    document = {
        "repository": repository,
        "digest": described["imageId"]["imageDigest"],
        "status": status["status"],
        "completed_at": moment(described["imageScanFindings"].get("imageScanCompletedAt")),
        "counts": counts,
        "findings": findings,
    }
    rows = [(one["severity"], one["name"], one["package"], one["version"], one["fixed_in"]) for one in findings]
    none = f"The scanner found nothing in {repository}@{document['digest']} ({document['completed_at']})."
    out.table(document, ("SEVERITY", "NAME", "PACKAGE", "VERSION", "FIXED IN"), rows, none)
    return Exit.FOUND if _is_grave(findings, fail_on) else Exit.DONE


def _all_findings(at: Connection, repository: str, image_id: dict[str, str]) -> list[dict[str, Any]]:
    """Return the findings of all pages, of basic and of enhanced scanning alike."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = at.api.ecr(
            "describe_image_scan_findings", repositoryName=repository, imageId=image_id, maxResults=1000, **token
        )
        told = page["imageScanFindings"]
        found += [_basic(one) for one in told.get("findings", ())]
        found += [_enhanced(one) for one in told.get("enhancedFindings", ())]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


def _basic(finding: dict[str, Any]) -> dict[str, Any]:
    told = {one["key"]: one.get("value", "") for one in finding.get("attributes", ())}
    return {
        "name": finding["name"],
        "severity": finding["severity"],
        "package": told.get("package_name", ""),
        "version": told.get("package_version", ""),
        "fixed_in": told.get("fixed_in_version", ""),
        "uri": finding.get("uri"),
    }


def _enhanced(finding: dict[str, Any]) -> dict[str, Any]:
    details = finding.get("packageVulnerabilityDetails", {})
    package = (details.get("vulnerablePackages") or [{}])[0]
    return {
        "name": details.get("vulnerabilityId", finding.get("title", "")),
        "severity": finding["severity"],
        "package": package.get("name", ""),
        "version": package.get("version", ""),
        "fixed_in": package.get("fixedInVersion", ""),
        "uri": details.get("sourceUrl"),
    }


def _is_grave(findings: Sequence[dict[str, Any]], fail_on: str | None) -> bool:
    if fail_on is None:
        return False
    order = [str(one) for one in Severity]
    grave = set(order[: order.index(fail_on.upper()) + 1])
    return any(one["severity"] in grave or one["severity"] not in order for one in findings)


def _counted(counts: dict[str, int]) -> str:
    told = ", ".join(f"{counts[one]} {one}" for one in map(str, Severity) if one in counts)
    return f" ({told})" if told else ""
