"""Who gets in and what they may: no credentials, wrong ones, a token, another principal; and no telling what exists."""

from __future__ import annotations

import base64
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from held_ground import WatchedClient, check_form, refused
from holdfast.registry.seal import Seal
from images import image, push, push_blob, push_parts, put, sha256
from json_api import Clock, Person, allow, deny, person, policy, repository_arn
from rawhttp import raw
from running import KEY_ID, SECRET, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Answer

DIGEST = sha256(b"never pushed")
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
PUSH = (
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
    "ecr:BatchCheckLayerAvailability",
)
DELETE = ("ecr:BatchDeleteImage",)

ROUTES = [
    ("GET", "/v2/"),
    ("HEAD", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/{}/tags/list"),
    ("GET", "/v2/{}/manifests/v1"),
    ("HEAD", "/v2/{}/manifests/v1"),
    ("GET", f"/v2/{{}}/manifests/{DIGEST}"),
    ("PUT", "/v2/{}/manifests/v1"),
    ("DELETE", "/v2/{}/manifests/v1"),
    ("DELETE", f"/v2/{{}}/manifests/{DIGEST}"),
    ("GET", f"/v2/{{}}/blobs/{DIGEST}"),
    ("HEAD", f"/v2/{{}}/blobs/{DIGEST}"),
    ("DELETE", f"/v2/{{}}/blobs/{DIGEST}"),
    ("POST", "/v2/{}/blobs/uploads/"),
    ("POST", f"/v2/{{}}/blobs/uploads/?digest={DIGEST}"),
    ("POST", f"/v2/{{}}/blobs/uploads/?mount={DIGEST}&from=secret/source"),
    ("GET", "/v2/{}/blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("PATCH", "/v2/{}/blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("PUT", f"/v2/{{}}/blobs/uploads/00000000-0000-4000-8000-000000000000?digest={DIGEST}"),
    ("DELETE", "/v2/{}/blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("GET", f"/v2/{{}}/referrers/{DIGEST}"),
]
"""Every route of the face; {} is a repository."""


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[RunningServer]:
    """A server with a repository `secret/source` in it."""
    with running(settings(tmp_path_factory.mktemp("guarded"), create_on_push="MUTABLE"), clock=clock) as up:
        client = up.client()
        push(client, "secret/source", "v1", image(b"a secret layer"))
        push(client, "secret/vault", "v1", image(b"a secret layer"))
        client.close()
        yield up


@pytest.fixture(scope="module")
def admin_api(guarded: RunningServer) -> Iterator[Any]:
    made = guarded.aws("holdfast")
    yield made
    made.close()


@contextmanager
def acting(server: RunningServer, who: Person | str | None) -> Iterator[WatchedClient]:
    """Act as a person, with an Authorization header, or as nobody."""
    authorization = basic(who.key_id, who.secret) if isinstance(who, Person) else who
    client = WatchedClient(server.host, server.port, authorization)
    try:
        yield client
    finally:
        client.close()


def ask(client: WatchedClient, method: str, path: str, repository: str = "secret/source") -> Answer:
    body = b"{}" if method in {"PUT", "PATCH", "POST"} else None
    return client(method, path.format(repository), body)


# --- who is it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("repository", ["secret/source", "not/there"])
def test_nobody_gets_anything_and_is_told_how_to_log_in_whether_it_exists_or_not(
    guarded: RunningServer, method: str, path: str, repository: str
) -> None:
    with acting(guarded, None) as nobody:
        answer = ask(nobody, method, path, repository)
    assert answer.status == 401
    assert method == "HEAD" or answer.code == "UNAUTHORIZED"
    where = f"http://{guarded.host}:{guarded.port}/"
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{where}",service="holdfast"'


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(f"{KEY_ID}:{SECRET}".encode()).decode()[:-2],
        "Basic " + base64.b64encode(f"{KEY_ID}:{SECRET}".encode()).decode() + "\x80",
        f"Basic {KEY_ID}:{SECRET}",
        "Bearer",
        "Bearer x",
        "Bearer \xff",
        "Digest username=x",
        "Negotiate x",
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/eu-central-1/ecr/aws4_request, SignedHeaders=host, Signature=0",
        basic("AWS", "not a token"),
        basic("AWS", SECRET),
        basic("", ""),
        basic("AWS", ""),
    ],
)
def test_whatever_is_no_credential_is_refused(doubted: RunningServer, authorization: str) -> None:
    answer = raw(doubted, "GET", "/v2/", authorization=authorization)
    refused(answer, 401, "UNAUTHORIZED")
    assert SECRET not in answer.body.decode()


@pytest.fixture(scope="module")
def doubted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for log-ins that fail, which are counted by address."""
    with running(settings(tmp_path_factory.mktemp("doubted"))) as up:
        yield up


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (KEY_ID, SECRET + "x"),
        (KEY_ID, SECRET[:-1]),
        (KEY_ID, ""),
        (KEY_ID, SECRET.upper()),
        (KEY_ID.lower(), SECRET),
        ("AKIANOBODY", SECRET),
        ("administrator", SECRET),
        (SECRET, KEY_ID),
        (KEY_ID + "\0", SECRET),
    ],
)
def test_a_wrong_password_and_an_unknown_user_are_told_alike(doubted: RunningServer, user: str, password: str) -> None:
    with acting(doubted, basic(user, password)) as guesser:
        answer = refused(guesser("GET", "/v2/"), 401, "UNAUTHORIZED")
    assert answer.message == "The user name or password is wrong, or the access key is no longer there."
    assert "detail" not in answer.json()["errors"][0]


def test_the_right_password_gets_in(doubted: RunningServer) -> None:
    with acting(doubted, basic(KEY_ID, SECRET)) as administrator:
        assert administrator("GET", "/v2/").json() == {}
    with acting(doubted, basic(KEY_ID, SECRET).replace("Basic", "bAsIc")) as administrator:
        assert administrator("GET", "/v2/").status == 200


def test_guesses_are_limited_by_name_and_the_wait_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("guessed")), clock=clock) as server:
        for _ in range(10):
            with acting(server, basic(KEY_ID, "guess")) as guesser:
                assert guesser("GET", "/v2/").status == 401
        with acting(server, basic(KEY_ID, "guess")) as guesser:
            answer = refused(guesser("GET", "/v2/"), 429, "TOOMANYREQUESTS")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        # Even the right password is not looked at now, or the limit would tell a guesser that it is right.
        with acting(server, basic(KEY_ID, SECRET)) as administrator:
            assert administrator("GET", "/v2/").status == 429
        with acting(server, basic("AKIASOMEBODYELSE", "x")) as other:
            assert other("GET", "/v2/").status == 401
        clock.ahead_seconds += int(answer.headers["Retry-After"])
        with acting(server, basic(KEY_ID, SECRET)) as administrator:
            assert administrator("GET", "/v2/").status == 200


def test_guesses_are_limited_by_address_whatever_the_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings(tmp_path_factory.mktemp("guessed"))) as server:
        statuses = []
        for number in range(105):
            with acting(server, basic(f"AKIAGUESS{number}", "x")) as guesser:
                statuses.append(guesser("GET", "/v2/").status)
        assert statuses == [401] * 100 + [429] * 5


def test_a_client_that_is_logged_in_does_not_suffer_from_guesses(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        running(settings(tmp_path_factory.mktemp("guessed"))) as server,
        acting(server, basic(KEY_ID, SECRET)) as administrator,
    ):
        assert administrator("GET", "/v2/").status == 200
        for _ in range(12):
            with acting(server, basic(KEY_ID, "guess")) as guesser:
                guesser("GET", "/v2/")
        assert administrator("GET", "/v2/").status == 200


# --- tokens ----------------------------------------------------------------------------------------------------------


def token_of(server: RunningServer, who: Person | None = None) -> str:
    user, password = (who.key_id, who.secret) if who else (KEY_ID, SECRET)
    answer = raw(
        server, "GET", "/token?service=holdfast&scope=repository:x/y:pull", authorization=basic(user, password)
    )
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 3_600
    return str(body["token"])


def test_a_token_is_as_good_as_the_key_it_was_made_from(guarded: RunningServer) -> None:
    token = token_of(guarded)
    for authorization in (f"Bearer {token}", f"bearer {token}", basic("AWS", token)):
        with acting(guarded, authorization) as client:
            assert client("GET", "/v2/secret/source/manifests/v1").status == 200


def test_a_token_may_be_fetched_with_a_form(guarded: RunningServer) -> None:
    form = urlencode({"grant_type": "password", "username": KEY_ID, "password": SECRET, "service": "holdfast"}).encode()
    client = guarded.anonymous()
    answer = client("POST", "/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    client.close()
    assert answer.status == 200
    with acting(guarded, f"Bearer {answer.json()['access_token']}") as client:
        assert client("GET", "/v2/").status == 200


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"username=x",
        b"username=x&password=%ff",
        b"\xff\xfe",
        b"grant_type=refresh_token&refresh_token=x",
        b"&".join(b"f=1" for _ in range(100)),
    ],
)
def test_a_form_without_credentials_gets_no_token(doubted: RunningServer, form: bytes) -> None:
    client = doubted.anonymous()
    answer = client("POST", "/token", form)
    client.close()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_form_of_any_size_is_no_trouble(doubted: RunningServer) -> None:
    client = doubted.anonymous()
    answer = client("POST", "/token", b"a" * 200_000)
    client.close()
    assert answer.status == 413


@pytest.mark.parametrize("authorization", [None, basic("AKIATOKEN", "wrong"), "Bearer x"])
def test_no_token_for_those_who_are_not_known(doubted: RunningServer, authorization: str | None) -> None:
    answer = raw(doubted, "GET", "/token", authorization=authorization)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def sealed(server: RunningServer, purpose: str = "login", **changes: Any) -> str:
    """Make a token with the server's own key, to change what is in it."""
    seal = Seal.at(server.holdfast.settings.data / "seal.key")
    content = {
        "arn": "arn:aws:iam::123456789012:user/administrator",
        "key": KEY_ID,
        "until": Clock()() + 10**9,
        **changes,
    }
    return seal.seal(purpose, content)


def test_a_token_past_its_end_is_refused_with_ecrs_sentence(guarded: RunningServer) -> None:
    old = sealed(guarded, until=1)
    with acting(guarded, basic("AWS", old)) as client:
        answer = refused(client("GET", "/v2/"), 403, "DENIED")
        assert answer.message == "Your authorization token has expired. Reauthenticate and try again."
    with acting(guarded, f"Bearer {old}") as client:
        # A client of the Bearer flow fetches a new token on 401 alone.
        refused(client("GET", "/v2/"), 401, "UNAUTHORIZED")
    for _ in range(15):  # and it is no guess, so it is not counted
        with acting(guarded, basic("AWS", old)) as client:
            assert client("GET", "/v2/").status == 403


@pytest.mark.parametrize("how", ["header", "form"])
def test_a_token_past_its_end_gets_no_new_one(guarded: RunningServer, how: str) -> None:
    old = sealed(guarded, until=1)
    if how == "header":
        answer = raw(guarded, "GET", "/token", authorization=basic("AWS", old))
    else:
        client = guarded.anonymous()
        answer = client("POST", "/token", urlencode({"username": "AWS", "password": old}).encode())
        client.close()
    assert answer.status in {401, 403}
    check_form(answer)


def test_a_token_works_until_its_end_and_not_after(guarded: RunningServer, clock: Clock) -> None:
    token = token_of(guarded)
    with acting(guarded, f"Bearer {token}") as client:
        assert client("GET", "/v2/").status == 200
        clock.ahead_seconds += 3_599
        try:
            assert client("GET", "/v2/").status == 200
            clock.ahead_seconds += 2
            assert client("GET", "/v2/").status == 401
        finally:
            clock.ahead_seconds = 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "page"},
        {"purpose": "download"},
        {"purpose": "secret"},
        {"arn": "arn:aws:iam::123456789012:user/somebody"},
        {"key": "AKIANOTTHERE"},
    ],
)
def test_a_seal_for_anything_else_is_no_token(guarded: RunningServer, changes: dict[str, Any]) -> None:
    with acting(guarded, f"Bearer {sealed(guarded, **changes)}") as client:
        refused(client("GET", "/v2/"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-4], lambda t: t[:20] + ("B" if t[20] == "A" else "A") + t[21:], lambda t: t[::-1]]
)
def test_a_token_that_was_changed_is_none(doubted: RunningServer, spoil: Any) -> None:
    token = token_of(doubted)
    with acting(doubted, f"Bearer {spoil(token)}") as client:
        refused(client("GET", "/v2/"), 401, "UNAUTHORIZED")


