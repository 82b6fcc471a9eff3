"""Blobs read: whole, in part, not at all; damaged ones never to their end; and deleted only when nobody needs them."""

from __future__ import annotations

import hashlib
import http.client
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from held_ground import WatchedClient, refused
from images import image, push, push_blob, sha256
from rawhttp import connected, head, raw
from running import KEY_ID, SECRET, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4
DIGEST = sha256(CONTENT)
EMPTY = sha256(b"")
SIZE = len(CONTENT)


@pytest.fixture
def path(oci: WatchedClient, repository: str) -> str:
    """The path of a blob that is there."""
    push_blob(oci, repository, CONTENT)
    return f"/v2/{repository}/blobs/{DIGEST}"


def test_a_blob_is_given_whole_with_all_that_is_known_of_it(oci: WatchedClient, path: str) -> None:
    answer = oci("GET", path)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer.headers["Cache-Control"]


def test_head_tells_what_get_would(oci: WatchedClient, path: str) -> None:
    got, told = oci("GET", path), oci("HEAD", path)
    assert (told.status, told.body) == (200, b"")
    same = ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Accept-Ranges", "Cache-Control")
    assert [told.headers[name] for name in same] == [got.headers[name] for name in same]


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=5-9", 5, 9),
        ("bytes=1023-1023", 1023, 1023),
        ("bytes=1000-", 1000, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=1000-99999", 1000, 1023),
        ("bytes=-1", 1023, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-99999", 0, 1023),
        ("bytes= 5-9", 5, 9),
    ],
)
def test_a_part_is_given_with_its_place(oci: WatchedClient, path: str, wanted: str, first: int, last: int) -> None:
    answer = oci("GET", path, None, {"Range": wanted})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.body == CONTENT[first : last + 1]


@pytest.mark.parametrize("wanted", ["bytes=1024-", "bytes=1024-1030", "bytes=9-5", "bytes=-0", "bytes=99999-"])
def test_a_part_that_is_not_there_is_told_with_the_size(oci: WatchedClient, path: str, wanted: str) -> None:
    answer = oci("GET", path, None, {"Range": wanted})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
    # Only the range was wrong: a cache that kept this answer would give it to those who ask for the whole.
    assert "max-age" not in (answer.headers["Cache-Control"] or "")
    assert oci("GET", path).body == CONTENT


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-5,10-15",
        "bytes=" + ",".join(f"{n}-" for n in range(500)),
        "items=0-5",
        "bytes=0-99999999999999999999",
        "bytes=0x0-0x5",
        "bytes=1 0-20",
        "\u0663".encode().decode("latin-1"),
    ],
)
def test_a_range_that_is_not_understood_gives_the_whole(oci: WatchedClient, path: str, wanted: str) -> None:
    answer = oci("GET", path, None, {"Range": wanted})
    assert (answer.status, answer.body) == (200, CONTENT)


def test_two_range_headers_are_refused(server: RunningServer, oci: WatchedClient, path: str) -> None:
    with connected(server) as connection:
        request = head("GET", path, {"Range": "bytes=0-1"}).replace(b"\r\n\r\n", b"\r\nRange: bytes=5-9\r\n\r\n")
        connection.sendall(request)
        assert connection.recv(20).startswith(b"HTTP/1.1 400 ")
    assert oci("GET", path).status == 200


def test_head_does_not_heed_a_range(oci: WatchedClient, path: str) -> None:
    answer = oci("HEAD", path, None, {"Range": "bytes=0-1"})
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(SIZE))


