"""A pipeline logs in with its token alone: a real issuer on this machine, and every way that a token can be wrong."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from holdfast.client.api import session_of
from images import image, push
from json_api import Clock, refusal
from running import ACCOUNT, REGION, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE = "holdfast"
SUBJECT = "repo:acme/app:ref:refs/heads/main"


@dataclass
class Issuer:
    """An OIDC issuer: discovery, keys, and the tokens that it signs."""

    url: str = ""
    rsa_key: Any = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    ec_key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    asked: int = 0
    told_issuer: str | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def now(self) -> int:
        return self.clock() // 1_000_000

    def keys(self) -> dict[str, Any]:
        described = []
        for kid, algorithm, key in (
            ("r1", jwt.algorithms.RSAAlgorithm, self.rsa_key),
            ("e1", jwt.algorithms.ECAlgorithm, self.ec_key),
        ):
            described.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
        return {"keys": described}

    def token(self, *, algorithm: str = "RS256", key: Any = None, kid: str | None = None, **claims: Any) -> str:
        now = self.now
        content = {
            "iss": self.url,
            "sub": SUBJECT,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "ref": "refs/heads/main",
        }
        content |= claims
        signer = key or (self.ec_key if algorithm == "ES256" else self.rsa_key)
        headers = {"kid": kid or ("e1" if algorithm == "ES256" else "r1")}
        return jwt.encode(
            {name: value for name, value in content.items() if value is not None}, signer, algorithm, headers
        )


@pytest.fixture(scope="module")
def issuer(clock: Clock) -> Iterator[Issuer]:
    made = Issuer(clock=clock)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            body = json.dumps(
                {"issuer": made.told_issuer or made.url, "jwks_uri": f"{made.url}/jwks"}
                if self.path.endswith("openid-configuration")
                else made.keys()
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[RunningServer]:
    with running(settings(tmp_path_factory.mktemp("oidc"), create_on_push="IMMUTABLE"), clock=clock) as up:
        yield up


@pytest.fixture(scope="module")
def role(server: RunningServer, issuer: Issuer) -> str:
    """A role that the main branch of one repository may become."""
    name = issuer.url.partition("://")[2]
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{name}:aud": AUDIENCE},
                "StringLike": {f"{name}:sub": "repo:acme/app:ref:refs/heads/*"},
            },
        },
    }
    may = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}}
    with contextlib.closing(server.aws("holdfast")) as ours:
        ours.put_identity_provider(issuer=issuer.url, audiences=[AUDIENCE])
        open_to_all = json.loads(json.dumps(trust))
        del open_to_all["Statement"]["Condition"]["StringLike"]
        told = refusal(ours.create_role, name="ci", trustPolicy=json.dumps(open_to_all))
        assert "must say which tokens" in told.message
        made = ours.create_role(name="ci", trustPolicy=json.dumps(trust), policies=[json.dumps(may)])["role"]
    return str(made["arn"])


@pytest.fixture(scope="module")
def sts(server: RunningServer) -> Iterator[Any]:
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 1}, proxies={})
    with contextlib.closing(boto3.client("sts", region_name=REGION, endpoint_url=server.url, config=config)) as made:
        yield made


def code_of(sts: Any, role: str, token: str) -> tuple[str, str]:
    with pytest.raises(sts.exceptions.ClientError) as caught:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="run-1", WebIdentityToken=token)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_pipeline_pushes_with_its_token_alone(
    server: RunningServer, issuer: Issuer, role: str, sts: Any, repository: str, algorithm: str
) -> None:
    made = sts.assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="run-1", WebIdentityToken=issuer.token(algorithm=algorithm), DurationSeconds=900
    )
    assert (made["SubjectFromWebIdentityToken"], made["Audience"]) == (SUBJECT, AUDIENCE)
    given = made["Credentials"]
    ecr = session_of().create_client(
        "ecr",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(proxies={}),
    )
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    ecr.close()
    user, _, password = base64.b64decode(token).decode().partition(":")
    client = server.client(user, password)
    assert push(client, repository, "v1", image()).status == 201
    with contextlib.closing(server.aws("holdfast")) as ours:
        entries = ours.list_entries(repositoryName=repository)["entries"]
    assert {one["principal"] for one in entries} == {f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run-1"}


def test_a_wrong_token_is_nothing(issuer: Issuer, role: str, sts: Any, clock: Clock) -> None:
    clock.ahead_seconds += 61  # wrong tokens count as failed log-ins, ten a minute
    now = issuer.now
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    unsigned = jwt.encode({"iss": issuer.url, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 60}, "", "none")
    shared = jwt.encode(
        {"iss": issuer.url, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 60},
        "a-secret-that-is-thirty-two-bytes-long",
        "HS256",
        {"kid": "r1"},
    )
    for token, why in (
        ("xxxx", "not a JSON Web Token"),
        (issuer.token(aud="sts.amazonaws.com"), "audience"),
        (issuer.token(iss="https://elsewhere.example"), "No OpenIDConnect provider"),
        (issuer.token(exp=now - 3_600), "expired"),
        (issuer.token(iat=now + 3_600), "not yet valid"),
        (issuer.token(nbf=now + 3_600), "not yet valid"),
        (issuer.token(sub=None), "no claim 'sub'"),
        (issuer.token(exp=None), "no claim 'exp'"),
        (issuer.token(key=other), "signature"),
        (issuer.token(kid="nobody"), "Couldn't find the key"),
        (unsigned, "Couldn't"),
        (shared, "Couldn't verify"),
        (issuer.token()[:-2] + "AA", "Couldn't verify"),
    ):
        clock.ahead_seconds += 7
        code, message = code_of(sts, role, token)
        assert (code, why in message) == ("InvalidIdentityToken", True), (why, message)


def test_another_subject_or_role_is_denied(issuer: Issuer, role: str, sts: Any, clock: Clock) -> None:
    clock.ahead_seconds += 61
    for subject in ("repo:acme/app:pull_request", "repo:evil/app:ref:refs/heads/main"):
        code, message = code_of(sts, role, issuer.token(sub=subject))
        assert code == "AccessDenied"
        assert "sts:AssumeRoleWithWebIdentity" in message
    assert code_of(sts, f"{role}-absent", issuer.token())[0] == "AccessDenied"


def test_keys_are_fetched_seldom_whatever_comes(issuer: Issuer, role: str, sts: Any, clock: Clock) -> None:
    clock.ahead_seconds += 61
    code_of(sts, role, issuer.token(kid="unknown-1"))
    asked = issuer.asked
    for place in range(5):
        code_of(sts, role, issuer.token(kid=f"unknown-{place}"))
    assert issuer.asked == asked


def test_an_issuer_that_names_another_is_not_believed(issuer: Issuer, role: str, sts: Any, clock: Clock) -> None:
    clock.ahead_seconds += 3_600
    issuer.told_issuer = "https://elsewhere.example"
    try:
        code, message = code_of(sts, role, issuer.token())
    finally:
        issuer.told_issuer = None
    assert (code, "another issuer" in message) == ("InvalidIdentityToken", True)
