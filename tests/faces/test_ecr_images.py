"""Images through Amazon ECR's API: got, listed, described, deleted; and seen through /v2/."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    Image,
    digest_of,
    image,
    index,
    push,
    push_parts,
    put,
    sha256,
)
from json_api import INVALID, Api, Refusal, constraint, held, ids, no_repository, pairs, put_image, put_refused, refusal
from running import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from running import Client, RunningServer

ABSENT = sha256(b"nobody pushed this")


def failure(image_id: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def not_found(**image_id: str) -> dict[str, Any]:
    return failure(image_id, "ImageNotFound", "Requested image not found")


# --- BatchGetImage ---------------------------------------------------------------------------------------------------


def get(ecr: Any, repository: str, *image_ids: dict[str, str], **more: Any) -> tuple[Any, Any]:
    found = ecr.batch_get_image(repositoryName=repository, imageIds=list(image_ids), **more)
    return found["images"], found["failures"]


def test_by_tag_one_image_comes_and_by_digest_one_for_each_tag(ecr: Any, client: Client, repository: str) -> None:
    pushed, untagged = image(), image()
    for tag in ("b", "a", "c"):
        push(client, repository, tag, pushed)
    push_parts(client, repository, untagged)
    put_image(ecr, repository, untagged)
    found, failures = get(ecr, repository, {"imageTag": "b"})
    assert (pairs(found), failures) == ([(pushed.digest, "b")], [])
    found, failures = get(ecr, repository, {"imageDigest": pushed.digest})
    assert (pairs(found), failures) == ([(pushed.digest, tag) for tag in "abc"], [])
    assert {one["imageManifest"] for one in found} == {pushed.manifest.decode()}
    found, failures = get(ecr, repository, {"imageDigest": untagged.digest})
    assert (pairs(found), failures) == ([(untagged.digest, None)], [])
    assert found[0]["imageId"] == {"imageDigest": untagged.digest}
    found, failures = get(ecr, repository, {"imageDigest": pushed.digest, "imageTag": "c"})
    assert (pairs(found), failures) == ([(pushed.digest, "c")], [])


REGEX = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"


def check_failures(ecr: Any, call: Any, repository: str, one: Image, other: Image, left: list[Any]) -> None:
    """Check every pair of a failure's code and reason, beside one identifier that is served."""
    cases = [
        ({}, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"),
        ({"imageTag": "absent"}, "ImageNotFound", "Requested image not found"),
        ({"imageDigest": ABSENT}, "ImageNotFound", "Requested image not found"),
        ({"imageDigest": one.digest, "imageTag": "absent"}, "ImageNotFound", "Requested image not found"),
        (
            {"imageDigest": other.digest, "imageTag": "one"},
            "ImageTagDoesNotMatchDigest",
            "Invalid request parameters: given tag does not map to the given digest",
        ),
        *(({"imageDigest": text}, "InvalidImageDigest", REGEX) for text in ("", "x", "sha256:", "sha256:xyz", "a:b:c")),
        ({"imageDigest": "not one", "imageTag": "one"}, "InvalidImageDigest", REGEX),
    ]
    served = {"imageTag": "other"}
    told = call(
        repositoryName=repository, imageIds=[*(one for one, _, _ in cases[:3]), served, *(c[0] for c in cases[3:])]
    )
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert told["failures"] == [failure(*case) for case in cases]
    assert pairs(told.get("images", told.get("imageIds"))) == [(other.digest, "other")]
    assert ids(ecr, repository) == left


def test_failures_of_a_get_are_told_one_by_one_and_fail_nothing_else(ecr: Any, client: Client, repository: str) -> None:
    one, other = image(), image()
    push(client, repository, "one", one)
    push(client, repository, "other", other)
    both = sorted([(one.digest, "one"), (other.digest, "other")])
    check_failures(ecr, ecr.batch_get_image, repository, one, other, both)


def test_an_image_of_another_repository_is_not_found(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, f"{repository}-b", "v1", pushed)
    ecr.create_repository(repositoryName=repository)
    found, failures = get(ecr, repository, {"imageDigest": pushed.digest}, {"imageTag": "v1"})
    assert (found, failures) == ([], [not_found(imageDigest=pushed.digest), not_found(imageTag="v1")])


def test_only_accepted_media_types_are_served(ecr: Any, client: Client, repository: str) -> None:
    child = image()
    push(client, repository, "one", child)
    push(client, repository, "multi", index(child))
    wanted = ({"imageTag": "one"}, {"imageTag": "multi"})
    found, failures = get(ecr, repository, *wanted, acceptedMediaTypes=[OCI_INDEX])
    assert pairs(found) == [(index(child).digest, "multi")]
    assert failures == [not_found(imageDigest=child.digest, imageTag="one")]
    found, failures = get(ecr, repository, *wanted, acceptedMediaTypes=[OCI_INDEX, OCI_IMAGE, "text/html"])
    assert (len(found), failures) == (2, [])


# --- ListImages ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(ecr: Any, server: RunningServer) -> tuple[str, list[tuple[str, str | None]]]:
    """A repository of images with no, one and many tags, and all its pairs in order."""
    client, repository = server.client(), "crowd/images"
    expected: list[tuple[str, str | None]] = []
    for tags in ((), ("one",), ("a", "b", "c", "d", "e"), (), ("x", "y")):
        pushed = image()
        push_parts(client, repository, pushed)
        assert put(client, repository, pushed.digest, pushed).status == 201
        for tag in tags:
            put_image(ecr, repository, pushed, tag)
        expected += [(pushed.digest, tag) for tag in tags] or [(pushed.digest, None)]
    client.close()
    return repository, sorted(expected, key=lambda pair: (pair[0], pair[1] or ""))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 10, 11, 1000])
