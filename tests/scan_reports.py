"""Reports of scanners for tests, each with the same three findings: CRITICAL, MEDIUM, and one of unknown severity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

FINDINGS = (
    ("CVE-2026-0001", "CRITICAL", 9.8, "openssl", "3.0.1", "3.0.2"),
    ("CVE-2026-0002", "MEDIUM", 5.0, "zlib", "1.2", ""),
    ("CVE-2026-0003", "UNKNOWN", None, "busybox", "1.36", ""),
)
Finding = tuple[str, str, float | None, str, str, str]


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def trivy(digest: str, findings: Sequence[Finding] = FINDINGS) -> bytes:
    """Make a report as `trivy image --format json` writes it."""
    vulnerabilities = [
        {
            "VulnerabilityID": name,
            "PkgName": package,
            "InstalledVersion": version,
            **({"FixedVersion": fixed} if fixed else {}),
            "Severity": severity,
            "SeveritySource": "nvd",
            "PrimaryURL": f"https://example.org/{name}",
            "Description": f"what {name} is",
            **({"CVSS": {"nvd": {"V3Score": score, "V3Vector": "CVSS:3.1/AV:N"}}} if score else {}),
        }
        for name, severity, score, package, version, fixed in findings
    ]
    return _dump(
        {
            "SchemaVersion": 2,
            "CreatedAt": "2026-11-20T08:30:00.123456789Z",
            "ArtifactName": f"registry.example.org/app@{digest}",
            "ArtifactType": "container_image",
            "Metadata": {"RepoDigests": [f"registry.example.org/app@{digest}"]},
            "Results": [
                {"Target": "app (debian 12)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": vulnerabilities},
                {"Target": "python", "Class": "lang-pkgs", "Type": "python-pkg"},
            ],
        }
    )


def grype(digest: str) -> bytes:
    """Make a report as `grype -o json` writes it."""
    return _dump(
        {
            "matches": [
                {
                    "vulnerability": {
                        "id": name,
                        "severity": severity.title(),
                        "description": f"what {name} is",
                        "cvss": [{"vector": "CVSS:3.1/AV:N", "metrics": {"baseScore": score}}] if score else [],
                        "fix": {"versions": [fixed] if fixed else [], "state": "fixed" if fixed else "not-fixed"},
                    },
                    "artifact": {"name": package, "version": version, "type": "deb"},
                }
                for name, severity, score, package, version, fixed in FINDINGS
            ],
            "source": {"type": "image", "target": {"userInput": "app", "manifestDigest": digest, "repoDigests": []}},
            "descriptor": {"name": "grype", "version": "0.90.0", "db": {"status": {"built": "2026-11-19T00:00:00Z"}}},
        }
    )


def sarif(_digest: str) -> bytes:
    """Make a SARIF log; it names no digest."""
    return _dump(
        {
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "Some scanner",
                            "version": "1",
                            "rules": [
                                {"id": name, "properties": {"security-severity": str(score)} if score else {}}
                                for name, _, score, *_ in FINDINGS
                            ],
                        }
                    },
                    "results": [{"ruleId": name, "message": {"text": "found"}} for name, *_ in FINDINGS],
                }
            ],
        }
    )


def cyclonedx(digest: str) -> bytes:
    """Make a CycloneDX document with vulnerabilities."""
    return _dump(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "metadata": {
                "timestamp": "2026-11-20T08:30:00Z",
                "component": {"type": "container", "name": "app", "purl": f"pkg:oci/app@{digest.replace(':', '%3A')}"},
                "tools": {"components": [{"name": "some-tool", "version": "2"}]},
            },
            "components": [
                {"bom-ref": package, "name": package, "version": version} for *_, package, version, _ in FINDINGS
            ],
            "vulnerabilities": [
                {
                    "id": name,
                    "ratings": [{"severity": severity.lower()}],
                    "affects": [{"ref": package}],
                }
                for name, severity, _, package, *_ in FINDINGS
            ],
        }
    )
