"""Scanning through the JSON API: rules, scans asked for, reports loaded, findings told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from images import image, index, push, push_parts, put
from json_api import INVALID, Refusal, allow, client_of, no_repository, person, policy, refusal
from running import ACCOUNT
from scan_reports import cyclonedx, grype, sarif, trivy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from json_api import Clock
    from running import Client, RunningServer

HELD = "The scan quota per image has been exceeded. Wait and try again."


@pytest.fixture
def rules(ecr: Any) -> Iterator[Callable[..., Any]]:
    """Puts the registry's scanning rules; in the end they are as they were."""
    yield ecr.put_registry_scanning_configuration
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])


def rule(frequency: str, *filters: str) -> dict[str, Any]:
    return {
        "scanFrequency": frequency,
        "repositoryFilters": [{"filter": one, "filterType": "WILDCARD"} for one in filters],
    }


def load(holdfast: Any, repository: str, digest: str, report: bytes) -> Any:
    return holdfast.load_scan_report(repositoryName=repository, imageId={"imageDigest": digest}, report=report)


def told(ecr: Any, repository: str, **image_id: str) -> Any:
    return ecr.describe_image_scan_findings(repositoryName=repository, imageId=image_id)


# --- rules -----------------------------------------------------------------------------------------------------------


def test_rules_come_back(ecr: Any, rules: Callable[..., Any]) -> None:
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"] == {"scanType": "BASIC", "rules": []}
    wanted = [rule("CONTINUOUS_SCAN", "prod*"), rule("SCAN_ON_PUSH", "*")]
    put_ = rules(scanType="ENHANCED", rules=wanted)["registryScanningConfiguration"]
    assert put_ == {"scanType": "ENHANCED", "rules": wanted}
    got = ecr.get_registry_scanning_configuration()
    assert (got["registryId"], got["scanningConfiguration"]) == (ACCOUNT, put_)


@pytest.mark.parametrize(
    ("scan_type", "wanted", "sentence"),
    [
        ("BASIC", ["CONTINUOUS_SCAN"], "Invalid scan frequency for scanType BASIC: CONTINUOUS_SCAN"),
        ("ENHANCED", ["MANUAL"], "Invalid scan frequency for scanType ENHANCED: MANUAL"),
        (
            "BASIC",
            ["SCAN_ON_PUSH", "SCAN_ON_PUSH"],
            "Invalid input. Contains duplicate scan frequencies: [SCAN_ON_PUSH]",
        ),
    ],
)
def test_rules_that_do_not_go_together(ecr: Any, scan_type: str, wanted: list[str], sentence: str) -> None:
    given = [rule(one, "*") for one in wanted]
    told_ = refusal(ecr.put_registry_scanning_configuration, scanType=scan_type, rules=given)
    assert told_ == Refusal(INVALID, sentence)


def test_what_holds_for_a_repository(ecr: Any, repository: str, rules: Callable[..., Any]) -> None:
    ecr.create_repository(repositoryName=repository)

    def found() -> Any:
        reply = ecr.batch_get_repository_scanning_configuration(repositoryNames=[repository, "t/none"])
        assert reply["failures"] == [
            {
                "repositoryName": "t/none",
                "failureCode": "REPOSITORY_NOT_FOUND",
                "failureReason": no_repository("t/none").message,
            }
        ]
        (one,) = reply["scanningConfigurations"]
        return one["scanOnPush"], one["scanFrequency"], [each["filter"] for each in one["appliedScanFilters"]]

    assert found() == (False, "MANUAL", [])
    ecr.put_image_scanning_configuration(repositoryName=repository, imageScanningConfiguration={"scanOnPush": True})
    assert found() == (True, "SCAN_ON_PUSH", [])
    part = repository.partition("/")[2]
    rules(scanType="ENHANCED", rules=[rule("SCAN_ON_PUSH", "*"), rule("CONTINUOUS_SCAN", part, "other")])
    assert found() == (True, "CONTINUOUS_SCAN", [part])
    rules(scanType="ENHANCED", rules=[rule("SCAN_ON_PUSH", "other")])
    assert found() == (True, "MANUAL", [])


# --- scans -----------------------------------------------------------------------------------------------------------


