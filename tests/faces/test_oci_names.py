"""Names and routing (group A): the path goes out byte for byte, and no spelling of a name leads anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from held_ground import CODES, HeldGround, WatchedClient, check_form, refused
from holdfast.core import errors
from holdfast.faces.oci import ERRORS
from holdfast.faces.oci_call import parse_path
from images import digest_of, image, push, push_blob, sha256
from rawhttp import connected, exchange, head, raw, read_answer

if TYPE_CHECKING:
    from running import Answer, RunningServer

DIGEST = sha256(b"x")

pytestmark = pytest.mark.usefixtures("oci")  # after each case the held tag is looked at


def get(server: RunningServer, target: str | bytes, **more: str) -> Answer:
    return raw(server, "GET", target, more)


# --- where a path leads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "name", "reference"),
    [
        ("/v2", "base", "", ""),
        ("/v2/", "base", "", ""),
        ("/v2/_catalog", "catalog", "", ""),
        ("/v2/a/tags/list", "tags", "a", ""),
        ("/v2/a/b/c/tags/list", "tags", "a/b/c", ""),
        ("/v2/a/manifests/v1", "manifests", "a", "v1"),
        ("/v2/a/manifests/manifests/v1", "manifests", "a/manifests", "v1"),
        ("/v2/a/blobs/manifests/v1", "manifests", "a/blobs", "v1"),
        ("/v2/a/tags/manifests/v1", "manifests", "a/tags", "v1"),
        ("/v2/a/tags/list/manifests/v1", "manifests", "a/tags/list", "v1"),
        ("/v2/a/uploads/manifests/v1", "manifests", "a/uploads", "v1"),
        ("/v2/a/blobs/uploads/manifests/v1", "manifests", "a/blobs/uploads", "v1"),
        ("/v2/a/blobs/uploads/tags/list", "tags", "a/blobs/uploads", ""),
        ("/v2/a/blobs/uploads/", "uploads", "a", ""),
        ("/v2/a/blobs/uploads", "uploads", "a", ""),
        ("/v2/a/blobs/uploads/u", "upload", "a", "u"),
        ("/v2/a/blobs/uploads/blobs/uploads/u", "upload", "a/blobs/uploads", "u"),
        ("/v2/a/referrers/sha256%3Ax", "referrers", "a", "sha256:x"),
        ("/v2/a%2Fb/manifests/v1", "manifests", "a%2Fb", "v1"),
        ("/v2/a/manifests/b%2Fc", "manifests", "a", "b/c"),
    ],
)
def test_a_path_is_read_from_the_right_and_a_name_is_never_decoded(
    path: str, kind: str, name: str, reference: str
) -> None:
    target = parse_path(path)
    assert target is not None
    assert (target.kind, target.name, target.reference) == (kind, name, reference)


@pytest.mark.parametrize(
    "path", ["/v2/x", "/v2/tags/list", "/v2/manifests/v1", "/v2/blobs/uploads/", "/v2//", "/v2/a/b", "/v2/_catalog/"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert parse_path(path) is None


# --- group A ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v2/../../etc/passwd",
        "/v2/../v2/_catalog",
        "/v2/r/a/manifests/../../../_catalog",
        "/v2/./_catalog",
        "/v2/%2e%2e/_catalog",
        "/v2/r/a/tags/list/",
        "/v2/r/a/tags/list/x",
        "/v2/r/a/tags",
        "/v2/r/a/manifests",
        "/v2/r/a/manifests/",
        "/v2/r/a/manifests/v1/",
        "/v2/r/a/manifests/v1/x",
        "/v2/r/a/blobs/uploads/x/y",
        "/v2/r/a",
        "/v2//",
        "/v2/_catalog/x",
        "/v2/%5Fcatalog",
    ],
)
def test_a1_a_path_that_is_none_of_the_api_is_refused(server: RunningServer, target: str) -> None:
    answer = get(server, target)
    assert answer.status in {400, 404}
    check_form(answer)
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "name",
    [
        "%2e%2e%2f%2e%2e%2fetc",
        "..%2f..",
        "%2e%2e",
        "..",
        ".",
        "r%2Fa",
        "r%2fa",
        "r//a",
        "/r/a",
        "r/a/",
        "./r/a",
        "r/./a",
        "r/../a",
        "R/a",
        "r/A",
        "a..b",
        "a_.b",
        "-a",
        "a-",
        "_a",
        ".a",
        "a___b",
        "a",
        "r/a%0a",
        "%0ar/a",
        "r/a%00",
        "r/a%ff",
        "r/a%fe",
        "r/a%c0%ae",
        "r/a%zz",
        "r/a%",
        "r/a%20",
        "r+a",
        "r~a",
        "r;a=b",
        "r:a",
        "r@a",
        "r*",
        "r%D0%B0",
        "r%EF%BD%81",
        "ra%CC%81",
        "a" * 257,
        "/".join(["a"] * 1_000),
    ],
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("POST", "blobs/uploads/"),
        ("DELETE", "manifests/v1"),
    ],
)
def test_a2_to_a9_a_name_outside_the_grammar_is_refused_and_no_other_name_is_meant(
    server: RunningServer, method: str, rest: str, name: str
) -> None:
    answer = raw(server, method, f"/v2/{name}/{rest}", {"Content-Length": "0"})
    refused(answer, 400, "NAME_INVALID")


@pytest.mark.parametrize("name", [b"r/\xd0\xb0", b"r/\xef\xbd\x81", b"r/a\xff", b"r/a\xfe", b"r/\xc3\xa9"])
def test_a9_bytes_past_ascii_are_refused_at_the_edge(server: RunningServer, name: bytes) -> None:
    assert get(server, b"/v2/" + name + b"/tags/list").status == 400


@pytest.mark.parametrize("name", ["r a", "r\ta", "r\x00a", "r\x0ba", "r#a"])
def test_a_target_that_is_no_target_is_refused_at_the_edge(server: RunningServer, name: str) -> None:
    assert get(server, f"/v2/{name}/tags/list").status == 400


@pytest.mark.parametrize("length", [8_193, 20_000])
def test_a_target_too_long_is_refused(server: RunningServer, length: int) -> None:
    assert get(server, "/v2/" + "a" * length).status in {414, 431}


@pytest.mark.parametrize("name", ["manifests", "blobs", "tags", "uploads", "referrers", "_catalog", "list"])
def test_a10_a_repository_may_be_called_as_the_api_is(
    server: RunningServer, oci: WatchedClient, repository: str, name: str
) -> None:
    whole = f"{repository}/{name}"
    if name == "_catalog":
        refused(get(server, f"/v2/{whole}/manifests/v1"), 400, "NAME_INVALID")
        return
    refused(get(server, f"/v2/{whole}/manifests/v1"), 404, "NAME_UNKNOWN")
    pushed = image()
    assert push(oci, whole, "v1", pushed).status == 201
    assert digest_of(oci, whole, "v1") == pushed.digest
    assert oci("GET", f"/v2/{whole}/tags/list").json()["tags"] == ["v1"]
    assert oci("GET", f"/v2/{whole}/blobs/{sha256(pushed.blobs[1])}").status == 200
    assert oci("GET", f"/v2/{whole}/referrers/{pushed.digest}").status == 200


@pytest.mark.parametrize("origin", ["http://evil.test", "https://evil.test:8443", "HTTP://evil.test"])
def test_a11_an_absolute_target_is_its_path_and_never_another_host(
    server: RunningServer, ground: HeldGround, origin: str
) -> None:
    target = f"{origin}/v2/{ground.repository}/manifests/{ground.tag}"
    assert get(server, target).headers["Docker-Content-Digest"] == ground.image.digest
    stranger = raw(server, "GET", target, authorization=None)
    assert stranger.status == 401
    assert "evil.test" not in stranger.headers["WWW-Authenticate"]
    begun = raw(server, "POST", f"{origin}/v2/t/absolute/blobs/uploads/", {"Content-Length": "0"})
    assert begun.headers["Location"].startswith("/v2/t/absolute/blobs/uploads/")


@pytest.mark.parametrize(
    "host", ["x/y?z#", "x@y", "x:99999", "x:0", "", "a b", "x:y", "[::1", "1.2.3", "x\\y", "a..b", "x,y", "\xe9"]
)
def test_a12_a_host_that_is_none_is_refused(server: RunningServer, host: str) -> None:
    assert raw(server, "GET", "/v2/", host=host).status == 400


def test_a12_no_host_and_two_hosts_are_refused(server: RunningServer) -> None:
    assert raw(server, "GET", "/v2/", host=None).status == 400
    assert raw(server, "GET", "/v2/", {"host": "other"}).status == 400


FORWARDED = {
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "10.0.0.1",
    "Forwarded": "host=evil.test;proto=https",
}


def test_a13_what_an_untrusted_peer_says_of_other_hosts_changes_nothing(server: RunningServer) -> None:
    begun = raw(server, "POST", "/v2/t/forwarded/blobs/uploads/", {**FORWARDED, "Content-Length": "0"})
    assert begun.headers["Location"].startswith("/v2/t/forwarded/blobs/uploads/")
    stranger = raw(server, "GET", "/v2/", FORWARDED, authorization=None)
    assert stranger.headers["WWW-Authenticate"] == 'Basic realm="http://localhost/",service="holdfast"'


@pytest.mark.parametrize(
    "header",
    [
        {"X-Original-URL": "/v2/_catalog"},
        {"X-Rewrite-URL": "/v2/_catalog"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-HTTP-Method": "DELETE"},
        {"X-Method-Override": "DELETE"},
    ],
)
def test_a14_headers_that_would_change_what_is_asked_are_ignored(
    server: RunningServer, oci: WatchedClient, ground: HeldGround, header: dict[str, str]
) -> None:
    answer = raw(server, "GET", f"/v2/{ground.repository}/manifests/{ground.tag}", header)
    assert answer.body == ground.image.manifest
    assert digest_of(oci, ground.repository, ground.tag) == ground.image.digest


@pytest.mark.parametrize(
    "target", ["//evil.test/v2/", "/v2", "//v2/", "/v2//evil.test/", "/%2fevil.test/v2/", "/\\evil.test"]
)
def test_a15_nothing_is_ever_a_redirect(server: RunningServer, target: str) -> None:
    answer = get(server, target)
    assert not 300 <= answer.status < 400
    assert answer.headers["Location"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"])
@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/v2/", {"GET", "HEAD"}),
        ("/v2/_catalog", {"GET"}),
        ("/v2/r/a/tags/list", {"GET"}),
        (f"/v2/r/a/referrers/{DIGEST}", {"GET"}),
        ("/v2/r/a/manifests/v1", {"DELETE", "GET", "HEAD", "PUT"}),
        (f"/v2/r/a/blobs/{DIGEST}", {"DELETE", "GET", "HEAD"}),
        ("/v2/r/a/blobs/uploads/", {"POST"}),
        ("/v2/r/a/blobs/uploads/x", {"DELETE", "GET", "PATCH", "PUT"}),
    ],
)
def test_a_method_that_an_address_does_not_take_is_told_with_those_it_takes(
    server: RunningServer, method: str, target: str, allowed: set[str]
) -> None:
    if method in allowed:
        return
    answer = raw(server, method, target, {"Content-Length": "0"})
    refused(answer, 405, "UNSUPPORTED")
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_one_connection_serves_good_and_bad_requests_in_turn(server: RunningServer, ground: HeldGround) -> None:
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(head("GET", f"/v2/{ground.repository}/manifests/{ground.tag}"))
            assert read_answer(connection).body == ground.image.manifest
            connection.sendall(head("GET", "/v2/UPPER/tags/list"))
            assert read_answer(connection).status == 400


def test_a_body_where_none_is_expected_is_not_taken_for_a_request(
    server: RunningServer, oci: WatchedClient, ground: HeldGround
) -> None:
    smuggled = head("DELETE", f"/v2/{ground.repository}/manifests/{ground.tag}")
    with connected(server) as connection:
        connection.sendall(head("GET", "/v2/", {"Content-Length": str(len(smuggled))}) + smuggled)
        assert read_answer(connection).status == 200
    assert digest_of(oci, ground.repository, ground.tag) == ground.image.digest


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
    ],
)
def test_framing_that_two_readers_may_read_differently_is_refused(server: RunningServer, framing: str) -> None:
    request = head("POST", "/v2/t/framing/blobs/uploads/").replace(
        b"\r\n\r\n", b"\r\n" + framing.encode() + b"\r\n\r\n"
    )
    answer = exchange(server, request + b"0\r\n\r\n")
    assert answer.status == 400


# --- errors ----------------------------------------------------------------------------------------------------------


def _family(error: type[errors.HoldfastError]) -> set[type[errors.HoldfastError]]:
    return {error}.union(*(_family(child) for child in error.__subclasses__()))


def test_every_error_has_its_status_and_code_on_this_face() -> None:
    ours = {error for error in _family(errors.HoldfastError) if error.__module__.startswith("holdfast.")}
    assert set(ERRORS) == ours - {errors.HoldfastError}


def test_every_status_says_whose_fault_it_is_and_every_code_is_one_of_the_specifications() -> None:
    for error, (status, code) in ERRORS.items():
        assert 400 <= status < 600
        assert (status >= 500) == (error.fault != "caller"), error
        assert code in CODES if status < 500 else code in {"UNAVAILABLE", "UNKNOWN"}, error


def test_an_answer_of_any_other_address_is_told_plainly(server: RunningServer) -> None:
    for target in ("/", "/v1/", "/v2x", "/favicon.ico", "/.env", "/v2.", "/console"):
        answer = get(server, target)
        assert 400 <= answer.status < 500 or target == "/"
        assert answer.headers["Location"] is None


def test_names_of_pushes_that_were_refused_are_not_there_afterwards(oci: WatchedClient, repository: str) -> None:
    push_blob(oci, repository, b"x")
    before = oci("GET", "/v2/_catalog").json()
    for name in ("UPPER", "a..b", "r%2Fa"):
        oci("POST", f"/v2/{name}/blobs/uploads/")
    assert oci("GET", "/v2/_catalog").json() == before
