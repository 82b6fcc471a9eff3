"""Signing rules, account settings and referrers through the JSON API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from images import image, push, push_parts, put, sha256
from json_api import INVALID, Refusal, allow, client_of, constraint, no_repository, person, policy, refusal
from running import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from images import Image
    from running import Client, RunningServer

PROFILE = f"arn:aws:signer:eu-central-1:{ACCOUNT}:/signing-profiles/"
SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NO_SIGNING = Refusal(
    "SigningConfigurationNotFoundException", f"Signing configuration does not exist in the registry with id '{ACCOUNT}'"
)


def rule(name: str, *filters: str) -> dict[str, Any]:
    told: dict[str, Any] = {"signingProfileArn": PROFILE + name}
    if filters:
        told["repositoryFilters"] = [{"filter": one, "filterType": "WILDCARD_MATCH"} for one in filters]
    return told


@pytest.fixture
def unsigned(ecr: Any) -> Iterator[None]:
    """No signing rules before and after."""
    yield
    if refusal_or_none(ecr) is None:
        ecr.delete_signing_configuration()


def refusal_or_none(ecr: Any) -> str | None:
    try:
        ecr.get_signing_configuration()
    except ecr.exceptions.SigningConfigurationNotFoundException:
        return "none"
    return None


@pytest.mark.usefixtures("unsigned")
def test_signing_rules(ecr: Any, client: Client, repository: str) -> None:
    early, late = image(), image()
    push(client, repository, "early", early)
    assert refusal(ecr.get_signing_configuration) == NO_SIGNING
    assert refusal(ecr.delete_signing_configuration) == NO_SIGNING
    wanted = {"rules": [rule("one", f"{repository[:4]}*"), rule("two", "elsewhere/*"), rule("three")]}
    assert ecr.put_signing_configuration(signingConfiguration=wanted)["signingConfiguration"] == wanted
    assert ecr.get_signing_configuration()["signingConfiguration"] == wanted
    push(client, repository, "late", late)

    def statuses(tag: str) -> list[tuple[str, str]]:
        told = ecr.describe_image_signing_status(repositoryName=repository, imageId={"imageTag": tag})
        return [(one["signingProfileArn"].rpartition("/")[2], one["status"]) for one in told["signingStatuses"]]

    assert statuses("early") == []
    assert statuses("late") == [("one", "FAILED"), ("three", "FAILED")]
    absent = refusal(ecr.describe_image_signing_status, repositoryName=repository, imageId={"imageTag": "none"})
    assert absent.code == "ImageNotFoundException"
    assert ecr.delete_signing_configuration()["signingConfiguration"] == wanted
    assert statuses("late") == []


@pytest.mark.parametrize(
    ("name", "default", "other"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", "AWS_NATIVE"),
        ("REGISTRY_POLICY_SCOPE", "V2", "V1"),
        ("BLOB_MOUNTING", "ENABLED", "DISABLED"),
    ],
)
def test_account_settings(ecr: Any, name: str, default: str, other: str) -> None:
    assert ecr.get_account_setting(name=name)["value"] == default
    assert ecr.put_account_setting(name=name, value=other)["value"] == other
    assert ecr.get_account_setting(name=name)["value"] == other
    ecr.put_account_setting(name=name, value=default)


def test_account_settings_that_cannot_be(ecr: Any) -> None:
    names = "[BASIC_SCAN_TYPE_VERSION, REGISTRY_POLICY_SCOPE, BLOB_MOUNTING]"
    sentence = constraint("name", f"Member must satisfy enum value set: {names}")
    assert refusal(ecr.get_account_setting, name="NOT_ONE") == Refusal(INVALID, sentence)
    assert refusal(ecr.put_account_setting, name="NOT_ONE", value="V2") == Refusal(INVALID, sentence)
    sentence = constraint("value", "Member must satisfy enum value set: [AWS_NATIVE]")
    told = refusal(ecr.put_account_setting, name="BASIC_SCAN_TYPE_VERSION", value="CLAIR")
    assert told == Refusal(INVALID, sentence)


def test_no_blob_is_mounted_where_mounting_is_off(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, f"{repository}/source", "v1", pushed)
    ecr.create_repository(repositoryName=repository)
    mount = f"/v2/{repository}/blobs/uploads/?mount={sha256(pushed.blobs[0])}&from={repository}/source"
    ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    try:
        assert client("POST", mount).status == 202
    finally:
        ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert client("POST", mount).status == 201


# --- referrers -------------------------------------------------------------------------------------------------------


def artifact(subject: Image, artifact_type: str, number: int) -> Image:
    return image(
        f"artifact {artifact_type} {number} of {subject.digest}".encode(),
        config=b"{}",
        artifactType=artifact_type,
        subject=subject.descriptor,
        annotations={"number": str(number)},
    )


def test_referrers(ecr: Any, client: Client, repository: str) -> None:
    subject = image()
    push(client, repository, "v1", subject)
    made = [artifact(subject, kind, number) for number in range(3) for kind in (SBOM, SIGNATURE)]
    for one in made:
        push_parts(client, repository, one)
        assert put(client, repository, one.digest, one).status == 201
    named = {"repositoryName": repository, "subjectId": {"imageDigest": subject.digest}}

    def listed(**more: Any) -> list[str]:
        return [one["digest"] for one in ecr.list_image_referrers(**named, **more)["referrers"]]

    assert listed() == sorted(one.digest for one in made)
    assert listed(filter={"artifactTypes": [SBOM]}) == sorted(one.digest for one in made[::2])
    assert listed(filter={"artifactTypes": [SBOM, SIGNATURE], "artifactStatus": "ANY"}) == listed()
    assert listed(filter={"artifactStatus": "ARCHIVED"}) == []
    first = ecr.list_image_referrers(**named, maxResults=4)
    rest = ecr.list_image_referrers(**named, maxResults=4, nextToken=first["nextToken"])
    assert [one["digest"] for one in first["referrers"] + rest["referrers"]] == listed()
    assert "nextToken" not in rest
    found = {one["digest"]: one for one in first["referrers"] + rest["referrers"]}[made[0].digest]
    assert found == {
        "digest": made[0].digest,
        "mediaType": made[0].media_type,
        "artifactType": SBOM,
        "size": len(made[0].manifest),
        "annotations": {"number": "0"},
        "artifactStatus": "ACTIVE",
    }


def test_referrers_of_what_is_not_there(ecr: Any, repository: str) -> None:
    digest = "sha256:" + "0" * 64
    named = {"repositoryName": repository, "subjectId": {"imageDigest": digest}}
    assert refusal(ecr.list_image_referrers, **named) == no_repository(repository)
    ecr.create_repository(repositoryName=repository)
    assert ecr.list_image_referrers(**named)["referrers"] == []
    bad = refusal(ecr.list_image_referrers, repositoryName=repository, subjectId={"imageDigest": "latest"})
    assert bad.code == INVALID


def test_each_asks_for_its_right(server: RunningServer, holdfast: Any, repository: str) -> None:
    who = person(holdfast, policy(allow("ecr:DescribeImages")))
    theirs = client_of(server, who)
    named = {"repositoryName": repository}
    calls: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
        (theirs.get_signing_configuration, {}),
        (theirs.put_signing_configuration, {"signingConfiguration": {"rules": []}}),
        (theirs.delete_signing_configuration, {}),
        (theirs.describe_image_signing_status, {**named, "imageId": {"imageTag": "v1"}}),
        (theirs.list_image_referrers, {**named, "subjectId": {"imageDigest": "sha256:" + "0" * 64}}),
        (theirs.get_account_setting, {"name": "BLOB_MOUNTING"}),
        (theirs.put_account_setting, {"name": "BLOB_MOUNTING", "value": "ENABLED"}),
    )
    for call, parameters in calls:
        assert refusal(call, **parameters).code == "AccessDeniedException"
    theirs.close()