def test_pages_of_a_list_hold_each_pair_once(
    ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]], size: int
) -> None:
    repository, expected = crowd
    assert ids(ecr, repository, PaginationConfig={"PageSize": size}) == expected
    tagged = ids(ecr, repository, filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": size})
    assert tagged == [pair for pair in expected if pair[1] is not None]
    untagged = ids(ecr, repository, filter={"tagStatus": "UNTAGGED"}, PaginationConfig={"PageSize": size})
    assert untagged == [pair for pair in expected if pair[1] is None]


def test_the_last_page_has_no_token(ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]]) -> None:
    repository, expected = crowd
    assert "nextToken" not in ecr.list_images(repositoryName=repository, maxResults=len(expected))
    assert "nextToken" in ecr.list_images(repositoryName=repository, maxResults=len(expected) - 1)


def test_a_tag_that_is_absent_has_no_member_in_the_answer(
    ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]]
) -> None:
    repository, _ = crowd
    for one in ecr.list_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageIds"]:
        assert set(one) == {"imageDigest"}
    for one in ecr.describe_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageDetails"]:
        assert "imageTags" not in one


@pytest.mark.parametrize(
    ("wanted", "all_of_them"),
    [
        ({}, True),
        ({"tagStatus": "ANY"}, True),
        ({"imageStatus": "ACTIVE"}, True),
        ({"imageStatus": "ANY"}, True),
        ({"imageStatus": "ARCHIVED"}, False),
        ({"imageStatus": "ACTIVATING", "tagStatus": "ANY"}, False),
    ],
)
def test_no_image_is_archived_here(
    ecr: Any,
    crowd: tuple[str, list[tuple[str, str | None]]],
    wanted: dict[str, str],
    all_of_them: bool,  # noqa: FBT001
) -> None:
    repository, expected = crowd
    assert ids(ecr, repository, filter=wanted) == (expected if all_of_them else [])
    details = ecr.describe_images(repositoryName=repository, filter=wanted)["imageDetails"]
    assert len(details) == (5 if all_of_them else 0)


@pytest.mark.parametrize("status", ["ANY", "ARCHIVED"])
def test_lists_of_a_repository_that_is_not_there(ecr: Any, repository: str, status: str) -> None:
    for call in (ecr.list_images, ecr.describe_images):
        refused = refusal(call, repositoryName=repository, filter={"imageStatus": status})
        assert refused == no_repository(repository)


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (0, "Member must have value greater than or equal to 1"),
        (-1, "Member must have value greater than or equal to 1"),
        (1001, "Member must have value less than or equal to 1000"),
    ],
)
@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages", "DescribeRepositories"])
def test_a_page_has_one_to_a_thousand_results(server: RunningServer, operation: str, size: int, why: str) -> None:
    api = Api(server)
    given: dict[str, Any] = {} if operation == "DescribeRepositories" else {"repositoryName": "crowd/images"}
    assert api(operation, {**given, "maxResults": size}).refusal == Refusal(INVALID, constraint("maxResults", why))
    api.close()