def test_a_key_that_is_deleted_ends_at_once_with_its_tokens(guarded: RunningServer, admin_api: Any) -> None:
    carol = person(admin_api, policy(allow("*")))
    token = token_of(guarded, carol)
    with acting(guarded, carol) as by_key, acting(guarded, f"Bearer {token}") as by_token:
        assert by_key("GET", "/v2/secret/source/manifests/v1").status == 200
        assert by_token("GET", "/v2/secret/source/manifests/v1").status == 200
        admin_api.delete_access_key(accessKeyId=carol.key_id)
        assert by_key("GET", "/v2/secret/source/manifests/v1").status == 401
        assert by_token("GET", "/v2/secret/source/manifests/v1").status == 401


def test_a_principal_that_is_deleted_ends_at_once_with_all_its_keys(guarded: RunningServer, admin_api: Any) -> None:
    dave = person(admin_api, policy(allow("*")))
    token = token_of(guarded, dave)
    with acting(guarded, dave) as by_key, acting(guarded, f"Bearer {token}") as by_token:
        assert by_key("GET", "/v2/").status == 200
        admin_api.delete_principal(name=dave.name)
        assert by_key("GET", "/v2/").status == 401
        assert by_token("GET", "/v2/").status == 401


def test_a_token_outlives_a_restart_and_a_server_that_says_bearer(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("bearer")
    with running(settings(data, login="bearer")) as server:
        stranger = raw(server, "GET", "/v2/", authorization=None, host=f"{server.host}:{server.port}")
        where = f"http://{server.host}:{server.port}/token"
        assert stranger.headers["WWW-Authenticate"] == f'Bearer realm="{where}",service="holdfast"'
        token = token_of(server)
    with running(settings(data, login="bearer")) as server:
        with acting(server, f"Bearer {token}") as client:
            assert client("GET", "/v2/").status == 200
        with acting(server, basic(KEY_ID, SECRET)) as client:
            assert client("GET", "/v2/").status == 200  # both ways are understood, whatever is told
        assert raw(server, "GET", "/token", authorization=None).headers["WWW-Authenticate"].startswith("Basic ")


# --- may they --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nothing(admin_api: Any) -> Person:
    """One who may do nothing here."""
    return person(admin_api, policy(allow("ecr:DescribeRepositories", on=repository_arn("another/place"))))


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if "{}" in route[1]])
def test_without_a_right_what_exists_and_what_does_not_are_told_alike(
    guarded: RunningServer, nothing: Person, method: str, path: str
) -> None:
    with acting(guarded, nothing) as client:
        there = ask(client, method, path, "secret/vault")
        absent = ask(client, method, path, "secret/empty")
    assert there.status == absent.status == 403
    assert there.body.replace(b"vault", b"empty") == absent.body
    if method != "HEAD":
        assert there.code == "DENIED"
        assert nothing.arn in there.message
        assert repository_arn("secret/vault") in there.message


