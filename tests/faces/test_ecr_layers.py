"""Layers through Amazon ECR's API: uploaded in parts, checked, downloaded by links."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from images import OCI_CONFIG, OCI_IMAGE, OCI_LAYER, Image, descriptor, image, push, push_blob, sha256
from json_api import (
    INVALID,
    Api,
    Refusal,
    allow,
    client_of,
    constraint,
    no_repository,
    person,
    policy,
    refusal,
    refused,
)
from running import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from json_api import Clock
    from running import Client, RunningServer

MIB = 1024 * 1024
ABSENT = sha256(b"nobody pushed this")


@pytest.fixture
def place(ecr: Any, repository: str) -> str:
    """A repository that is there."""
    ecr.create_repository(repositoryName=repository)
    return repository


def start(ecr: Any, place: str) -> str:
    return str(ecr.initiate_layer_upload(repositoryName=place)["uploadId"])


def part(upload: str, first: int, content: bytes) -> dict[str, Any]:
    last = first + len(content) - 1
    return {"uploadId": upload, "partFirstByte": first, "partLastByte": last, "layerPartBlob": content}


def send(ecr: Any, place: str, upload: str, *parts: bytes) -> None:
    """Upload parts that follow one another."""
    first = 0
    for content in parts:
        told = ecr.upload_layer_part(repositoryName=place, **part(upload, first, content))
        first += len(content)
        assert told["lastByteReceived"] == first - 1


def complete(ecr: Any, place: str, upload: str, digest: str) -> Any:
    return ecr.complete_layer_upload(repositoryName=place, uploadId=upload, layerDigests=[digest])


def complete_refused(ecr: Any, place: str, upload: str, digest: str) -> Refusal:
    return refusal(ecr.complete_layer_upload, repositoryName=place, uploadId=upload, layerDigests=[digest])


def upload_layer(ecr: Any, place: str, content: bytes) -> str:
    upload = start(ecr, place)
    send(ecr, place, upload, content)
    return str(complete(ecr, place, upload, sha256(content))["layerDigest"])


def no_upload(upload: str, place: str) -> Refusal:
    return Refusal(
        "UploadNotFoundException",
        f"The upload with id '{upload}' does not exist for the repository with name '{place}' in the registry with id "
        f"'{ACCOUNT}'",
    )


def availability(ecr: Any, place: str, *digests: str) -> Any:
    return ecr.batch_check_layer_availability(repositoryName=place, layerDigests=list(digests))


def is_there(ecr: Any, place: str, digest: str) -> bool:
    [layer] = availability(ecr, place, digest)["layers"]
    return bool(layer["layerAvailability"] == "AVAILABLE")


def with_image(ecr: Any, place: str, content: bytes) -> str:
    """Upload a layer and an image that refers to it, through this API alone; return the layer's digest."""
    config = b"{}"
    for blob in (config, content):
        if not is_there(ecr, place, sha256(blob)):
            upload_layer(ecr, place, blob)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(content, OCI_LAYER)],
    }
    ecr.put_image(repositoryName=place, imageManifest=json.dumps(document), imageTag="v1")
    return sha256(content)


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Fetch a link as anyone can: without credentials."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers)
    response = connection.getresponse()
    result = response.status, response.read(), response.headers
    connection.close()
    return result


def link(ecr: Any, place: str, digest: str) -> str:
    return str(ecr.get_download_url_for_layer(repositoryName=place, layerDigest=digest)["downloadUrl"])


# --- upload ----------------------------------------------------------------------------------------------------------


def test_a_layer_of_several_parts_is_the_layer_that_was_cut(ecr: Any, client: Client, place: str) -> None:
    content = os.urandom(11 * MIB + 7)
    told = ecr.initiate_layer_upload(repositoryName=place)
    upload = told["uploadId"]
    assert str(uuid.UUID(upload)) == upload
    assert told["partSize"] == 10 * MIB
    first = ecr.upload_layer_part(repositoryName=place, **part(upload, 0, content[: 10 * MIB]))
    first.pop("ResponseMetadata")
    assert first == {
        "registryId": ACCOUNT,
        "repositoryName": place,
        "uploadId": upload,
        "lastByteReceived": 10 * MIB - 1,
    }
    ecr.upload_layer_part(repositoryName=place, **part(upload, 10 * MIB, content[10 * MIB :]))
    done = complete(ecr, place, upload, sha256(content))
    done.pop("ResponseMetadata")
    assert done == {
        "registryId": ACCOUNT,
        "repositoryName": place,
        "uploadId": upload,
        "layerDigest": sha256(content),
    }
    got = client("GET", f"/v2/{place}/blobs/{sha256(content)}")
    assert (got.status, got.body) == (200, content)


