"""PutImage: what is taken, byte for byte, what is refused and why; and that a held tag does not move."""

from __future__ import annotations

import json
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
from json_api import INVALID, Api, Refusal, constraint, held, ids, put_image, put_refused, refusal
from running import ACCOUNT

if TYPE_CHECKING:
    from running import Client, RunningServer

MODES = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
ABSENT = sha256(b"nobody pushed this")
LIMIT = 4 * 1024 * 1024


def made(ecr: Any, repository: str, mode: str = "MUTABLE") -> None:
    filters = {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "free-*"}]}
    more = filters if mode.endswith("EXCLUSION") else {}
    ecr.create_repository(repositoryName=repository, imageTagMutability=mode, **more)


# --- PutImage --------------------------------------------------------------------------------------------------------


def test_what_the_json_api_took_the_registry_protocol_serves_byte_for_byte(
    ecr: Any, client: Client, repository: str
) -> None:
    pushed = image(annotations={"title": "caf\u00e9 \u2603 \U0001f433 <script>\u202e\\ud83d"}, x=[1, 2.50, True])
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
def test_a_digest_that_is_none_is_an_invalid_parameter(ecr: Any, client: Client, repository: str, wrong: str) -> None:
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


INDEX_WITH = '{"schemaVersion":2,"mediaType":"' + OCI_INDEX + '",'
NO_MANIFESTS = [
    "x",
    "null",
    "[]",
    "{}",
    '"x"',
    '{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}',
    '{"schemaVersion":2,"mediaType":"text/html"}',
    INDEX_WITH + '"manifests":[],"layers":[]}',
    INDEX_WITH + '"manifests":[],"mediaType":"' + OCI_IMAGE + '"}',
    INDEX_WITH + '"Manifests":[],"manifests":[]}',
    INDEX_WITH + '"manifests":[{}]}',
    INDEX_WITH + '"manifests":' + "[" * 3_000 + "]" * 3_000 + "}",
    INDEX_WITH + '"manifests":[]}\x00',
    "\ufeff" + INDEX_WITH + '"manifests":[]}',
    INDEX_WITH + '"manifests":[],"annotations":{"a":1}}',
    INDEX_WITH + '"manifests":[],"annotations":{"a":"\\ud800"}}',
]


@pytest.mark.parametrize("manifest", NO_MANIFESTS)
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
