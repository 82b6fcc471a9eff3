"""Scanning: when images are scanned, and what was found in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from holdfast.core.scanning import ScanType, parse_configuration
from holdfast.faces.ecr_operations.shapes import image_id_of, image_ids, where_of
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result
from holdfast.registry.image_pages import ImageId

if TYPE_CHECKING:
    from holdfast.core.scanning import ScanningConfiguration
    from holdfast.registry.scanning import RepositoryScanning, ScannedImage
    from holdfast.store.scans import Finding, Scan


async def put_image_scanning_configuration(call: Call) -> Result:
    """Set a repository's scan on push."""
    wanted = bool(call.parameters["imageScanningConfiguration"].get("scanOnPush"))
    changed = await call.use.scanning.set_scan_on_push(*call.where, scan_on_push=wanted, through=THROUGH)
    return {**where_of(call), "imageScanningConfiguration": {"scanOnPush": changed.scan_on_push}}


async def batch_get_repository_scanning_configuration(call: Call) -> Result:
    """Tell when the images of repositories are scanned."""
    names = list(dict.fromkeys(call.parameters["repositoryNames"]))
    found, missing = call.use.scanning.repositories(call.caller, call.registry, names)
    account_id = call.registry.account_id
    failures = [
        {
            "repositoryName": name,
            "failureCode": "REPOSITORY_NOT_FOUND",
            "failureReason": f"The repository with name '{name}' does not exist in the registry with id '{account_id}'",
        }
        for name in missing
    ]
    return {"scanningConfigurations": [_repository(call, one) for one in found], "failures": failures}


async def get_registry_scanning_configuration(call: Call) -> Result:
    """Tell the registry's scanning rules."""
    found = call.use.scanning.configuration(call.caller, call.registry)
    return {"registryId": call.registry.account_id, "scanningConfiguration": _configuration(found)}


async def put_registry_scanning_configuration(call: Call) -> Result:
    """Replace the registry's scanning rules."""
    rules = [
        (rule["scanFrequency"], [one["filter"] for one in rule["repositoryFilters"]])
        for rule in call.parameters.get("rules") or ()
    ]
    wanted = parse_configuration(call.parameters.get("scanType") or ScanType.BASIC, rules)
    put = await call.use.scanning.configure(call.caller, call.registry, wanted, through=THROUGH)
    return {"registryScanningConfiguration": _configuration(put)}


async def start_image_scan(call: Call) -> Result:
    """Ask for a scan of an image."""
    image_id = image_ids([call.parameters["imageId"]])[0]
    digest, scan = await call.use.scanning.start(*call.where, image_id, through=THROUGH)
    return {
        **where_of(call),
        "imageId": image_id_of(ImageId(digest, image_id.tag)),
        "imageScanStatus": scan_status(scan),
    }


async def describe_image_scan_findings(call: Call) -> Result:
    """Tell what was found in an image, by pages."""
    image_id = image_ids([call.parameters["imageId"]])[0]
    limit, after = call.limit(), call.after() or 0
    told = call.use.scanning.findings(*call.where, image_id, after=after, limit=limit + 1)
    page = told.findings[:limit]
    found = scan_summary(told.scan)
    if found is not None:
        listed = [_enhanced(call, told, one) if told.is_enhanced else _finding(one) for one in page]
        found["enhancedFindings" if told.is_enhanced else "findings"] = listed
    return {
        **where_of(call),
        "imageId": image_id_of(ImageId(told.digest, image_id.tag)),
        "imageScanStatus": scan_status(told.scan),
        "imageScanFindings": found,
        "nextToken": call.next_token(page[-1].position) if len(told.findings) > limit else None,
    }


def scan_status(scan: Scan) -> Result:
    """Tell where a scan stands."""
    return {"status": scan.status, "description": scan.description}


def scan_summary(scan: Scan) -> Result | None:
    """Tell how many findings there are; None where nobody looked."""
    if scan.counts is None or scan.completed_at is None:
        return None
    updated = scan.source_updated_at
    return {
        "imageScanCompletedAt": scan.completed_at / MICROSECONDS,
        "vulnerabilitySourceUpdatedAt": updated / MICROSECONDS if updated is not None else None,
        "findingSeverityCounts": scan.counts,
    }


def _finding(finding: Finding) -> Result:
    return {
        "name": finding.name,
        "description": finding.description or None,
        "uri": finding.uri or None,
        "severity": finding.severity,
        "attributes": [{"key": key, "value": value} for key, value in finding.attributes],
    }


def _enhanced(call: Call, image: ScannedImage, finding: Finding) -> Result:
    """Tell a finding in the shape of enhanced scanning."""
    told = dict(finding.attributes)
    version, vector = told.get("fixed_in_version"), told.get("CVSS_VECTOR")
    package = {
        "name": told.get("package_name"),
        "version": told.get("package_version"),
        "fixedInVersion": version,
        "filePath": told.get("file_path"),
    }
    score = _number(told.get("CVSS_SCORE"))
    resource = {
        "type": "AWS_ECR_CONTAINER_IMAGE",
        "id": f"{call.registry.arn_of(call.repository)}/{image.digest}",
        "details": {
            "awsEcrContainerImage": {
                "registry": call.registry.account_id,
                "repositoryName": call.repository,
                "imageHash": image.digest,
                "imageTags": image.tags or None,
                "pushedAt": image.pushed_at / MICROSECONDS,
            }
        },
    }
    return {
        "awsAccountId": call.registry.account_id,
        "type": "PACKAGE_VULNERABILITY",
        "status": "ACTIVE",
        "title": f"{finding.name} - {told['package_name']}" if "package_name" in told else finding.name,
        "description": finding.description or None,
        "severity": finding.severity,
        "score": score,
        "fixAvailable": "YES" if version else "NO",
        "resources": [resource],
        "packageVulnerabilityDetails": {
            "vulnerabilityId": finding.name,
            "sourceUrl": finding.uri or None,
            "cvss": [{"baseScore": score, "scoringVector": vector}] if score is not None else None,
            "vulnerablePackages": [package] if package["name"] else None,
        },
    }


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(json.loads(text))
    except (TypeError, ValueError):
        return None


def _repository(call: Call, told: RepositoryScanning) -> Result:
    return {
        "repositoryArn": call.registry.arn_of(told.repository.name),
        "repositoryName": told.repository.name,
        "scanOnPush": told.repository.scan_on_push,
        "scanFrequency": told.frequency,
        "appliedScanFilters": [{"filter": one, "filterType": "WILDCARD"} for one in told.filters],
    }


def _configuration(configuration: ScanningConfiguration) -> Result:
    return {
        "scanType": configuration.scan_type,
        "rules": [
            {
                "scanFrequency": rule.frequency,
                "repositoryFilters": [{"filter": one, "filterType": "WILDCARD"} for one in rule.filters],
            }
            for rule in configuration.rules
        ],
    }


SCANNING: Final[dict[str, Operation]] = {
    "BatchGetRepositoryScanningConfiguration": batch_get_repository_scanning_configuration,
    "DescribeImageScanFindings": describe_image_scan_findings,
    "GetRegistryScanningConfiguration": get_registry_scanning_configuration,
    "PutImageScanningConfiguration": put_image_scanning_configuration,
    "PutRegistryScanningConfiguration": put_registry_scanning_configuration,
    "StartImageScan": start_image_scan,
}
"""Operation -> what performs it."""
