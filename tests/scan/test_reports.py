"""Reports of scanners: what is read, and that nothing else comes out than a report or ReportInvalid."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import ReportInvalid
from holdfast.scan import reports
from scan_reports import FINDINGS, cyclonedx, grype, sarif, trivy

DIGEST = "sha256:" + "a" * 64


def test_trivy() -> None:
    report = reports.parse(trivy(DIGEST))
    assert (report.format, set(report.digests)) == ("trivy", {DIGEST})
    assert report.made_at == 1_763_627_400_123_456 + 31_536_000_000_000
    first = report.findings[0]
    assert first.name == "CVE-2026-0001"
    assert dict(first.attributes) == {
        "package_name": "openssl",
        "package_version": "3.0.1",
        "fixed_in_version": "3.0.2",
        "CVSS_SCORE": "9.8",
        "CVSS_VECTOR": "CVSS:3.1/AV:N",
    }


@pytest.mark.parametrize("write", [trivy, grype, sarif, cyclonedx])
def test_each_format_tells_the_same(write: Any) -> None:
    report = reports.parse(write(DIGEST))
    assert report.counts == {"CRITICAL": 1, "MEDIUM": 1, "UNDEFINED": 1}
    assert [one.name for one in report.findings] == [name for name, *_ in FINDINGS]
    assert report.digests <= {DIGEST}


def test_a_scan_that_failed_is_no_report() -> None:
    document = json.loads(sarif(DIGEST))
    document["runs"][0]["invocations"] = [{"executionSuccessful": False}]
    with pytest.raises(ReportInvalid, match="failed"):
        reports.parse(json.dumps(document).encode())


def test_limits() -> None:
    with pytest.raises(ReportInvalid, match="larger"):
        reports.parse(b" " * (reports.MAX_BYTES + 1))
    many = [(f"CVE-{number}", "LOW", None, "p", "1", "") for number in range(reports.MAX_FINDINGS + 1)]
    with pytest.raises(ReportInvalid, match="more than"):
        reports.parse(trivy(DIGEST, many))


_LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_JSON = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@given(st.binary(max_size=64))
def test_bytes_give_a_report_or_the_one_error(content: bytes) -> None:
    with contextlib.suppress(ReportInvalid):
        reports.parse(content)


@given(st.sampled_from([trivy, grype, sarif, cyclonedx]), st.data())
def test_a_report_with_any_part_replaced_gives_a_report_or_the_one_error(write: Any, data: st.DataObject) -> None:
    document = json.loads(write(DIGEST))
    here: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(here)) if isinstance(here, dict) else st.integers(0, len(here) - 1))
        if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.booleans()):
            break
        here = here[key]
    here[key] = data.draw(_JSON)
    with contextlib.suppress(ReportInvalid):
        reports.parse(json.dumps(document).encode())
