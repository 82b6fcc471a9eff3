"""Who may use the JSON API, and what with: signatures, log-in tokens, policies; every refusal leaves nothing done."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from images import digest_of, image, push, push_parts, put
from json_api import (
    HOLDFAST_TARGET,
    INVALID,
    OTHER_ACCOUNT,
    Api,
    Clock,
    Person,
    Refusal,
    allow,
    client_of,
    constraint,
    deny,
    no_repository,
    person,
    policy,
    refusal,
    repository_arn,
)
from running import ACCOUNT, KEY_ID, REGION, SECRET, Client, basic, running, settings

from holdfast.core import iam
from holdfast.faces.ecr_operations import ECR
from holdfast.faces.holdfast_operations import HOLDFAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Answer, RunningServer

ABSENT = "sha256:" + "0" * 64

WRONG_SIGNATURE = Refusal(
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.",
)
UNKNOWN_CLIENT = Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


def unsigned(header: str) -> Refusal:
    return Refusal("IncompleteSignatureException", f"'{header}' must be a 'SignedHeader' in the AWS Authorization.")


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Clock]]:
    """A server for failed log-ins, which are counted for a minute; and its clock."""
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("guarded")), clock=clock) as up:
        yield up, clock


@pytest.fixture
def api(guarded: tuple[RunningServer, Clock]) -> Iterator[Api]:
    """The administrator's hand-made requests, minutes after those of the test before."""
    server, clock = guarded
    clock.ahead_seconds += 180
    made = Api(server, now=clock.now)
    yield made
    made.close()


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
    with closing(Api(server, key_id, "wrong", now=clock.now)) as wrong, closing(
        Api(server, key_id, secret, now=clock.now)
    ) as right:
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


def test_wrong_passwords_of_the_registry_protocol_count_as_well(
    guarded: tuple[RunningServer, Clock], api: Api
) -> None:
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


# --- log-in tokens ---------------------------------------------------------------------------------------------------


def password(ecr: Any) -> str:
    """Return the password of a new log-in token."""
    [data] = ecr.get_authorization_token()["authorizationData"]
    name, colon, made = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (name, colon) == ("AWS", ":")
    return made


def base(client: Client) -> Answer:
    with closing(client):
        return client("GET", "/v2/")


def test_a_token_logs_in_for_twelve_hours(server: RunningServer, ecr: Any, repository: str) -> None:
    [data] = ecr.get_authorization_token()["authorizationData"]
    assert set(data) == {"authorizationToken", "expiresAt", "proxyEndpoint"}
    assert data["proxyEndpoint"] == server.url
    assert abs(data["expiresAt"].timestamp() - time.time() - 12 * 3600) < 60
    with closing(server.client("AWS", password(ecr))) as client:
        pushed = image()
        assert push(client, repository, "v1", pushed).status == 201
        assert digest_of(client, repository, "v1") == pushed.digest
    assert base(Client(server.host, server.port, f"Bearer {password(ecr)}")).status == 200


def test_the_registries_of_a_token(ecr: Any) -> None:
    told = ecr.get_authorization_token(registryIds=[ACCOUNT, ACCOUNT])["authorizationData"]
    assert len(told) == 2
    assert refusal(ecr.get_authorization_token, registryIds=[ACCOUNT, OTHER_ACCOUNT]).code == INVALID
    why = "Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]"
    assert refusal(ecr.get_authorization_token, registryIds=["1"]) == Refusal(INVALID, constraint("registryIds", why))


def test_a_token_goes_with_its_user_name_and_cannot_be_edited(
    guarded: tuple[RunningServer, Clock], api: Api
) -> None:
    server, _ = guarded
    token = base64.b64decode(
        api("GetAuthorizationToken").json()["authorizationData"][0]["authorizationToken"]
    ).decode()[4:]
    assert base(server.client("AWS", token)).status == 200
    middle = len(token) // 2
    flipped = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for user, secret in (
        (KEY_ID, token),
        ("aws", token),
        ("", token),
        ("AWS", flipped),
        ("AWS", token[:-4]),
        ("AWS", token + "AAAA"),
        ("AWS", ""),
        ("AWS", SECRET),
    ):
        answer = base(server.client(user, secret))
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), (user, secret)