def test_the_catalogue_shows_only_what_the_caller_may_describe(guarded: RunningServer, admin_api: Any) -> None:
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        for name in ("list/a", "list/b", "list/c", "hidden/a"):
            push_blob(administrator, name, b"x")
    some = person(admin_api, policy(allow("ecr:DescribeRepositories", on=repository_arn("list/*")),
                                    deny("ecr:DescribeRepositories", on=repository_arn("list/b"))))  # fmt: skip
    with acting(guarded, some) as client:
        assert client("GET", "/v2/_catalog").json() == {"repositories": ["list/a", "list/c"]}
        page = client("GET", "/v2/_catalog?n=1")
        assert page.json() == {"repositories": ["list/a"]}
        assert page.headers["Link"] == '</v2/_catalog?n=1&last=list%2Fa>; rel="next"'
        rest = client("GET", "/v2/_catalog?n=1&last=list%2Fa")
        assert (rest.json(), rest.headers["Link"]) == ({"repositories": ["list/c"]}, None)


def test_one_who_may_pull_may_not_push_or_delete(guarded: RunningServer, admin_api: Any) -> None:
    reader = person(admin_api, policy(allow(*PULL, "ecr:ListImages", on=repository_arn("secret/source"))))
    with acting(guarded, reader) as client:
        manifest = client("GET", "/v2/secret/source/manifests/v1")
        assert manifest.status == 200
        for layer in manifest.json()["layers"]:
            assert client("GET", f"/v2/secret/source/blobs/{layer['digest']}").status == 200
            assert client("HEAD", f"/v2/secret/source/blobs/{layer['digest']}").status == 200
        assert client("GET", "/v2/secret/source/tags/list").json()["tags"] == ["v1"]
        refused(client("POST", "/v2/secret/source/blobs/uploads/"), 403, "DENIED")
        refused(client("PUT", "/v2/secret/source/manifests/v2", manifest.body), 403, "DENIED")
        refused(client("DELETE", "/v2/secret/source/manifests/v1"), 403, "DENIED")
        refused(client("DELETE", f"/v2/secret/source/blobs/{DIGEST}"), 403, "DENIED")
        refused(client("GET", "/v2/secret/other/manifests/v1"), 403, "DENIED")