def test_the_least_part_but_the_last_has_five_mebibytes(ecr: Any, place: str) -> None:
    content = os.urandom(5 * MIB + 1)
    upload = start(ecr, place)
    send(ecr, place, upload, content[: 5 * MIB], content[5 * MIB :])
    assert complete(ecr, place, upload, sha256(content))["layerDigest"] == sha256(content)


@pytest.mark.parametrize(
    "sizes",
    [(5 * MIB - 1, 5 * MIB + 1), (10, 10), (1, 1, 1), (5 * MIB, 10, 10)],
    ids=["large", "two", "three", "middle"],
)
def test_a_part_that_is_not_the_last_is_not_small(ecr: Any, place: str, sizes: tuple[int, ...]) -> None:
    content = os.urandom(sum(sizes))
    upload, parts, first = start(ecr, place), [], 0
    for size in sizes:
        parts.append(content[first : first + size])
        first += size
    send(ecr, place, upload, *parts)
    assert complete_refused(ecr, place, upload, sha256(content)).code == "LayerPartTooSmallException"
    assert not is_there(ecr, place, sha256(content))


def part_refused(ecr: Any, place: str, upload: str, first: int, content: bytes) -> dict[str, Any]:
    response = refused(ecr.upload_layer_part, repositoryName=place, **part(upload, first, content))
    assert response["Error"]["Code"] == "InvalidLayerPartException"
    assert (response["registryId"], response["repositoryName"], response["uploadId"]) == (ACCOUNT, place, upload)
    return response


def test_a_part_that_leaves_a_gap_or_overlaps_is_told_where_the_upload_ends(ecr: Any, place: str) -> None:
    upload = start(ecr, place)
    assert "lastValidByteReceived" not in part_refused(ecr, place, upload, 1, b"xx")
    send(ecr, place, upload, b"0123456789")
    for first, content in ((11, b"x"), (9, b"x"), (0, b"0123456789"), (2**62, b"x")):
        assert part_refused(ecr, place, upload, first, content)["lastValidByteReceived"] == 9
    assert complete(ecr, place, upload, sha256(b"0123456789"))["layerDigest"] == sha256(b"0123456789")


@pytest.mark.parametrize(
    ("first", "last", "content"),
    [(0, 4, b"xxxx"), (0, 2, b"xxxx"), (0, 0, b""), (5, 4, b"x"), (0, 2**63 - 1, b"xxxx")],
)
def test_a_part_has_as_many_bytes_as_its_range(ecr: Any, place: str, first: int, last: int, content: bytes) -> None:
    upload = start(ecr, place)
    given = {"uploadId": upload, "partFirstByte": first, "partLastByte": last, "layerPartBlob": content}
    assert refusal(ecr.upload_layer_part, repositoryName=place, **given).code == INVALID
    send(ecr, place, upload, b"good")
    assert complete(ecr, place, upload, sha256(b"good"))


def test_a_part_has_at_most_twenty_mebibytes(ecr: Any, place: str) -> None:
    most = 20_971_520
    upload = start(ecr, place)
    response = refusal(ecr.upload_layer_part, repositoryName=place, **part(upload, 0, bytes(most + 1)))
    why = f"Member must have length less than or equal to {most}"
    assert response == Refusal(INVALID, constraint("layerPartBlob", why))
    send(ecr, place, upload, bytes(most))
    assert complete(ecr, place, upload, sha256(bytes(most)))["layerDigest"] == sha256(bytes(most))


def test_an_upload_without_parts_is_empty(ecr: Any, place: str) -> None:
    upload = start(ecr, place)
    assert complete_refused(ecr, place, upload, sha256(b"")).code == "EmptyUploadException"
    send(ecr, place, upload, b"x")
    assert complete(ecr, place, upload, sha256(b"x"))["layerDigest"] == sha256(b"x")