def test_a_token_of_another_server_is_nothing_here(server: RunningServer, strict: RunningServer) -> None:
    with closing(strict.aws("ecr")) as elsewhere:
        token = password(elsewhere)
    assert base(strict.client("AWS", token)).status == 200
    assert base(server.client("AWS", token)).status == 401


def test_a_token_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    wanted = settings(tmp_path_factory.mktemp("restart"))
    pushed = image()
    with running(wanted) as up, closing(up.aws("ecr")) as ecr, closing(up.client()) as client:
        ecr.create_repository(repositoryName="kept/a", imageTagMutability="IMMUTABLE")
        push(client, "kept/a", "v1", pushed)
        token = password(ecr)
        page = ecr.list_images(repositoryName="kept/a", maxResults=1)
        assert "nextToken" not in page
    with running(wanted) as up, closing(up.client("AWS", token)) as client:
        assert digest_of(client, "kept/a", "v1") == pushed.digest
        assert push(client, "kept/a", "v1", image()).status == 409


def test_a_token_expires_with_ecrs_sentence(strict: RunningServer, clock: Clock) -> None:
    with closing(strict.aws("ecr")) as ecr:
        token = password(ecr)
    try:
        clock.ahead_seconds = 12 * 3600 - 30
        assert base(strict.client("AWS", token)).status == 200
        clock.ahead_seconds = 12 * 3600 + 1
        answer = base(strict.client("AWS", token))
        assert (answer.status, answer.code) == (403, "DENIED")
        assert answer.message == "Your authorization token has expired. Reauthenticate and try again."
        bearer = base(Client(strict.host, strict.port, f"Bearer {token}"))
        assert bearer.status == 401
    finally:
        clock.ahead_seconds = 0


def test_a_token_that_is_exchanged_lives_no_longer(strict: RunningServer, clock: Clock) -> None:
    """A token may not be renewed by itself, or its twelve hours would be for ever."""
    with closing(strict.aws("ecr")) as ecr:
        token = password(ecr)
    try:
        clock.ahead_seconds = 12 * 3600 - 60
        with closing(strict.client("AWS", token)) as client:
            answer = client("GET", "/token?service=holdfast")
        assert answer.status == 200
        clock.ahead_seconds = 12 * 3600 + 60
        assert base(Client(strict.host, strict.port, f"Bearer {answer.json()['token']}")).status in {401, 403}
    finally:
        clock.ahead_seconds = 0


@pytest.mark.parametrize("kill", ["key", "principal"])
def test_a_token_dies_with_its_access_key_and_with_its_principal(
    server: RunningServer, holdfast: Any, repository: str, kill: str
) -> None:
    who = person(holdfast, policy(allow("ecr:*")))
    other = holdfast.create_access_key(name=who.name)
    clients = [client_of(server, who), client_of(server, Person(who.name, other["accessKeyId"], other["secretAccessKey"]))]
    tokens = [password(client) for client in clients]
    for token in tokens:
        assert base(server.client("AWS", token)).status == 200
    if kill == "key":
        holdfast.delete_access_key(accessKeyId=who.key_id)
    else:
        holdfast.delete_principal(name=who.name)
    alive = [base(server.client("AWS", token)).status for token in tokens]
    assert alive == [401, 200 if kill == "key" else 401]
    assert base(server.client(who.key_id, who.secret)).status == 401
    assert refusal(clients[0].create_repository, repositoryName=repository) == UNKNOWN_CLIENT
    for client in clients:
        client.close()


# --- policies --------------------------------------------------------------------------------------------------------


def not_authorized(who: Person, action: str, resource: str, reason: str | None = None) -> Refusal:
    reason = reason or f"because no identity-based policy allows the {action} action"
    return Refusal(
        "AccessDeniedException",
        f"User: {who.arn} is not authorized to perform: {action} on resource: {resource} {reason}",
    )


