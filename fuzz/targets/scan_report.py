"""Bytes are a scanner's report whose findings count up and keep Amazon ECR's limits, or they are refused."""

from __future__ import annotations

from holdfast.core.errors import ReportInvalid
from holdfast.core.scanning import Severity
from holdfast.scan.reports import MAX_ATTRIBUTE_CHARACTERS, MAX_FINDINGS, parse

SEEDS = (
    (
        b'{"SchemaVersion":2,"ArtifactName":"a","ArtifactType":"container_image","Results":[{"Vulnerabilities":['
        b'{"VulnerabilityID":"CVE-1","PkgName":"p","Severity":"HIGH","CVSS":{"nvd":{"V3Score":7.5}}}]}]}'
    ),
    (
        b'{"matches":[{"vulnerability":{"id":"CVE-1","severity":"Low","fix":{"versions":["2"]}},'
        b'"artifact":{"name":"p","version":"1"}}],"descriptor":{"name":"grype"},"source":{"type":"image"}}'
    ),
    (
        b'{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"s","rules":[{"id":"r","properties":'
        b'{"security-severity":"9.1"}}]}},"results":[{"ruleId":"r","message":{"text":"t"}}]}]}'
    ),
    b'{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1","ratings":[{"severity":"high","score":8}]}]}',
)
WORDS = (b'"runs":[{}]', b'"Vulnerabilities":null', b'"affects":[{"ref":"a"}]', b'"severity":"none"', b"sha256:", b"[]")
COVERS = ("scan/reports.py",)
PARSERS = ("scan.reports.parse",)


def check(data: bytes) -> None:
    """Read it."""
    try:
        report = parse(data)
    except ReportInvalid as error:
        assert error.message.isprintable()
        return
    assert sum(report.counts.values()) == len(report.findings) <= MAX_FINDINGS
    order = list(Severity)
    ranks = [order.index(one.severity) for one in report.findings]
    assert ranks == sorted(ranks)
    for one in report.findings:
        assert 1 <= len(one.name) <= MAX_ATTRIBUTE_CHARACTERS
        assert all(1 <= len(value) <= MAX_ATTRIBUTE_CHARACTERS for _, value in one.attributes)
