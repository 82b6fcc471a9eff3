"""Findings as OCSF Compliance Finding events (class 2003), which the new Security Hub and most data lakes read.

Pure. Source: OCSF schema 1.4, class compliance_finding: required activity_id, category_uid, class_uid, type_uid, time
(milliseconds), severity_id, metadata, finding_info, compliance. Members that are deprecated are not used: `resources`
stands for `resource`, `compliance.status_details` for `status_detail`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.govern.asff import finding_id, partition_of
from holdfast.govern.findings import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.govern.findings import Posture

SCHEMA: Final = "1.4.0"
CLASS: Final = 2003
_CATEGORY: Final = 2
_CREATE: Final = 1
_CLOSE: Final = 3
_STATUS: Final = {
    Status.PASSED: (1, "Pass"),
    Status.WARNING: (2, "Warning"),
    Status.FAILED: (3, "Fail"),
    Status.NOT_AVAILABLE: (0, "Unknown"),
}
_SEVERITY: Final = {
    "INFORMATIONAL": (1, "Informational"),
    "LOW": (2, "Low"),
    "MEDIUM": (3, "Medium"),
    "HIGH": (4, "High"),
    "CRITICAL": (5, "Critical"),
}


def render(judged: Sequence[Posture], now: datetime, version: str) -> list[dict[str, Any]]:
    """Return one event for each control on each resource."""
    return [_event(one, now, version) for one in judged]


def _event(posture: Posture, now: datetime, version: str) -> dict[str, Any]:
    control = posture.control
    passed = posture.status is Status.PASSED
    activity = _CLOSE if passed else _CREATE
    severity_id, severity = _SEVERITY["INFORMATIONAL" if passed else control.severity.value]
    status_id, status = _STATUS[posture.status]
    moment = int(now.timestamp() * 1_000)
    return {
        "activity_id": activity,
        "activity_name": "Close" if passed else "Create",
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Compliance Finding",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"Compliance Finding: {'Close' if passed else 'Create'}",
        "time": moment,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 4 if passed else 1,
        "status": "Resolved" if passed else "New",
        "message": posture.message,
        "metadata": {
            "version": SCHEMA,
            "product": {"name": "Holdfast", "vendor_name": "Holdfast", "version": version},
            "event_code": control.id,
            "profiles": ["cloud"],
        },
        "cloud": {"provider": "AWS", "region": posture.region, "account": {"uid": posture.account}},
        "finding_info": {
            "uid": finding_id(posture),
            "title": control.title,
            "desc": posture.message,
            "types": ["Software and Configuration Checks"],
            "last_seen_time": moment,
        },
        "compliance": {
            "control": control.id,
            "desc": control.why,
            "requirements": list(control.requirements),
            "standards": ["AWS Foundational Security Best Practices"] if control.is_parity else ["Holdfast"],
            "status_id": status_id,
            "status": status,
            "status_details": [posture.message],
        },
        "remediation": {
            "desc": control.fix,
            **({"references": [control.url]} if control.url.startswith("https://") else {}),
        },
        "resources": [
            {
                "uid": posture.resource,
                "name": posture.name,
                "type": posture.kind,
                "region": posture.region,
                "cloud_partition": partition_of(posture.region),
            }
        ],
        "unmapped": posture.facts,
    }