@pytest.mark.parametrize("known", [f'"{DIGEST}"', "*", f'"other", "{DIGEST}"', f'  "{DIGEST}"  ', f'W/"{DIGEST}"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_not_sent_again(oci: WatchedClient, path: str, known: str, method: str) -> None:
    answer = oci(method, path, None, {"If-None-Match": known})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"] == f'"{DIGEST}"'


@pytest.mark.parametrize("known", ['"other"', "", DIGEST[:-1], '"*"'])
def test_what_the_client_does_not_have_is_sent(oci: WatchedClient, path: str, known: str) -> None:
    assert oci("GET", path, None, {"If-None-Match": known}).body == CONTENT


@pytest.mark.parametrize(
    ("condition", "status"), [(f'"{DIGEST}"', 206), ('"other"', 200), ("Mon, 01 Jan 2024 00:00:00 GMT", 200)]
)
def test_a_part_is_given_only_of_what_the_client_has_begun(
    oci: WatchedClient, path: str, condition: str, status: int
) -> None:
    answer = oci("GET", path, None, {"Range": "bytes=0-9", "If-Range": condition})
    assert answer.status == status
    assert answer.body == (CONTENT[:10] if status == 206 else CONTENT)


def test_nothing_can_be_taken_of_an_empty_blob_but_the_whole(oci: WatchedClient, repository: str) -> None:
    push_blob(oci, repository, b"")
    path = f"/v2/{repository}/blobs/{EMPTY}"
    answer = oci("GET", path)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    answer = oci("GET", path, None, {"Range": "bytes=0-0"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_blob_that_is_not_there_is_unknown(oci: WatchedClient, path: str, method: str) -> None:
    answer = oci(method, path.replace(DIGEST, sha256(b"never pushed")))
    assert answer.status == 404
    assert method == "HEAD" or answer.code == "BLOB_UNKNOWN"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_blob_of_no_repository_tells_that_there_is_none(oci: WatchedClient, method: str) -> None:
    refused(oci(method, f"/v2/not/there/blobs/{DIGEST}"), 404, "NAME_UNKNOWN")


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:abc",
        "latest",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:",
        DIGEST.upper(),
        DIGEST + "0",
        "sha256%3a" + "g" * 64,
        "%00",
        "%ff",
        "..%2f..",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_what_is_no_digest_is_refused(
    server: RunningServer, oci: WatchedClient, repository: str, digest: str, method: str
) -> None:
    push_blob(oci, repository, CONTENT)
    answer = raw(server, method, f"/v2/{repository}/blobs/{digest}")
    assert answer.status == 400
    assert method == "HEAD" or answer.code in {"DIGEST_INVALID", "NAME_INVALID"}


def test_an_encoded_colon_is_a_colon(oci: WatchedClient, path: str) -> None:
    assert oci("GET", path.replace("sha256:", "sha256%3A")).body == CONTENT


def test_a_blob_of_one_repository_is_not_there_in_another(oci: WatchedClient, path: str, repository: str) -> None:
    other = f"{repository}-other"
    push_blob(oci, other, b"so that it is there")
    refused(oci("GET", f"/v2/{other}/blobs/{DIGEST}"), 404, "BLOB_UNKNOWN")
    assert oci("GET", path).status == 200


# --- deleting --------------------------------------------------------------------------------------------------------


def test_a_blob_that_nobody_needs_is_deleted_from_its_repository_alone(
    oci: WatchedClient, path: str, repository: str
) -> None:
    other = f"{repository}-other"
    push_blob(oci, other, CONTENT)
    assert oci("DELETE", path).status == 202
    refused(oci("GET", path), 404, "BLOB_UNKNOWN")
    assert oci("HEAD", path).status == 404
    refused(oci("DELETE", path), 404, "BLOB_UNKNOWN")
    assert oci("GET", f"/v2/{other}/blobs/{DIGEST}").body == CONTENT
    push_blob(oci, repository, CONTENT)
    assert oci("GET", path).body == CONTENT


def test_a_blob_that_an_image_needs_stays(oci: WatchedClient, repository: str) -> None:
    pushed = image()
    assert push(oci, repository, "v1", pushed).status == 201
    for blob in pushed.blobs:
        refused(oci("DELETE", f"/v2/{repository}/blobs/{sha256(blob)}"), 409, "DENIED")
        assert oci("GET", f"/v2/{repository}/blobs/{sha256(blob)}").body == blob
    assert oci("DELETE", f"/v2/{repository}/manifests/{pushed.digest}").status == 202
    assert oci("DELETE", f"/v2/{repository}/blobs/{sha256(pushed.blobs[1])}").status == 202


# --- damage ----------------------------------------------------------------------------------------------------------

LARGE = os.urandom(3_000_000)


def _file_of(server: RunningServer, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    (found,) = (server.holdfast.settings.data / "blobs" / "sha256" / digest[:2]).glob(f"{digest}.*")
    return found


@contextmanager
def _after_a_restart(
    tmp_path: Path, content: bytes, damage: bytes | None
) -> Iterator[tuple[RunningServer, WatchedClient]]:
    """Push content, stop, put other bytes into its file (or take it away), start again."""
    wanted = settings(tmp_path / "data", create_on_push="MUTABLE")
    with running(wanted) as server:
        client = server.client()
        push_blob(client, "r/a", content)
        file = _file_of(server, content)
        client.close()
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    with running(wanted) as server:
        watched = WatchedClient(server.host, server.port, basic(KEY_ID, SECRET))
        try:
            yield server, watched
        finally:
            watched.close()


DAMAGES: dict[str, Any] = {
    "one bit": LARGE[:-1] + bytes([LARGE[-1] ^ 1]),
    "other bytes": bytes(len(LARGE)),
}
OF_ANOTHER_SIZE: dict[str, Any] = {"cut": LARGE[:2_000_000], "nothing": b"", "longer": LARGE + b"\0"}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damaged_bytes_are_never_served_as_the_blob_and_a_new_push_heals_it(tmp_path: Path, damage: str) -> None:
    with _after_a_restart(tmp_path, LARGE, DAMAGES[damage]) as (server, client):
        path = f"/v2/r/a/blobs/{sha256(LARGE)}"
        with pytest.raises((http.client.IncompleteRead, ConnectionError, http.client.RemoteDisconnected)):
            client("GET", path)
        assert len(list((server.holdfast.settings.data / "quarantine").iterdir())) == 1
        refused(client("GET", path), 404, "BLOB_UNKNOWN")
        push_blob(client, "r/a", LARGE)
        assert client("GET", path).body == LARGE
        assert client("HEAD", path).status == 200
        with connected(server) as connection:
            connection.sendall(head("GET", "/readyz"))
            assert connection.recv(20).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("damage", list(OF_ANOTHER_SIZE))
def test_a_file_of_another_size_is_no_blob_and_a_new_push_heals_it(tmp_path: Path, damage: str) -> None:
    with _after_a_restart(tmp_path, LARGE, OF_ANOTHER_SIZE[damage]) as (_, client):
        path = f"/v2/r/a/blobs/{sha256(LARGE)}"
        refused(client("GET", path), 404, "BLOB_UNKNOWN")
        refused(client("GET", path, None, {"Range": "bytes=10-19"}), 404, "BLOB_UNKNOWN")
        assert client("HEAD", path).status == 404
        push_blob(client, "r/a", LARGE)
        assert client("GET", path).body == LARGE
        assert client("HEAD", path).status == 200


def test_a_damaged_blob_is_told_as_missing_so_that_clients_send_it_again(tmp_path: Path) -> None:
    with _after_a_restart(tmp_path, LARGE, DAMAGES["one bit"]) as (_, client):
        path = f"/v2/r/a/blobs/{sha256(LARGE)}"
        assert client("HEAD", path).status == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            client("GET", path)
        # docker and others ask by HEAD, or for a mount, whether they must upload: told yes, they never would.
        assert client("HEAD", path).status == 404
        assert client("POST", f"/v2/r/b/blobs/uploads/?mount={sha256(LARGE)}&from=r/a").status == 202


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_not_a_byte_is_served_of_a_part_of_a_damaged_blob(tmp_path: Path, damage: str) -> None:
    with _after_a_restart(tmp_path, LARGE, DAMAGES[damage]) as (_, client):
        path = f"/v2/r/a/blobs/{sha256(LARGE)}"
        with pytest.raises((http.client.IncompleteRead, ConnectionError, http.client.RemoteDisconnected)) as broken:
            client("GET", path, None, {"Range": "bytes=10-19"})
        assert not getattr(broken.value, "partial", b"")
        refused(client("GET", path, None, {"Range": "bytes=10-19"}), 404, "BLOB_UNKNOWN")


def test_a_blob_whose_file_is_gone_is_unknown_until_it_is_pushed_again(tmp_path: Path) -> None:
    with _after_a_restart(tmp_path, LARGE, None) as (_, client):
        path = f"/v2/r/a/blobs/{sha256(LARGE)}"
        refused(client("GET", path), 404, "BLOB_UNKNOWN")
        push_blob(client, "r/a", LARGE)
        assert client("GET", path).body == LARGE


def test_a_blob_whose_file_is_gone_is_told_as_missing(tmp_path: Path) -> None:
    with _after_a_restart(tmp_path, LARGE, None) as (_, client):
        assert client("HEAD", f"/v2/r/a/blobs/{sha256(LARGE)}").status == 404