def test_bytes_that_hash_to_another_digest_are_no_layer(ecr: Any, client: Client, place: str) -> None:
    upload = start(ecr, place)
    send(ecr, place, upload, b"these bytes")
    code, message = complete_refused(ecr, place, upload, ABSENT)
    assert code == "InvalidLayerException"
    assert ABSENT in message
    assert not is_there(ecr, place, ABSENT)
    assert not is_there(ecr, place, sha256(b"these bytes"))
    assert client("GET", f"/v2/{place}/blobs/{ABSENT}").status == 404
    assert complete_refused(ecr, place, upload, sha256(b"these bytes")) == no_upload(upload, place)


def test_sha512_names_a_layer_as_well(ecr: Any, place: str) -> None:
    digest = "sha512:" + hashlib.sha512(b"x").hexdigest()
    upload = start(ecr, place)
    send(ecr, place, upload, b"x")
    assert complete(ecr, place, upload, digest)["layerDigest"] == digest
    assert is_there(ecr, place, digest)


@pytest.mark.parametrize("wrong", ["sha256:abc", "md5:" + "0" * 32, ABSENT.upper(), "sha256:" + "0" * 63])
def test_a_digest_that_is_none_is_an_invalid_parameter_and_the_upload_goes_on(ecr: Any, place: str, wrong: str) -> None:
    upload = start(ecr, place)
    send(ecr, place, upload, b"x")
    code, message = complete_refused(ecr, place, upload, wrong)
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'layerDigests")
    assert complete(ecr, place, upload, sha256(b"x"))


def test_a_layer_that_is_there_already_exists(ecr: Any, client: Client, place: str) -> None:
    upload_layer(ecr, place, b"first")
    push_blob(client, place, b"second")
    for content in (b"first", b"second"):
        upload = start(ecr, place)
        send(ecr, place, upload, content)
        assert complete_refused(ecr, place, upload, sha256(content)) == Refusal(
            "LayerAlreadyExistsException",
            f"Layer with digest '{sha256(content)}' already exists in the repository with name '{place}' in registry "
            f"with id '{ACCOUNT}'",
        )
        assert is_there(ecr, place, sha256(content))
        assert client("GET", f"/v2/{place}/blobs/{sha256(content)}").body == content


def test_an_upload_is_completed_once(ecr: Any, place: str) -> None:
    upload = start(ecr, place)
    send(ecr, place, upload, b"x")
    complete(ecr, place, upload, sha256(b"x"))
    assert complete_refused(ecr, place, upload, sha256(b"x")) == no_upload(upload, place)
    given = part(upload, 1, b"y")
    assert refusal(ecr.upload_layer_part, repositoryName=place, **given) == no_upload(upload, place)


def test_a_layer_of_another_repository_is_not_there_but_may_be_uploaded_again(
    ecr: Any, client: Client, place: str
) -> None:
    push_blob(client, f"{place}-b", b"elsewhere")
    assert not is_there(ecr, place, sha256(b"elsewhere"))
    upload_layer(ecr, place, b"elsewhere")
    assert is_there(ecr, place, sha256(b"elsewhere"))


def test_a_foreign_upload_is_not_there(server: RunningServer, ecr: Any, holdfast: Any, place: str) -> None:
    """Neither for another principal that may push, nor through another repository, nor for an id that nobody has."""
    other = client_of(server, person(holdfast, policy(allow("ecr:*"))))
    elsewhere = f"{place}-b"
    ecr.create_repository(repositoryName=elsewhere)
    upload, nobodys = start(ecr, place), str(uuid.uuid4())
    for who, where, which in ((other, place, upload), (ecr, elsewhere, upload), (ecr, place, nobodys)):
        told = refusal(who.upload_layer_part, repositoryName=where, **part(which, 0, b"evil"))
        assert told == no_upload(which, where)
        assert complete_refused(who, where, which, sha256(b"evil")) == no_upload(which, where)
    send(ecr, place, upload, b"good")
    assert complete(ecr, place, upload, sha256(b"good"))
    other.close()


@pytest.mark.parametrize("upload", ["", "x", "../../x", "a" * 10_000, "0f8fad5b-d9cb-469f-a165-70867728950g"])
def test_an_upload_id_is_a_uuid(server: RunningServer, place: str, upload: str) -> None:
    api = Api(server)
    given = {
        "repositoryName": place,
        "uploadId": upload,
        "partFirstByte": 0,
        "partLastByte": 2,
        "layerPartBlob": "AAAA",
    }
    code, message = api("UploadLayerPart", given).refusal
    assert code == INVALID
    assert message.startswith("Invalid parameter at 'uploadId' failed to satisfy constraint: '")
    api.close()


