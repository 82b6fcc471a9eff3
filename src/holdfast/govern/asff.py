"""Findings in the AWS Security Finding Format, ready for BatchImportFindings.

Pure. This file alone decides what a finding of ours says in ASFF. Ids are made of account, region, control and
resource, so that a finding is the same one in each run; CreatedAt is that of the run that saw it first, when its
document is handed in, else the time at which the repository was made.

Source: AWS Security Hub, "ASFF required and optional attributes" and API BatchImportFindings: at most 100 findings a
call, each of at most 240 KB; Title 256, Description 1,024 characters; the product ARN of one's own findings.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from holdfast.govern.findings import REPOSITORY, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from holdfast.govern.findings import Posture

MAX_IN_CALL: Final = 100
MAX_FINDING_BYTES: Final = 240 * 1024
MAX_TITLE: Final = 256
MAX_DESCRIPTION: Final = 1_024
MAX_REMEDIATION: Final = 512

_NORMALIZED: Final = {"INFORMATIONAL": 0, "LOW": 1, "MEDIUM": 40, "HIGH": 70, "CRITICAL": 90}
_TYPE: Final = "Software and Configuration Checks/Industry and Regulatory Standards"


def partition_of(region: str) -> str:
    """Return the partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def finding_id(posture: Posture) -> str:
    """Return the id of a finding: the same in every run."""
    hashed = hashlib.sha256(posture.resource.encode()).hexdigest()[:32]
    return f"holdfast/{posture.account}/{posture.region}/{posture.control.id}/{hashed}"


def first_seen(findings: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return CreatedAt and FirstObservedAt by id, from the findings of an earlier run."""
    return {one["Id"]: (one["CreatedAt"], one.get("FirstObservedAt", one["CreatedAt"])) for one in findings}


def render(
    judged: Sequence[Posture], now: datetime, seen: Mapping[str, tuple[str, str]] | None = None
) -> list[dict[str, Any]]:
    """Return the findings, also those that passed: a finding that is mended must be told so."""
    return [_finding(one, now, (seen or {}).get(finding_id(one))) for one in judged]


def batches(findings: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Give account, region and findings of each call: findings are imported in their own account and region."""
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in findings:
        places.setdefault((one["AwsAccountId"], one["Region"]), []).append(one)
    for (account, region), there in sorted(places.items()):
        for start in range(0, len(there), MAX_IN_CALL):
            yield account, region, there[start : start + MAX_IN_CALL]


def _finding(posture: Posture, now: datetime, seen: tuple[str, str] | None) -> dict[str, Any]:
    control, region = posture.control, posture.region
    partition = partition_of(region)
    stamp = _moment(now)
    made = posture.repository.created_at if posture.repository is not None else None
    created, first = seen or ((_moment(made), _moment(made)) if made is not None else (stamp, stamp))
    severity = control.severity.value if posture.status is Status.FAILED else "INFORMATIONAL"
    label = {"Label": severity, "Original": control.severity.value}
    finding: dict[str, Any] = {
        "SchemaVersion": "2018-10-08",
        "Id": finding_id(posture),
        "ProductArn": f"arn:{partition}:securityhub:{region}:{posture.account}:product/{posture.account}/default",
        "ProductName": "Default",
        "CompanyName": "Holdfast",
        "Region": region,
        "GeneratorId": f"holdfast/{control.id}",
        "AwsAccountId": posture.account,
        "Types": [_TYPE],
        "FirstObservedAt": first,
        "LastObservedAt": stamp,
        "CreatedAt": created,
        "UpdatedAt": stamp,
        "Severity": {**label, "Normalized": _NORMALIZED[severity]},
        "Title": _cut(f"{control.id} {control.title}", MAX_TITLE),
        "Description": _cut(f"{posture.message} {control.why}", MAX_DESCRIPTION),
        "Remediation": {"Recommendation": {"Text": _cut(control.fix, MAX_REMEDIATION), **_url(control.url)}},
        "ProductFields": {f"holdfast/{name}": _text(value) for name, value in posture.facts.items()},
        "Resources": [_resource(posture, partition)],
        "Compliance": {
            "Status": str(posture.status),
            "SecurityControlId": control.id,
            **({"RelatedRequirements": list(control.requirements)} if control.requirements else {}),
        },
        "WorkflowState": "NEW",
        "Workflow": {"Status": "RESOLVED" if posture.status is Status.PASSED else "NEW"},
        "RecordState": "ACTIVE",
        "FindingProviderFields": {"Severity": label, "Types": [_TYPE]},
    }
    if not finding["ProductFields"]:
        del finding["ProductFields"]
    if len(json.dumps(finding).encode()) > MAX_FINDING_BYTES:  # policies may be long; the finding is worth more
        finding["Resources"][0].pop("Details", None)
    return finding


def _url(url: str) -> dict[str, str]:
    return {"Url": url} if url.startswith("https://") else {}


def _resource(posture: Posture, partition: str) -> dict[str, Any]:
    base = {"Id": posture.resource, "Partition": partition, "Region": posture.region}
    repository = posture.repository
    if posture.kind != REPOSITORY or repository is None:
        return {**base, "Type": "Other", "Details": {"Other": {"Kind": posture.kind, "Prefix": posture.name}}}
    details: dict[str, Any] = {
        "Arn": repository.arn,
        "RepositoryName": repository.name,
        "ImageTagMutability": str(repository.mode),
        "ImageScanningConfiguration": {"ScanOnPush": repository.scan_on_push},
    }
    if repository.lifecycle_policy:
        details["LifecyclePolicy"] = {
            "LifecyclePolicyText": repository.lifecycle_policy,
            "RegistryId": repository.account,
        }
    if repository.policy:
        details["RepositoryPolicyText"] = repository.policy
    return {**base, "Type": "AwsEcrRepository", "Details": {"AwsEcrRepository": details}}


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return _cut(text, MAX_DESCRIPTION)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _moment(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