def test_one_who_may_push_may_not_pull_or_delete(guarded: RunningServer, admin_api: Any) -> None:
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        push_blob(administrator, "drop/box", b"x")
    writer = person(admin_api, policy(allow(*PUSH, on=repository_arn("drop/*"))))
    pushed = image()
    with acting(guarded, writer) as client:
        assert push(client, "drop/box", "v1", pushed).status == 201
        refused(client("GET", "/v2/drop/box/manifests/v1"), 403, "DENIED")
        refused(client("GET", f"/v2/drop/box/blobs/{sha256(pushed.blobs[1])}"), 403, "DENIED")
        refused(client("DELETE", "/v2/drop/box/manifests/v1"), 403, "DENIED")
        refused(client("POST", "/v2/drop/new/blobs/uploads/"), 403, "DENIED")  # it may not create


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        ("ecr:BatchGetImage", "GET", "/v2/secret/source/manifests/v1"),
        ("ecr:BatchGetImage", "HEAD", "/v2/secret/source/manifests/v1"),
        ("ecr:BatchCheckLayerAvailability", "HEAD", f"/v2/secret/source/blobs/{sha256(b'a secret layer')}"),
        ("ecr:GetDownloadUrlForLayer", "GET", f"/v2/secret/source/blobs/{sha256(b'a secret layer')}"),
        ("ecr:ListImages", "GET", "/v2/secret/source/tags/list"),
    ],
)
def test_one_right_opens_one_door_each_time_it_is_tried(
    guarded: RunningServer, admin_api: Any, action: str, method: str, path: str
) -> None:
    with (
        acting(guarded, basic(KEY_ID, SECRET)) as administrator,
        acting(guarded, person(admin_api, policy(allow(action, on=repository_arn("secret/source"))))) as client,
    ):
        assert [client(method, path).status for _ in range(3)] == [200, 200, 200]
        assert administrator(method, path).status == 200
        assert client(method, path).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_to_one_who_may_is_not_given_to_one_who_may_not(
    guarded: RunningServer, nothing: Person, method: str
) -> None:
    paths = ["/v2/secret/source/manifests/v1", f"/v2/secret/source/blobs/{sha256(b'a secret layer')}"]
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator, acting(guarded, nothing) as client:
        for path in paths * 3:
            assert administrator(method, path).status == 200
            assert client(method, path).status == 403
    with acting(guarded, None) as nobody:
        for path in paths:
            assert nobody(method, path).status == 401


