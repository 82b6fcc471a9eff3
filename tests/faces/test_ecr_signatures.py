"""Signatures of the JSON API over real HTTP: only what was signed is done; and failed log-ins, which are limited."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from holdfast.registry.access import Access, Claim
from json_api import (
    HOLDFAST_TARGET,
    Api,
    Clock,
    Refusal,
    allow,
    no_repository,
    policy,
)
from running import KEY_ID, REGION, SECRET, basic, on_loop

if TYPE_CHECKING:
    from running import RunningServer

WRONG_SIGNATURE = Refusal(
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.",
)
UNKNOWN_CLIENT = Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


def unsigned(header: str) -> Refusal:
    return Refusal("IncompleteSignatureException", f"'{header}' must be a 'SignedHeader' in the AWS Authorization.")


@pytest.fixture
def api(guarded_api: Api) -> Api:
    """The administrator's requests to the server for failed log-ins."""
    return guarded_api


# --- signatures ------------------------------------------------------------------------------------------------------


def is_made(api: Api, name: str) -> bool:
    """Tell whether a repository is there."""
    reply = api("DescribeRepositories", {"repositoryNames": [name]})
    if reply.status == 200:
        return True
    assert reply.refusal == no_repository(name)
    return False


def test_a_request_signed_by_hand_is_taken(api: Api, repository: str) -> None:
    reply = api("CreateRepository", {"repositoryName": repository})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-amz-json-1.1")
    assert reply.headers["x-amzn-RequestId"]
    assert is_made(api, repository)
    body = b'{"repositoryNames":["%s"]}' % repository.encode()
    changes: list[dict[str, Any]] = [
        {"payload": hashlib.sha256(body).hexdigest()},
        {"more": {"X-Amz-User-Agent": "a b", "Amz-Sdk-Request": "attempt=1"}},
        {"query": "a=1&b=2"},
        {"unsigned": {"User-Agent": "x"}},
        {"at": api.now() - timedelta(minutes=14, seconds=50)},
        {"at": api.now() + timedelta(minutes=14, seconds=50)},
    ]
    for change in changes:
        assert api("DescribeRepositories", body, **change).status == 200, change


def test_a_body_that_was_changed_is_refused(api: Api, repository: str) -> None:
    for name in (repository, f"{repository}-b"):
        prepared = api.prepare("CreateRepository", {"repositoryName": repository})
        body = prepared.body.replace(repository.encode(), name.encode()) + b" "
        assert api.send(dataclasses.replace(prepared, body=body)).refusal == WRONG_SIGNATURE
        assert not is_made(api, name)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Type", "application/json"),
        ("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"),
        ("Host", "localhost:1"),
        ("X-Extra", "changed"),
    ],
)
def test_a_signed_header_that_was_changed_is_refused(api: Api, repository: str, header: str, value: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository}, more={"X-Extra": "as signed"})
    changed = prepared.headers | {header: value}
    assert api.send(dataclasses.replace(prepared, headers=changed)).refusal == WRONG_SIGNATURE
    assert not is_made(api, repository)


