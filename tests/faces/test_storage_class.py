"""Archived images are kept, told of when asked for, given to nobody until they are restored; and times of pulls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from images import descriptor, image, index, push, push_parts, put
from json_api import Refusal, allow, client_of, ids, person, policy, refusal
from running import ACCOUNT, on_loop, running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from images import Image
    from running import Client, RunningServer

PATIENCE_SECONDS = 20


@pytest.fixture
def pushed(client: Client, repository: str) -> Image:
    one = image()
    assert push(client, repository, "v1", one).status == 201
    return one


def change(ecr: Any, repository: str, target: str, **image_id: str) -> str:
    reply = ecr.update_image_storage_class(repositoryName=repository, imageId=image_id, targetStorageClass=target)
    return str(reply["imageStatus"])


def detail(ecr: Any, repository: str, digest: str) -> Any:
    return ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageDetails"][0]


def status(ecr: Any, repository: str, digest: str) -> str:
    return str(detail(ecr, repository, digest)["imageStatus"])


def restored(ecr: Any, repository: str, digest: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while status(ecr, repository, digest) != "ACTIVE":
        assert time.monotonic() < until
        time.sleep(0.01)


def manifest(client: Client, repository: str, reference: str, method: str = "GET") -> Any:
    return client(method, f"/v2/{repository}/manifests/{reference}")


def test_an_archived_image_is_not_given_and_its_tag_keeps_its_digest(
    ecr: Any, client: Client, repository: str, pushed: Image
) -> None:
    assert change(ecr, repository, "ARCHIVE", imageTag="v1") == "ARCHIVED"
    for reference in ("v1", pushed.digest):
        assert manifest(client, repository, reference, "HEAD").status == 404
        answer = manifest(client, repository, reference)
        assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
        assert answer.message.startswith("Requested image not found")
    got = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert got["images"] == []
    assert got["failures"][0]["failureCode"] == "ImageInaccessible"
    told = detail(ecr, repository, pushed.digest)
    assert (told["imageStatus"], told["imageTags"]) == ("ARCHIVED", ["v1"])
    assert told["lastArchivedAt"]
    assert client("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["v1"]
    layers = ecr.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[str(descriptor(pushed.blobs[1], "")["digest"])]
    )
    assert layers["layers"][0]["layerAvailability"] == "ARCHIVED"


def test_lists_tell_the_active_unless_asked(ecr: Any, client: Client, repository: str, pushed: Image) -> None:
    other = image()
    push(client, repository, "v2", other)
    change(ecr, repository, "ARCHIVE", imageTag="v1")
    for wanted, digests in {
        None: {other.digest},
        "ACTIVE": {other.digest},
        "ARCHIVED": {pushed.digest},
        "ACTIVATING": set(),
        "ANY": {pushed.digest, other.digest},
    }.items():
        more: dict[str, Any] = {"filter": {"imageStatus": wanted}} if wanted else {}
        assert {digest for digest, _ in ids(ecr, repository, **more)} == digests
        described = ecr.describe_images(repositoryName=repository, **more)["imageDetails"]
        assert {one["imageDigest"] for one in described} == digests


def test_a_restoration_checks_the_bytes_and_takes_its_course(
    ecr: Any, client: Client, repository: str, pushed: Image
) -> None:
    change(ecr, repository, "ARCHIVE", imageTag="v1")
    assert change(ecr, repository, "STANDARD", imageDigest=pushed.digest) == "ACTIVATING"
    restored(ecr, repository, pushed.digest)
    assert manifest(client, repository, "v1").status == 200
    told = detail(ecr, repository, pushed.digest)
    assert told["lastActivatedAt"] >= told["lastArchivedAt"]


def test_an_image_whose_bytes_are_damaged_stays_archived(tmp_path: Path) -> None:
    one = image(b"a layer" * 1000)
    with running(settings(tmp_path, create_on_push="MUTABLE")) as server:
        push(server.client(), "t/damaged", "v1", one)
        change(server.aws(), "t/damaged", "ARCHIVE", imageTag="v1")
    digest = str(descriptor(one.blobs[1], "")["digest"]).removeprefix("sha256:")
    (file,) = (tmp_path / "blobs").rglob(f"{digest}.*")
    file.write_bytes(b"b" * file.stat().st_size)
    with running(settings(tmp_path)) as server:
        ecr = server.aws()
        assert change(ecr, "t/damaged", "STANDARD", imageTag="v1") == "ACTIVATING"
        on_loop(server, server.holdfast.storage_classes.restore_all)
        assert status(ecr, "t/damaged", one.digest) == "ARCHIVED"
        entries = server.aws("holdfast").list_entries(repositoryName="t/damaged")["entries"]
        assert entries[0]["kind"] == "image-archived"
        assert "are damaged or gone" in entries[0]["body"]


def test_a_push_of_an_archived_image_restores_it_at_once(
    ecr: Any, client: Client, repository: str, pushed: Image
) -> None:
    change(ecr, repository, "ARCHIVE", imageTag="v1")
    assert put(client, repository, "v1", pushed).status == 201
    assert manifest(client, repository, "v1").status == 200
    assert status(ecr, repository, pushed.digest) == "ACTIVE"


def test_an_index_goes_with_its_children_and_its_referrers_and_comes_back_with_them(
    ecr: Any, client: Client, repository: str
) -> None:
    child, tagged = image(), image()
    parent = index(child, tagged)
    push(client, repository, "multi", parent)
    put(client, repository, "amd64", tagged)
    signature = image(b"{}", config=b"{}", subject=parent.descriptor)
    push_parts(client, repository, signature)
    put(client, repository, signature.digest, signature)
    refused = refusal(
        ecr.update_image_storage_class,
        repositoryName=repository,
        imageId={"imageDigest": child.digest},
        targetStorageClass="ARCHIVE",
    )
    assert refused == Refusal(
        "ImageStorageClassUpdateNotSupportedException",
        f"Requested image referenced by manifest list: [{parent.digest}]",
    )
    change(ecr, repository, "ARCHIVE", imageTag="multi")
    gone = {digest for digest, _ in ids(ecr, repository, filter={"imageStatus": "ARCHIVED"})}
    assert gone == {parent.digest, child.digest, signature.digest}
    change(ecr, repository, "STANDARD", imageTag="multi")
    for one in (parent, child, signature):
        restored(ecr, repository, one.digest)


def test_the_same_class_again_changes_nothing_and_what_is_not_there_is_told(
    ecr: Any, repository: str, pushed: Image
) -> None:
    assert change(ecr, repository, "STANDARD", imageDigest=pushed.digest) == "ACTIVE"
    change(ecr, repository, "ARCHIVE", imageTag="v1")
    assert change(ecr, repository, "ARCHIVE", imageTag="v1") == "ARCHIVED"
    told = refusal(
        ecr.update_image_storage_class,
        repositoryName=repository,
        imageId={"imageTag": "nothing"},
        targetStorageClass="ARCHIVE",
    )
    assert told.code == "ImageNotFoundException"


def test_referrers_are_told_by_their_status(ecr: Any, client: Client, repository: str, pushed: Image) -> None:
    digests = []
    for text in (b'{"one": 1}', b'{"two": 2}'):
        one = image(text, config=b"{}", subject=pushed.descriptor)
        push_parts(client, repository, one)
        put(client, repository, one.digest, one)
        digests.append(one.digest)
    archived, active = digests
    change(ecr, repository, "ARCHIVE", imageDigest=archived)
    subject = {"repositoryName": repository, "subjectId": {"imageDigest": pushed.digest}}

    def told(**filters: str) -> dict[str, str]:
        more = {"filter": filters} if filters else {}
        referrers = ecr.list_image_referrers(**subject, **more)["referrers"]
        return {one["digest"]: one["artifactStatus"] for one in referrers}

    assert told() == told(artifactStatus="ACTIVE") == {active: "ACTIVE"}
    assert told(artifactStatus="ARCHIVED") == {archived: "ARCHIVED"}
    assert told(artifactStatus="ACTIVATING") == {}
    assert told(artifactStatus="ANY") == {archived: "ARCHIVED", active: "ACTIVE"}
    first = ecr.list_image_referrers(**subject, filter={"artifactStatus": "ANY"}, maxResults=1)
    second = ecr.list_image_referrers(
        **subject, filter={"artifactStatus": "ANY"}, maxResults=1, nextToken=first["nextToken"]
    )
    assert {one["digest"] for page in (first, second) for one in page["referrers"]} == {archived, active}
    listed = client("GET", f"/v2/{repository}/referrers/{pushed.digest}").json()["manifests"]
    assert [one["digest"] for one in listed] == [active]


def test_an_archived_image_is_not_scanned(ecr: Any, repository: str, pushed: Image) -> None:
    change(ecr, repository, "ARCHIVE", imageTag="v1")
    told = refusal(ecr.start_image_scan, repositoryName=repository, imageId={"imageTag": "v1"})
    assert told.code == "ImageArchivedException"
    assert pushed.digest in told.message


# --- pull times ------------------------------------------------------------------------------------------------------


def pulled_at(server: RunningServer, ecr: Any, repository: str, digest: str) -> float | None:
    on_loop(server, server.holdfast.pulls.flush)
    told = detail(ecr, repository, digest).get("lastRecordedPullTime")
    return told.timestamp() if told else None


def test_a_manifest_that_is_given_is_a_pull_and_nothing_else_is(
    server: RunningServer, ecr: Any, client: Client, repository: str, pushed: Image
) -> None:
    manifest(client, repository, "v1", "HEAD")
    client("GET", f"/v2/{repository}/tags/list")
    client("GET", f"/v2/{repository}/blobs/{descriptor(pushed.blobs[1], '')['digest']}")
    assert pulled_at(server, ecr, repository, pushed.digest) is None
    manifest(client, repository, "v1")
    first = pulled_at(server, ecr, repository, pushed.digest)
    assert first is not None
    manifest(client, repository, "v1")  # the answer was kept: it is a pull all the same
    manifest(client, repository, "v1")
    second = pulled_at(server, ecr, repository, pushed.digest)
    assert second is not None
    assert second > first
    ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": pushed.digest}])
    third = pulled_at(server, ecr, repository, pushed.digest)
    assert third is not None
    assert third > second
    etag = {"If-None-Match": f'"{pushed.digest}"'}
    assert client("GET", f"/v2/{repository}/manifests/v1", headers=etag).status == 304
    assert (pulled_at(server, ecr, repository, pushed.digest) or 0) > third


def test_pulls_of_an_excluded_principal_do_not_count(
    server: RunningServer, ecr: Any, holdfast: Any, repository: str, pushed: Image
) -> None:
    scanner = person(holdfast, policy(allow("ecr:*")))
    ecr.register_pull_time_update_exclusion(principalArn=scanner.arn)
    assert scanner.arn in ecr.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"]
    again = refusal(ecr.register_pull_time_update_exclusion, principalArn=scanner.arn)
    assert again.code == "ExclusionAlreadyExistsException"
    manifest(server.client(scanner.key_id, scanner.secret), repository, "v1")
    assert pulled_at(server, ecr, repository, pushed.digest) is None
    ecr.deregister_pull_time_update_exclusion(principalArn=scanner.arn)
    assert refusal(ecr.deregister_pull_time_update_exclusion, principalArn=scanner.arn).code == (
        "ExclusionNotFoundException"
    )
    manifest(server.client(scanner.key_id, scanner.secret), repository, "v1")
    assert pulled_at(server, ecr, repository, pushed.digest) is not None


def test_pull_times_outlive_a_clean_stop(tmp_path: Path) -> None:
    one = image()
    with running(settings(tmp_path, create_on_push="MUTABLE")) as server:
        push(server.client(), "t/stop", "v1", one)
        manifest(server.client(), "t/stop", "v1")
    with running(settings(tmp_path)) as server:
        assert detail(server.aws(), "t/stop", one.digest)["lastRecordedPullTime"]


def test_each_operation_needs_its_right(server: RunningServer, holdfast: Any, repository: str, pushed: Image) -> None:
    nobody = client_of(server, person(holdfast, policy(allow("ecr:DescribeImages"))))
    arn = f"arn:aws:iam::{ACCOUNT}:user/someone"
    for call, given in (
        (
            nobody.update_image_storage_class,
            {
                "repositoryName": repository,
                "imageId": {"imageDigest": pushed.digest},
                "targetStorageClass": "ARCHIVE",
            },
        ),
        (nobody.list_pull_time_update_exclusions, {}),
        (nobody.register_pull_time_update_exclusion, {"principalArn": arn}),
        (nobody.deregister_pull_time_update_exclusion, {"principalArn": arn}),
    ):
        assert refusal(call, **given).code == "AccessDeniedException"