# --- DescribeImages --------------------------------------------------------------------------------------------------


def test_an_image_is_described_as_ecr_describes_it(ecr: Any, client: Client, repository: str) -> None:
    pushed = image(b"a" * 100, b"b" * 1000, config=b"{}")
    for tag in ("v1", "latest"):
        push(client, repository, tag, pushed)
    [detail] = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert abs(detail.pop("imagePushedAt").timestamp() - time.time()) < 60
    assert sorted(detail.pop("imageTags")) == ["latest", "v1"]
    detail.pop("lastRecordedPullTime", None)
    assert detail == {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageDigest": pushed.digest,
        "imageSizeInBytes": 1102,
        "imageManifestMediaType": OCI_IMAGE,
        "artifactMediaType": OCI_CONFIG,
        "imageStatus": "ACTIVE",
    }


def test_an_index_has_the_size_of_its_largest_image(ecr: Any, client: Client, repository: str) -> None:
    small, large = image(b"a" * 10, config=b"1"), image(b"b" * 5_000, config=b"2")
    push(client, repository, "multi", index(small, large))
    [detail] = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "multi"}])["imageDetails"]
    assert (detail["imageSizeInBytes"], detail["imageManifestMediaType"]) == (5_001, OCI_INDEX)


def test_a_reference_artifact_names_its_subject_and_type(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    artifact = image(subject=pushed.descriptor, artifactType="application/vnd.example.sbom")
    push_parts(client, repository, artifact)
    put_image(ecr, repository, artifact)
    wanted = [{"imageDigest": artifact.digest}]
    [detail] = ecr.describe_images(repositoryName=repository, imageIds=wanted)["imageDetails"]
    assert detail["subjectManifestDigest"] == pushed.digest
    assert detail["artifactMediaType"] == "application/vnd.example.sbom"


@pytest.mark.parametrize("size", [1, 2, 4, 5, 1000])
def test_pages_of_descriptions_hold_each_image_once_with_all_its_tags(
    ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]], size: int
) -> None:
    repository, expected = crowd

    def described(**more: Any) -> list[tuple[str, str | None]]:
        pages = ecr.get_paginator("describe_images").paginate(
            repositoryName=repository, PaginationConfig={"PageSize": size}, **more
        )
        details = [detail for page in pages for detail in page["imageDetails"]]
        assert len({detail["imageDigest"] for detail in details}) == len(details)
        return [(one["imageDigest"], tag) for one in details for tag in one.get("imageTags", [None])]

    assert described() == expected
    assert described(filter={"tagStatus": "TAGGED"}) == [pair for pair in expected if pair[1]]
    assert described(filter={"tagStatus": "UNTAGGED"}) == [pair for pair in expected if not pair[1]]


def test_named_images_are_described_once_each(ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]]) -> None:
    repository, expected = crowd
    digest = next(digest for digest, tag in expected if tag == "a")
    wanted = [{"imageTag": "b"}, {"imageTag": "a"}, {"imageDigest": digest}, {"imageDigest": digest, "imageTag": "e"}]
    [detail] = ecr.describe_images(repositoryName=repository, imageIds=wanted)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("paging", [{"maxResults": 5}, {"nextToken": "x"}, {"nextToken": ""}])
def test_image_ids_and_pages_are_not_combined(server: RunningServer, paging: dict[str, Any]) -> None:
    api = Api(server)
    given = {"repositoryName": "crowd/images", "imageIds": [{"imageTag": "one"}], **paging}
    why = "maxResults and nextToken cannot be combined with imageIds"
    assert api("DescribeImages", given).refusal == Refusal(INVALID, constraint("imageIds", why))
    api.close()


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"imageTag": "absent"}, "{imageDigest:'null', imageTag:'absent'}"),
        ({"imageDigest": ABSENT}, f"{{imageDigest:'{ABSENT}', imageTag:'null'}}"),
        ({"imageDigest": ABSENT, "imageTag": "one"}, f"{{imageDigest:'{ABSENT}', imageTag:'one'}}"),
    ],
)
def test_an_image_that_is_not_there_fails_the_description(
    ecr: Any, crowd: tuple[str, list[tuple[str, str | None]]], wanted: dict[str, str], shown: str
) -> None:
    repository, _ = crowd
    told = refusal(ecr.describe_images, repositoryName=repository, imageIds=[{"imageTag": "one"}, wanted])
    assert told == Refusal(
        "ImageNotFoundException",
        f"The image with imageId {shown} does not exist within the repository with name '{repository}' in the registry "
        f"with id '{ACCOUNT}'",
    )


