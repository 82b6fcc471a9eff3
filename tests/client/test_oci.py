"""The client of the registry protocol against a real Holdfast, in both ways to log in."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import pytest

import images
from holdfast.client.oci import Content, RegistryClient, is_tag_refusal
from holdfast.client.transport import Credentials, RegistryError, RegistryUnreachable
from holdfast.core.digest import Digest
from running import KEY_ID, SECRET, Client, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["basic", "bearer"])
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks for this way to log in."""
    data = tmp_path_factory.mktemp(f"holdfast-{request.param}")
    with running(settings(data, create_on_push="IMMUTABLE", login=request.param)) as server:
        yield server


@pytest.fixture
def http(up: RunningServer) -> Iterator[Client]:
    """A plain client beside ours, to see what the server has."""
    made = up.client()
    yield made
    made.close()


@pytest.fixture
def registry(up: RunningServer) -> Iterator[RegistryClient]:
    """Our client."""
    with RegistryClient(up.url, Credentials(KEY_ID, SECRET)) as client:
        yield client


def content(payload: bytes) -> Content:
    return Content(Digest.of(payload), len(payload), lambda: io.BytesIO(payload))


def pushed(registry: RegistryClient, repository: str, image: images.Image, tag: str) -> None:
    for blob in image.blobs:
        registry.push_blob(repository, content(blob))
    registry.put_manifest(repository, tag, image.manifest, image.media_type)


def test_check_logs_in(up: RunningServer, registry: RegistryClient) -> None:
    registry.check()
    for wrong in (Credentials(KEY_ID, "wrong"), None):
        with RegistryClient(up.url, wrong) as client, pytest.raises(RegistryError) as caught:
            client.check()
        assert (caught.value.status, caught.value.code) == (401, "UNAUTHORIZED")


def test_an_image_goes_in_and_comes_out(registry: RegistryClient, http: Client, repository: str) -> None:
    image = images.image(os.urandom(700_000), os.urandom(10))
    pushed(registry, repository, image, "v1")
    assert images.digest_of(http, repository, "v1") == image.digest
    came = registry.manifest(repository, "v1")
    assert (came.payload, came.media_type, str(came.digest)) == (image.manifest, image.media_type, image.digest)
    assert registry.manifest(repository, came.digest) == came
    assert registry.resolve(repository, "v1") == came.digest
    assert registry.resolve(repository, "v2") is None
    for blob in image.blobs:
        sink = io.BytesIO()
        assert registry.pull_blob(repository, Digest.of(blob), sink, size_bytes=len(blob)) == len(blob)
        assert sink.getvalue() == blob


@pytest.mark.parametrize("chunk_bytes", [None, 1, 1_000, 1 << 20, 999_983])
def test_a_blob_goes_in_one_piece_or_in_chunks(
    registry: RegistryClient, http: Client, repository: str, chunk_bytes: int | None
) -> None:
    payload = os.urandom(7 if chunk_bytes == 1 else 1_000_000 if chunk_bytes != 1_000 else 10_500)
    heard: list[int] = []
    blob = content(payload)
    assert repository not in http("GET", "/v2/_catalog").json()["repositories"]
    registry.push_blob(repository, blob, chunk_bytes=chunk_bytes, on_progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == len(payload)
    assert registry.has_blob(repository, blob.digest)
    assert http("GET", f"/v2/{repository}/blobs/{blob.digest}").body == payload


def test_an_empty_blob(registry: RegistryClient, repository: str) -> None:
    for chunk_bytes in (None, 10):
        registry.push_blob(repository, content(b""), chunk_bytes=chunk_bytes)
    assert registry.pull_blob(repository, Digest.of(b""), io.BytesIO()) == 0


def test_sha512(registry: RegistryClient, repository: str) -> None:
    payload = os.urandom(100)
    blob = Content(Digest.of(payload, "sha512"), 100, lambda: io.BytesIO(payload))
    registry.push_blob(repository, blob)
    sink = io.BytesIO()
    registry.pull_blob(repository, blob.digest, sink)
    assert sink.getvalue() == payload


def test_bytes_of_another_digest_are_refused(registry: RegistryClient, up: RunningServer, repository: str) -> None:
    lie = Content(Digest.of(b"this"), 4, lambda: io.BytesIO(b"that"))
    for chunk_bytes in (None, 2):
        with pytest.raises(RegistryError) as caught:
            registry.push_blob(repository, lie, chunk_bytes=chunk_bytes)
        assert (caught.value.status, caught.value.code) == (400, "DIGEST_INVALID")
    assert not registry.has_blob(repository, lie.digest)
    assert list((up.holdfast.settings.data / "uploads").glob("*")) == []


def test_a_held_tag_is_a_refusal_with_everything(registry: RegistryClient, repository: str) -> None:
    first, second = images.image(), images.image()
    pushed(registry, repository, first, "v1")
    with pytest.raises(RegistryError) as caught:
        pushed(registry, repository, second, "v1")
    error = caught.value
    assert is_tag_refusal(error)
    assert (error.status, error.code) == (409, "DENIED")
    assert error.message.startswith(f"The image tag 'v1' already exists in the '{repository}' repository")
    assert error.detail["bound_digest"] == first.digest
    assert error.detail["pushed_digest"] == second.digest
    assert str(registry.resolve(repository, "v1")) == first.digest
    assert str(registry.resolve(repository, Digest.parse(second.digest))) == second.digest


def test_what_is_not_there(registry: RegistryClient, repository: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.manifest(repository, "v1")
    assert (caught.value.status, caught.value.code) == (404, "NAME_UNKNOWN")
    with pytest.raises(RegistryError) as caught:
        list(registry.tags(repository))
    assert caught.value.code == "NAME_UNKNOWN"
    assert not is_tag_refusal(caught.value)


def test_tags_come_page_by_page(registry: RegistryClient, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = images.image()
    names = [f"v{number}" for number in range(25)]
    for name in names:
        pushed(registry, repository, image, name)
    monkeypatch.setattr("holdfast.client.oci.TAGS_PER_PAGE", 7)
    assert list(registry.tags(repository)) == sorted(names)


def test_nothing_there_is_unreachable() -> None:
    with RegistryClient("http://127.0.0.1:9") as client, pytest.raises(RegistryUnreachable) as caught:
        client.check()
    assert "127.0.0.1:9 (Connection refused)" in caught.value.message


def test_a_body_goes_out_once_to_a_registry_that_asks_for_a_login(up: RunningServer, repository: str) -> None:
    opened = []
    payload = os.urandom(1 << 20)

    def opening() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(payload)

    with RegistryClient(up.url, Credentials(KEY_ID, SECRET)) as client:
        client.push_blob(repository, Content(Digest.of(payload), len(payload), opening))
    assert len(opened) == 1
    assert hashlib.sha256(payload).hexdigest() == Digest.of(payload).hex