def test_an_image_that_nobody_looked_into_is_never_clean(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    sentence = (
        "Image scan does not exist for the image with '{imageDigest:'null', imageTag:'v1'}' in the repository with "
        f"name '{repository}' in the registry with id '{ACCOUNT}'"
    )
    by_tag = {"repositoryName": repository, "imageId": {"imageTag": "v1"}}
    assert refusal(ecr.describe_image_scan_findings, **by_tag) == Refusal("ScanNotFoundException", sentence)
    started = ecr.start_image_scan(**by_tag)
    assert started["imageId"] == {"imageDigest": pushed.digest, "imageTag": "v1"}
    assert started["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE"
    assert f"holdfast scan load {repository}@{pushed.digest}" in started["imageScanStatus"]["description"]
    found = told(ecr, repository, imageTag="v1")
    assert found["imageScanStatus"] == started["imageScanStatus"]
    assert "imageScanFindings" not in found
    (detail,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert detail["imageScanStatus"] == started["imageScanStatus"]
    assert "imageScanFindingsSummary" not in detail
    with pytest.raises(WaiterError):
        ecr.get_waiter("image_scan_complete").wait(**by_tag, WaiterConfig={"Delay": 0, "MaxAttempts": 2})


def test_one_scan_a_day(strict: RunningServer, clock: Clock, repository: str) -> None:
    ecr = strict.aws("ecr")
    client = strict.client()
    ecr.create_repository(repositoryName=repository, imageScanningConfiguration={"scanOnPush": True})
    pushed = image()
    push(client, repository, "v1", pushed)
    assert told(ecr, repository, imageTag="v1")["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE"
    by_tag = {"repositoryName": repository, "imageId": {"imageTag": "v1"}}
    assert refusal(ecr.start_image_scan, **by_tag) == Refusal("LimitExceededException", HELD)
    clock.ahead_seconds += 24 * 3600 + 1
    try:
        # A signature is as old as its sender thinks: botocore reads this machine's own clock.
        from json_api import Api  # noqa: PLC0415

        api = Api(strict, now=clock.now)
        assert api("StartImageScan", by_tag).status == 200
        assert api("StartImageScan", by_tag).refusal == Refusal("LimitExceededException", HELD)
        api.close()
    finally:
        clock.ahead_seconds -= 24 * 3600 + 1
    ecr.close()


def test_only_images_are_scanned(ecr: Any, client: Client, repository: str) -> None:
    child = image()
    parent = index(child)
    push(client, repository, "all", parent)
    told_ = refusal(ecr.start_image_scan, repositoryName=repository, imageId={"imageTag": "all"})
    assert told_.code == "UnsupportedImageTypeException"
    absent = refusal(ecr.start_image_scan, repositoryName=repository, imageId={"imageTag": "none"})
    assert absent == Refusal(
        "ImageNotFoundException",
        "The image with imageId {imageDigest:'null', imageTag:'none'} does not exist within the repository with name "
        f"'{repository}' in the registry with id '{ACCOUNT}'",
    )
    assert refusal(ecr.start_image_scan, repositoryName=repository, imageId={}).code == INVALID


def test_enhanced_scanning_has_no_manual_scan(
    ecr: Any, client: Client, repository: str, rules: Callable[..., Any]
) -> None:
    push(client, repository, "v1", image())
    rules(scanType="ENHANCED", rules=[])
    told_ = refusal(ecr.start_image_scan, repositoryName=repository, imageId={"imageTag": "v1"})
    assert told_ == Refusal("ValidationException", "This feature is disabled")


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", [trivy, grype, sarif, cyclonedx])
def test_a_loaded_report_is_what_is_known(
    ecr: Any, holdfast: Any, client: Client, repository: str, report: Callable[..., bytes]
) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    done = load(holdfast, repository, pushed.digest, report(pushed.digest))
    assert (done["imageDigest"], done["findings"]) == (pushed.digest, 3)
    counts = {"CRITICAL": 1, "MEDIUM": 1, "UNDEFINED": 1}
    assert done["findingSeverityCounts"] == counts
    by_tag = {"repositoryName": repository, "imageId": {"imageTag": "v1"}}
    ecr.get_waiter("image_scan_complete").wait(**by_tag, WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    found = told(ecr, repository, imageTag="v1")
    assert found["imageScanStatus"] == {"status": "COMPLETE", "description": "The scan was completed successfully."}
    summary = found["imageScanFindings"]
    assert summary["findingSeverityCounts"] == counts
    assert [one["name"] for one in summary["findings"]] == ["CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0003"]
    (detail,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert detail["imageScanFindingsSummary"]["findingSeverityCounts"] == counts
    # asked for again, the report stays what is known
    assert ecr.start_image_scan(**by_tag)["imageScanStatus"]["status"] == "COMPLETE"
    assert told(ecr, repository, imageTag="v1")["imageScanFindings"]["findings"] == summary["findings"]


def test_findings_by_pages(ecr: Any, holdfast: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    load(holdfast, repository, pushed.digest, trivy(pushed.digest))
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        repositoryName=repository, imageId={"imageTag": "v1"}, PaginationConfig={"PageSize": 2}
    )
    sizes = [len(page["imageScanFindings"]["findings"]) for page in pages]
    assert sizes == [2, 1]


def test_a_new_report_replaces_the_old_and_goes_with_its_image(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    load(holdfast, repository, pushed.digest, trivy(pushed.digest))
    assert load(holdfast, repository, pushed.digest, trivy(pushed.digest, findings=[]))["findings"] == 0
    found = told(ecr, repository, imageTag="v1")["imageScanFindings"]
    assert (found["findings"], found["findingSeverityCounts"]) == ([], {})
    kinds = [one["kind"] for one in holdfast.list_entries(repositoryName=repository)["entries"]]
    assert kinds.count("scan-report-loaded") == 2
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": pushed.digest}])
    put(client, repository, "again", pushed)
    with pytest.raises(ClientError, match="Image scan does not exist"):
        told(ecr, repository, imageTag="again")


def test_enhanced_findings(ecr: Any, holdfast: Any, client: Client, repository: str, rules: Callable[..., Any]) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    load(holdfast, repository, pushed.digest, trivy(pushed.digest))
    rules(scanType="ENHANCED", rules=[rule("SCAN_ON_PUSH", "*")])
    found = told(ecr, repository, imageTag="v1")["imageScanFindings"]
    first = found["enhancedFindings"][0]
    assert "findings" not in found
    assert (first["severity"], first["fixAvailable"]) == ("CRITICAL", "YES")
    assert first["packageVulnerabilityDetails"]["vulnerablePackages"][0]["name"] == "openssl"
    assert first["resources"][0]["details"]["awsEcrContainerImage"]["imageHash"] == pushed.digest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"not json",
        json.dumps({"SchemaVersion": 2, "ArtifactName": "x", "ArtifactType": "filesystem"}).encode(),
        json.dumps({"version": "2.1.0", "runs": []}).encode(),
        json.dumps({"bomFormat": "CycloneDX", "components": []}).encode(),
    ],
)
def test_what_is_no_report_is_refused(holdfast: Any, client: Client, repository: str, content: bytes) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    told_ = refusal(
        holdfast.load_scan_report,
        repositoryName=repository,
        imageId={"imageTag": "v1"},
        report=content or b" ",
    )
    assert told_.code == INVALID


def test_a_report_about_another_image_is_refused(ecr: Any, holdfast: Any, client: Client, repository: str) -> None:
    pushed, other = image(), image()
    push(client, repository, "v1", pushed)
    told_ = refusal(
        holdfast.load_scan_report,
        repositoryName=repository,
        imageId={"imageTag": "v1"},
        report=trivy(other.digest),
    )
    assert told_.code == INVALID
    assert other.digest in told_.message
    parent = index(pushed)
    push_parts(client, repository, parent)
    put(client, repository, "all", parent)
    assert load(holdfast, repository, pushed.digest, trivy(parent.digest))["findings"] == 3
    assert told(ecr, repository, imageTag="v1")["imageScanStatus"]["status"] == "COMPLETE"


def test_every_scanning_operation_asks_for_its_right(
    server: RunningServer, holdfast: Any, client: Client, repository: str
) -> None:
    push(client, repository, "v1", image())
    who = person(holdfast, policy(allow("ecr:DescribeImages")))
    theirs, ours = client_of(server, who), client_of(server, who, "holdfast")
    one = {"repositoryName": repository, "imageId": {"imageTag": "v1"}}
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (theirs.start_image_scan, one),
        (theirs.describe_image_scan_findings, one),
        (theirs.get_registry_scanning_configuration, {}),
        (theirs.put_registry_scanning_configuration, {"scanType": "BASIC"}),
        (theirs.batch_get_repository_scanning_configuration, {"repositoryNames": [repository]}),
        (
            theirs.put_image_scanning_configuration,
            {"repositoryName": repository, "imageScanningConfiguration": {"scanOnPush": True}},
        ),
        (ours.load_scan_report, {**one, "report": b'{"SchemaVersion":2,"ArtifactName":"x"}'}),
    ]
    for call, parameters in calls:
        assert refusal(call, **parameters).code == "AccessDeniedException"
    theirs.close()
    ours.close()
