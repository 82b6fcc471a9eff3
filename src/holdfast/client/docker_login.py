"""Who docker is at a registry: its config.json, the credential helpers that it names, and ECR's own log-in.

This file alone decides which credentials a registry gets. They are looked for in docker's order: a helper for the host,
the store of all hosts, what stands in the file; for a host of Amazon ECR without a helper of its own, the AWS
credentials of this machine come first, since a stored token of ECR lasts twelve hours. No credentials is an answer: the
registry is asked as a stranger.

Sources: docker/cli docs, "docker login" (credHelpers, credsStore, auths); docker/docker-credential-helpers (protocol);
containers-auth.json(5) for REGISTRY_AUTH_FILE.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.api import API, APIError, APIUnreachable, CallInvalid
from holdfast.client.transport import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER_HUB: Final = "docker.io"
_HUB_KEY: Final = "https://index.docker.io/v1/"
"""What docker calls its own hub in config.json, since before there were other registries."""

HELPER_SECONDS: Final = 30
MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024

_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_NOT_FOUND: Final = ("credentials not found", "no credentials")
_IDENTITY_TOKEN: Final = "<token>"  # noqa: S105 - a helper's word for a token that is no password
_ECR: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<zone>amazonaws\.com(?:\.cn)?|on\.aws)",
    re.ASCII,
)


class LoginFailed(Exception):
    """Credentials are configured and cannot be had; the message says where and why, and no secret."""


@dataclass(frozen=True, slots=True)
class EcrHost:
    """What the name of an ECR registry says."""

    account_id: str
    region: str
    endpoint: str


def ecr_host(host: str) -> EcrHost | None:
    """Read the host of an Amazon ECR private registry; None for another."""
    match = _ECR.fullmatch(host)
    if match is None:
        return None
    region, zone = match["region"], match["zone"]
    suffix = ".cn" if zone.endswith(".cn") or region.startswith("cn-") else ""
    service = "ecr-fips" if match["fips"] else "api.ecr"
    own = os.environ.get("AWS_ENDPOINT_URL_ECR") or os.environ.get("AWS_ENDPOINT_URL")
    return EcrHost(match["account"], region, own or f"https://{service}.{region}.amazonaws.com{suffix}")


class DockerLogin:
    """The credentials of this user, host by host; asked for once each. For several threads."""

    def __init__(self, config: Mapping[str, Any] | None = None, *, profile: str | None = None) -> None:
        """`config` instead of docker's file; `profile` of AWS's files. Raises LoginFailed for a broken file."""
        self._config = _read_config() if config is None else config
        self._profile = profile
        self._known: dict[str, Credentials | None] = {}
        self._failed: dict[str, LoginFailed] = {}
        self._apis: dict[str, API] = {}
        self._lock = threading.Lock()

    def credentials(self, host: str) -> Credentials | None:
        """Return what to say at a registry, None as a stranger; raises LoginFailed."""
        with self._lock:
            if host in self._failed:
                # A helper that failed once is not asked for every name of its host.
                raise LoginFailed(str(self._failed[host]))
            if host not in self._known:
                try:
                    self._known[host] = self._find(host)
                except LoginFailed as error:
                    self._failed[host] = error
                    raise
            return self._known[host]

    def ecr_api(self, host: str) -> API | None:
        """Return the JSON API of an ECR registry, by the AWS credentials of this machine; None for another host."""
        with self._lock:
            return self._ecr(host)

    def by_api(self, host: str, api: API) -> Credentials | None:
        """Log in by a JSON API that is known to belong to a host; None where that gives no credentials."""
        with self._lock:
            if self._known.get(host) is None:
                with contextlib.suppress(CallInvalid, APIError, APIUnreachable):
                    self._known[host] = Credentials(*api.login())
            return self._known.get(host)

    def knows(self, host: str) -> bool:
        """Whether there are credentials for a host that was asked."""
        return self._known.get(host) is not None

    def close(self) -> None:
        """Close the connections."""
        for api in self._apis.values():
            api.close()

    def _ecr(self, host: str) -> API | None:
        at = ecr_host(host)
        if at is not None and host not in self._apis:
            self._apis[host] = API(at.endpoint, at.region, profile=self._profile)
        return self._apis.get(host)

    def _find(self, host: str) -> Credentials | None:
        helpers = _object(self._config.get("credHelpers"))
        for key in _keys(host):
            if isinstance(helpers.get(key), str):
                return _ask_helper(helpers[key], key)
        api = self._ecr(host)
        if api is not None:
            # Without AWS credentials, or without the right, docker's own may still do.
            with contextlib.suppress(CallInvalid, APIError, APIUnreachable):
                return Credentials(*api.login())
        store = self._config.get("credsStore")
        if isinstance(store, str) and store:
            for key in _keys(host):
                if (found := _ask_helper(store, key)) is not None:
                    return found
        auths = _object(self._config.get("auths"))
        for key in _keys(host):
            if (found := _written(_object(auths.get(key)), key)) is not None:
                return found
        return None


def _keys(host: str) -> tuple[str, ...]:
    """Return the names under which a host may stand in the file, as docker has written it over the years."""
    if host == DOCKER_HUB:
        return (_HUB_KEY, "index.docker.io", DOCKER_HUB, "registry-1.docker.io")
    return (host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/", f"http://{host}")


def _read_config() -> Mapping[str, Any]:
    own = os.environ.get("REGISTRY_AUTH_FILE")
    folder = os.environ.get("DOCKER_CONFIG")
    path = Path(own) if own else (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise LoginFailed(msg) from None
    try:
        return _object(json.loads(content))
    except (ValueError, RecursionError):
        msg = f"{path} is no JSON; docker login writes it anew."
        raise LoginFailed(msg) from None


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, dict) else {}


def _written(entry: Mapping[str, Any], key: str) -> Credentials | None:
    """Return what stands in the file itself; an empty entry says only that a store has it.

    An identity token goes before a password: docker writes it beside a name without one.
    """
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(_IDENTITY_TOKEN, token, is_identity_token=True)
    auth = entry.get("auth")
    if isinstance(auth, str) and auth:
        try:
            name, mark, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            mark = ""
            name = password = ""
        if not mark:
            msg = f"The credentials for {key} in docker's config.json cannot be read; log in again: docker login."
            raise LoginFailed(msg)
        # Docker pads with NUL what it writes.
        return Credentials(name, password.rstrip("\0"))
    user, secret = entry.get("username"), entry.get("password")
    return Credentials(user, secret) if isinstance(user, str) and isinstance(secret, str) else None


def _ask_helper(name: str, key: str) -> Credentials | None:
    """Ask a credential helper; None when it has none for this host."""
    program = f"docker-credential-{name}"
    if not _HELPER.fullmatch(name):
        msg = f"{name!r} in docker's config.json is no name of a credential helper."
        raise LoginFailed(msg)
    try:
        ran = subprocess.run(  # noqa: S603 - the user's own helper, by the user's own file
            (program, "get"), input=key.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
        )
    except FileNotFoundError:
        msg = f"docker's config.json names the helper {program} for {key}, which is not installed."
        raise LoginFailed(msg) from None
    except (OSError, subprocess.TimeoutExpired):
        msg = f"The helper {program} did not answer for {key}."
        raise LoginFailed(msg) from None
    if ran.returncode != 0:
        said = (ran.stdout + ran.stderr).decode("utf-8", "replace").strip()
        if any(one in said.lower() for one in _NOT_FOUND):
            return None
        msg = f"The helper {program} refused for {key}: {said[:200] or 'it gave no reason'}"
        raise LoginFailed(msg)
    try:
        answer = _object(json.loads(ran.stdout))
    except ValueError:
        answer = {}
    user, secret = answer.get("Username"), answer.get("Secret")
    if not isinstance(user, str) or not isinstance(secret, str):
        msg = f"The helper {program} gave no user and secret for {key}."
        raise LoginFailed(msg)
    return Credentials(user, secret, is_identity_token=user == _IDENTITY_TOKEN)
