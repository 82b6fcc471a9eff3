"""Registries that misbehave: no secret leaves for where it is not for, and no wrong byte is taken."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.challenge import Challenge
from holdfast.client.oci import Content, RegistryClient
from holdfast.client.transport import (
    AddressInvalid,
    ContentMismatch,
    Credentials,
    RegistryError,
    RegistryUnreachable,
    Transport,
    parse_address,
)
from holdfast.core.digest import Digest
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from collections.abc import Callable

ME = Credentials("name", "a-secret-word")
BASIC = "Basic " + base64.b64encode(b"name:a-secret-word").decode()


def asking(challenge: str, then: Callable[[Asked], Told]) -> Callable[[Asked], Told]:
    """Ask for a login first."""

    def answer(asked: Asked) -> Told:
        if "Authorization" not in asked.headers:
            return Told(401, headers=(("WWW-Authenticate", challenge),))
        return then(asked)

    return answer


def test_credentials_wait_until_they_are_asked_for() -> None:
    with stub(lambda _: Told(200)) as server, RegistryClient(server.url, ME) as client:
        client.check()
        assert server.authorizations() == []
    with stub(asking('Basic realm="x"', lambda _: Told(200))) as server, RegistryClient(server.url, ME) as client:
        client.check()
        client.check()
        assert server.authorizations() == [BASIC, BASIC]


def test_wrong_credentials_are_sent_once() -> None:
    refuse = Told(401, headers=(("WWW-Authenticate", "Basic"),))
    with stub(lambda _: refuse) as server, RegistryClient(server.url, ME) as client:
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.status == 401
        assert server.authorizations() == [BASIC]


@pytest.mark.parametrize("challenge", ["Negotiate", "", 'Bearer service="no realm"'])
def test_a_challenge_that_we_do_not_know_gets_nothing(challenge: str) -> None:
    with stub(asking(challenge, lambda _: Told(200))) as server, RegistryClient(server.url, ME) as client:
        with pytest.raises(RegistryError):
            client.check()
        assert server.authorizations() == []


def test_the_bearer_flow_asks_its_realm_and_keeps_the_token() -> None:
    def answer(asked: Asked) -> Told:
        if asked.path.startswith("/token"):
            assert asked.headers["Authorization"] == BASIC
            return Told(200, json.dumps({"token": "t0ken", "expires_in": 300}).encode())
        if asked.headers.get("Authorization") != "Bearer t0ken":
            challenge = f'Bearer realm="http://{asked.headers["Host"]}/token?x=1",service="here"'
            return Told(401, headers=(("WWW-Authenticate", challenge),))
        return Told(404)

    with stub(answer) as server, RegistryClient(server.url, ME) as client:
        for _ in range(3):
            assert client.resolve("demo/app", "v1") is None
        tokens = [one.path for one in server.asked if one.path.startswith("/token")]
        assert tokens == ["/token?x=1&service=here&scope=repository%3Ademo%2Fapp%3Apull%2Cpush"]


IDENTITY = Credentials("<token>", "a+long/lived=token", is_identity_token=True)


def test_an_identity_token_is_given_for_another_at_the_realm_and_nowhere_else() -> None:
    def answer(asked: Asked) -> Told:
        if asked.path == "/token":
            assert asked.method == "POST"
            assert "Authorization" not in asked.headers
            assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
            assert parse_qs(asked.body.decode(), strict_parsing=True) == {
                "grant_type": ["refresh_token"],
                "client_id": ["holdfast"],
                "refresh_token": ["a+long/lived=token"],
                "service": ["here"],
                "scope": ["repository:demo/app:pull,push"],
            }
            return Told(200, json.dumps({"access_token": "t0ken", "expires_in": 300}).encode())
        if asked.headers.get("Authorization") != "Bearer t0ken":
            challenge = f'Bearer realm="http://{asked.headers["Host"]}/token",service="here"'
            return Told(401, headers=(("WWW-Authenticate", challenge),))
        return Told(404)

    with stub(answer) as server, RegistryClient(server.url, IDENTITY) as client:
        for _ in range(3):
            assert client.resolve("demo/app", "v1") is None
        assert [one.method for one in server.asked if one.path == "/token"] == ["POST"]


def test_an_identity_token_is_no_password() -> None:
    with stub(asking("Basic", lambda _: Told(200))) as server, RegistryClient(server.url, IDENTITY) as client:
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.status == 401
        assert server.authorizations() == []


def test_a_token_that_died_is_fetched_anew() -> None:
    tokens = iter(range(100))
    alive: set[str] = set()

    def answer(asked: Asked) -> Told:
        if asked.path.startswith("/token"):
            alive.clear()
            alive.add(f"Bearer t{next(tokens)}")
            return Told(200, json.dumps({"access_token": next(iter(alive)).removeprefix("Bearer ")}).encode())
        if asked.headers.get("Authorization") not in alive:
            challenge = f'Bearer realm="http://{asked.headers["Host"]}/token"'
            return Told(401, headers=(("WWW-Authenticate", challenge),))
        return Told(200)

    with stub(answer) as server, RegistryClient(server.url, ME) as client:
        client.check()
        alive.clear()
        client.check()
        assert len([one for one in server.asked if one.path.startswith("/token")]) == 2


@pytest.mark.parametrize(
    "realm", ["http://elsewhere.example/token", "ftp://127.0.0.1/", "//127.0.0.1/token", "http://[", "token"]
)
def test_the_password_goes_to_another_host_only_over_https(realm: str) -> None:
    with (
        stub(asking(f'Bearer realm="{realm}"', lambda _: Told(200))) as server,
        RegistryClient(server.url, ME) as client,
    ):
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.code == "UNSAFE_REALM"
        assert "a-secret-word" not in str(caught.value)
        assert server.authorizations() == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token": 7}', b'{"token": "a\\nb"}', b"{"])
def test_a_realm_without_a_token(body: bytes) -> None:
    def answer(asked: Asked) -> Told:
        if asked.path == "/token":
            return Told(200, body)
        return Told(401, headers=(("WWW-Authenticate", f'Bearer realm="http://{asked.headers["Host"]}/token"'),))

    with (
        stub(answer) as server,
        RegistryClient(server.url, ME) as client,
        pytest.raises(RegistryUnreachable, match="No token came"),
    ):
        client.check()


def test_a_redirect_does_not_take_the_credentials_along() -> None:
    payload = b"the blob"
    with stub(lambda _: Told(200, payload)) as elsewhere:

        def send_away(asked: Asked) -> Told:
            return Told(307, headers=(("Location", f"{elsewhere.url}/signed?path={asked.path}"),))

        with stub(asking("Basic", send_away)) as server, RegistryClient(server.url, ME) as client:
            sink = io.BytesIO()
            client.pull_blob("demo/app", Digest.of(payload), sink)
            assert sink.getvalue() == payload
            assert server.authorizations() == [BASIC]
            assert [one.headers.get("Authorization") for one in elsewhere.asked] == [None]


def test_an_upload_that_goes_elsewhere_goes_without_credentials() -> None:
    with stub(lambda _: Told(201)) as elsewhere:

        def send_away(asked: Asked) -> Told:
            return (
                Told(202, headers=(("Location", f"{elsewhere.url}/up?state=1"),)) if asked.method == "POST" else Told()
            )

        with stub(asking("Basic", send_away)) as server, RegistryClient(server.url, ME) as client:
            client.push_blob("demo/app", Content(Digest.of(b"x"), 1, lambda: io.BytesIO(b"x")))
        (put,) = elsewhere.asked
        assert (put.method, put.body, put.headers.get("Authorization")) == ("PUT", b"x", None)
        assert put.path == f"/up?state=1&digest=sha256%3A{hashlib.sha256(b'x').hexdigest()}"


def test_redirects_end() -> None:
    with stub(lambda _: Told(302, headers=(("Location", "/again"),))) as server:
        with RegistryClient(server.url, ME) as client, pytest.raises(RegistryUnreachable, match="more than 5 times"):
            client.check()
        assert len(server.asked) == 6


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "file:///etc/passwd"])
def test_redirects_stay_on_http(location: str) -> None:
    answer = Told(302, headers=(("Location", location),))
    with stub(lambda _: answer) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.code == "UNSAFE_REDIRECT"


def test_wrong_bytes_are_not_taken() -> None:
    wanted = Digest.of(b"wanted")
    with stub(lambda _: Told(200, b"other!")) as server, RegistryClient(server.url) as client:
        with pytest.raises(ContentMismatch, match="does not hash"):
            client.pull_blob("demo/app", wanted, io.BytesIO())
        with pytest.raises(ContentMismatch):
            client.manifest("demo/app", wanted)
    lies = Told(200, b"{}", (("Docker-Content-Digest", str(wanted)),))
    with stub(lambda _: lies) as server, RegistryClient(server.url) as client, pytest.raises(ContentMismatch):
        client.manifest("demo/app", "v1")
    with (
        stub(lambda _: Told(201, headers=(("Docker-Content-Digest", str(wanted)),))) as server,
        RegistryClient(server.url) as client,
        pytest.raises(ContentMismatch, match="The registry took"),
    ):
        client.put_manifest("demo/app", "v1", b"{}", "application/json")


def test_no_more_is_read_than_a_descriptor_says() -> None:
    sink = io.BytesIO()
    with (
        stub(lambda _: Told(200, b"x" * 5_000_000)) as server,
        RegistryClient(server.url) as client,
        pytest.raises(ContentMismatch),
    ):
        client.pull_blob("demo/app", Digest.of(b"x"), sink, size_bytes=1)
    assert len(sink.getvalue()) <= 1


def test_an_answer_that_breaks_off() -> None:
    with (
        stub(lambda _: Told(200, b"only this", promised_bytes=100)) as server,
        RegistryClient(server.url) as client,
        pytest.raises(RegistryUnreachable, match="broke before the end"),
    ):
        client.pull_blob("demo/app", Digest.of(b"x"), io.BytesIO())


def test_an_answer_that_is_too_large() -> None:
    with (
        stub(lambda _: Told(200, b"x" * 9_000_000)) as server,
        RegistryClient(server.url) as client,
        pytest.raises(RegistryUnreachable, match="more than 8388608 bytes"),
    ):
        client.manifest("demo/app", "v1")


@pytest.mark.parametrize(
    ("told", "code", "message"),
    [
        (Told(502, b"<html>bad gateway</html>"), None, "The registry answered 502 (Bad Gateway)."),
        (Told(400, b'{"errors": []}'), None, "The registry answered 400 (Bad Request)."),
        (Told(400, b'{"errors": ["x"]}'), None, "The registry answered 400 (Bad Request)."),
        (Told(403, b'{"errors": [{"code": "DENIED", "message": "no"}]}'), "DENIED", "no"),
        (Told(403, b'{"errors": [{"code": 7, "message": ["no"]}]}'), None, "The registry answered 403 (Forbidden)."),
    ],
)
def test_refusals_of_every_form_become_one_error(told: Told, code: str | None, message: str) -> None:
    with stub(lambda _: told) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert (caught.value.status, caught.value.code, caught.value.message) == (told.status, code, message)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ('</v2/demo/app/tags/list?n=1000>; rel="next"', "has no end"),
        ('<http://elsewhere.example/v2/demo/app/tags/list?last=a>; rel="next"', "at another host"),
        ('<https://127.0.0.1/v2/demo/app/tags/list?last=a>; rel="next"', "at another host"),
    ],
)
def test_pages_that_lead_astray(link: str, sentence: str) -> None:
    answer = Told(200, b'{"tags": ["a"]}', (("Link", link),))
    with (
        stub(lambda _: answer) as server,
        RegistryClient(server.url) as client,
        pytest.raises(RegistryUnreachable, match=sentence),
    ):
        list(client.tags("demo/app"))


@pytest.mark.parametrize("body", [b"{", b"[]x", b'{"tags": 7}', b'{"tags": [7]}', b'{"tags": ["a"], "tags": ["b"]}'])
def test_lists_that_are_none(body: bytes) -> None:
    with (
        stub(lambda _: Told(200, body)) as server,
        RegistryClient(server.url) as client,
        pytest.raises(RegistryUnreachable),
    ):
        list(client.tags("demo/app"))


def test_a_list_of_nothing_may_be_null() -> None:
    answer = Told(200, b'{"name": "demo/app", "tags": null}')
    with stub(lambda _: answer) as server, RegistryClient(server.url) as client:
        assert list(client.tags("demo/app")) == []


def test_an_upload_without_a_place() -> None:
    with (
        stub(lambda _: Told(202)) as server,
        RegistryClient(server.url) as client,
        pytest.raises(RegistryUnreachable, match="without telling where"),
    ):
        client.push_blob("demo/app", Content(Digest.of(b"x"), 1, lambda: io.BytesIO(b"x")))


def test_a_session_that_failed_is_given_up() -> None:
    def answer(asked: Asked) -> Told:
        if asked.method == "POST":
            return Told(202, headers=(("Location", "/v2/demo/app/blobs/uploads/7"),))
        return Told(204) if asked.method == "DELETE" else Told(503)

    with stub(answer) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            client.push_blob("demo/app", Content(Digest.of(b"x"), 1, lambda: io.BytesIO(b"x")))
        assert caught.value.status == 503
        assert (server.asked[-1].method, server.asked[-1].path) == ("DELETE", "/v2/demo/app/blobs/uploads/7")


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:5000", "ftp://h", "http://", "http://u:p@h", "http://h/v2", "http://h?q", "http://h:x", "http://["],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(AddressInvalid):
        parse_address(text)


@given(st.text())
def test_any_text_is_an_address_or_is_not(text: str) -> None:
    try:
        parse_address(text)
    except AddressInvalid:
        return


def test_credentials_do_not_show() -> None:
    assert "secret" not in repr(ME)
    assert "secret" not in str(ME)


@pytest.mark.parametrize(
    ("own", "realm", "safe"),
    [
        ("https://registry.example", "http://registry.example/token", False),
        ("https://registry.example", "https://auth.example/token", True),
        ("http://registry.example", "https://auth.example/token", True),
        ("http://registry.example:5000", "http://registry.example:5001/token", True),
        ("http://registry.example", "http://auth.example/token", False),
        ("http://registry.example", "http://registry.example.evil/token", False),
        ("http://registry.example", "http://registry.example@evil/token", False),
    ],
)
def test_where_a_password_may_go(own: str, realm: str, safe: bool) -> None:  # noqa: FBT001 - a column of the table
    transport = Transport(own, ME)
    challenge = Challenge("bearer", {"realm": realm})
    if safe:
        assert transport._realm(challenge) == realm
        return
    with pytest.raises(RegistryError) as caught:
        transport._realm(challenge)
    assert caught.value.code == "UNSAFE_REALM"