def test_a_blob_is_not_mounted_from_where_the_caller_may_not_pull(guarded: RunningServer, admin_api: Any) -> None:
    layer = sha256(b"a secret layer")
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        push_blob(administrator, "mine/a", b"x")
    thief = person(admin_api, policy(allow(*PUSH, *PULL, on=repository_arn("mine/*"))))
    with acting(guarded, thief) as client:
        answers = [
            client("POST", f"/v2/mine/a/blobs/uploads/?mount={digest}{source}")
            for digest in (layer, DIGEST)
            for source in ("&from=secret/source", "&from=secret/absent", "")
        ]
        for answer in answers:
            assert answer.status == 202
            assert set(answer.headers) == set(answers[0].headers)
            assert answer.body == b""
        refused(client("GET", f"/v2/mine/a/blobs/{layer}"), 404, "BLOB_UNKNOWN")
        # To have the digest is not to have the blob: a manifest that names it is refused as if nobody had it.
        document = json.loads(image(b"a secret layer", config=b"{}").manifest)
        push_blob(client, "mine/a", b"{}")
        answer = client("PUT", "/v2/mine/a/manifests/v1", json.dumps(document).encode())
        refused(answer, 400, "MANIFEST_BLOB_UNKNOWN")


def test_a_blob_is_mounted_from_where_the_caller_may_pull(guarded: RunningServer, admin_api: Any) -> None:
    content = os.urandom(40)
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        push_blob(administrator, "ours/a", content)
        push_blob(administrator, "ours/b", b"x")
    member = person(admin_api, policy(allow(*PUSH, *PULL, on=repository_arn("ours/*"))))
    with acting(guarded, member) as client:
        assert client("POST", f"/v2/ours/b/blobs/uploads/?mount={sha256(content)}&from=ours/a").status == 201
        assert client("GET", f"/v2/ours/b/blobs/{sha256(content)}").body == content


