"""Images through Amazon ECR's API: put, got, listed, described, deleted; and the same images through /v2/."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    Image,
    descriptor,
    digest_of,
    image,
    index,
    push,
    push_blob,
    push_parts,
    put,
    sha256,
)
from json_api import INVALID, Api, Refusal, constraint, held, no_repository, refusal
from running import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from running import Client, RunningServer

MODES = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
ABSENT = sha256(b"nobody pushed this")
LIMIT = 4 * 1024 * 1024


def made(ecr: Any, repository: str, mode: str = "MUTABLE") -> None:
    filters = {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "free-*"}]}
    more = filters if mode.endswith("EXCLUSION") else {}
    ecr.create_repository(repositoryName=repository, imageTagMutability=mode, **more)


def put_image(ecr: Any, repository: str, pushed: Image, tag: str | None = None, **more: Any) -> Any:
    given = {"imageTag": tag, **more} if tag is not None else more
    return ecr.put_image(repositoryName=repository, imageManifest=pushed.manifest.decode(), **given)["image"]


def put_refused(ecr: Any, repository: str, pushed: Image, tag: str | None = None, **more: Any) -> Refusal:
    given = {"imageTag": tag, **more} if tag is not None else more
    return refusal(ecr.put_image, repositoryName=repository, imageManifest=pushed.manifest.decode(), **given)


def ids(ecr: Any, repository: str, **more: Any) -> list[tuple[str, str | None]]:
    """Return every (digest, tag) of a repository, page by page."""
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository, **more)
    return [(one["imageDigest"], one.get("imageTag")) for page in pages for one in page["imageIds"]]


def pairs(found: Iterable[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Return (digest, tag) of images or identifiers."""
    each = (one.get("imageId", one) for one in found)
    return [(one["imageDigest"], one.get("imageTag")) for one in each]


def failure(image_id: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def not_found(**image_id: str) -> dict[str, Any]:
    return failure(image_id, "ImageNotFound", "Requested image not found")


# --- PutImage --------------------------------------------------------------------------------------------------------


def test_what_the_json_api_took_the_registry_protocol_serves_byte_for_byte(
    ecr: Any, client: Client, repository: str
) -> None:
    pushed = image(annotations={"title": "caf\u00e9 \u2603 \U0001f433 <script>\u202e\\ud83d"}, **{"x": [1, 2.50, True]})
    odd = Image(b"\n\t " + pushed.manifest.replace(b": ", b" :\r\n  ") + b" \n", OCI_IMAGE, pushed.blobs)
    raw = Image(json.dumps(json.loads(odd.manifest), ensure_ascii=False).encode(), OCI_IMAGE, pushed.blobs)
    push_parts(client, repository, pushed)
    for tag, one in (("a", pushed), ("odd", odd), ("raw", raw)):
        put_image(ecr, repository, one, tag)
        for reference in (tag, one.digest):
            got = client("GET", f"/v2/{repository}/manifests/{reference}")
            assert (got.status, got.body) == (200, one.manifest)
            assert got.headers["Content-Type"] == OCI_IMAGE
            assert got.headers["Docker-Content-Digest"] == one.digest


def test_what_the_registry_protocol_took_the_json_api_serves_byte_for_byte(
    ecr: Any, client: Client, repository: str
) -> None:
    child = image(annotations={"title": "caf\u00e9"})
    odd = Image(b" \n" + child.manifest + b"\r\n", OCI_IMAGE, child.blobs)
    whole = index(odd, annotations={"x": "\U0001f433"})
    push(client, repository, "multi", whole)
    push(client, repository, "one", odd)
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "multi"}, {"imageTag": "one"}])
    assert found["failures"] == []
    for got, wanted in zip(found["images"], (whole, odd), strict=True):
        assert got["imageManifest"].encode() == wanted.manifest
        assert got["imageManifestMediaType"] == wanted.media_type
        assert got["imageId"]["imageDigest"] == wanted.digest


def test_a_put_answers_with_the_image_as_ecr_does(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageId": {"imageDigest": pushed.digest, "imageTag": "v1"},
        "imageManifest": pushed.manifest.decode(),
        "imageManifestMediaType": OCI_IMAGE,
    }
    assert put_image(ecr, repository, pushed, "v1", imageDigest=pushed.digest) == expected
    untagged = image()
    push_parts(client, repository, untagged)
    expected |= {"imageId": {"imageDigest": untagged.digest}, "imageManifest": untagged.manifest.decode()}
    assert put_image(ecr, repository, untagged) == expected
    assert set(ids(ecr, repository)) == {(pushed.digest, "v1"), (untagged.digest, None)}


