"""Many names asked at once, by docker's credentials and ECR's log-in, of a real registry and of ones that misbehave."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

import images
from commands import ISOLATED
from holdfast.client.docker_login import DockerLogin, LoginFailed, ecr_host
from holdfast.client.oci import RegistryClient
from holdfast.client.resolving import MAX_AT_ONE, MAX_UNREACHED, Answer, Failure, Question, Resolver
from holdfast.client.transport import Credentials, RegistryUnreachable
from running import ACCOUNT, KEY_ID, REGION, SECRET, Client, RunningServer
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from pathlib import Path

ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@pytest.fixture
def _aws(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's credentials of the administrator, and the server in ECR's place."""
    for name, value in {
        **ISOLATED,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL_ECR": server.url,
    }.items():
        monkeypatch.setenv(name, value)


def auth(name: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


# --- who docker is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "entries", "expected"),
    [
        ("docker.io", {"auths": {"https://index.docker.io/v1/": auth("me", "pass:word")}}, ("me", "pass:word")),
        ("ghcr.io", {"auths": {"ghcr.io": auth("me", "secret\0\0")}}, ("me", "secret")),
        ("ghcr.io", {"auths": {"https://ghcr.io": {"username": "a", "password": "b"}}}, ("a", "b")),
        (
            "a.azurecr.io",
            {"auths": {"a.azurecr.io": {**auth("0000-0000", ""), "identitytoken": "refresh"}}},
            ("<token>", "refresh", True),
        ),
        ("ghcr.io", {"auths": {"ghcr.io": {}}}, None),
        ("ghcr.io", {"auths": {"ghcr.io.evil.example": auth("me", "x")}}, None),
        ("ghcr.io", {}, None),
        ("ghcr.io", {"auths": ["ghcr.io"], "credHelpers": 1, "credsStore": None}, None),
    ],
)
def test_what_stands_in_docker_s_file(host: str, entries: dict[str, Any], expected: tuple[Any, ...] | None) -> None:
    found = DockerLogin(entries).credentials(host)
    assert found == (None if expected is None else Credentials(*expected))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert DockerLogin().credentials("ghcr.io") is None
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(LoginFailed, match="no JSON"):
        DockerLogin()
    with pytest.raises(LoginFailed, match="log in again"):
        DockerLogin({"auths": {"ghcr.io": {"auth": "%%%"}}}).credentials("ghcr.io")
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"quay.io": auth("p", "q")}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    assert DockerLogin().credentials("quay.io") == Credentials("p", "q")


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "https://api.ecr.eu-west-1.amazonaws.com"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "https://ecr-fips.us-east-1.amazonaws.com"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "https://api.ecr.cn-north-1.amazonaws.com.cn"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "https://api.ecr.eu-west-1.amazonaws.com"),
        ("public.ecr.aws", None),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
        ("x123456789012.dkr.ecr.eu-west-1.amazonaws.com", None),
    ],
)
def test_hosts_of_ecr(host: str, endpoint: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_ECR", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    found = ecr_host(host)
    assert (None if found is None else found.endpoint) == endpoint


# --- asking ----------------------------------------------------------------------------------------------------------


def one(resolver: Resolver, question: Question) -> Answer:
    return resolver.ask([question])[question]


@pytest.mark.usefixtures("_aws")
def test_ecr_is_logged_in_to_and_says_whether_tags_hold(server: RunningServer, client: Client, repository: str) -> None:
    made = images.image()
    assert images.push(client, repository, "v1", made).status == 201
    filters = [{"filterType": "WILDCARD", "filter": "dev*"}]
    server.aws().put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert images.push(client, repository, "dev-1", made).status == 201
    resolver = Resolver(DockerLogin({}), addresses={ECR: server.url}, ask_held=True)
    held, free = Question(ECR, repository, "v1"), Question(ECR, repository, "dev-1")
    answers = resolver.ask([held, free, held])
    assert (answers[held].digest, answers[held].held) == (made.digest, True)
    assert (answers[free].digest, answers[free].held) == (made.digest, False)
    assert one(resolver, Question(ECR, repository, "none")) == Answer()
    resolver.close()


def test_without_aws_credentials_docker_s_own_are_used_for_ecr(
    server: RunningServer, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**ISOLATED, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}.items():
        monkeypatch.setenv(name, value)
    made = images.image()
    images.push(client, repository, "v1", made)
    resolver = Resolver(DockerLogin({"auths": {ECR: auth(KEY_ID, SECRET)}}), addresses={ECR: server.url})
    assert one(resolver, Question(ECR, repository, "v1")).digest == made.digest
    resolver.close()


def test_closely_an_index_tells_its_images_and_an_image_its_platform(
    server: RunningServer, client: Client, repository: str
) -> None:
    config = json.dumps({"architecture": "arm64", "os": "linux", "variant": "v8"}).encode()
    arm, attestation = images.image(config=config), images.image()
    listed = [
        {**arm.descriptor, "platform": {"os": "linux", "architecture": "arm64"}},
        {**attestation.descriptor, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    made = images.index(arm, attestation, manifests=listed)
    images.push(client, repository, "v1", made)
    images.push(client, repository, "single", arm)
    host = f"{server.host}:{server.port}"
    resolver = Resolver(DockerLogin({"auths": {host: auth(KEY_ID, SECRET)}}))
    index = one(resolver, Question(host, repository, "v1", closely=True))
    assert (index.digest, index.children) == (made.digest, ((arm.digest, "linux/arm64"),))
    assert one(resolver, Question(host, repository, "single", closely=True)).platform == "linux/arm64/v8"
    assert one(resolver, Question(host, repository, arm.digest)).digest == arm.digest
    assert one(resolver, Question(host, repository, "UPPER CASE")).failure is not None
    resolver.close()


def test_one_registry_is_not_asked_more_at_a_time_than_docker_would() -> None:
    now, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def answer(_asked: Asked) -> Told:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == MAX_AT_ONE:
                gate.set()
        gate.wait(5)
        with lock:
            now -= 1
        return Told(404)

    with stub(answer) as up:
        host = up.url.partition("://")[2]
        resolver = Resolver(DockerLogin({}))
        told: list[None] = []
        answers = resolver.ask([Question(host, "a/b", f"t{n % 30}") for n in range(60)], lambda: told.append(None))
        resolver.close()
    assert most == MAX_AT_ONE
    assert (len(answers), len(told), len(up.asked)) == (30, 30, 30)


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        (Told(401), Failure.UNAUTHORIZED),
        (Told(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), Failure.UNAUTHORIZED),
        (Told(429), Failure.RATE_LIMITED),
        (Told(503), Failure.UNREACHABLE),
        (Told(400), Failure.INVALID),
        (Told(200, headers=(("Docker-Content-Digest", "md5:abc"),)), Failure.UNREACHABLE),
    ],
)
def test_each_trouble_has_its_name(told: Told, failure: Failure) -> None:
    with stub(lambda _asked: told) as up:
        host = up.url.partition("://")[2]
        resolver = Resolver(DockerLogin({}))
        answer = one(resolver, Question(host, "a/b", "1"))
        resolver.close()
    assert answer.failure is failure
    assert answer.sentence


def test_a_registry_that_is_down_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def nothing(self: RegistryClient, _repository: str, reference: object) -> None:
        calls.append(str(reference))
        message = f"Nothing that could be understood came from {self.address}."
        raise RegistryUnreachable(message)

    monkeypatch.setattr(RegistryClient, "describe", nothing)
    resolver = Resolver(DockerLogin({}))
    answers = resolver.ask(Question("registry.example.com", "a/b", f"t{n}") for n in range(200))
    resolver.close()
    assert {one.failure for one in answers.values()} == {Failure.UNREACHABLE}
    assert len(calls) < MAX_UNREACHED + MAX_AT_ONE + 1
    assert any("not asked again" in one.sentence for one in answers.values())


def test_a_helper_that_fails_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-broken"
    helper.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/log\necho locked\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    login = DockerLogin({"credHelpers": {"ghcr.io": "broken"}})
    for _ in range(3):
        with pytest.raises(LoginFailed, match="locked"):
            login.credentials("ghcr.io")
    assert (tmp_path / "log").read_text() == "asked\n"


def test_a_helper_may_have_an_identity_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-acr"
    helper.write_text('#!/bin/sh\necho \'{"ServerURL": "a.azurecr.io", "Username": "<token>", "Secret": "refresh"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    login = DockerLogin({"credHelpers": {"a.azurecr.io": "acr"}})
    assert login.credentials("a.azurecr.io") == Credentials("<token>", "refresh", is_identity_token=True)
