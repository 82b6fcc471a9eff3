"""Manifests over the wire: kept byte for byte, refused with the right code (group E), under tags and digests."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from held_ground import WatchedClient, check_form, refused
from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
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
from rawhttp import connected, head, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Answer, RunningServer

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
LIMIT = 4 * 1024 * 1024


def send(
    client: WatchedClient, repository: str, reference: str, payload: bytes | Iterator[bytes], content_type: str | None
) -> Answer:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return client("PUT", f"/v2/{repository}/manifests/{reference}", payload, headers)


def document_of(pushed: Image) -> dict[str, Any]:
    return dict(json.loads(pushed.manifest))


@pytest.fixture
def good(oci: WatchedClient, repository: str) -> Image:
    """An image whose parts are in the repository, not yet its manifest."""
    made = image()
    push_parts(oci, repository, made)
    return made


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_push_tells_the_digest_and_where_it_is(oci: WatchedClient, repository: str, good: Image) -> None:
    answer = put(oci, repository, "v1", good)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/manifests/{good.digest}"
    assert answer.headers["Docker-Content-Digest"] == good.digest
    assert answer.headers["OCI-Subject"] is None
    assert answer.headers["OCI-Tag"] is None
    assert oci("GET", answer.headers["Location"]).body == good.manifest


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_pull_by_tag_and_by_digest_tells_the_same(
    oci: WatchedClient, repository: str, good: Image, method: str, by: str
) -> None:
    put(oci, repository, "v1", good)
    answer = oci(method, f"/v2/{repository}/manifests/{'v1' if by == 'tag' else good.digest}")
    assert answer.status == 200
    assert answer.body == (good.manifest if method == "GET" else b"")
    assert answer.headers["Content-Length"] == str(len(good.manifest))
    assert answer.headers["Content-Type"] == OCI_IMAGE
    assert answer.headers["Docker-Content-Digest"] == good.digest
    assert answer.headers["ETag"] == f'"{good.digest}"'
    assert ("immutable" in answer.headers["Cache-Control"]) is (by == "digest")
    again = oci(method, f"/v2/{repository}/manifests/v1", None, {"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_an_answer_does_not_outlive_the_tag_it_speaks_of(oci: WatchedClient, repository: str) -> None:
    for _ in range(5):
        pushed = image()
        assert push(oci, repository, "latest", pushed).status == 201
        for _ in range(3):
            assert digest_of(oci, repository, "latest") == pushed.digest
            assert oci("GET", f"/v2/{repository}/manifests/latest").body == pushed.manifest
    assert oci("DELETE", f"/v2/{repository}/manifests/latest").status == 202
    assert digest_of(oci, repository, "latest") is None


def test_an_answer_does_not_outlive_the_repository_it_speaks_of(
    oci: WatchedClient, ecr: Any, repository: str, good: Image
) -> None:
    put(oci, repository, "v1", good)
    paths = [f"manifests/{name}" for name in ("v1", good.digest)] + [f"blobs/{sha256(good.blobs[1])}"]
    for method in ("GET", "HEAD"):
        assert {oci(method, f"/v2/{repository}/{path}").status for path in paths * 2} == {200}
    ecr.delete_repository(repositoryName=repository, force=True)
    for method in ("GET", "HEAD"):
        assert {oci(method, f"/v2/{repository}/{path}").status for path in paths} == {404}
    ecr.create_repository(repositoryName=repository)
    for method in ("GET", "HEAD"):
        assert {oci(method, f"/v2/{repository}/{path}").status for path in paths} == {404}


@pytest.mark.parametrize(
    "layout", [{"indent": 4}, {"separators": (",", ":")}, {"indent": 1, "sort_keys": True}, {"ensure_ascii": False}]
)
def test_e17_other_whitespace_is_another_digest_and_every_byte_is_given_back(
    oci: WatchedClient, repository: str, good: Image, layout: dict[str, Any]
) -> None:
    document = {**document_of(good), "annotations": {"é": "\U0001f600 \u202e"}}
    payload = json.dumps(document, **layout).encode() + b"\n"
    assert send(oci, repository, "v1", payload, OCI_IMAGE).headers["Docker-Content-Digest"] == sha256(payload)
    assert oci("GET", f"/v2/{repository}/manifests/v1").body == payload


@pytest.mark.parametrize(
    ("media_type", "document"),
    [
        (OCI_IMAGE, {"config": None, "layers": None}),
        (DOCKER_IMAGE, {"config": None, "layers": None}),
        (OCI_INDEX, {"manifests": []}),
        (DOCKER_LIST, {"manifests": []}),
        (ARTIFACT, {"artifactType": "application/x.thing", "blobs": None}),
    ],
)
def test_every_kind_of_manifest_is_kept_and_served_as_what_it_is(
    oci: WatchedClient, repository: str, media_type: str, document: dict[str, Any]
) -> None:
    blob = os.urandom(50)
    push_blob(oci, repository, blob)
    parts = {"config": descriptor(blob, OCI_CONFIG), "layers": [descriptor(blob, OCI_LAYER)], "blobs": []}
    filled = {key: parts[key] if value is None else value for key, value in document.items()}
    payload = json.dumps({"schemaVersion": 2, "mediaType": media_type, **filled}).encode()
    assert send(oci, repository, "v1", payload, media_type).status == 201
    got = oci("GET", f"/v2/{repository}/manifests/v1", None, {"Accept": "text/plain"})
    assert (got.headers["Content-Type"], got.body) == (media_type, payload)


def test_sha512_names_a_manifest_as_well(oci: WatchedClient, repository: str, good: Image) -> None:
    digest = "sha512:" + hashlib.sha512(good.manifest).hexdigest()
    answer = put(oci, repository, digest, good)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["Location"] == f"/v2/{repository}/manifests/{digest}"
    got = oci("GET", f"/v2/{repository}/manifests/{digest}")
    assert (got.body, got.headers["Docker-Content-Digest"]) == (good.manifest, digest)
    assert oci("HEAD", f"/v2/{repository}/manifests/{good.digest}").status == 404
    wrong = "sha512:" + hashlib.sha512(b"other").hexdigest()
    refused(put(oci, repository, wrong, good), 400, "DIGEST_INVALID")
    assert oci("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202


def test_the_same_manifest_again_changes_nothing(oci: WatchedClient, repository: str, good: Image) -> None:
    first, second = put(oci, repository, "v1", good), put(oci, repository, "v1", good)
    assert (first.status, second.status) == (201, 201)
    assert put(oci, repository, good.digest, good).status == 201
    assert digest_of(oci, repository, "v1") == good.digest


def test_an_index_is_kept_beside_its_children(oci: WatchedClient, repository: str) -> None:
    pushed = index(image(), image(), annotations={"a": "b"})
    assert push(oci, repository, "v1", pushed).status == 201
    assert oci("GET", f"/v2/{repository}/manifests/v1").body == pushed.manifest
    for child in pushed.children:
        assert oci("GET", f"/v2/{repository}/manifests/{child.digest}").body == child.manifest


# --- several tags at once --------------------------------------------------------------------------------------------


def test_one_push_may_name_many_tags(oci: WatchedClient, repository: str, good: Image) -> None:
    tags = [f"t{number}" for number in range(32)]
    query = "&".join(f"tag={tag}" for tag in tags)
    answer = put(oci, repository, f"{good.digest}?{query}", good)
    assert answer.status == 201
    assert answer.headers.get_all("OCI-Tag") == tags
    assert {digest_of(oci, repository, tag) for tag in tags} == {good.digest}


def test_a_tag_named_twice_is_one_tag(oci: WatchedClient, repository: str, good: Image) -> None:
    answer = put(oci, repository, f"v1?tag=v2&tag=v2&tag=v1", good)  # noqa: F541
    assert answer.status == 201
    assert answer.headers.get_all("OCI-Tag") == ["v2", "v1"]
    assert oci("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["v1", "v2"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("tag=", 400, "TAG_INVALID"),
        ("tag=ok&tag=-bad", 400, "TAG_INVALID"),
        ("tag=ok&tag=" + "a" * 129, 400, "TAG_INVALID"),
        ("tag=ok&tag=a%2Fb", 400, "TAG_INVALID"),
        ("tag=ok&tag=a%0d%0aX-Injected:%201", 400, "TAG_INVALID"),
        ("tag=ok&tag=%ff", 400, "UNSUPPORTED"),
        ("&".join(f"tag=t{number}" for number in range(33)), 414, "UNSUPPORTED"),
        ("&".join(f"tag=t{number}" for number in range(100)), 400, "UNSUPPORTED"),
    ],
)
def test_one_bad_tag_and_nothing_is_bound_or_kept(
    oci: WatchedClient, repository: str, good: Image, query: str, status: int, code: str
) -> None:
    answer = refused(put(oci, repository, f"{good.digest}?{query}", good), status, code)
    assert answer.headers["X-Injected"] is None
    assert oci("HEAD", f"/v2/{repository}/manifests/{good.digest}").status == 404
    assert digest_of(oci, repository, "ok") is None


# --- group E ---------------------------------------------------------------------------------------------------------


def _padded(pushed: Image, size: int) -> bytes:
    document = {**document_of(pushed), "annotations": {"padding": ""}}
    return json.dumps({**document, "annotations": {"padding": "x" * (size - len(json.dumps(document)))}}).encode()


def test_e1_a_manifest_may_have_4_mib_and_not_a_byte_more(oci: WatchedClient, repository: str, good: Image) -> None:
    largest = _padded(good, LIMIT)
    assert len(largest) == LIMIT
    assert send(oci, repository, "largest", largest, OCI_IMAGE).status == 201
    assert oci("GET", f"/v2/{repository}/manifests/largest").body == largest
    answer = refused(send(oci, repository, "larger", _padded(good, LIMIT + 1), OCI_IMAGE), 413, "MANIFEST_INVALID")
    assert answer.json()["errors"][0]["detail"] == {"limit_bytes": LIMIT}
    assert digest_of(oci, repository, "larger") is None


def test_e1_a_stream_is_taken_up_to_the_limit(oci: WatchedClient, repository: str, good: Image) -> None:
    largest = _padded(good, LIMIT)
    assert send(oci, repository, "v1", iter([largest[:1000], largest[1000:]]), OCI_IMAGE).status == 201
    assert oci("HEAD", f"/v2/{repository}/manifests/v1").headers["Content-Length"] == str(LIMIT)


def test_e1_an_endless_stream_is_refused_at_the_limit(
    server: RunningServer, oci: WatchedClient, repository: str, good: Image
) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with connected(server) as connection:
        headers = {"Transfer-Encoding": "chunked", "Content-Type": OCI_IMAGE}
        connection.sendall(head("PUT", f"/v2/{repository}/manifests/v1", headers))
        sent = 0
        while sent < 40:
            connection.sendall(chunk)
            sent += 1
        connection.sendall(chunk * 25)  # past 4 MiB: refused now, though the stream does not end
        answer = read_answer(connection)
    refused(answer, 413, "MANIFEST_INVALID")
    assert put(oci, repository, "v1", good).status == 201


def test_e1_a_length_over_the_limit_is_refused_before_the_body(
    server: RunningServer, oci: WatchedClient, repository: str, good: Image
) -> None:
    headers = {"Content-Length": str(10**15), "Content-Type": OCI_IMAGE, "Expect": "100-continue"}
    with connected(server) as connection:
        connection.sendall(head("PUT", f"/v2/{repository}/manifests/v1", headers))
        refused(read_answer(connection), 413, "MANIFEST_INVALID")
    assert put(oci, repository, "v1", good).status == 201


_BOMB = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "payload",
    [
        b"", b'""', b"null", b"[]", b'"x"', b"1", b"{}", b'{"schemaVersion":2', b"\xff\xfe{}", b"\0" * 100,
        _BOMB.encode(),
        ('{"schemaVersion":2,"mediaType":"' + OCI_IMAGE + '","layers":[],"x":' + _BOMB + "}").encode(),
        b'{"annotations":' * 100_000,
    ],
    ids=lambda payload: repr(payload[:16]),
)  # fmt: skip
@pytest.mark.parametrize("content_type", [OCI_IMAGE, None])
def test_e2_e6_what_is_no_manifest_is_refused(
    oci: WatchedClient, repository: str, good: Image, payload: bytes, content_type: str | None
) -> None:
    assert good.manifest
    refused(send(oci, repository, "v1", payload, content_type), 400, "MANIFEST_INVALID")
    assert digest_of(oci, repository, "v1") is None


CHANGES: dict[str, Any] = {
    "e3 case twin": {"Layers": []},
    "e3 capitals": {"MEDIATYPE": OCI_INDEX},
    "e4 image and index": {"manifests": []},
    "e7 negative size": {"layers": [{"mediaType": OCI_LAYER, "digest": sha256(b""), "size": -1}]},
    "e7 real size": {"layers": [{"mediaType": OCI_LAYER, "digest": sha256(b""), "size": 0.0}]},
    "e7 true size": {"layers": [{"mediaType": OCI_LAYER, "digest": sha256(b""), "size": True}]},
    "e7 text size": {"layers": [{"mediaType": OCI_LAYER, "digest": sha256(b""), "size": "0"}]},
    "e7 large size": {"layers": [{"mediaType": OCI_LAYER, "digest": sha256(b""), "size": 2**63}]},
    "e8 NUL in a key": {"a\0": 1},
    "e10 data": {"layers": [{**descriptor(b"x", OCI_LAYER), "data": "eQ=="}]},
    "e12 layers": {"layers": [{"mediaType": "a/b", "digest": sha256(b""), "size": 0}] * 20_000},
    "e14 subject": {"subject": {"mediaType": OCI_IMAGE, "digest": "sha256:short", "size": 1}},
    "e16 schema 1": {"schemaVersion": 1, "fsLayers": []},
    "config is null": {"config": None},
    "layers is null": {"layers": None},
    "schemaVersion 3": {"schemaVersion": 3},
}


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_broken_manifest_is_refused_and_not_kept(
    oci: WatchedClient, repository: str, good: Image, change: str, by: str
) -> None:
    payload = json.dumps({**document_of(good), **CHANGES[change]}).encode()
    refused(
        send(oci, repository, "v1" if by == "tag" else sha256(payload), payload, OCI_IMAGE), 400, "MANIFEST_INVALID"
    )
    assert digest_of(oci, repository, "v1") is None
    assert oci("HEAD", f"/v2/{repository}/manifests/{sha256(payload)}").status == 404


@pytest.mark.parametrize(
    "twist",
    [
        lambda text: text.replace('"layers"', '"layers": [], "layers"', 1),
        lambda text: text.replace('"size"', '"size": 1, "size"', 1),
        lambda text: text.replace('"schemaVersion": 2', '"schemaVersion": NaN'),
        lambda text: text.replace('"schemaVersion": 2', '"schemaVersion": 1e999'),
        lambda text: text.replace('"schemaVersion": 2', '"schemaVersion": ' + "9" * 5_000),
        lambda text: text.replace('"schemaVersion": 2', '"x": "\\ud800", "schemaVersion": 2'),
        lambda text: "\ufeff" + text,
        lambda text: text + text,
        lambda text: text + "\0",
    ],
)
def test_e3_e7_e8_json_that_parsers_read_differently_is_refused(
    oci: WatchedClient, repository: str, good: Image, twist: Any
) -> None:
    payload = twist(good.manifest.decode()).encode()
    refused(send(oci, repository, "v1", payload, OCI_IMAGE), 400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    "content_type",
    [OCI_INDEX, DOCKER_IMAGE, "text/plain", "application/json", "*/*", "x", "application/octet-stream", "\x9b31m"],
)
def test_e5_a_content_type_that_does_not_fit_is_refused(
    oci: WatchedClient, repository: str, good: Image, content_type: str
) -> None:
    refused(send(oci, repository, "v1", good.manifest, content_type), 400, "MANIFEST_INVALID")


@pytest.mark.parametrize("content_type", [f"{OCI_IMAGE}; charset=utf-8", OCI_IMAGE.upper(), None, f"{OCI_IMAGE};"])
def test_e5_parameters_case_and_absence_of_the_content_type_do_not_matter(
    oci: WatchedClient, repository: str, good: Image, content_type: str | None
) -> None:
    assert send(oci, repository, "v1", good.manifest, content_type).status == 201
    assert oci("HEAD", f"/v2/{repository}/manifests/v1").headers["Content-Type"] == OCI_IMAGE


def test_e5_without_any_type_there_is_nothing_to_go_by(oci: WatchedClient, repository: str, good: Image) -> None:
    document = document_of(good)
    del document["mediaType"]
    payload = json.dumps(document).encode()
    refused(send(oci, repository, "v1", payload, None), 400, "MANIFEST_INVALID")
    assert send(oci, repository, "v1", payload, OCI_IMAGE).status == 201
    assert oci("HEAD", f"/v2/{repository}/manifests/v1").headers["Content-Type"] == OCI_IMAGE


def test_e9_every_blob_that_is_missing_is_listed(oci: WatchedClient, repository: str) -> None:
    there, absent, also_absent = b"there", os.urandom(10), os.urandom(10)
    push_blob(oci, repository, there)
    pushed = image(there, absent, also_absent, config=b"{}")
    answer = refused(put(oci, repository, "v1", pushed), 400, "MANIFEST_BLOB_UNKNOWN")
    assert answer.json()["errors"][0]["detail"] == {"missing": [sha256(b"{}"), sha256(absent), sha256(also_absent)]}
    assert oci("HEAD", f"/v2/{repository}/manifests/{pushed.digest}").status == 404


def test_e9_a_blob_of_another_repository_is_missing_here(oci: WatchedClient, repository: str, good: Image) -> None:
    push_blob(oci, f"{repository}-other", b"so that it is there")
    refused(put(oci, f"{repository}-other", "v1", good), 400, "MANIFEST_BLOB_UNKNOWN")


def test_e9_every_child_that_is_missing_is_listed(oci: WatchedClient, repository: str) -> None:
    there, absent, also_absent = image(), image(), image()
    push(oci, repository, "child", there)
    answer = refused(put(oci, repository, "v1", index(there, absent, also_absent)), 400, "MANIFEST_BLOB_UNKNOWN")
    assert answer.json()["errors"][0]["detail"] == {"missing": [absent.digest, also_absent.digest]}


@pytest.mark.parametrize(
    "more",
    [{"urls": ["http://169.254.169.254/latest/meta-data"]}, {"urls": ["file:///etc/passwd"]}, {"urls": ["gopher:x"]}],
)
def test_e9_e13_layers_that_lie_elsewhere_need_not_be_there_and_are_not_fetched(
    oci: WatchedClient, repository: str, good: Image, more: dict[str, Any]
) -> None:
    foreign = {"mediaType": OCI_LAYER, "digest": sha256(os.urandom(8)), "size": 99, **more}
    document = document_of(good)
    payload = json.dumps({**document, "layers": [*document["layers"], foreign]}).encode()
    assert send(oci, repository, "v1", payload, OCI_IMAGE).status == 201
    refused(oci("GET", f"/v2/{repository}/blobs/{foreign['digest']}"), 404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("size", [0, 63, 65, 2**62])
@pytest.mark.parametrize("beside", ["alone", "before the right one", "after the right one"])
def test_e10_a_size_that_is_not_the_blobs_is_refused(
    oci: WatchedClient, repository: str, good: Image, size: int, beside: str
) -> None:
    document = document_of(good)
    (right,) = document["layers"]
    assert right["size"] == 64
    wrong = {**right, "size": size}
    layers = {"alone": [wrong], "before the right one": [wrong, right], "after the right one": [right, wrong]}[beside]
    payload = json.dumps({**document, "layers": layers}).encode()
    refused(send(oci, repository, "v1", payload, OCI_IMAGE), 400, "MANIFEST_INVALID")


@pytest.mark.parametrize("change", [{"size": 5}, {"mediaType": DOCKER_IMAGE}, {"mediaType": "a/b"}])
@pytest.mark.parametrize("beside", ["alone", "before the right one", "after the right one"])
def test_e10_a_child_that_is_described_wrongly_is_refused(
    oci: WatchedClient, repository: str, change: dict[str, Any], beside: str
) -> None:
    child = image()
    push(oci, repository, "child", child)
    right, wrong = child.descriptor, {**child.descriptor, **change}
    children = {"alone": [wrong], "before the right one": [wrong, right], "after the right one": [right, wrong]}[beside]
    payload = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()
    refused(send(oci, repository, "v1", payload, OCI_INDEX), 400, "MANIFEST_INVALID")


@pytest.mark.parametrize("reference", [sha256(b"other"), "sha512:" + "a" * 128])
def test_e11_bytes_of_another_digest_are_refused(
    oci: WatchedClient, repository: str, good: Image, reference: str
) -> None:
    answer = refused(put(oci, repository, reference, good), 400, "DIGEST_INVALID")
    assert answer.json()["errors"][0]["detail"]["digest"] == reference
    assert oci("HEAD", f"/v2/{repository}/manifests/{good.digest}").status == 404


def test_e12_an_index_of_thousands_that_are_not_there_is_refused_in_one_go(
    oci: WatchedClient, repository: str, good: Image
) -> None:
    put(oci, repository, "v1", good)
    absent = [{"mediaType": OCI_IMAGE, "digest": sha256(str(n).encode()), "size": 1} for n in range(9_000)]
    payload = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": absent}).encode()
    answer = refused(send(oci, repository, "v2", payload, OCI_INDEX), 400, "MANIFEST_BLOB_UNKNOWN")
    assert len(answer.json()["errors"][0]["detail"]["missing"]) == 9_000


def test_e12_indexes_in_indexes_cost_no_more_than_their_number(oci: WatchedClient, repository: str) -> None:
    below = [image(), image()]
    for child in below:
        push(oci, repository, "leaf", child)
    for level in range(30):
        above = [index(*below, annotations={"level": str(level), "side": side}) for side in "ab"]
        for one in above:
            assert put(oci, repository, one.digest, one).status == 201
        below = above
    assert put(oci, repository, "top", below[0]).status == 201


def test_e14_a_subject_need_not_be_there(oci: WatchedClient, repository: str, good: Image) -> None:
    subject = {"mediaType": OCI_IMAGE, "digest": sha256(os.urandom(8)), "size": 77}
    payload = json.dumps({**document_of(good), "subject": subject}).encode()
    answer = send(oci, repository, "v1", payload, OCI_IMAGE)
    assert (answer.status, answer.headers["OCI-Subject"]) == (201, subject["digest"])


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img onerror=x>', "\x1b[31mred", "a\r\nX: y", "\u202e", "x" * 10**6]
)
def test_e15_annotations_are_bytes_to_us(oci: WatchedClient, repository: str, good: Image, text: str) -> None:
    payload = json.dumps({**document_of(good), "annotations": {"a": text}}).encode()
    assert send(oci, repository, "v1", payload, OCI_IMAGE).status == 201
    got = oci("GET", f"/v2/{repository}/manifests/v1")
    assert got.body == payload
    assert got.headers["Content-Type"] == OCI_IMAGE


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ],
)
def test_e16_schema_1_is_refused_with_what_to_do(oci: WatchedClient, repository: str, content_type: str) -> None:
    payload = json.dumps({"schemaVersion": 1, "name": repository, "tag": "v1", "fsLayers": [], "history": []}).encode()
    answer = refused(send(oci, repository, "v1", payload, content_type), 400, "MANIFEST_INVALID")
    assert "schema 1" in answer.message
    assert "current client" in answer.message


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("-bad", "TAG_INVALID"),
        (".bad", "TAG_INVALID"),
        ("a" * 129, "TAG_INVALID"),
        ("a%20b", "TAG_INVALID"),
        ("a%2Fb", "TAG_INVALID"),
        ("sha256:short", "DIGEST_INVALID"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "DIGEST_INVALID"),
        ("v1:v2", "DIGEST_INVALID"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_reference_that_is_none_is_refused(
    oci: WatchedClient, repository: str, good: Image, method: str, reference: str, code: str
) -> None:
    body = good.manifest if method == "PUT" else None
    refused(oci(method, f"/v2/{repository}/manifests/{reference}", body, {"Content-Type": OCI_IMAGE}), 400, code)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_not_there_is_unknown(oci: WatchedClient, repository: str, good: Image, method: str) -> None:
    put(oci, repository, "v1", good)
    for reference in ("v2", sha256(b"no"), "sha512:" + "0" * 128):
        refused(oci(method, f"/v2/{repository}/manifests/{reference}"), 404, "MANIFEST_UNKNOWN")
        refused(oci(method, f"/v2/not/there/manifests/{reference}"), 404, "NAME_UNKNOWN")
        assert oci("HEAD", f"/v2/{repository}/manifests/{reference}").status == 404


def test_a_push_cut_short_keeps_nothing(
    server: RunningServer, oci: WatchedClient, repository: str, good: Image
) -> None:
    headers = {"Content-Length": str(len(good.manifest)), "Content-Type": OCI_IMAGE}
    with connected(server) as connection:
        connection.sendall(head("PUT", f"/v2/{repository}/manifests/v1", headers) + good.manifest[:-1])
    assert digest_of(oci, repository, "v1") is None
    assert oci("HEAD", f"/v2/{repository}/manifests/{good.digest}").status == 404
    assert put(oci, repository, "v1", good).status == 201


def test_a_form_that_every_answer_has(oci: WatchedClient, repository: str, good: Image) -> None:
    for answer in (put(oci, repository, "v1", good), oci("GET", f"/v2/{repository}/manifests/v1")):
        check_form(answer)