def test_an_index_and_every_kind_of_manifest_may_be_put(ecr: Any, client: Client, repository: str) -> None:
    child = image()
    push_parts(client, repository, child)
    put_image(ecr, repository, child)
    put_image(ecr, repository, index(child), "multi")
    docker = Image(
        child.manifest.replace(OCI_IMAGE.encode(), b"application/vnd.docker.distribution.manifest.v2+json"), "x"
    )
    put_image(ecr, repository, docker, "docker")
    artifact = image(subject=child.descriptor, artifactType="application/vnd.example+json")
    push_parts(client, repository, artifact)
    put_image(ecr, repository, artifact)
    referrers = client("GET", f"/v2/{repository}/referrers/{child.digest}").json()
    assert [one["digest"] for one in referrers["manifests"]] == [artifact.digest]


def test_a_put_by_digest_alone_of_an_image_that_is_there(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    put_image(ecr, repository, pushed)
    assert put_refused(ecr, repository, pushed) == Refusal(
        "ImageAlreadyExistsException",
        f"Image with digest '{pushed.digest}' already exists in the repository with name '{repository}' in registry "
        f"with id '{ACCOUNT}'",
    )


@pytest.mark.parametrize("mode", MODES)
def test_the_same_digest_under_the_same_tag_exists_already_in_every_mode(
    ecr: Any, client: Client, repository: str, mode: str
) -> None:
    made(ecr, repository, mode)
    pushed = image()
    push_parts(client, repository, pushed)
    for tag in ("v1", "free-1"):
        put_image(ecr, repository, pushed, tag)
        for given in ({}, {"imageDigest": pushed.digest}):
            assert put_refused(ecr, repository, pushed, tag, **given) == Refusal(
                "ImageAlreadyExistsException",
                f"Image with digest '{pushed.digest}' and tag '{tag}' already exists in the repository with name "
                f"'{repository}' in registry with id '{ACCOUNT}'",
            )
    assert ids(ecr, repository) == [(pushed.digest, "free-1"), (pushed.digest, "v1")]
    assert put(client, repository, "v1", pushed).status == 201


@pytest.mark.parametrize(
    ("mode", "tag", "moves"),
    [
        ("MUTABLE", "v1", True),
        ("MUTABLE", "free-1", True),
        ("IMMUTABLE", "v1", False),
        ("IMMUTABLE", "free-1", False),
        ("IMMUTABLE_WITH_EXCLUSION", "v1", False),
        ("IMMUTABLE_WITH_EXCLUSION", "free-1", True),
        ("MUTABLE_WITH_EXCLUSION", "v1", True),
        ("MUTABLE_WITH_EXCLUSION", "free-1", False),
    ],
)
def test_a_tag_moves_where_the_mode_and_its_filters_let_it(
    ecr: Any,
    client: Client,
    repository: str,
    mode: str,
    tag: str,
    moves: bool,  # noqa: FBT001
) -> None:
    made(ecr, repository, mode)
    first, second = image(), image()
    for one in (first, second):
        push_parts(client, repository, one)
    put_image(ecr, repository, first, tag)
    if moves:
        put_image(ecr, repository, second, tag)
        assert set(ids(ecr, repository)) == {(first.digest, None), (second.digest, tag)}
    else:
        code, message = put_refused(ecr, repository, second, tag)
        assert code == "ImageTagAlreadyExistsException"
        assert message.startswith(held(tag, repository))
        assert set(ids(ecr, repository)) == {(first.digest, tag), (second.digest, None)}
    assert digest_of(client, repository, tag) == (second if moves else first).digest


def test_a_refused_put_says_what_the_tag_names_and_keeps_the_manifest(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    made(ecr, repository, "IMMUTABLE")
    first, second = image(), image()
    push(client, repository, "v1", first)
    push_parts(client, repository, second)
    message = put_refused(ecr, repository, second, "v1", imageDigest=second.digest).message
    assert first.digest in message
    assert second.digest in message
    got = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": second.digest}])["images"]
    assert [one["imageManifest"].encode() for one in got] == [second.manifest]
    [newest, *_] = holdfast.list_entries(repositoryName=repository, imageTag="v1")["entries"]
    assert (newest["kind"], newest["imageDigest"]) == ("tag-refused", second.digest)
    assert (put_image(ecr, repository, second, "v2"))["imageId"]["imageTag"] == "v2"


def test_of_many_puts_of_one_new_held_tag_exactly_one_is_taken(
    ecr: Any, client: Client, server: RunningServer, repository: str
) -> None:
    made(ecr, repository, "IMMUTABLE")
    racers = [image() for _ in range(24)]
    for one in racers:
        push_parts(client, repository, one)

    def race(one: Image) -> str:
        api = Api(server)
        given = {"repositoryName": repository, "imageManifest": one.manifest.decode(), "imageTag": "v1"}
        reply = api("PutImage", given)
        api.close()
        return one.digest if reply.status == 200 else reply.refusal.code

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(race, racers))
    winners = [one for one in told if one.startswith("sha256:")]
    assert len(winners) == 1
    assert set(told) == {*winners, "ImageTagAlreadyExistsException"}
    assert digest_of(client, repository, "v1") == winners[0]
    assert len(ids(ecr, repository)) == len(racers)


def test_a_digest_that_is_not_the_manifests(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    for wrong in (ABSENT, image().digest, "sha512:" + "0" * 128):
        code, message = put_refused(ecr, repository, pushed, "v1", imageDigest=wrong)
        assert code == "ImageDigestDoesNotMatchException"
        assert wrong in message
    assert ids(ecr, repository) == []


@pytest.mark.parametrize("wrong", ["", "x", "sha256:", "sha256:abc", ABSENT.upper(), ABSENT[:-1], "md5:" + "0" * 32])
def test_a_digest_that_is_none_is_an_invalid_parameter(
    ecr: Any, client: Client, repository: str, wrong: str
) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    code, message = put_refused(ecr, repository, pushed, "v1", imageDigest=wrong)
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'imageDigest' failed to satisfy constraint: '")
    assert ids(ecr, repository) == []


def test_layers_that_are_missing_are_all_named(ecr: Any, client: Client, repository: str) -> None:
    pushed = image(b"layer one", b"layer two", b"layer three")
    config, _, two, _ = pushed.blobs
    push_blob(client, repository, config)
    push_blob(client, repository, two)
    code, message = put_refused(ecr, repository, pushed, "v1")
    assert code == "LayersNotFoundException"
    assert sha256(b"layer one") in message
    assert sha256(b"layer three") in message
    assert sha256(b"layer two") not in message
    assert ids(ecr, repository) == []


def test_a_layer_of_another_repository_is_missing(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, f"{repository}-b", pushed)
    made(ecr, repository)
    assert put_refused(ecr, repository, pushed, "v1").code == "LayersNotFoundException"


def test_children_that_are_missing_are_all_named(ecr: Any, client: Client, repository: str) -> None:
    there, one, two = image(), image(), image()
    push(client, repository, "there", there)
    code, message = put_refused(ecr, repository, index(there, one, two), "multi")
    assert code == "ReferencedImagesNotFoundException"
    assert one.digest in message
    assert two.digest in message
    assert there.digest not in message
    assert ids(ecr, repository) == [(there.digest, "there")]


def without_media_type(pushed: Image) -> Image:
    document = json.loads(pushed.manifest)
    del document["mediaType"]
    return Image(json.dumps(document).encode(), pushed.media_type, pushed.blobs)


def test_a_manifest_without_a_media_type_needs_one_in_the_call(ecr: Any, client: Client, repository: str) -> None:
    pushed = without_media_type(image())
    push_parts(client, repository, pushed)
    code, message = put_refused(ecr, repository, pushed, "v1")
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '")
    assert "mediaType" in message
    answered = put_image(ecr, repository, pushed, "v1", imageManifestMediaType=OCI_IMAGE)
    assert answered["imageManifestMediaType"] == OCI_IMAGE
    assert client("GET", f"/v2/{repository}/manifests/v1").headers["Content-Type"] == OCI_IMAGE


@pytest.mark.parametrize(
    "manifest",
    [
        "x",
        "null",
        "[]",
        "{}",
        '"x"',
        '{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}',
        '{"schemaVersion":2,"mediaType":"text/html"}',
        '{"schemaVersion":2,"mediaType":"%s","manifests":[],"layers":[]}' % OCI_INDEX,
        '{"schemaVersion":2,"mediaType":"%s","mediaType":"%s"}' % (OCI_IMAGE, OCI_INDEX),
        '{"schemaVersion":2,"mediaType":"%s","Manifests":[],"manifests":[]}' % OCI_INDEX,
        '{"schemaVersion":2,"mediaType":"%s","manifests":[{}]}' % OCI_INDEX,
        '{"schemaVersion":2,"mediaType":"%s","manifests":' % OCI_INDEX + "[" * 3_000 + "]" * 3_000 + "}",
        '{"schemaVersion":2,"mediaType":"%s","manifests":[]}\x00' % OCI_INDEX,
        '\ufeff{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % OCI_INDEX,
        '{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"a":1}}' % OCI_INDEX,
        '{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"a":"\\ud800"}}' % OCI_INDEX,
    ],
)
def test_what_is_no_manifest_is_refused_and_nothing_is_kept(ecr: Any, repository: str, manifest: str) -> None:
    made(ecr, repository)
    code, message = refusal(ecr.put_image, repositoryName=repository, imageManifest=manifest, imageTag="v1")
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '")
    assert len(message) < 1_000
    assert ids(ecr, repository) == []


def test_the_media_type_of_the_call_must_be_the_manifests(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    for announced in (OCI_INDEX, "text/html", "x"):
        refused = put_refused(ecr, repository, pushed, "v1", imageManifestMediaType=announced)
        assert refused.code == INVALID
    assert ids(ecr, repository) == []


def test_sizes_that_are_not_the_blobs(ecr: Any, client: Client, repository: str) -> None:
    config, layer = b"{}", b"layer"
    wrong = {**descriptor(layer, "application/vnd.oci.image.layer.v1.tar"), "size": 4}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [wrong],
    }
    for blob in (config, layer):
        push_blob(client, repository, blob)
    assert put_refused(ecr, repository, Image(json.dumps(document).encode(), OCI_IMAGE), "v1").code == INVALID


@pytest.mark.parametrize(
    "tag",
    ["", "a b", "-a", ".a", "a/b", "a:b", "caf\u00e9", "a\n", "a" * 129, "a" * 300, "a" * 301, "a\x00", "<b>", "%61"],
)
def test_what_is_no_tag_is_refused(server: RunningServer, ecr: Any, client: Client, repository: str, tag: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    api = Api(server)
    given = {"repositoryName": repository, "imageManifest": pushed.manifest.decode(), "imageTag": tag}
    code, message = api("PutImage", given).refusal
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'imageTag' failed to satisfy constraint: '")
    assert ids(ecr, repository) == []
    api.close()


@pytest.mark.parametrize("tag", ["a", "_", "9", "V1.0-rc_1", "a" * 128, "sha256-" + "0" * 64 + ".sig"])
def test_what_is_a_tag_is_taken(ecr: Any, client: Client, repository: str, tag: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    assert put_image(ecr, repository, pushed, tag)["imageId"]["imageTag"] == tag
    assert digest_of(client, repository, tag) == pushed.digest


def padded(pushed: Image, length: int, filler: str = " ") -> Image:
    """Make the manifest so many characters long, by an annotation."""
    document = json.loads(pushed.manifest)
    document["annotations"] = {"x": ""}
    short = len(json.dumps(document, ensure_ascii=False))
    document["annotations"]["x"] = filler * (length - short)
    text = json.dumps(document, ensure_ascii=False)
    assert len(text) == length
    return Image(text.encode(), OCI_IMAGE, pushed.blobs)


def test_a_manifest_has_at_most_four_mebibytes(ecr: Any, client: Client, repository: str) -> None:
    pushed = image()
    push_parts(client, repository, pushed)
    most = padded(pushed, LIMIT)
    put_image(ecr, repository, most, "most")
    assert client("GET", f"/v2/{repository}/manifests/most").body == most.manifest
    why = f"Member must have length less than or equal to {LIMIT}"
    assert put_refused(ecr, repository, padded(pushed, LIMIT + 1), "more") == Refusal(
        INVALID, constraint("imageManifest", why)
    )
    in_bytes = put_refused(ecr, repository, padded(pushed, LIMIT, "\u2603"), "more")
    assert in_bytes.code == INVALID
    assert ids(ecr, repository) == [(most.digest, "most")]


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
    told = call(repositoryName=repository, imageIds=[*(one for one, _, _ in cases[:3]), served, *(c[0] for c in cases[3:])])
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
    made(ecr, repository)
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
    made(ecr, repository, "IMMUTABLE")
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
    made(ecr, repository, "IMMUTABLE_WITH_EXCLUSION")
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
