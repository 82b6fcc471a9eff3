"""The JSON API as a test sees it: what a refusal said, people with rights, and a signer that can also sign wrongly.

botocore's clients are the judge of what is right. The signer here is written from AWS's documentation ("Create a signed
AWS API request"), so that a test may change any part of a request before or after it is signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from holdfast.client.api import session_of
from running import ACCOUNT, KEY_ID, REGION, SECRET, Answer, RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from images import Image

ECR_TARGET = "AmazonEC2ContainerRegistry_V20150921"
HOLDFAST_TARGET = "Holdfast_V20261101"
JSON_TYPE = "application/x-amz-json-1.1"

INVALID = "InvalidParameterException"
OTHER_ACCOUNT = "999999999999"


class Refusal(NamedTuple):
    """The name and the sentence of an exception."""

    code: str
    message: str


def refused(call: Callable[..., Any], /, **parameters: Any) -> dict[str, Any]:
    """Call an operation that must be refused as the JSON protocol refuses, and return all that was told."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response: dict[str, Any] = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return response


def refusal(call: Callable[..., Any], /, **parameters: Any) -> Refusal:
    """Call an operation that must be refused, and return which exception said what."""
    error = refused(call, **parameters)["Error"]
    return Refusal(error["Code"], error["Message"])


def constraint(parameter: str, why: str) -> str:
    """Return ECR's sentence for a parameter that breaks a rule."""
    return f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{why}'"


def no_repository(name: str, account: str = ACCOUNT) -> Refusal:
    """Return what is told of a repository that is not there."""
    return Refusal(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{account}'",
    )


def held(tag: str, repository: str) -> str:
    """Return ECR's sentence for a tag that does not move."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )


class Clock:
    """The time of a server, which a test may put forward; microseconds since the epoch."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> int:
        """Return the time."""
        return time.time_ns() // 1_000 + int(self.ahead_seconds * 1_000_000)

    def now(self) -> datetime:
        """Return the time as a date."""
        return datetime.fromtimestamp(self() / 1_000_000, UTC)


# --- people ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """A principal with one access key."""

    name: str
    key_id: str
    secret: str

    @property
    def arn(self) -> str:
        """The principal's ARN."""
        return f"arn:aws:iam::{ACCOUNT}:user/{self.name}"


def repository_arn(name: str) -> str:
    """Return the ARN of a repository of the test registry."""
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def allow(*actions: str, on: str = "*") -> dict[str, Any]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def deny(*actions: str, on: str = "*") -> dict[str, Any]:
    """Return a statement that denies actions."""
    return {"Effect": "Deny", "Action": list(actions), "Resource": on}


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document of statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def person(holdfast: Any, *policies: str) -> Person:
    """Make a principal with policies, through Holdfast's own operations."""
    name = f"p-{uuid.uuid4().hex[:12]}"
    holdfast.create_principal(name=name, policies=list(policies))
    key = holdfast.create_access_key(name=name)
    return Person(name, key["accessKeyId"], key["secretAccessKey"])


_SESSION = session_of()


def client_of(server: RunningServer, who: Person, service: str = "ecr") -> Any:
    """Return a botocore client for a person; quicker than `server.aws`, as the model is read once."""
    return _SESSION.create_client(
        service,
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=who.key_id,
        aws_secret_access_key=who.secret,
    )


# --- images ---------------------------------------------------------------------------------------------------------


def put_image(ecr: Any, repository: str, pushed: Image, tag: str | None = None, **more: Any) -> Any:
    given = {"imageTag": tag, **more} if tag is not None else more
    return ecr.put_image(repositoryName=repository, imageManifest=pushed.manifest.decode(), **given)["image"]


def put_refused(ecr: Any, repository: str, pushed: Image, tag: str | None = None, **more: Any) -> Refusal:
    given = {"imageTag": tag, **more} if tag is not None else more
    return refusal(ecr.put_image, repositoryName=repository, imageManifest=pushed.manifest.decode(), **given)


def ids(ecr: Any, repository: str, **more: Any) -> list[tuple[str, str | None]]:
    """Return every (digest, tag) of a repository, page by page."""
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository, **more)
    return [(one["imageDigest"], one.get("imageTag")) for page in pages for one in page["imageIds"]]


def pairs(found: Iterable[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Return (digest, tag) of images or identifiers."""
    each = (one.get("imageId", one) for one in found)
    return [(one["imageDigest"], one.get("imageTag")) for one in each]


# --- requests by hand ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply(Answer):
    """An answer of the JSON API."""

    @property
    def code(self) -> str:
        """The name of the exception."""
        return str(self.json()["__type"])

    @property
    def message(self) -> str:
        """The sentence of the exception."""
        return str(self.json()["message"])

    @property
    def refusal(self) -> Refusal:
        """Name and sentence of the exception, told with the status and the type that the protocol has."""
        assert self.status == 400, self.body
        assert self.headers["Content-Type"] == JSON_TYPE
        return Refusal(self.code, self.message)


@dataclass
class Prepared:
    """A request that is signed and not sent yet: change what you like."""

    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    target: str = "/"


@dataclass
class Api:
    """Sends hand-made requests of one key pair."""

    server: RunningServer
    key_id: str = KEY_ID
    secret: str = SECRET
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _send: Any = field(init=False)

    def __post_init__(self) -> None:
        self._send = self.server.anonymous()

    def __call__(self, operation: str, parameters: Mapping[str, Any] | bytes = b"{}", **changes: Any) -> Reply:
        """Sign and send; `changes` go to `prepare`."""
        return self.send(self.prepare(operation, parameters, **changes))

    def send(self, prepared: Prepared) -> Reply:
        """Send a request as it is."""
        answer = self._send(prepared.method, prepared.target, prepared.body, prepared.headers)
        return Reply(answer.status, answer.headers, answer.body)

    def close(self) -> None:
        """Close the connection."""
        self._send.close()

    def prepare(
        self,
        operation: str,
        parameters: Mapping[str, Any] | bytes = b"{}",
        *,
        at: datetime | None = None,
        region: str = REGION,
        service: str = "ecr",
        payload: str | None = None,
        unsigned: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        query: str = "",
    ) -> Prepared:
        """Make a signed request of an operation of ECR's, or of the one whose whole target is given.

        `payload` is what X-Amz-Content-Sha256 says and the signature covers; `more` are headers that are signed,
        `unsigned` such as are not.
        """
        body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
        stamp = (at or self.now()).strftime("%Y%m%dT%H%M%SZ")
        target = operation if "." in operation else f"{ECR_TARGET}.{operation}"
        headers = {
            "Content-Type": JSON_TYPE,
            "Host": f"{self.server.host}:{self.server.port}",
            "X-Amz-Date": stamp,
            "X-Amz-Target": target,
            **({"X-Amz-Content-Sha256": payload} if payload is not None else {}),
            **(more or {}),
        }
        headers = {name: value for name, value in headers.items() if name not in (unsigned or {})}
        signed = {name.lower(): value for name, value in headers.items()}
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        digest = payload if payload is not None else hashlib.sha256(body).hexdigest()
        canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return Prepared(headers | dict(unsigned or {}), body, target=f"/?{query}" if query else "/")