def test_pushing_bytes_that_another_repository_has_tells_nothing(guarded: RunningServer, admin_api: Any) -> None:
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        push_blob(administrator, "mine/b", b"x")
    stranger = person(admin_api, policy(allow(*PUSH, *PULL, on=repository_arn("mine/*"))))
    with acting(guarded, stranger) as client:
        for content in (b"a secret layer", os.urandom(14)):
            assert client("HEAD", f"/v2/mine/b/blobs/{sha256(content)}").status == 404
            answer = client("POST", f"/v2/mine/b/blobs/uploads/?digest={sha256(content)}", content)
            assert answer.status == 201
            assert {name.lower() for name in answer.headers} == {
                "location", "docker-content-digest", "docker-distribution-api-version", "content-length", "date",
                "x-content-type-options", "x-request-id",
            }  # fmt: skip


def test_a_refusal_tells_nothing_of_an_image_to_one_who_may_not_push(guarded: RunningServer, admin_api: Any) -> None:
    pushed = image()
    with acting(guarded, basic(KEY_ID, SECRET)) as administrator:
        push_parts(administrator, "secret/source", pushed)
    reader = person(admin_api, policy(allow(*PULL, on="*")))
    with acting(guarded, reader) as client:
        answer = refused(put(client, "secret/source", "v1", pushed), 403, "DENIED")
    assert b"sha256" not in answer.body