# --- BatchDeleteImage ------------------------------------------------------------------------------------------------


def delete(ecr: Any, repository: str, *image_ids: dict[str, str]) -> tuple[list[tuple[str, str | None]], Any]:
    told = ecr.batch_delete_image(repositoryName=repository, imageIds=list(image_ids))
    return pairs(told["imageIds"]), told["failures"]


def test_a_tag_goes_alone_until_it_is_the_last_with_which_the_image_goes(
    ecr: Any, client: Client, repository: str
) -> None:
    pushed = image()
    for tag in ("a", "b", "c"):
        push(client, repository, tag, pushed)
    assert delete(ecr, repository, {"imageTag": "a"}) == ([(pushed.digest, "a")], [])
    assert ids(ecr, repository) == [(pushed.digest, "b"), (pushed.digest, "c")]
    assert delete(ecr, repository, {"imageTag": "c"}, {"imageTag": "b"}) == (
        [(pushed.digest, "c"), (pushed.digest, "b")],
        [],
    )
    assert ids(ecr, repository) == []
    assert client("GET", f"/v2/{repository}/manifests/{pushed.digest}").status == 404


def test_by_digest_the_image_goes_with_all_its_tags(ecr: Any, client: Client, repository: str) -> None:
    pushed, other, untagged = image(), image(), image()
    for tag in ("a", "b"):
        push(client, repository, tag, pushed)
    push(client, repository, "other", other)
    push_parts(client, repository, untagged)
    put_image(ecr, repository, untagged)
    told = ecr.batch_delete_image(
        repositoryName=repository, imageIds=[{"imageDigest": pushed.digest}, {"imageDigest": untagged.digest}]
    )
    assert told["failures"] == []
    assert told["imageIds"] == [
        {"imageDigest": pushed.digest, "imageTag": "a"},
        {"imageDigest": pushed.digest, "imageTag": "b"},
        {"imageDigest": untagged.digest},
    ]
    assert ids(ecr, repository) == [(other.digest, "other")]
    for gone in (pushed.digest, "a", "b", untagged.digest):
        assert client("GET", f"/v2/{repository}/manifests/{gone}").status == 404


def test_by_tag_and_digest_the_tag_goes(ecr: Any, client: Client, repository: str) -> None:
    """Contested in ECR; here it is what deleting the tag does, once it is sure that it names the digest."""
    pushed = image()
    for tag in ("a", "b"):
        push(client, repository, tag, pushed)
    assert delete(ecr, repository, {"imageDigest": pushed.digest, "imageTag": "a"}) == ([(pushed.digest, "a")], [])
    assert ids(ecr, repository) == [(pushed.digest, "b")]
    assert delete(ecr, repository, {"imageDigest": pushed.digest, "imageTag": "b"}) == ([(pushed.digest, "b")], [])
    assert ids(ecr, repository) == []


def test_failures_of_a_delete_are_told_one_by_one_and_the_others_proceed(
    ecr: Any, client: Client, repository: str
) -> None:
    one, other = image(), image()
    push(client, repository, "one", one)
    push(client, repository, "other", other)
    check_failures(ecr, ecr.batch_delete_image, repository, one, other, [(one.digest, "one")])


def by_list(*parents: Image) -> str:
    listed = ", ".join(sorted(parent.digest for parent in parents))
    return f"Requested image referenced by manifest list: [{listed}]"


