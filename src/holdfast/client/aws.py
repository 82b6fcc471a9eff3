"""Many accounts and regions of AWS, read: whose credentials, which regions, and calls that are many and cheap.

This file alone knows how an account is entered (Organizations, AssumeRole), which regions it has, and how a call of an
AWS JSON service is signed and sent without botocore's client. botocore's own client takes 1.5 ms of processor time a
call, which for 40,000 calls is the whole minute; this takes a fifth. Sessions, profiles, credentials and their renewal,
endpoints, proxies and certificates stay botocore's.

Sources: AWS API reference, "Signature Version 4"; AWS JSON 1.1 protocol; Organizations ListAccounts; AWS STS
AssumeRole; Account ListRegions.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import random
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from holdfast.client.api import APIError, APIUnreachable, CallInvalid, session_of, wrapped
from holdfast.client.pacing import Pace
from holdfast.client.posting import Poster
from holdfast.core.sigv4 import ALGORITHM, TERMINATOR, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TARGETS: Final[Mapping[str, tuple[str, str]]] = {
    "ecr": ("ecr", "AmazonEC2ContainerRegistry_V20150921"),
    "cloudtrail": ("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"),
    "config": ("config", "StarlingDoveService"),
    "holdfast": ("ecr", "Holdfast_V20261101"),
}
"""Service -> the name that it is signed for, and the first half of X-Amz-Target."""

THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "EC2ThrottledException",
    }
)
"""Source: botocore, retry mode "standard"; without LimitExceededException, which ECR says of quotas."""

MAX_ATTEMPTS: Final = 5
"""Of a call that the server failed, or whose connection broke."""

MAX_THROTTLED: Final = 12
"""Refusals as too fast in a row, about two minutes, before a call is given up."""

_LEAST_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_MAX_WAIT_SECONDS: Final = 20.0
_TIMEOUT_SECONDS: Final = 60.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SESSION_NAME: Final = "holdfast"
_RENEW_SECONDS: Final = 3_600


@dataclass(frozen=True, slots=True)
class Account:
    """One account of an organization."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credentials are."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """The partition that its ARNs are in."""
        return self.arn.split(":")[1]