def test_a_date_that_was_changed_is_refused(api: Api, repository: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    later = (api.now() + timedelta(seconds=5)).strftime("%Y%m%dT%H%M%SZ")
    changed = prepared.headers | {"X-Amz-Date": later}
    assert api.send(dataclasses.replace(prepared, headers=changed)).refusal == WRONG_SIGNATURE
    assert not is_made(api, repository)


def test_a_query_that_was_added_changed_or_taken_away_is_refused(api: Api, repository: str) -> None:
    given = {"repositoryName": repository}
    plain, asked = api.prepare("CreateRepository", given), api.prepare("CreateRepository", given, query="a=1")
    for prepared, target in ((plain, "/?a=1"), (asked, "/"), (asked, "/?a=2"), (asked, "/?a=1&a=1"), (asked, "/?A=1")):
        assert api.send(dataclasses.replace(prepared, target=target)).refusal == WRONG_SIGNATURE
    assert not is_made(api, repository)


def test_a_signature_for_another_place_is_refused(api: Api, repository: str) -> None:
    given = {"repositoryName": repository}
    assert api("CreateRepository", given, region="us-east-1").refusal == Refusal(
        "InvalidSignatureException", "Credential should be scoped to a valid region, not 'us-east-1'."
    )
    for service in ("s3", "holdfast", "ECR"):
        assert api("CreateRepository", given, service=service).refusal == Refusal(
            "InvalidSignatureException", "Credential should be scoped to correct service: 'ecr'."
        )
    assert not is_made(api, repository)


@pytest.mark.parametrize(
    ("off", "begins"),
    [
        (timedelta(minutes=-16), "Signature expired: "),
        (timedelta(days=-2), "Signature expired: "),
        (timedelta(minutes=16), "Signature not yet current: "),
        (timedelta(days=365), "Signature not yet current: "),
    ],
)
def test_a_signature_out_of_its_time_is_refused(api: Api, repository: str, off: timedelta, begins: str) -> None:
    code, message = api("CreateRepository", {"repositoryName": repository}, at=api.now() + off).refusal
    assert code == "InvalidSignatureException"
    assert message.startswith(begins)
    assert not is_made(api, repository)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("X-Amz-Target", "x-amz-target"),
        ("Host", "Host' or ':authority"),
        ("X-Amz-Date", "x-amz-date"),
        ("X-Amz-Meta", "x-amz-meta"),
    ],
)
def test_what_an_operation_hangs_on_must_be_signed(api: Api, repository: str, header: str, shown: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    value = prepared.headers.get(header, "x")
    bare = api.prepare("CreateRepository", {"repositoryName": repository}, unsigned={header: value})
    assert api.send(bare).refusal == unsigned(shown)
    assert not is_made(api, repository)


@pytest.mark.parametrize(
    "payload",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        hashlib.sha256(b"").hexdigest(),
        "",
        "x",
    ],
)
def test_the_payload_must_be_signed_as_it_is(api: Api, repository: str, payload: str) -> None:
    reply = api("CreateRepository", {"repositoryName": repository}, payload=payload)
    assert reply.refusal.code == "InvalidSignatureException"
    assert not is_made(api, repository)


def test_a_request_without_credentials_is_refused(api: Api, repository: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    headers = {name: value for name, value in prepared.headers.items() if name != "Authorization"}
    missing = Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
    assert api.send(dataclasses.replace(prepared, headers=headers)).refusal == missing
    assert not is_made(api, repository)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "x",
        basic(KEY_ID, SECRET),
        "Bearer x",
        "AWS4-HMAC-SHA256",
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 " + "a=b," * 300,
        "AWS4-HMAC-SHA256 Credential=" + "a" * 5_000,
    ],
)
def test_credentials_of_another_form_are_refused(api: Api, repository: str, authorization: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    changed = prepared.headers | {"Authorization": authorization}
    code, message = api.send(dataclasses.replace(prepared, headers=changed)).refusal
    assert code == "IncompleteSignatureException"
    assert SECRET not in message
    assert len(message) < 500
    assert not is_made(api, repository)


def test_a_signature_that_was_changed_is_refused(api: Api, repository: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    good = prepared.headers["Authorization"]
    head, _, signature = good.rpartition("=")
    flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
    for changed, refused in (
        (f"{head}={flipped}", WRONG_SIGNATURE.code),
        (f"{head}={'0' * 64}", WRONG_SIGNATURE.code),
        (f"{head}={signature.upper()}", "IncompleteSignatureException"),
        (f"{head}={signature[:-1]}", "IncompleteSignatureException"),
        (f"{head}={signature}, Signature={signature}", "IncompleteSignatureException"),
        (good.replace(REGION, "us-east-1"), WRONG_SIGNATURE.code),
        (good.replace("aws4_request", "aws5_request"), WRONG_SIGNATURE.code),
        (good.replace("content-type;", ""), WRONG_SIGNATURE.code),
    ):
        headers = prepared.headers | {"Authorization": changed}
        assert api.send(dataclasses.replace(prepared, headers=headers)).refusal.code == refused, changed
    assert not is_made(api, repository)


def test_credentials_in_the_query_are_refused_beside_good_ones_and_alone(api: Api, repository: str) -> None:
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY_ID}&X-Amz-Signature={'0' * 64}"
    prepared = api.prepare("CreateRepository", {"repositoryName": repository}, query=query)
    assert api.send(prepared).refusal.code == "IncompleteSignatureException"
    alone = {name: value for name, value in prepared.headers.items() if name != "Authorization"}
    refused = api.send(dataclasses.replace(prepared, headers=alone)).refusal
    assert refused.code == "MissingAuthenticationTokenException"
    assert not is_made(api, repository)


def test_an_unknown_key_a_wrong_secret_and_a_session_token_are_refused(api: Api, repository: str) -> None:
    given = {"repositoryName": repository}
    with closing(Api(api.server, "AKIANOBODYHASTHISKEY", SECRET, now=api.now)) as nobody:
        assert nobody("CreateRepository", given).refusal == UNKNOWN_CLIENT
    for secret in (SECRET + "x", SECRET[:-1], ""):
        with closing(Api(api.server, KEY_ID, secret, now=api.now)) as wrong:
            assert wrong("CreateRepository", given).refusal == WRONG_SIGNATURE
    reply = api("CreateRepository", given, more={"X-Amz-Security-Token": "x"})
    assert reply.refusal == UNKNOWN_CLIENT
    assert not is_made(api, repository)


def test_no_body_is_awaited_of_who_has_no_key(api: Api) -> None:
    """Or a stranger could make the server hold 32 MiB on each of its connections."""
    with closing(Api(api.server, "AKIANOBODYHASTHISKEY", SECRET, now=api.now)) as nobody:
        prepared = nobody.prepare("UploadLayerPart")
    connection = http.client.HTTPConnection(api.server.host, api.server.port, timeout=10)
    connection.putrequest("POST", "/", skip_host=True)
    for name, value in prepared.headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", "30000000")
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, b"UnrecognizedClientException" in response.read()) == (400, True)
    connection.close()