def test_uploads_of_a_repository_that_is_gone(ecr: Any, place: str) -> None:
    upload = start(ecr, place)
    send(ecr, place, upload, b"x")
    ecr.delete_repository(repositoryName=place)
    assert complete_refused(ecr, place, upload, sha256(b"x")) == no_repository(place)
    ecr.create_repository(repositoryName=place)
    assert complete_refused(ecr, place, upload, sha256(b"x")) == no_upload(upload, place)


def test_both_faces_share_an_upload(ecr: Any, client: Client, place: str) -> None:
    upload = start(ecr, place)
    send(ecr, place, upload, b"one")
    where = f"/v2/{place}/blobs/uploads/{upload}"
    assert client("GET", where).headers["Range"] == "0-2"
    assert client("PATCH", where, b"two", {"Content-Type": "application/octet-stream"}).status == 202
    assert client("PUT", f"{where}?digest={sha256(b'onetwo')}").status == 201
    assert is_there(ecr, place, sha256(b"onetwo"))


# --- availability ----------------------------------------------------------------------------------------------------


def test_which_layers_are_there(ecr: Any, client: Client, place: str) -> None:
    push_blob(client, place, b"there")
    told = availability(ecr, place, sha256(b"there"), ABSENT, sha256(b"there"), "x", "sha256:zz", "")
    assert told["layers"] == [
        {"layerDigest": sha256(b"there"), "layerAvailability": "AVAILABLE", "layerSize": 5},
        {"layerDigest": ABSENT, "layerAvailability": "UNAVAILABLE"},
    ]
    assert [(one["layerDigest"], one["failureCode"]) for one in told["failures"]] == [
        ("x", "InvalidLayerDigest"),
        ("sha256:zz", "InvalidLayerDigest"),
        ("", "MissingLayerDigest"),
    ]
    assert all(one["failureReason"] for one in told["failures"])


def test_a_hundred_layers_are_asked_for_at_once_and_no_more(ecr: Any, client: Client, place: str) -> None:
    push_blob(client, place, b"there")
    others = [sha256(str(number).encode()) for number in range(99)]
    layers = availability(ecr, place, *others, sha256(b"there"))["layers"]
    assert [one["layerAvailability"] for one in layers] == ["UNAVAILABLE"] * 99 + ["AVAILABLE"]
    given = {"repositoryName": place, "layerDigests": [*others, ABSENT, ABSENT]}
    why = "Member must have length less than or equal to 100"
    refused_ = refusal(ecr.batch_check_layer_availability, **given)
    assert refused_ == Refusal(INVALID, constraint("layerDigests", why))


# --- download --------------------------------------------------------------------------------------------------------


def test_a_whole_image_is_pushed_and_pulled_by_the_json_api_alone(ecr: Any, client: Client, place: str) -> None:
    content = os.urandom(300_000)
    digest = with_image(ecr, place, content)
    told = ecr.get_download_url_for_layer(repositoryName=place, layerDigest=digest)
    assert told["layerDigest"] == digest
    status, body, headers = fetch(told["downloadUrl"])
    assert (status, body) == (200, content)
    assert (headers["Docker-Content-Digest"], headers["Content-Type"]) == (digest, "application/octet-stream")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert client("GET", f"/v2/{place}/blobs/{digest}").body == content


