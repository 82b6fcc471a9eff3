"""Findings: what passes, what the filters leave movable, and that each format is one that its readers take."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from commands import Commands
from holdfast.client.api import session_of
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern import asff, ocsf, posture_page
from holdfast.govern.estate import (
    Failure,
    Inventory,
    LiveTag,
    RegistryRecord,
    RepositoryRecord,
    ScanningConfiguration,
    ScanningRule,
    Template,
    write_inventory,
)
from holdfast.govern.findings import Posture, Status, grade, judge

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT, REGION = "111122223333", "eu-central-1"
EXCEPT = TagMutability.IMMUTABLE_WITH_EXCLUSION
DIGEST = "sha256:" + "0" * 64


def repository(name: str, **more: Any) -> RepositoryRecord:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    given = {"created_at": NOW - timedelta(days=9), "lifecycle_policy": "", **more}
    return RepositoryRecord(ACCOUNT, REGION, name, arn, f"host/{name}", **given)


def tags(*names: str) -> tuple[LiveTag, ...]:
    return tuple(LiveTag(name, DIGEST) for name in names)


def estate(*repositories: RepositoryRecord, **more: Any) -> Inventory:
    given = {"templates": (), "scanning": ScanningConfiguration("BASIC"), **more}
    return Inventory(NOW, (RegistryRecord(ACCOUNT, REGION, **given),), repositories)


def one(judged: list[Posture], control: str) -> Posture:
    found = [each for each in judged if each.control.id == control]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("mode", list(TagMutability))
def test_ecr_2_passes_at_immutable_alone(mode: TagMutability) -> None:
    filters = ("latest",) if mode.takes_filters else ()
    posture = one(judge(estate(repository("a", mode=mode, filters=filters))), "ECR.2")
    assert (posture.status is Status.PASSED) == (mode is TagMutability.IMMUTABLE)


@pytest.mark.parametrize(
    ("mode", "filters", "letter", "status"),
    [
        (TagMutability.IMMUTABLE, (), "A", Status.PASSED),
        (EXCEPT, ("cache*",), "B", Status.PASSED),
        (EXCEPT, ("latest",), "C", Status.WARNING),
        (EXCEPT, ("1.*",), "D", Status.FAILED),
        (EXCEPT, ("latest", "1.0.7"), "D", Status.FAILED),
        (EXCEPT, ("*",), "F", Status.FAILED),
        (TagMutability.MUTABLE, (), "F", Status.FAILED),
        (TagMutability.MUTABLE_WITH_EXCLUSION, ("v*",), "F", Status.FAILED),
    ],
)
def test_filters_are_graded_by_the_tags_that_are_there(
    mode: TagMutability, filters: tuple[str, ...], letter: str, status: Status
) -> None:
    live = tags("latest", *(f"1.0.{number}" for number in range(19)))
    posture = one(judge(estate(repository("a", mode=mode, filters=filters, live_tags=live))), "Holdfast.1")
    assert (posture.facts["grade"], posture.status) == (letter, status)


def test_tags_that_were_not_read_are_not_judged_as_none() -> None:
    posture = one(judge(estate(repository("a", mode=EXCEPT, filters=("v*",)))), "Holdfast.1")
    assert posture.status is Status.NOT_AVAILABLE


@given(
    mode=st.sampled_from(list(TagMutability)),
    filters=st.lists(st.sampled_from(["latest", "v*", "*", "dev-*"]), max_size=3, unique=True),
    names=st.lists(st.from_regex(r"(v|dev-|x)[0-9]{1,2}|latest", fullmatch=True), max_size=8, unique=True),
)
def test_a_grade_names_exactly_the_tags_that_may_move(
    mode: TagMutability, filters: list[str], names: list[str]
) -> None:
    settings = MutabilitySettings(mode, tuple(filters))
    found = grade(settings, names)
    assert set(found.movable) == {name for name in names if not settings.judge(name).held}
    assert found.letter in "AB" or found.movable or found.letter == "F"
    assert 0 <= found.share <= 1


def test_scanning_by_the_repository_or_by_the_registry() -> None:
    rules = ScanningConfiguration(
        "ENHANCED", (ScanningRule("CONTINUOUS_SCAN", ("team/*",)), ScanningRule("MANUAL", ("*",)))
    )
    for record, expected in (
        (repository("x", scan_on_push=True), Status.PASSED),
        (repository("team/a"), Status.PASSED),
        (repository("other"), Status.FAILED),
    ):
        assert one(judge(estate(record, scanning=rules)), "ECR.1").status is expected
    unread = replace(estate(repository("x")), registries=())
    assert one(judge(unread), "ECR.1").status is Status.NOT_AVAILABLE


def test_lifecycle_and_encryption() -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/1"
    held = repository("a", lifecycle_policy="{}", encryption_type="KMS", encryption_key=key)
    assert one(judge(estate(held)), "ECR.3").status is Status.PASSED
    assert one(judge(estate(replace(held, lifecycle_policy=None))), "ECR.3").status is Status.NOT_AVAILABLE
    assert one(judge(estate(held)), "ECR.5").status is Status.WARNING, "ECR does not tell whose key it is"
    assert one(judge(estate(held), keys=["arn:aws:kms:*:111122223333:key/*"]), "ECR.5").status is Status.PASSED
    assert one(judge(estate(held), keys=["arn:aws:kms:*:9*"]), "ECR.5").status is Status.FAILED
    assert one(judge(estate(repository("b"))), "ECR.5").status is Status.FAILED


def test_templates_that_make_mutable_repositories() -> None:
    templates = (
        Template("ROOT", ("REPLICATION",)),
        Template("a", (), TagMutability.IMMUTABLE),
        Template("b", (), EXCEPT, ("*",)),
    )
    judged = judge(estate(templates=templates))
    assert {each.name: each.status for each in judged} == {
        "ROOT": Status.FAILED,
        "a": Status.PASSED,
        "b": Status.FAILED,
    }


# --- formats ---------------------------------------------------------------------------------------------------------

EVERYTHING = replace(
    estate(
        repository(
            "held", mode=TagMutability.IMMUTABLE, live_tags=tags("v1"), scan_on_push=True, lifecycle_policy="{}"
        ),
        repository("open", live_tags=tags("latest"), policy="{" + " " * 300_000 + "}"),
        repository("<b>&", mode=EXCEPT, filters=("latest",), live_tags=tags(*(f"v{number}" for number in range(30)))),
        templates=(Template("ROOT", ("REPLICATION",)),),
    ),
    failures=(Failure("999988887777", "*", "sts:AssumeRole", "AccessDenied", "The role <x> is not there."),),
)


def test_asff_is_what_security_hub_takes() -> None:
    made = asff.render(judge(EVERYTHING), NOW)
    shape = session_of().get_service_model("securityhub").operation_model("BatchImportFindings").input_shape
    report = ParamValidator().validate({"Findings": made}, shape)
    assert not report.has_errors(), report.generate_report()
    known = shape.members["Findings"].member.members
    for finding in made:
        assert set(finding) <= set(known)
        assert len(json.dumps(finding).encode()) <= asff.MAX_FINDING_BYTES
        assert len(finding["Description"]) <= 1_024
        assert finding["ProductArn"] == f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"
        details = finding["Resources"][0].get("Details", {}).get("AwsEcrRepository", {})
        assert set(details) <= set(
            session_of().get_service_model("securityhub").shape_for("AwsEcrRepositoryDetails").members
        )
    assert len({finding["Id"] for finding in made}) == len(made)


def test_a_finding_is_the_same_one_in_each_run() -> None:
    first = asff.render(judge(EVERYTHING), NOW)
    mended = [replace(each, mode=TagMutability.IMMUTABLE, filters=()) for each in EVERYTHING.repositories]
    later = asff.render(
        judge(replace(EVERYTHING, repositories=tuple(mended))), NOW + timedelta(days=3), asff.first_seen(first)
    )
    assert [each["Id"] for each in first] == [each["Id"] for each in later]
    assert [each["CreatedAt"] for each in first] == [each["CreatedAt"] for each in later]
    assert {each["UpdatedAt"] for each in later} == {"2026-11-26T12:00:00.000Z"}
    parity = [each for each in later if each["GeneratorId"] == "holdfast/ECR.2"]
    assert {each["Compliance"]["Status"] for each in parity} == {"PASSED"}
    assert asff.render(judge(EVERYTHING), NOW + timedelta(days=1))[0]["CreatedAt"] == first[0]["CreatedAt"]


def test_a_call_has_at_most_a_hundred_findings_of_one_place() -> None:
    many = [repository(f"r{number}") for number in range(60)]
    elsewhere = [replace(each, region="us-east-1") for each in many[:3]]
    batches = list(asff.batches(asff.render(judge(estate(*many, *elsewhere)), NOW)))
    assert sum(len(batch) for _, _, batch in batches) == 63 * 5
    for account, region, batch in batches:
        assert len(batch) <= 100
        assert {(each["AwsAccountId"], each["Region"]) for each in batch} == {(account, region)}


def test_ocsf_has_what_the_class_requires() -> None:
    for event in ocsf.render(judge(EVERYTHING), NOW, "1.0"):
        required = {"activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id", "metadata"}
        assert required | {"finding_info", "compliance"} <= set(event)
        assert (event["class_uid"], event["type_uid"]) == (2003, 200_300 + event["activity_id"])
        assert {"version", "product"} <= set(event["metadata"])
        assert {"uid", "title"} <= set(event["finding_info"])
        assert event["time"] == int(NOW.timestamp() * 1000)
        assert "resource" not in event
        assert "status_detail" not in event["compliance"]


def test_the_page_needs_nothing_else_and_escapes() -> None:
    page = posture_page.page(judge(EVERYTHING), taken_at=NOW, missing=["The role <x> is not there."])
    assert "<b>&" not in page.replace("<b>&amp;", "")
    assert "&lt;b&gt;&amp;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("https://docs.aws", "")
    assert page.count("<svg") == 3
    assert "Not read: The role &lt;x&gt;" in page


def test_csv_is_one_row_each_and_no_formula() -> None:
    judged = judge(EVERYTHING)
    rows = list(csv.reader(io.StringIO(posture_page.table([*judged, replace(judged[0], name="=1+1")]))))
    assert len(rows) == len(judged) + 2
    assert {len(row) for row in rows} == {9}
    assert rows[-1][7] == "'=1+1"


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


def saved(inventory: Inventory, path: Path) -> str:
    path.write_bytes(b"".join(write_inventory(inventory)))
    return str(path)


def test_every_format_by_the_command(holdfast: Commands, tmp_path: Path) -> None:
    file = saved(EVERYTHING, tmp_path / "i.jsonl")
    table = holdfast("findings", "--inventory", file)
    assert (table.code, "ECR.2" in table.out, "Not read: 999988887777" in table.err) == (1, True, True)
    assert holdfast("findings", "--inventory", file, "--json").json()["counts"]["ECR.2"] == {
        "PASSED": 1,
        "FAILED": 2,
        "WARNING": 0,
        "NOT_AVAILABLE": 0,
    }
    sarif = json.loads(holdfast("findings", "--inventory", file, "--format", "sarif").out)
    assert {each["ruleId"] for each in sarif["runs"][0]["results"]} == {
        "ECR.1",
        "ECR.2",
        "ECR.3",
        "ECR.5",
        "Holdfast.1",
        "Holdfast.2",
    }
    junit = ET.fromstring(holdfast("findings", "--inventory", file, "--format", "junit").out)  # noqa: S314 - our own
    assert int(junit.attrib["failures"]) == len(sarif["runs"][0]["results"])
    assert len(json.loads(holdfast("findings", "--inventory", file, "--format", "ocsf").out)) == 16
    assert (
        holdfast("findings", "--inventory", file, "--format", "html", "--out", str(tmp_path / "x" / "p.html")).code == 1
    )
    assert (tmp_path / "x" / "p.html").read_text().startswith("<!doctype html>")
    out = tmp_path / "asff"
    holdfast("findings", "--inventory", file, "--format", "asff", "--out", str(out))
    first = json.loads(next(out.glob("*.json")).read_text())
    holdfast("findings", "--inventory", file, "--format", "asff", "--out", str(out), "--previous", str(out))
    assert json.loads(next(out.glob("*.json")).read_text()) == first


def test_how_it_ends(holdfast: Commands, tmp_path: Path) -> None:
    good = estate(repository("a", mode=TagMutability.IMMUTABLE, live_tags=tags("v1")))
    file = saved(good, tmp_path / "good")
    assert holdfast("findings", "--inventory", file, "--control", "ECR.2").code == 0
    unread = saved(replace(good, failures=EVERYTHING.failures), tmp_path / "unread")
    assert holdfast("findings", "--inventory", unread, "--control", "ECR.2").code == 3, (
        "what was not read has not passed"
    )
    (tmp_path / "cut").write_bytes((tmp_path / "good").read_bytes().rsplit(b"\n", 2)[0] + b"\n")
    assert holdfast("findings", "--inventory", str(tmp_path / "cut"), "--control", "ECR.2").code == 3
    (tmp_path / "none").write_text("{}")
    assert holdfast("findings", "--inventory", str(tmp_path / "none")).code == 2
    assert holdfast("findings", "--inventory", file, "--control", "ECR.9").code == 2