class AWS:
    """One set of credentials. Raises APIError, APIUnreachable, CallInvalid."""

    def __init__(
        self,
        *,
        profile: str | None = None,
        endpoint: str | None = None,
        key: tuple[str, str] | None = None,
        connections: int = 32,
        role: tuple[Any, Any] | None = None,
    ) -> None:
        """`endpoint` is that of ECR and STS of a Holdfast server; `key` is asked for nowhere else then.

        Endpoints of single services are set as for all AWS tools: AWS_ENDPOINT_URL_ORGANIZATIONS and its kin.
        `role` is botocore's session and the credentials of a role that was assumed: see `assume`.
        """
        with wrapped():
            self._session = session_of(profile) if role is None else role[0]
            if key is not None:
                self._session.set_credentials(*key)
            self.region: str | None = self._session.get_config_variable("region")
            self._verify = self._session.get_config_variable("ca_bundle") or True
        self.endpoint = endpoint
        self._connections = connections
        self._credentials: Any = None if role is None else role[1]
        self._is_role = role is not None
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - botocore has no types
        """Return botocore's own client, for calls that are few."""
        from botocore.config import Config  # noqa: PLC0415 - takes 0.3 s and 20 MB, which a server has no use for

        with self._lock, wrapped():
            if (service, region) not in self._made:
                endpoint = self.endpoint if service in {"ecr", "sts"} else None
                local: dict[str, Any] = {"proxies": {}} if _is_local(endpoint) else {}
                credentials = self._frozen_credentials() if self._is_role else None
                self._made[service, region] = self._session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=endpoint,
                    config=Config(retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}, **local),
                    **_as_arguments(credentials),
                )
            return self._made[service, region]

    def identity(self) -> Identity:
        """Say who the credentials are. Raises APIError when they are nobody's."""
        with wrapped():
            told = self.client("sts", self._some_region()).get_caller_identity()
        return Identity(told["Account"], told["Arn"])

    def accounts(self) -> list[Account]:
        """List the active accounts of the organization, page by page; a page may be empty and not the last."""
        with wrapped():
            pages = self.client("organizations", self._some_region()).get_paginator("list_accounts").paginate()
            listed = [one for page in pages for one in page["Accounts"]]
        # `State` replaces `Status`, which AWS takes away in September 2026; a service may have either.
        active = [one for one in listed if (one.get("State") or one.get("Status")) == "ACTIVE"]
        return sorted((Account(one["Id"], one.get("Name")) for one in active), key=lambda one: one.id)

    def regions(self) -> list[str]:
        """List the regions that are enabled in the account."""
        with wrapped():
            pages = self.client("account", self._some_region()).get_paginator("list_regions")
            wanted = pages.paginate(RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])
            return sorted(one["RegionName"] for page in wanted for one in page["Regions"])

    def assume(self, role_arn: str, external_id: str | None = None) -> AWS:
        """Become a role: the session is made with the first call, and renewed while it is used."""
        from botocore.credentials import (  # noqa: PLC0415 - as above
            DeferredRefreshableCredentials,
            create_assume_role_refresher,
        )

        wish = {"RoleArn": role_arn, "RoleSessionName": _SESSION_NAME, "DurationSeconds": _RENEW_SECONDS}
        if external_id is not None:
            wish["ExternalId"] = external_id
        refresh = create_assume_role_refresher(self.client("sts", self._some_region()), wish)
        credentials = DeferredRefreshableCredentials(method="sts-assume-role", refresh_using=refresh)
        made = AWS(endpoint=self.endpoint, connections=self._connections, role=(self._session, credentials))
        made.region = self.region
        return made

    def objects(self, bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Give the objects of a bucket of S3 below a prefix, one at a time: key and content."""
        client = self.client("s3", self._some_region())
        with wrapped():
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [one["Key"] for page in pages for one in page.get("Contents") or ()]
        for key in keys:
            with wrapped():
                content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            yield key, content

    def caller(self, service: str, region: str, *, pace: Pace | None = None) -> Caller:
        """Return a caller of a JSON service in a region, with a pace of its own."""
        if self.endpoint is not None and service in {"ecr", "holdfast"}:
            address = self.endpoint
        else:
            with wrapped():
                address = self.client(service, region).meta.endpoint_url
        return Caller(service, region, address, self.frozen_credentials, self._poster(address), pace or Pace())

    def frozen_credentials(self) -> tuple[str, str, str | None]:
        """Return the access key, its secret and the session's token, renewed if need be."""
        with wrapped():
            return self._frozen_credentials()

    def _frozen_credentials(self) -> tuple[str, str, str | None]:
        if self._credentials is None:
            self._credentials = self._session.get_credentials()
        if self._credentials is None:
            from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - as above

            raise NoCredentialsError
        frozen = self._credentials.get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token

    def _poster(self, address: str) -> Poster | _Proxied:
        from botocore.httpsession import get_cert_path  # noqa: PLC0415 - as above
        from botocore.utils import get_environ_proxies  # noqa: PLC0415 - as above

        proxies = {} if _is_local(address) else get_environ_proxies(address)
        if proxies:
            return _Proxied(address, proxies, self._verify, self._connections)
        return Poster(address, authorities=get_cert_path(self._verify), timeout_seconds=_TIMEOUT_SECONDS)

    def _some_region(self) -> str:
        return self.region or "us-east-1"


class Caller:
    """Calls one JSON service in one region, as often as it may. Threads may share it."""

    def __init__(
        self,
        service: str,
        region: str,
        address: str,
        credentials: Callable[[], tuple[str, str, str | None]],
        poster: Poster | _Proxied,
        pace: Pace,
    ) -> None:
        """`address` is the URL of the service, and `poster` sends to it."""
        self._signed_for, self._target = TARGETS[service]
        self.service, self.region, self.pace = service, region, pace
        self._url = address.rstrip("/") + "/"
        self._host = urlsplit(address).netloc.rpartition("@")[2]
        self._credentials = credentials
        self._poster = poster
        self.stopping: threading.Event | None = None
        """When it is set, nothing is waited for and nothing tried again."""

        self.calls = 0
        self.throttled = 0

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - shapes of the model
        """Call an operation by its name as AWS writes it; times in the reply are seconds since the epoch.

        Waits and tries again where that can help: too fast, the server's own trouble, a connection that broke.
        """
        body = json.dumps(parameters, separators=(",", ":")).encode()
        attempt = refused = 0
        while True:
            if (wait := self.pace.reserve(time.monotonic())) > 0:
                self._wait(wait)
            error: APIError | APIUnreachable
            try:
                return self._sent(operation, body)
            except APIError as told:
                error = told
                if told.code in THROTTLED or told.status == _TOO_MANY:
                    refused += 1
                    self.throttled += 1
                    self.pace.refused(time.monotonic())
                    if refused >= MAX_THROTTLED:
                        raise
                elif told.status < _LEAST_SERVER_ERROR:
                    raise
                else:
                    attempt += 1
            except APIUnreachable as told:
                error = told
                attempt += 1
            if attempt >= MAX_ATTEMPTS or (self.stopping is not None and self.stopping.is_set()):
                raise error
            self._wait(min(_MAX_WAIT_SECONDS, 0.1 * 2 ** (attempt + refused)) * (0.5 + random.random() / 2))  # noqa: S311

    def _wait(self, seconds: float) -> None:
        if self.stopping is None:
            time.sleep(seconds)
        else:
            self.stopping.wait(seconds)

    def close(self) -> None:
        """Close the connections."""
        self._poster.close()

    def pages(self, operation: str, key: str, **parameters: Any) -> Iterator[list[Any]]:  # noqa: ANN401 - as above
        """Give a list page by page; `key` is the member that holds it. A page may be empty and not the last."""
        token: str | None = None
        token_name = "NextToken" if self.service in {"cloudtrail", "config"} else "nextToken"
        while True:
            reply = self.call(operation, **parameters, **({token_name: token} if token else {}))
            yield reply.get(key) or []
            following = reply.get(token_name)
            if not following:
                return
            if following == token:
                message = f"{operation} gave the same page again; its answer cannot be trusted."
                raise APIUnreachable(message)
            token = following

    def _sent(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = self._signed(f"{self._target}.{operation}", body)
        self.calls += 1
        status, content = self._poster.post(headers, body)
        told: Any = None
        with contextlib.suppress(ValueError):
            told = json.loads(content or b"{}")
        if status == 200 and isinstance(told, dict):  # noqa: PLR2004 - OK
            return told
        if not isinstance(told, dict) or status < 300:  # noqa: PLR2004 - neither an answer nor an error
            message = f"What answers at {self._url} does not speak AWS's JSON protocol (status {status})."
            if status >= _LEAST_SERVER_ERROR or status == _TOO_MANY:
                raise APIError(f"HTTP{status}", message, status)
            raise APIUnreachable(message)
        code = str(told.get("__type") or told.get("code") or f"HTTP{status}").rpartition("#")[2].partition(":")[0]
        raise APIError(code, str(told.get("message") or told.get("Message") or ""), status)

    def _signed(self, target: str, body: bytes) -> dict[str, str]:
        key_id, secret, token = self._credentials()
        return sign(
            host=self._host,
            target=target,
            body=body,
            key=(key_id, secret, token),
            place=(self.region, self._signed_for),
            now=datetime.now(UTC),
        )


class _Proxied:
    """Sends by botocore's session, which knows proxies."""

    def __init__(self, address: str, proxies: dict[str, str], verify: bool | str, connections: int) -> None:  # noqa: FBT001 - botocore's
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415 - as above

        self._url = address.rstrip("/") + "/"
        self._http = URLLib3Session(
            verify=verify,
            proxies=proxies,
            timeout=_TIMEOUT_SECONDS,
            max_pool_connections=connections,
            # Head and body go out in two pieces: without this each call waits 40 ms for an acknowledgement.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer whole."""
        from botocore.awsrequest import AWSPreparedRequest  # noqa: PLC0415 - as above

        with wrapped():
            reply = self._http.send(AWSPreparedRequest("POST", self._url, dict(headers), body, stream_output=False))
            return reply.status_code, reply.content

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def sign(
    *,
    host: str,
    target: str,
    body: bytes,
    key: tuple[str, str, str | None],
    place: tuple[str, str],
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a signed POST / of the JSON protocol. `place` is the region and the service."""
    key_id, secret, token = key
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{place[0]}/{place[1]}/{TERMINATOR}"
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": stamp}
    if token:
        headers["x-amz-security-token"] = token
    headers["x-amz-target"] = target
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _hmac(_key_of_day(secret, stamp[:8], *place), to_sign)
    headers["Authorization"] = f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers["user-agent"] = "holdfast"
    return headers


@functools.lru_cache(maxsize=256)
def _key_of_day(secret: str, date: str, region: str, service: str) -> bytes:
    return signing_key(secret, date, region, service)


def _hmac(key: bytes, text: str) -> str:
    import hmac  # noqa: PLC0415 - beside its one use

    return hmac.digest(key, text.encode(), "sha256").hex()


def _as_arguments(credentials: tuple[str, str, str | None] | None) -> dict[str, str | None]:
    if credentials is None:
        return {}
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return dict(zip(names, credentials, strict=True))


def _is_local(address: str | None) -> bool:
    return address is not None and urlsplit(address).hostname in _LOOPBACK


__all__ = ["AWS", "APIError", "APIUnreachable", "Account", "CallInvalid", "Caller", "Identity", "sign"]
