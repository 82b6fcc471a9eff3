"""A system that opens no more files, a disk that does not give the bytes it has: refused or cut, never wrong."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from faces.test_ecr_tls import write_certificate
from holdfast import care
from holdfast.store import filesystem, ledger_files, reserve, staged_file, syncing
from holdfast.store.reserve import Reserve
from images import push_blob, sha256
from json_api import Api
from running import KEY_ID, REGION, SECRET, RunningServer, basic, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYER = os.urandom(3 * 1024 * 1024)
DIGEST = sha256(LAYER)


@dataclass
class System:
    """The module `os` of the store: refuses to open, or to read behind a place, when it is told to."""

    refuses: int = 0
    unreadable_from: int | None = None
    fails: tuple[str, ...] = ("preadv", "sendfile")
    failed: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, *given: Any) -> int:
        if self.refuses:
            self.failed.append("open")
            raise OSError(self.refuses, os.strerror(self.refuses))
        return os.open(*given)

    def preadv(self, descriptor: int, buffers: Any, position: int, flags: int = 0) -> int:
        self._require_sound("preadv", position, sum(map(len, buffers)))
        return os.preadv(descriptor, buffers, position, flags)

    def sendfile(self, socket: int, descriptor: int, position: int, count: int) -> int:
        self._require_sound("sendfile", position, 1)
        return os.sendfile(socket, descriptor, position, count)

    def _require_sound(self, call: str, position: int, count: int) -> None:
        if call in self.fails and self.unreadable_from is not None and position + count > self.unreadable_from:
            self.failed.append(call)
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """The store's view of the system."""
    made = System()
    for module in (filesystem, ledger_files, reserve, staged_file, syncing):
        monkeypatch.setattr(module, "os", made)
    return made


@pytest.fixture
def up(tmp_path: Path, system: System) -> Iterator[RunningServer]:
    """A server on that system; what it has must be whole in the end."""
    with running(settings(tmp_path / "data", create_on_push="MUTABLE")) as server:
        yield server
        assert not server.holdfast.failed.is_set(), "this passes by itself: the server goes on"
        system.refuses, system.unreadable_from = 0, None
    assert care.fsck(tmp_path / "data").findings == []


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE])
def test_without_descriptors_the_registry_protocol_says_try_again(
    up: RunningServer, system: System, error: int
) -> None:
    client = up.client()
    location = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
    push_blob(client, "t/a", b"there before")
    held = f"/v2/t/a/blobs/{sha256(b'there before')}"
    system.refuses = error
    for method, path, body in (
        ("PATCH", location, b"half"),
        ("PUT", f"{location}?digest={DIGEST}", LAYER),
        ("POST", f"/v2/t/a/blobs/uploads/?digest={DIGEST}", LAYER),
        ("GET", held, None),
    ):
        refused = client(method, path, body)
        assert (refused.status, refused.code) == (503, "UNAVAILABLE"), (method, path)
        assert refused.headers.get_all("Retry-After") == ["5"]
        assert "files open" in refused.message
    system.refuses = 0
    assert client("GET", held).body == b"there before"
    assert client("PUT", f"{location}?digest={DIGEST}", LAYER).status == 201, "the session is still there"
    assert client("GET", f"/v2/t/a/blobs/{DIGEST}").body == LAYER


def test_a_commit_that_cannot_open_its_folder_is_refused_and_done_again(up: RunningServer, system: System) -> None:
    client = up.client()
    location = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
    assert client("PATCH", location, LAYER).status == 202
    system.refuses = errno.EMFILE
    assert client("PUT", f"{location}?digest={DIGEST}").status == 503
    assert client("HEAD", f"/v2/t/a/blobs/{DIGEST}").status == 404
    system.refuses = 0
    assert client("PUT", f"{location}?digest={DIGEST}").status == 201
    assert client("GET", f"/v2/t/a/blobs/{DIGEST}").body == LAYER


