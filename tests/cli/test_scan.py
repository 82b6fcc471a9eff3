"""`holdfast scan`: reports loaded and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from images import image, push
from scan_reports import trivy

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import Client


def test_load_and_show(holdfast: Commands, client: Client, repository: str, tmp_path: Path) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    unknown = holdfast("scan", "show", f"{repository}:v1")
    assert unknown.code == 3
    assert "Image scan does not exist" in unknown.err
    report = tmp_path / "report.json"
    report.write_bytes(trivy(pushed.digest))
    done = holdfast("scan", "load", f"{repository}@{pushed.digest}", str(report))
    assert (done.code, done.err) == (0, "")
    assert "3 findings by Trivy (1 CRITICAL, 1 MEDIUM, 1 UNDEFINED)" in done.out
    shown = holdfast("scan", "show", f"{repository}:v1")
    assert shown.code == 0
    assert shown.out.splitlines()[1].split() == ["CRITICAL", "CVE-2026-0001", "openssl", "3.0.1", "3.0.2"]
    document = holdfast("scan", "show", f"{repository}:v1", "--json").json()
    assert document["counts"] == {"CRITICAL": 1, "MEDIUM": 1, "UNDEFINED": 1}
    assert holdfast("scan", "show", f"{repository}:v1", "--fail-on", "critical").code == 1


def test_what_a_report_is_about(holdfast: Commands, client: Client, repository: str, tmp_path: Path) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    report = tmp_path / "report.json"
    report.write_bytes(trivy("sha256:" + "0" * 64))
    refused = holdfast("scan", "load", f"{repository}@{pushed.digest}", str(report), "--json")
    assert (refused.code, refused.failure()["code"]) == (2, "InvalidParameterException")
    assert holdfast("scan", "load", f"{repository}:v1", str(report)).code == 2


def test_an_image_that_nobody_looked_into(holdfast: Commands, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    from_api = holdfast("scan", "show", f"{repository}@{pushed.digest}", "--fail-on", "low")
    assert from_api.code == 3