def test_a_link_gives_parts_of_a_layer(ecr: Any, place: str) -> None:
    url = link(ecr, place, with_image(ecr, place, b"0123456789"))
    assert fetch(url, Range="bytes=2-4")[:2] == (206, b"234")
    assert fetch(url, Range="bytes=-3")[:2] == (206, b"789")
    assert fetch(url, Range="bytes=10-")[0] == 416
    status, body, headers = fetch(url, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")
    for method in ("PUT", "POST", "DELETE"):
        assert fetch(url, method)[0] == 405


def test_a_link_cannot_be_edited_or_made(server: RunningServer, ecr: Any, place: str) -> None:
    url = link(ecr, place, with_image(ecr, place, b"secret"))
    head, _, sealed = url.rpartition("/")
    middle = len(sealed) // 2
    flipped = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    page = ecr.list_images(repositoryName=place)
    assert "nextToken" not in page
    for edited in (flipped, sealed[:-8], "", "x", "..", "%2e%2e", sealed + "/x", token):
        status, body, _ = fetch(f"{head}/{edited}")
        assert (status, b"secret" in body) == (403, False)
    assert fetch(f"{server.url}/download")[0] == 404
    assert fetch(url)[:2] == (200, b"secret")


def test_a_layer_that_no_image_refers_to_is_not_handed_out(ecr: Any, client: Client, place: str) -> None:
    push_blob(client, place, b"alone")
    digest = sha256(b"alone")
    code, message = refusal(ecr.get_download_url_for_layer, repositoryName=place, layerDigest=digest)
    assert code == "LayerInaccessibleException"
    assert "not associated with an image. Unassociated image layers may be cleaned up at any time" in message
    assert digest in message


def test_a_layer_that_is_not_there_has_no_link(ecr: Any, client: Client, place: str) -> None:
    elsewhere = image()
    push(client, f"{place}-b", "v1", elsewhere)
    for digest in (ABSENT, sha256(elsewhere.blobs[1])):
        told = refusal(ecr.get_download_url_for_layer, repositoryName=place, layerDigest=digest)
        assert told.code == "LayersNotFoundException"
    told = refusal(ecr.get_download_url_for_layer, repositoryName=place, layerDigest="sha256:abc")
    assert told.code == INVALID


@pytest.fixture(scope="module")
def administrator(strict: RunningServer) -> Iterator[tuple[Any, Any]]:
    """Clients of the server whose time may be changed, and a repository `links/a` with the image `v1`."""
    ecr, holdfast = strict.aws("ecr"), strict.aws("holdfast")
    ecr.create_repository(repositoryName="links/a")
    with_image(ecr, "links/a", b"layer")
    yield ecr, holdfast
    ecr.close()
    holdfast.close()


def test_a_link_expires_after_an_hour(strict: RunningServer, clock: Clock, administrator: tuple[Any, Any]) -> None:
    url = link(administrator[0], "links/a", sha256(b"layer"))
    try:
        clock.ahead_seconds = 3_590
        assert fetch(url)[:2] == (200, b"layer")
        clock.ahead_seconds = 3_610
        status, body, _ = fetch(url)
        assert (status, b"expired" in body) == (403, True)
    finally:
        clock.ahead_seconds = 0
    assert strict.holdfast.failed.is_set() is False


def test_a_link_dies_with_the_access_key_or_the_principal_that_made_it(
    strict: RunningServer, administrator: tuple[Any, Any]
) -> None:
    _, holdfast = administrator
    for kill in ("key", "principal"):
        who = person(holdfast, policy(allow("ecr:GetDownloadUrlForLayer")))
        client = client_of(strict, who)
        url = link(client, "links/a", sha256(b"layer"))
        client.close()
        assert fetch(url)[:2] == (200, b"layer")
        if kill == "key":
            holdfast.delete_access_key(accessKeyId=who.key_id)
        else:
            holdfast.delete_principal(name=who.name)
        status, body, _ = fetch(url)
        assert (status, b"layer" in body) == (403, False)


def test_a_link_dies_with_its_repository(ecr: Any, place: str) -> None:
    url = link(ecr, place, with_image(ecr, place, b"layer"))
    ecr.delete_repository(repositoryName=place, force=True)
    assert fetch(url)[0] == 404


def test_a_link_needs_the_right_to_download_and_tells_nothing_without_it(
    server: RunningServer, ecr: Any, holdfast: Any, place: str
) -> None:
    digest = with_image(ecr, place, b"layer")
    who = person(holdfast, policy(allow("ecr:*", on=f"arn:aws:ecr:*:*:repository/{place}-other")))
    client = client_of(server, who)
    for where, wanted in ((place, digest), (place, ABSENT), (f"{place}-absent", digest)):
        told = refusal(client.get_download_url_for_layer, repositoryName=where, layerDigest=wanted)
        assert told.code == "AccessDeniedException"
    client.close()


def test_an_image_made_of_layers_of_this_api_is_pulled_by_the_registry_protocol(
    ecr: Any, client: Client, place: str
) -> None:
    pushed = image(os.urandom(70_000))
    for blob in pushed.blobs:
        upload_layer(ecr, place, blob)
    ecr.put_image(repositoryName=place, imageManifest=pushed.manifest.decode(), imageTag="v1")
    got = Image(client("GET", f"/v2/{place}/manifests/v1").body, OCI_IMAGE)
    assert got.digest == pushed.digest
    for blob in pushed.blobs:
        assert client("GET", f"/v2/{place}/blobs/{sha256(blob)}").body == blob