def test_without_descriptors_the_json_api_says_try_again(up: RunningServer, system: System) -> None:
    ecr = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=up.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    ecr.create_repository(repositoryName="t/a")
    session = ecr.initiate_layer_upload(repositoryName="t/a")["uploadId"]
    part = {"uploadId": session, "partFirstByte": 0, "partLastByte": len(LAYER) - 1, "layerPartBlob": LAYER}
    system.refuses = errno.EMFILE
    with pytest.raises(ClientError) as caught:
        ecr.upload_layer_part(repositoryName="t/a", **part)
    told = caught.value.response
    assert told["Error"]["Code"] == "ServiceUnavailableException"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert told["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "5"
    system.refuses = 0
    ecr.upload_layer_part(repositoryName="t/a", **part)
    ecr.complete_layer_upload(repositoryName="t/a", uploadId=session, layerDigests=[DIGEST])
    assert up.client()("GET", f"/v2/t/a/blobs/{DIGEST}").body == LAYER
    ecr.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT])
def test_a_ledger_that_cannot_open_its_files_is_published_later(up: RunningServer, system: System, error: int) -> None:
    client = up.client()
    push_blob(client, "t/a", b"there before")
    eventually(lambda: published(up) > 0)
    system.refuses = error
    create = Api(up)("CreateRepository", {"repositoryName": "t/b"})
    assert create.status == 200, "a commit needs no descriptor"
    eventually(lambda: "open" in system.failed)
    before = published(up)
    assert not up.holdfast.failed.is_set()
    system.refuses = 0
    eventually(lambda: published(up) > before)


def published(up: RunningServer) -> int:
    """Return of how many entries the ledger's checkpoint is that anybody may read."""
    answer = up.client()("GET", "/ledger/checkpoint")
    return int(answer.body.split(b"\n")[1]) if answer.status == 200 else 0


def test_a_reserve_that_cannot_be_opened_is_made_later(tmp_path: Path, system: System) -> None:
    made = Reserve(tmp_path / "reserve", 4096)
    system.refuses = errno.EMFILE
    assert not made.make()
    assert made.is_full
    system.refuses = 0
    assert made.make()
    assert not made.is_full


# --- reads that fail under way ---------------------------------------------------------------------------------------


def fetched(server: RunningServer, path: str, certificate: str | None = None) -> tuple[int, bytes, bool]:
    """GET a path: status, the bytes that came, and whether the answer came to its end."""
    if certificate is None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    else:
        context = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection(server.host, server.port, timeout=30, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": basic(KEY_ID, SECRET)})
        try:
            answer = connection.getresponse()
        except (http.client.HTTPException, OSError):
            return 0, b"", False
        try:
            return answer.status, answer.read(), True
        except http.client.IncompleteRead as cut:
            return answer.status, cut.partial, False
        except OSError:
            return answer.status, b"", False


@pytest.mark.parametrize(
    ("over_tls", "is_verified", "fails"),
    [
        (False, False, "preadv"),
        (False, True, "preadv"),
        (False, True, "sendfile"),
        (True, False, "preadv"),
        (True, True, "preadv"),
    ],
    ids=["tcp-first", "tcp-later", "tcp-later-sendfile", "tls-first", "tls-later"],
)
def test_a_read_that_fails_under_way_cuts_the_answer(
    tmp_path: Path, system: System, *, over_tls: bool, is_verified: bool, fails: str
) -> None:
    certificate, key = write_certificate(tmp_path)
    more = {"tls_cert": str(certificate), "tls_key": str(key)} if over_tls else {}
    trusted = str(certificate) if over_tls else None
    with running(settings(tmp_path / "data", create_on_push="MUTABLE")) as up:
        push_blob(up.client(), "t/a", LAYER)
    path = f"/v2/t/a/blobs/{DIGEST}"
    with running(settings(tmp_path / "data", **more)) as up:
        if is_verified:
            assert fetched(up, path, trusted) == (200, LAYER, True)
        system.fails, system.unreadable_from = (fails,), len(LAYER) // 2
        for _ in range(2):
            status, content, is_whole = fetched(up, path, trusted)
            assert not is_whole
            assert status in {0, 200}
            assert LAYER.startswith(content)
            assert len(content) < len(LAYER)
        assert set(system.failed) == {fails}
        system.unreadable_from = None
        assert fetched(up, path, trusted) == (200, LAYER, True), "the disk gave it again: nothing was set aside"
    assert care.fsck(tmp_path / "data").findings == []