@pytest.mark.parametrize("header", ["Authorization", "X-Amz-Target", "X-Amz-Date"])
def test_a_header_that_stands_twice_is_refused(api: Api, repository: str, header: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    connection = http.client.HTTPConnection(api.server.host, api.server.port, timeout=60)
    connection.putrequest("POST", "/", skip_host=True)
    for name, value in [*prepared.headers.items(), (header, prepared.headers[header])]:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(prepared.body)))
    connection.endheaders(prepared.body)
    response = connection.getresponse()
    assert (response.status, b"RepositoryArn" in response.read()) == (400, False)
    connection.close()
    assert not is_made(api, repository)


def test_the_signature_is_verified_before_the_body_is_read(api: Api) -> None:
    prepared = api.prepare("CreateRepository", b"not JSON")
    changed = dataclasses.replace(prepared, body=b"not json")
    assert api.send(changed).refusal == WRONG_SIGNATURE
    assert api.send(prepared).refusal.code == "SerializationException"


def test_both_services_are_signed_alike(api: Api) -> None:
    for operation in ("DescribeRepositories", f"{HOLDFAST_TARGET}.ListPrincipals"):
        assert api(operation).status == 200
        with closing(Api(api.server, KEY_ID, "wrong", now=api.now)) as wrong:
            assert wrong(operation).refusal == WRONG_SIGNATURE


# --- failed log-ins --------------------------------------------------------------------------------------------------


def throttled(reply: Any) -> int:
    """Return how long a client that failed too often is told to wait."""
    code, message = reply.refusal
    assert code == "ThrottlingException"
    assert message.startswith("Too many failed log-ins. Wait ")
    return int(message.split()[5])


def test_after_ten_wrong_signatures_even_the_right_one_must_wait_a_minute(
    guarded: tuple[RunningServer, Clock], api: Api
) -> None:
    server, clock = guarded
    holdfast = f"{HOLDFAST_TARGET}."
    name = f"slow-{int(clock())}"
    api(f"{holdfast}CreatePrincipal", {"name": name, "policies": [policy(allow("ecr:*"))]})
    key = api(f"{holdfast}CreateAccessKey", {"name": name}).json()
    key_id, secret = key["accessKeyId"], key["secretAccessKey"]
    with (
        closing(Api(server, key_id, "wrong", now=clock.now)) as wrong,
        closing(Api(server, key_id, secret, now=clock.now)) as right,
    ):
        for _ in range(9):
            assert wrong("DescribeRepositories").refusal == WRONG_SIGNATURE
        assert right("DescribeRepositories").status == 200
        assert wrong("DescribeRepositories").refusal == WRONG_SIGNATURE
        assert 50 <= throttled(right("DescribeRepositories")) <= 60
        throttled(wrong("DescribeRepositories"))
        with closing(server.client(key_id, secret)) as pull:
            assert (pull("GET", "/v2/").status, pull("GET", "/v2/").code) == (429, "TOOMANYREQUESTS")
        assert api("DescribeRepositories").status == 200, "another key of the same address goes on"
        clock.ahead_seconds += 61
        assert right("DescribeRepositories").status == 200