def test_an_image_that_an_index_lists_stays_while_the_others_go(ecr: Any, client: Client, repository: str) -> None:
    child, other = image(), image()
    whole, second = index(child, other), index(child)
    push(client, repository, "child", child)
    push(client, repository, "multi", whole)
    push(client, repository, "second", second)
    free = image()
    push(client, repository, "free", free)
    code = "ImageReferencedByManifestList"
    deleted, failures = delete(
        ecr, repository, {"imageTag": "child"}, {"imageTag": "free"}, {"imageDigest": other.digest}
    )
    assert deleted == [(free.digest, "free")]
    assert failures == [
        failure({"imageTag": "child"}, code, by_list(whole, second)),
        failure({"imageDigest": other.digest}, code, by_list(whole)),
    ]
    assert digest_of(client, repository, "child") == child.digest
    deleted, failures = delete(ecr, repository, {"imageDigest": child.digest}, {"imageTag": "multi"})
    assert (deleted, len(failures)) == ([(whole.digest, "multi")], 1)
    assert delete(ecr, repository, {"imageTag": "second"}, {"imageTag": "child"})[1] == []
    assert ids(ecr, repository) == [(other.digest, None)]


def test_one_of_several_tags_of_a_listed_image_may_go(ecr: Any, client: Client, repository: str) -> None:
    child = image()
    for tag in ("a", "b"):
        push(client, repository, tag, child)
    push(client, repository, "multi", index(child))
    assert delete(ecr, repository, {"imageTag": "a"}) == ([(child.digest, "a")], [])
    assert len(delete(ecr, repository, {"imageTag": "b"})[1]) == 1


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_the_name_of_a_held_tag_that_was_deleted_waits_for_its_digest(
    ecr: Any, holdfast: Any, client: Client, repository: str, by: str
) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    first, second = image(), image()
    push(client, repository, "v1", first)
    push_parts(client, repository, second)
    wanted = {"imageTag": "v1"} if by == "tag" else {"imageDigest": first.digest}
    assert delete(ecr, repository, wanted) == ([(first.digest, "v1")], [])
    for mode in ("IMMUTABLE", "MUTABLE"):
        ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability=mode)
        code, message = put_refused(ecr, repository, second, "v1")
        assert code == "ImageTagAlreadyExistsException"
        assert message.startswith(held("v1", repository))
        assert first.digest in message
    push(client, repository, "v1", first)
    assert digest_of(client, repository, "v1") == first.digest
    ends = holdfast.list_tag_history(repositoryName=repository, imageTag="v1")["bindings"]
    assert [one["imageDigest"] for one in ends] == [first.digest, first.digest]


def test_a_tag_that_was_not_held_when_it_was_deleted_is_free(ecr: Any, client: Client, repository: str) -> None:
    ecr.create_repository(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "free-*"}],
    )
    first, second = image(), image()
    push(client, repository, "free-1", first)
    delete(ecr, repository, {"imageTag": "free-1"})
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    assert push(client, repository, "free-1", second).status == 201


def test_a_batch_has_one_to_a_hundred_identifiers(server: RunningServer, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    api = Api(server)
    limits: Sequence[tuple[int, str]] = (
        (0, "Member must have length greater than or equal to 1"),
        (101, "Member must have length less than or equal to 100"),
    )
    for operation in ("BatchGetImage", "BatchDeleteImage", "DescribeImages"):
        for count, why in limits:
            given = {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}] * count}
            assert api(operation, given).refusal == Refusal(INVALID, constraint("imageIds", why))
    hundred = api("BatchGetImage", {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}] * 100})
    assert hundred.status == 200
    api.close()
    assert digest_of(client, repository, "v1") == pushed.digest


# --- both faces ------------------------------------------------------------------------------------------------------


def test_what_one_face_does_the_other_sees_at_once(ecr: Any, client: Client, repository: str) -> None:
    first, second = image(), image()
    push(client, repository, "v1", first)
    push_parts(client, repository, second)
    for _ in range(5):
        assert client("GET", f"/v2/{repository}/manifests/v1").body == first.manifest
        put_image(ecr, repository, second, "v1")
        assert client("GET", f"/v2/{repository}/manifests/v1").body == second.manifest
        assert put(client, repository, "v1", first).status == 201
        assert get(ecr, repository, {"imageTag": "v1"})[0][0]["imageId"]["imageDigest"] == first.digest
    assert client("DELETE", f"/v2/{repository}/manifests/v1").status == 202
    assert get(ecr, repository, {"imageTag": "v1"})[1] == [not_found(imageTag="v1")]
    put_image(ecr, repository, second, "v2")
    delete(ecr, repository, {"imageDigest": second.digest})
    assert client("GET", f"/v2/{repository}/manifests/v2").status == 404
    assert client("GET", f"/v2/{repository}/tags/list").json()["tags"] == []
