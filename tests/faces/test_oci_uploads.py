"""Uploads of blobs: every way in, every way to go wrong (group C), and nothing kept that was not asked to be."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from held_ground import WatchedClient, check_form, refused
from images import push_blob, sha256
from json_api import Person, allow, person, policy
from rawhttp import connected, exchange, head, raw, read_answer
from running import KEY_ID, SECRET, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from running import Answer, Client, RunningServer

CONTENT = b"the bytes of a layer" * 50
DIGEST = sha256(CONTENT)
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def begin(client: Client, repository: str) -> str:
    """Begin a session and return where it is."""
    answer = client("POST", f"/v2/{repository}/blobs/uploads/")
    assert answer.status == 202
    return str(answer.headers["Location"])


def has_blob(client: Client, repository: str, digest: str) -> bool:
    return client("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def content_of(client: Client, repository: str, digest: str) -> bytes:
    answer = client("GET", f"/v2/{repository}/blobs/{digest}")
    assert answer.status == 200
    return answer.body


def finish(client: Client, session: str, digest: str, body: bytes = b"", **headers: str) -> Answer:
    return client("PUT", f"{session}?digest={digest}", body, headers)


# --- the ways in -----------------------------------------------------------------------------------------------------


def test_a_session_begins_empty_and_tells_where_it_is(oci: WatchedClient, repository: str) -> None:
    answer = oci("POST", f"/v2/{repository}/blobs/uploads/")
    assert answer.status == 202
    identity = answer.headers["Docker-Upload-UUID"]
    assert str(uuid.UUID(identity)) == identity
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/uploads/{identity}"
    assert answer.headers["Range"] == "0-0"
    assert answer.headers["OCI-Chunk-Min-Length"] == "1"
    assert answer.headers["Content-Length"] == "0"


def test_a_whole_blob_in_one_post(oci: WatchedClient, repository: str) -> None:
    answer = oci("POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", CONTENT)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{DIGEST}"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_a_whole_blob_in_one_put(oci: WatchedClient, repository: str) -> None:
    answer = finish(oci, begin(oci, repository), DIGEST, CONTENT)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_a_blob_in_chunks_with_their_ranges(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    for first in range(0, 900, 300):
        answer = oci("PATCH", session, CONTENT[first : first + 300], {"Content-Range": f"{first}-{first + 299}"})
        assert answer.status == 202
        assert answer.headers["Range"] == f"0-{first + 299}"
        session = answer.headers["Location"]
    status = oci("GET", session)
    assert (status.status, status.headers["Range"], status.headers["Location"]) == (204, "0-899", session)
    last = finish(oci, session, DIGEST, CONTENT[900:], **{"Content-Range": "900-999"})
    assert last.status == 201
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_a_blob_streamed_without_a_length(oci: WatchedClient, repository: str) -> None:
    content = os.urandom(300_000)
    session = begin(oci, repository)
    pieces: Iterator[bytes] = iter([content[:1], content[1:200_000], content[200_000:]])
    answer = oci("PATCH", session, pieces)
    assert (answer.status, answer.headers["Range"]) == (202, "0-299999")
    assert finish(oci, session, sha256(content)).status == 201
    assert content_of(oci, repository, sha256(content)) == content


def test_sha512_is_a_digest_as_good_as_sha256(oci: WatchedClient, repository: str) -> None:
    digest = "sha512:" + hashlib.sha512(CONTENT).hexdigest()
    assert oci("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm=sha512").status == 202
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT).status == 202
    answer = finish(oci, session, digest)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, digest)
    assert content_of(oci, repository, digest) == CONTENT
    assert not has_blob(oci, repository, DIGEST)


def test_the_same_blob_again_is_welcome(oci: WatchedClient, repository: str) -> None:
    for _ in range(3):
        assert push_blob(oci, repository, CONTENT) == DIGEST
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_a_cancelled_session_is_gone(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT).status == 202
    assert oci("DELETE", session).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        refused(oci(method, session, b"" if method == "PATCH" else None), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(finish(oci, session, DIGEST), 404, "BLOB_UPLOAD_UNKNOWN")
    assert not has_blob(oci, repository, DIGEST)


def test_a_session_goes_on_after_a_restart(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "data", create_on_push="MUTABLE")
    with running(wanted) as server:
        client = server.client()
        session = begin(client, "r/a")
        assert client("PATCH", session, CONTENT[:400]).status == 202
        untouched = begin(client, "r/a")
        client.close()
    with running(wanted) as server:
        client = server.client()
        assert client("GET", session).headers["Range"] == "0-399"
        assert client("GET", untouched).headers["Range"] == "0-0"
        wrong = client("PATCH", session, b"x", {"Content-Range": "0-0"})
        assert (wrong.status, wrong.headers["Range"]) == (416, "0-399")
        assert client("PATCH", session, CONTENT[400:], {"Content-Range": "400-999"}).status == 202
        assert finish(client, session, DIGEST).status == 201
        assert content_of(client, "r/a", DIGEST) == CONTENT
        assert finish(client, untouched, EMPTY).status == 201
        client.close()


# --- group C: the ways to go wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?digest",
        "?digest=",
        f"?digest={sha256(b'something else')}",
        f"?digest={DIGEST}&digest={sha256(b'something else')}",
        f"?digest={DIGEST}&digest={DIGEST}",
        "?digest=sha256:abc",
        "?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
        f"?digest={DIGEST.upper()}",
        f"?digest={DIGEST}%0a",
        f"?digest=%20{DIGEST}",
        f"?DIGEST={DIGEST}",
        "?digest=../../etc/passwd",
        "?digest=%ff",
    ],
)
def test_c1_without_the_right_digest_nothing_is_kept(oci: WatchedClient, repository: str, query: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT).status == 202
    answer = oci("PUT", session + query, b"")
    assert answer.status == 400
    assert answer.code in {"DIGEST_INVALID", "UNSUPPORTED"}
    assert answer.code == "DIGEST_INVALID" or "%ff" in query
    assert not has_blob(oci, repository, DIGEST)
    assert not has_blob(oci, repository, sha256(b"something else"))


@pytest.mark.parametrize(
    "span",
    [
        "5-9",
        "1-1",
        "100-199",
        "0-",
        "-5",
        "-1-5",
        "5-1",
        "a-b",
        "bytes 0-4/*",
        "bytes=0-4",
        "0-99999999999999999999",
        "0-9,10-19",
        "0 - 9",
        "\u0663-\u0664".encode().decode("latin-1"),
    ],
)
def test_c2_a_first_chunk_begins_at_the_beginning(oci: WatchedClient, repository: str, span: str) -> None:
    session = begin(oci, repository)
    answer = oci("PATCH", session, b"12345", {"Content-Range": span})
    assert answer.status in {400, 416}
    assert answer.code in {"BLOB_UPLOAD_INVALID", "SIZE_INVALID"}
    assert oci("GET", session).headers["Range"] == "0-0"
    assert finish(oci, session, sha256(b"12345"), b"12345").status == 201


@pytest.mark.parametrize("span", ["0-4", "4-8", "6-10", "5-4", "0-99999999999999999999"])
def test_c2_a_later_chunk_begins_where_the_session_ends(oci: WatchedClient, repository: str, span: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, b"01234", {"Content-Range": "0-4"}).status == 202
    answer = oci("PATCH", session, b"56789", {"Content-Range": span})
    assert answer.status in {400, 416}
    if answer.status == 416:
        assert answer.headers["Range"] == "0-4"
        assert answer.json()["errors"][0]["detail"] == {"received_bytes": 5}
    assert oci("PATCH", session, b"56789", {"Content-Range": "5-9"}).status == 202
    assert finish(oci, session, sha256(b"0123456789")).status == 201


@pytest.mark.parametrize("span", ["0-3", "0-5", "0-0", "0-1000"])
def test_c3_a_range_and_a_length_that_differ_are_refused_before_a_byte_is_kept(
    oci: WatchedClient, repository: str, span: str
) -> None:
    session = begin(oci, repository)
    refused(oci("PATCH", session, b"01234", {"Content-Range": span}), 400, "SIZE_INVALID")
    refused(finish(oci, session, sha256(b"01234"), b"01234", **{"Content-Range": span}), 400, "SIZE_INVALID")
    assert oci("GET", session).headers["Range"] == "0-0"


def test_c3_a_stream_longer_than_its_range_is_refused(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    answer = oci("PATCH", session, iter([b"0123456789"]), {"Content-Range": "0-4"})
    refused(answer, 400, "SIZE_INVALID")
    received = oci("GET", session).headers["Range"]
    assert received in {"0-0", "0-4"}


def test_c3_a_stream_shorter_than_its_range_is_told(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    refused(oci("PATCH", session, iter([b"01234"]), {"Content-Range": "0-9"}), 400, "SIZE_INVALID")
    assert oci("GET", session).headers["Range"] in {"0-0", "0-4"}


def _send_half(server: RunningServer, method: str, target: str, body: bytes, announced: int) -> None:
    """Announce more than is sent, then go away."""
    with connected(server) as connection:
        connection.sendall(head(method, target, {"Content-Length": str(announced)}) + body)


def _wait_for_range(client: Client, session: str, expected: str) -> None:
    for _ in range(200):
        if client("GET", session).headers["Range"] == expected:
            return
        threading.Event().wait(0.01)
    assert client("GET", session).headers["Range"] == expected


def test_c4_a_client_that_goes_away_commits_nothing_and_may_go_on(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    _send_half(server, "PATCH", session, CONTENT[:50], 100)
    _wait_for_range(oci, session, "0-49")
    assert not has_blob(oci, repository, DIGEST)
    assert oci("PATCH", session, CONTENT[50:], {"Content-Range": "50-999"}).status == 202
    assert finish(oci, session, DIGEST).status == 201
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_c5_a_last_request_cut_short_commits_nothing(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    half = sha256(CONTENT[:50])
    _send_half(server, "PUT", f"{session}?digest={half}", CONTENT[:50], 100)
    _wait_for_range(oci, session, "0-49")
    assert not has_blob(oci, repository, half)
    monolithic = f"/v2/{repository}/blobs/uploads/?digest={half}"
    _send_half(server, "POST", monolithic, CONTENT[:50], 100)
    assert not has_blob(oci, repository, half)
    assert finish(oci, session, half).status == 201


def test_c5_what_comes_after_the_announced_length_is_no_part_of_the_blob(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    request = head("PUT", f"{session}?digest={sha256(b'01234')}", {"Content-Length": "5"}) + b"01234567"
    answer = exchange(server, request)
    assert answer.status == 201
    assert content_of(oci, repository, sha256(b"01234")) == b"01234"


def test_c6_one_post_with_other_bytes_keeps_nothing(server: RunningServer, oci: WatchedClient, repository: str) -> None:
    assert push_blob(oci, repository, b"first, so that the repository is there")
    files = _staged(server)
    target = f"/v2/{repository}/blobs/uploads/?digest={DIGEST}"
    refused(oci("POST", target, CONTENT + b"!"), 400, "DIGEST_INVALID")
    refused(oci("POST", target, b""), 400, "DIGEST_INVALID")
    refused(oci("POST", target, iter([b"x" * 100_000] * 10)), 400, "DIGEST_INVALID")
    assert not has_blob(oci, repository, DIGEST)
    assert _staged(server) == files


def test_c6_an_empty_blob_is_a_blob(oci: WatchedClient, repository: str) -> None:
    assert oci("POST", f"/v2/{repository}/blobs/uploads/?digest={EMPTY}", b"").status == 201
    assert content_of(oci, repository, EMPTY) == b""
    assert oci("HEAD", f"/v2/{repository}/blobs/{EMPTY}").headers["Content-Length"] == "0"
    assert finish(oci, begin(oci, repository), EMPTY).status == 201


def test_c7_a_finished_session_is_gone(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    assert finish(oci, session, DIGEST, CONTENT).status == 201
    refused(oci("GET", session), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(oci("PATCH", session, b"more"), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(oci("DELETE", session), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(finish(oci, session, DIGEST), 404, "BLOB_UPLOAD_UNKNOWN")
    assert content_of(oci, repository, DIGEST) == CONTENT


def _at_once(count: int, act: Callable[[int], Answer]) -> list[Answer]:
    barrier = threading.Barrier(count)

    def one(number: int) -> Answer:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_c8_of_many_requests_that_finish_one_session_one_makes_the_blob(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    for round_number in range(10):
        content = CONTENT + bytes([round_number])
        digest = sha256(content)
        session = begin(oci, repository)
        assert oci("PATCH", session, content).status == 202
        request = head("PUT", f"{session}?digest={digest}", {"Content-Length": "0"})
        answers = _at_once(4, lambda _, request=request: exchange(server, request))  # type: ignore[misc]
        for answer in answers:
            check_form(answer)
        statuses = sorted(answer.status for answer in answers)
        assert statuses.count(201) == 1
        assert set(statuses) <= {201, 404, 409}
        assert content_of(oci, repository, digest) == content


def test_c8_of_many_chunks_for_one_place_one_is_taken_and_none_are_mixed(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    for _ in range(10):
        session = begin(oci, repository)
        chunks = [bytes([65 + number]) * 50_000 for number in range(4)]
        requests = [
            head("PATCH", session, {"Content-Length": "50000", "Content-Range": "0-49999"}) + chunk for chunk in chunks
        ]
        answers = _at_once(4, lambda number, requests=requests: exchange(server, requests[number]))  # type: ignore[misc]
        for answer in answers:
            check_form(answer)
        statuses = sorted(answer.status for answer in answers)
        assert statuses.count(202) == 1
        assert set(statuses) <= {202, 409, 416}
        assert oci("GET", session).headers["Range"] == "0-49999"
        winner = chunks[[answer.status for answer in answers].index(202)]
        assert finish(oci, session, sha256(winner)).status == 201


@pytest.mark.parametrize("body", [b"", b"x" * 70_000])
def test_c8_a_session_cancelled_while_it_is_written_to_breaks_nothing(
    server: RunningServer, oci: WatchedClient, repository: str, body: bytes
) -> None:
    for _ in range(15):
        session = begin(oci, repository)
        patch = head("PATCH", session, {"Content-Length": str(len(body))}) + body
        cancel = head("DELETE", session, {"Content-Length": "0"})
        put = head("PUT", f"{session}?digest={EMPTY}", {"Content-Length": "0"})
        requests = [patch, cancel, patch, put, cancel, patch]
        answers = _at_once(6, lambda number, requests=requests: exchange(server, requests[number]))  # type: ignore[misc]
        for answer in answers:
            check_form(answer)
        assert {answer.status for answer in answers} <= {201, 202, 204, 400, 404, 409}
    health = raw(server, "GET", "/readyz", authorization=None)
    assert health.status == 200


@pytest.fixture
def bob(holdfast: Any, server: RunningServer) -> Iterator[WatchedClient]:
    """Another principal, who may push to and pull from every repository below t/."""
    made = person(
        holdfast,
        policy(
            allow(
                "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
                "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability",
                "ecr:CreateRepository",
            )
        ),
    )  # fmt: skip
    client = _client_of(server, made)
    yield client
    client.close()


def _client_of(server: RunningServer, who: Person) -> WatchedClient:
    return WatchedClient(server.host, server.port, basic(who.key_id, who.secret))


def test_c9_a_session_belongs_to_its_repository(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT[:10]).status == 202
    other = f"{repository}-other"
    assert push_blob(oci, other, b"so that it is there")
    elsewhere = session.replace(repository, other)
    for method in ("GET", "PATCH", "DELETE"):
        refused(oci(method, elsewhere, b"x" if method == "PATCH" else None), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(finish(oci, elsewhere, sha256(CONTENT[:10])), 404, "BLOB_UPLOAD_UNKNOWN")
    assert oci("GET", session).headers["Range"] == "0-9"
    assert not has_blob(oci, other, sha256(CONTENT[:10]))


def test_c10_a_session_belongs_to_its_principal(oci: WatchedClient, bob: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT[:10]).status == 202
    assert begin(bob, repository)
    for method in ("GET", "PATCH", "DELETE"):
        refused(bob(method, session, b"x" if method == "PATCH" else None), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(finish(bob, session, sha256(CONTENT[:10])), 404, "BLOB_UPLOAD_UNKNOWN")
    assert oci("GET", session).headers["Range"] == "0-9"
    theirs, nobodys = (
        bob("GET", path).json()["errors"][0]
        for path in (session, session[:-36] + "00000000-0000-4000-8000-000000000000")
    )
    assert set(theirs["detail"]) == set(nobodys["detail"])
    assert re.sub(r"[0-9a-f-]{36}", "ID", theirs["message"]) == re.sub(r"[0-9a-f-]{36}", "ID", nobodys["message"])


@pytest.mark.parametrize(
    "identity",
    [
        "../../x",
        "..%2f..%2fx",
        "%2e%2e",
        ".",
        "..",
        "not-a-uuid",
        "0" * 7_000,
        "%00",
        "%ff",
        "%zz",
        "*",
        "a?_state=edited",
        "00000000-0000-4000-8000-000000000000",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_c11_no_other_name_is_a_session(
    server: RunningServer, oci: WatchedClient, repository: str, method: str, identity: str
) -> None:
    begin(oci, repository)
    files = _staged(server)
    answer = raw(server, method, f"/v2/{repository}/blobs/uploads/{identity}", {"Content-Length": "0"})
    check_form(answer)
    assert answer.status in {400, 404, 405}
    assert _staged(server) == files


def test_c11_a_session_named_in_capitals_is_another_name(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    answer = raw(server, "GET", session[:-36] + session[-36:].upper())
    assert answer.status == (404 if session[-36:].upper() != session[-36:] else 204)


def _staged(server: RunningServer) -> list[str]:
    """List every file below the upload folder, and beside it, that an upload could have made."""
    data = server.holdfast.settings.data
    return sorted(one.name for folder in (data, data / "uploads") for one in folder.iterdir())


def test_c12_sessions_without_data_take_no_room_on_the_disk(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    begin(oci, repository)
    before = _staged(server)
    for _ in range(100):
        begin(oci, repository)
    assert _staged(server) == before


@pytest.mark.parametrize("where", ["PATCH", "PUT", "POST"])
def test_c13_a_blob_beyond_the_limit_is_refused_before_it_is_sent(
    server: RunningServer, oci: WatchedClient, repository: str, where: str
) -> None:
    session = begin(oci, repository)
    target = {
        "PATCH": session,
        "PUT": f"{session}?digest={DIGEST}",
        "POST": f"/v2/{repository}/blobs/uploads/?digest={DIGEST}",
    }[where]
    answer = exchange(server, head(where, target, {"Content-Length": str(53_000 * 1024 * 1024)}))
    refused(answer, 413, "SIZE_INVALID")
    assert answer.json()["errors"][0]["detail"] == {"limit_bytes": 52_000 * 1024 * 1024}
    assert oci("GET", session).headers["Range"] == "0-0"


def test_c14_bytes_are_taken_as_they_are_and_never_inflated(oci: WatchedClient, repository: str) -> None:
    packed = gzip.compress(CONTENT)
    session = begin(oci, repository)
    answer = oci("PATCH", session, packed, {"Content-Encoding": "gzip"})
    assert answer.status in {202, 415}
    if answer.status == 202:
        assert answer.headers["Range"] == f"0-{len(packed) - 1}"
        assert finish(oci, session, sha256(packed)).status == 201
        got = oci("GET", f"/v2/{repository}/blobs/{sha256(packed)}", None, {"Accept-Encoding": "gzip"})
        assert got.body == packed
        assert got.headers["Content-Encoding"] is None
    assert not has_blob(oci, repository, DIGEST)


@pytest.mark.parametrize("authorization", [None, "Basic !!!", "Digest x"])
def test_c15_a_body_is_not_asked_for_from_one_who_is_not_known(
    server: RunningServer, oci: WatchedClient, repository: str, authorization: str | None
) -> None:
    session = begin(oci, repository)
    headers = {"Content-Length": "1000000", "Expect": "100-continue"}
    with connected(server) as connection:
        connection.sendall(head("PUT", f"{session}?digest={DIGEST}", headers, authorization=authorization))
        answer = read_answer(connection)
    assert answer.status == 401  # the first thing to come: http.client would have skipped a 100
    check_form(answer)


def test_c15_a_body_is_asked_for_when_it_is_wanted(server: RunningServer, oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    headers = {"Content-Length": str(len(CONTENT)), "Expect": "100-continue"}
    with connected(server) as connection:
        connection.sendall(head("PUT", f"{session}?digest={DIGEST}", headers))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(CONTENT)
        assert read_answer(connection).status == 201


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha384", "", "SHA256", "sha256%0a", "../x"])
def test_c16_only_an_algorithm_that_is_computed_may_be_asked_for(
    oci: WatchedClient, repository: str, algorithm: str
) -> None:
    answer = oci("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm={algorithm}")
    refused(answer, 400, "DIGEST_INVALID")


def test_c17_a_request_without_any_length_has_no_body(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    answer = exchange(server, head("PATCH", session))
    assert answer.status in {202, 400, 411}
    assert oci("GET", session).headers["Range"] == "0-0"


@pytest.mark.parametrize("content_type", ["text/html", "application/x-www-form-urlencoded", "image/svg+xml", "x"])
def test_c17_whatever_type_bytes_came_with_they_are_never_rendered(
    oci: WatchedClient, repository: str, content_type: str
) -> None:
    page = b"<script>alert(1)</script>"
    session = begin(oci, repository)
    assert oci("PATCH", session, page, {"Content-Type": content_type}).status == 202
    assert finish(oci, session, sha256(page)).status == 201
    got = oci("GET", f"/v2/{repository}/blobs/{sha256(page)}")
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["X-Content-Type-Options"] == "nosniff"


def test_a_wrong_digest_ends_the_session_and_its_file(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    session = begin(oci, repository)
    before = _staged(server)
    assert oci("PATCH", session, CONTENT).status == 202
    assert len(_staged(server)) == len(before) + 1
    refused(finish(oci, session, sha256(b"another")), 400, "DIGEST_INVALID")
    refused(oci("GET", session), 404, "BLOB_UPLOAD_UNKNOWN")
    assert _staged(server) == before


def test_a_malformed_digest_does_not_end_the_session(oci: WatchedClient, repository: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT).status == 202
    refused(finish(oci, session, "sha256:short"), 400, "DIGEST_INVALID")
    assert finish(oci, session, DIGEST).status == 201


def test_a_session_ends_with_its_repository(oci: WatchedClient, ecr: Any, repository: str) -> None:
    session = begin(oci, repository)
    assert oci("PATCH", session, CONTENT).status == 202
    ecr.delete_repository(repositoryName=repository, force=True)
    refused(oci("GET", session), 404, "NAME_UNKNOWN")
    refused(finish(oci, session, DIGEST), 404, "NAME_UNKNOWN")
    ecr.create_repository(repositoryName=repository)
    refused(oci("GET", session), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(finish(oci, session, DIGEST), 404, "BLOB_UPLOAD_UNKNOWN")
    assert not has_blob(oci, repository, DIGEST)


def test_no_session_begins_in_a_repository_that_is_not_there(strict: RunningServer) -> None:
    client = WatchedClient(strict.host, strict.port, basic(KEY_ID, SECRET))
    refused(client("POST", "/v2/not/there/blobs/uploads/"), 404, "NAME_UNKNOWN")
    refused(client("POST", f"/v2/not/there/blobs/uploads/?digest={DIGEST}", CONTENT), 404, "NAME_UNKNOWN")
    refused(client("POST", f"/v2/not/there/blobs/uploads/?mount={DIGEST}&from=x/y"), 404, "NAME_UNKNOWN")
    client.close()


# --- mounting --------------------------------------------------------------------------------------------------------


def test_a_blob_of_one_repository_is_mounted_into_another(oci: WatchedClient, repository: str) -> None:
    source = f"{repository}-source"
    push_blob(oci, source, CONTENT)
    answer = oci("POST", f"/v2/{repository}/blobs/uploads/?mount={DIGEST}&from={source}")
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{DIGEST}"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert content_of(oci, repository, DIGEST) == CONTENT


def test_a_blob_is_mounted_from_wherever_the_caller_may_pull(oci: WatchedClient, repository: str) -> None:
    content = os.urandom(100)
    push_blob(oci, f"{repository}-source", content)
    assert oci("POST", f"/v2/{repository}/blobs/uploads/?mount={sha256(content)}").status == 201
    assert content_of(oci, repository, sha256(content)) == content


@pytest.mark.parametrize("source", ["not/there", "t/somewhere-else"])
def test_what_cannot_be_mounted_is_uploaded(oci: WatchedClient, repository: str, source: str) -> None:
    absent = sha256(os.urandom(16))
    answer = oci("POST", f"/v2/{repository}/blobs/uploads/?mount={absent}&from={source}")
    assert answer.status == 202
    assert oci("GET", answer.headers["Location"]).status == 204


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("mount=", "DIGEST_INVALID"),
        ("mount=sha256:abc&from=x/y", "DIGEST_INVALID"),
        (f"mount={DIGEST}&mount={EMPTY}", "DIGEST_INVALID"),
        (f"mount={DIGEST}&from=UPPER", "NAME_INVALID"),
        (f"mount={DIGEST}&from=../x", "NAME_INVALID"),
        (f"mount={DIGEST}&from=x/y&from=x/z", "UNSUPPORTED"),
        ("digest=sha256:abc", "DIGEST_INVALID"),
        ("a=%ff", "UNSUPPORTED"),
        ("&".join(f"f{number}=1" for number in range(100)), "UNSUPPORTED"),
    ],
)
def test_a_malformed_query_is_refused(oci: WatchedClient, repository: str, query: str, code: str) -> None:
    refused(oci("POST", f"/v2/{repository}/blobs/uploads/?{query}"), 400, code)