UPLOAD = {"uploadId": "0f8fad5b-d9cb-469f-a165-70867728950e"}
IN_A_REPOSITORY: dict[str, dict[str, Any]] = {
    "BatchCheckLayerAvailability": {"layerDigests": [ABSENT]},
    "BatchDeleteImage": {"imageIds": [{"imageTag": "v1"}]},
    "BatchGetImage": {"imageIds": [{"imageTag": "v1"}]},
    "CompleteLayerUpload": {**UPLOAD, "layerDigests": [ABSENT]},
    "CreateRepository": {},
    "DeleteRepository": {"force": True},
    "DescribeImages": {},
    "GetDownloadUrlForLayer": {"layerDigest": ABSENT},
    "InitiateLayerUpload": {},
    "ListImages": {},
    "PutImage": {"imageManifest": "{}", "imageTag": "v1"},
    "PutImageTagMutability": {"imageTagMutability": "MUTABLE"},
    "UploadLayerPart": {**UPLOAD, "partFirstByte": 0, "partLastByte": 2, "layerPartBlob": "AAAA"},
}
ON_A_RESOURCE: dict[str, dict[str, Any]] = {
    "ListTagsForResource": {},
    "TagResource": {"tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"tagKeys": ["a"]},
}
IN_A_REPOSITORY_OURS: dict[str, dict[str, Any]] = {
    "ForgetTag": {"imageTag": "v1"},
    "ListEntries": {},
    "ListTagHistory": {},
}
IN_A_REGISTRY_OURS: dict[str, dict[str, Any]] = {
    "CollectGarbage": {},
    "CreateAccessKey": {"name": "administrator"},
    "CreatePrincipal": {"name": "mallory", "policies": [policy(allow("*"))]},
    "DeleteAccessKey": {"accessKeyId": KEY_ID},
    "DeletePrincipal": {"name": "administrator"},
    "GetRegistrySettings": {},
    "ListPrincipals": {},
    "PutRegistrySettings": {"deletedTags": "free"},
}


def calls(name: str) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Yield (target, parameters, action, resource) of every operation, on a repository of this name."""
    arn = repository_arn(name)
    for operation, more in IN_A_REPOSITORY.items():
        yield operation, {"repositoryName": name, **more}, f"ecr:{operation}", arn
    for operation, more in ON_A_RESOURCE.items():
        yield operation, {"resourceArn": arn, **more}, f"ecr:{operation}", arn
    yield "DescribeRepositories", {"repositoryNames": [name]}, "ecr:DescribeRepositories", arn
    yield "GetAuthorizationToken", {}, "ecr:GetAuthorizationToken", "*"
    for operation, more in IN_A_REPOSITORY_OURS.items():
        target = f"{HOLDFAST_TARGET}.{operation}"
        yield target, {"repositoryName": name, **more}, f"holdfast:{operation}", arn
    for operation, more in IN_A_REGISTRY_OURS.items():
        yield f"{HOLDFAST_TARGET}.{operation}", more, f"holdfast:{operation}", "*"


def test_every_operation_that_is_offered_is_asked_for_its_right_below() -> None:
    named = {target.rpartition(".")[2] for target, *_ in calls("a/b")}
    assert named == set(ECR) | set(HOLDFAST)


def with_image(ecr: Any, client: Client, repository: str) -> str:
    """Make an IMMUTABLE repository with the tag v1; return its digest."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    pushed = image()
    assert push(client, repository, "v1", pushed).status == 201
    return pushed.digest


def test_without_a_right_nothing_may_be_done_and_nothing_is_told(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    """The answer is the same whether the repository is there or not, and for what is asked of it."""
    digest = with_image(ecr, client, repository)
    before = holdfast.list_entries(repositoryName=repository)["entries"]
    who = person(holdfast, policy(allow("s3:*")))
    with closing(Api(server, who.key_id, who.secret)) as api:
        for name in (repository, f"{repository}-absent"):
            for target, parameters, action, resource in calls(name):
                assert api(target, parameters).refusal == not_authorized(who, action, resource)
    assert holdfast.list_entries(repositoryName=repository)["entries"] == before
    assert digest_of(client, repository, "v1") == digest
    assert holdfast.get_registry_settings()["deletedTags"] == "held"
    assert base(server.client()).status == 200


def test_lists_that_match_nothing_need_the_right_too(server: RunningServer, holdfast: Any, repository: str) -> None:
    who = person(holdfast, policy(allow("s3:*")))
    with closing(Api(server, who.key_id, who.secret)) as api:
        for operation in ("ListImages", "DescribeImages"):
            given = {"repositoryName": repository, "filter": {"imageStatus": "ARCHIVED"}}
            action, resource = f"ecr:{operation}", repository_arn(repository)
            assert api(operation, given).refusal == not_authorized(who, action, resource)


@pytest.fixture(scope="module")
def strict_holdfast(strict: RunningServer) -> Iterator[Any]:
    with closing(strict.aws("holdfast")) as made:
        yield made


@pytest.mark.parametrize(
    ("target", "parameters", "action", "resource"),
    [one for one in calls("rights/a") if one[0].rpartition(".")[2] not in {"DeleteAccessKey", "DeletePrincipal"}],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) and "." in value else None,
)
def test_the_right_to_an_operation_is_enough_for_it_and_for_nothing_else(
    strict: RunningServer, strict_holdfast: Any, target: str, parameters: dict[str, Any], action: str, resource: str
) -> None:
    who = person(strict_holdfast, policy(allow(action, on=resource)))
    with closing(Api(strict, who.key_id, who.secret)) as api:
        reply = api(target, parameters)
        assert reply.status < 500
        assert reply.status == 200 or reply.refusal.code != "AccessDeniedException"
        for other, given, wanted, where in calls("rights/a"):
            if wanted != action:
                assert api(other, given).refusal == not_authorized(who, wanted, where)


def test_all_repositories_are_listed_by_who_may_describe_all_of_them(
    server: RunningServer, holdfast: Any
) -> None:
    """AWS checks a list of all repositories against `repository/*`."""
    everything = repository_arn("*")
    may = person(holdfast, policy(allow("ecr:DescribeRepositories", on=everything)))
    may_not = person(holdfast, policy(allow("ecr:DescribeRepositories", on=repository_arn("team-a/*"))))
    with closing(Api(server, may_not.key_id, may_not.secret)) as api:
        refused = not_authorized(may_not, "ecr:DescribeRepositories", everything)
        assert api("DescribeRepositories").refusal == refused
    with closing(Api(server, may.key_id, may.secret)) as api:
        assert api("DescribeRepositories").status == 200


def test_who_may_read_pulls_and_does_not_push(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    digest = with_image(ecr, client, repository)
    who = person(holdfast, policy(*iam.READ_ONLY["Statement"]))
    with closing(client_of(server, who)) as reader:
        found = reader.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
        assert found["images"][0]["imageId"]["imageDigest"] == digest
        token = password(reader)
        for call, parameters in (
            (reader.put_image, {"imageManifest": found["images"][0]["imageManifest"], "imageTag": "v2"}),
            (reader.initiate_layer_upload, {}),
            (reader.batch_delete_image, {"imageIds": [{"imageTag": "v1"}]}),
            (reader.put_image_tag_mutability, {"imageTagMutability": "MUTABLE"}),
            (reader.delete_repository, {"force": True}),
        ):
            assert refusal(call, repositoryName=repository, **parameters).code == "AccessDeniedException"
    for name, secret in (("AWS", token), (who.key_id, who.secret)):
        with closing(server.client(name, secret)) as pull:
            assert digest_of(pull, repository, "v1") == digest
            answer = pull("POST", f"/v2/{repository}/blobs/uploads/")
            told = not_authorized(who, "ecr:InitiateLayerUpload", repository_arn(repository))
            assert (answer.status, answer.code, answer.message) == (403, "DENIED", told.message)
            assert put(pull, repository, "v2", image()).status == 403
            assert pull("DELETE", f"/v2/{repository}/manifests/v1").status == 403
    assert digest_of(client, repository, "v1") == digest


def test_who_may_push_does_not_delete_or_switch(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    with_image(ecr, client, repository)
    who = person(holdfast, policy(*iam.POWER_USER["Statement"]))
    pushed = image()
    with closing(server.client(who.key_id, who.secret)) as mine:
        assert push(mine, repository, "v2", pushed).status == 201
    with closing(client_of(server, who)) as power:
        for call, parameters in (
            (power.batch_delete_image, {"imageIds": [{"imageTag": "v2"}]}),
            (power.put_image_tag_mutability, {"imageTagMutability": "MUTABLE"}),
            (power.delete_repository, {"force": True}),
        ):
            assert refusal(call, repositoryName=repository, **parameters).code == "AccessDeniedException"
    assert digest_of(client, repository, "v2") == pushed.digest


def test_a_right_to_some_repositories_is_a_right_to_no_other(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    inside, beside, beyond = f"{repository}/app", f"{repository}-app", repository
    for name in (inside, beside, beyond):
        with_image(ecr, client, name)
    who = person(holdfast, policy(allow("ecr:*", on=repository_arn(f"{repository}/*"))))
    with closing(client_of(server, who)) as mine, closing(server.client(who.key_id, who.secret)) as pull:
        assert len(mine.list_images(repositoryName=inside)["imageIds"]) == 1
        assert digest_of(pull, inside, "v1") is not None
        assert push(pull, inside, "v2", image()).status == 201
        for name in (beside, beyond, f"{beyond}-absent"):
            told = not_authorized(who, "ecr:ListImages", repository_arn(name))
            assert refusal(mine.list_images, repositoryName=name) == told
            assert pull("GET", f"/v2/{name}/manifests/v1").status == 403
            assert push_denied(pull, name)
        assert mine.create_repository(repositoryName=f"{repository}/new")
        assert refusal(mine.create_repository, repositoryName=f"{repository}-new").code == "AccessDeniedException"


def push_denied(client: Client, name: str) -> bool:
    pushed = image()
    return (
        client("POST", f"/v2/{name}/blobs/uploads/").status == 403
        and put(client, name, "evil", pushed).status == 403
    )


@pytest.mark.parametrize("same_policy", [True, False])
def test_an_explicit_deny_wins_over_any_allow(
    server: RunningServer,
    ecr: Any,
    holdfast: Any,
    client: Client,
    repository: str,
    same_policy: bool,  # noqa: FBT001
) -> None:
    digest = with_image(ecr, client, repository)
    lock = deny("ecr:PutImageTagMutability", "ecr:BatchDeleteImage", "ecr:DeleteRepository")
    everything = allow("*")
    policies = [policy(everything, lock)] if same_policy else [policy(lock), policy(everything)]
    who = person(holdfast, *policies)
    reason = "with an explicit deny in an identity-based policy"
    with closing(client_of(server, who)) as mine:
        for call, action, parameters in (
            (mine.put_image_tag_mutability, "ecr:PutImageTagMutability", {"imageTagMutability": "MUTABLE"}),
            (mine.batch_delete_image, "ecr:BatchDeleteImage", {"imageIds": [{"imageTag": "v1"}]}),
            (mine.delete_repository, "ecr:DeleteRepository", {"force": True}),
        ):
            told = refusal(call, repositoryName=repository, **parameters)
            assert told == not_authorized(who, action, repository_arn(repository), reason)
        assert len(mine.list_images(repositoryName=repository)["imageIds"]) == 1
    with closing(server.client(who.key_id, who.secret)) as mine:
        assert mine("DELETE", f"/v2/{repository}/manifests/v1").status == 403
    assert digest_of(client, repository, "v1") == digest


def test_an_administrator_may_make_administrators(server: RunningServer, holdfast: Any, repository: str) -> None:
    who = person(holdfast, policy(*iam.ADMINISTRATOR["Statement"]))
    with closing(client_of(server, who, "holdfast")) as second:
        third = person(second, policy(*iam.ADMINISTRATOR["Statement"]))
    with closing(client_of(server, third)) as mine:
        mine.create_repository(repositoryName=repository)
        mine.delete_repository(repositoryName=repository)


def test_a_page_of_a_list_needs_the_right_as_the_first_did(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    with_image(ecr, client, repository)
    push_parts(client, repository, image())
    push(client, repository, "v2", image())
    who = person(holdfast, policy(allow("ecr:ListImages")))
    with closing(client_of(server, who)) as mine:
        token = mine.list_images(repositoryName=repository, maxResults=1)["nextToken"]
        holdfast.delete_access_key(accessKeyId=who.key_id)
        told = refusal(mine.list_images, repositoryName=repository, maxResults=1, nextToken=token)
        assert told == UNKNOWN_CLIENT