def test_wrong_passwords_of_the_registry_protocol_count_as_well(guarded: tuple[RunningServer, Clock], api: Api) -> None:
    server, _ = guarded
    with closing(server.client(KEY_ID, "wrong")) as wrong:
        for _ in range(10):
            assert wrong("GET", "/v2/").status == 401
    throttled(api("DescribeRepositories"))


def from_address(server: RunningServer, address: str, prepared: Any) -> int:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60, source_address=(address, 0))
    connection.request("POST", "/", prepared.body, prepared.headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_hundred_failures_slow_down_a_whole_address_and_no_other(
    guarded: tuple[RunningServer, Clock], api: Api
) -> None:
    server, clock = guarded
    for number in range(100):
        with closing(Api(server, f"AKIAGUESS{number}", "x", now=clock.now)) as guess:
            assert guess("DescribeRepositories").refusal == UNKNOWN_CLIENT
    throttled(api("DescribeRepositories"))
    assert from_address(server, "127.0.0.2", api.prepare("DescribeRepositories")) == 200
    clock.ahead_seconds += 61
    assert api("DescribeRepositories").status == 200


def test_a_key_that_is_deleted_signs_nothing_more_however_often_it_did(server: RunningServer) -> None:
    mine = server.aws("holdfast")
    key = mine.create_access_key(name="administrator")
    ecr = server.aws(key_id=key["accessKeyId"], secret=key["secretAccessKey"])
    for _ in range(3):
        ecr.describe_repositories()
    mine.delete_access_key(accessKeyId=key["accessKeyId"])
    with pytest.raises(ClientError) as caught:
        ecr.describe_repositories()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_a_key_that_is_deleted_while_a_body_comes_is_not_remembered(server: RunningServer) -> None:
    """The request is verified with what was found before its body came; the next must not find that."""
    mine = server.aws("holdfast")
    key = mine.create_access_key(name="administrator")
    with closing(Api(server, key["accessKeyId"], key["secretAccessKey"])) as api:
        prepared = api.prepare("DescribeRepositories", b"{}")
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        connection.putrequest("POST", "/", skip_host=True)
        for name, value in prepared.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        mine.delete_access_key(accessKeyId=key["accessKeyId"])
        connection.send(b"{}")
        connection.getresponse().read()
        connection.close()
        assert api("DescribeRepositories").refusal == UNKNOWN_CLIENT


def test_who_claims_to_have_signed_is_remembered_once_that_is_proved(
    guarded: tuple[RunningServer, Clock], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a stranger who knows the id of a key could push everybody else out of the memory."""
    server, clock = guarded
    claims: list[Claim | None] = []
    claimed = Access.claimed

    def watched(*given: Any) -> Claim | None:
        claims.append(claimed(*given))
        return claims[-1]

    monkeypatch.setattr(Access, "claimed", watched)

    def remembered(of: Api) -> bool:
        of("DescribeRepositories", unsigned={"User-Agent": "of this test"})
        claim = claims[-1]
        assert claim is not None
        return claim.keep is None

    with closing(Api(server, KEY_ID, "wrong", now=clock.now)) as wrong:
        assert [remembered(wrong) for _ in range(3)] == [False] * 3
    assert [remembered(api) for _ in range(3)] == [False, True, True]


def test_what_is_forgotten_is_not_remembered_by_a_request_under_way(
    guarded: tuple[RunningServer, Clock], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when all tokens end while the body of a request comes that was signed with one."""
    found: list[tuple[Access, tuple[Any, ...], Claim]] = []
    claimed = Access.claimed

    def watched(access: Access, *given: Any) -> Claim | None:
        claim = claimed(access, *given)
        assert claim is not None
        found.append((access, given, claim))
        return claim

    monkeypatch.setattr(Access, "claimed", watched)
    api("DescribeRepositories", unsigned={"User-Agent": "of another test"})
    [(access, given, claim)] = found
    assert claim.keep is not None

    async def again() -> Claim | None:
        access.forget()
        assert claim.keep is not None
        claim.keep()
        return claimed(access, *given)

    looked_up = on_loop(guarded[0], again)
    assert looked_up.keep is not None, "looked up anew"
