"""The registry under test, and the suite's own eyes on it.

This file alone knows how Holdfast is started and how the suite looks at what a client left behind: with plain requests
of its own, so that no client vouches for itself. It knows no client.
"""

from __future__ import annotations

import base64
import http.client
import importlib.util
import json
import os
import secrets
import socket
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from .images import sha256
from .programs import daemon, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .images import Image

HOLDFAST: Final = (sys.executable, "-m", "holdfast")
ACCOUNT_ID: Final = "123456789012"
REGION: Final = os.environ.get("HOLDFAST_REGION", "us-east-1")
REQUEST_SECONDS: Final = 60.0
EVERY_TYPE: Final = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the registry answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def digest(self) -> str:
        """The digest of the body, as we compute it."""
        return sha256(self.body)


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that runs: where it is, and an administrator's access key pair."""

    host: str
    user: str
    password: str
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where its APIs start."""
        return f"{self.scheme}://{self.host}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request with our log-in; any status is an answer."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        everything = {"Authorization": f"Basic {pair}", **(headers or {})}
        asked = urllib.request.Request(self.url + path, body, everything, method=method)  # noqa: S310 - our own http URL
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=REQUEST_SECONDS) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Reply(refusal.code, dict(refusal.headers), refusal.read())

    def manifest(self, repository: str, reference: str) -> Reply:
        """The manifest that a tag or digest names now, to the byte."""
        reply = self.request("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": EVERY_TYPE})
        assert reply.status == http.client.OK, f"GET {repository}:{reference}: {reply}"
        return reply

    def put_manifest(self, repository: str, reference: str, image: Image) -> Reply:
        """Put a manifest under a tag or digest; any status is an answer."""
        headers = {"Content-Type": image.media_type}
        return self.request("PUT", f"/v2/{repository}/manifests/{reference}", image.manifest, headers)

    def push(self, repository: str, reference: str, image: Image) -> Reply:
        """Push an image or index as a correct client does: blobs, children by digest, then the tag."""
        for child in image.children:
            assert self.push(repository, child.digest, child).status == http.client.CREATED
        for digest, content in image.blobs.items():
            begun = self.request("POST", f"/v2/{repository}/blobs/uploads/")
            assert begun.status == http.client.ACCEPTED, begun
            path = begun.headers["Location"].removeprefix(self.url)
            ended = self.request("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", content)
            assert ended.status == http.client.CREATED, ended
        return self.put_manifest(repository, reference, image)

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        reply = self.request("GET", f"/v2/{repository}/tags/list")
        assert reply.status == http.client.OK, f"tags of {repository}: {reply}"
        return list(json.loads(reply.body)["tags"] or [])

    def ecr(self, *, proxy: str = "", trusted: str = "") -> Any:
        """A boto3 client for the ECR API."""
        return boto3.client(
            "ecr",
            endpoint_url=self.url,
            verify=trusted or None,
            region_name=REGION,
            aws_access_key_id=self.user,
            aws_secret_access_key=self.password,
            config=Config(proxies={"https": proxy} if proxy else {}, retries={"total_max_attempts": 1}),
        )

    def create_repository(self, name: str, mutability: str = "IMMUTABLE") -> None:
        """Create a repository, immutable unless told otherwise, as an ECR user does."""
        self.ecr().create_repository(repositoryName=name, imageTagMutability=mutability)


def named_registry() -> Registry | None:
    """The registry that the environment names, to be used in place of a Holdfast of our own."""
    named = os.environ.get("HOLDFAST_INTEROP_REGISTRY")
    if not named:
        return None
    return Registry(named, os.environ["HOLDFAST_INTEROP_USER"], os.environ["HOLDFAST_INTEROP_PASSWORD"])


@contextmanager
def holdfast(folder: Path, *more: str) -> Iterator[Registry]:
    """Start `holdfast serve` with its data below the folder; further words go to its command line."""
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry(f"127.0.0.1:{free_port()}", "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30))
    command = [*HOLDFAST, "serve", "--host", "127.0.0.1", "--port", registry.host.rpartition(":")[2]]
    command += ["--data", str(folder / "data"), *more]
    environment = {
        **our_environment(),
        "HOLDFAST_ACCOUNT_ID": ACCOUNT_ID,
        "HOLDFAST_REGION": REGION,
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": registry.user,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": registry.password,
    }
    ready = _answers_ready if "--tls-cert" not in more else _accepts
    with daemon(command, environment, folder=folder, is_ready=lambda: ready(registry)) as log:
        yield registry
    troubles = [line for line in log.read_text(errors="replace").splitlines() if is_trouble(line)]
    assert not troubles, "\n".join(troubles)


def is_trouble(line: str) -> bool:
    """Whether a line of the server's log tells of a fault of its own: no client may cause one, whatever it sends."""
    try:
        told = json.loads(line)
    except ValueError:
        return False
    status = str(told.get("message", "")).rpartition(" ")[2]
    faulty = told.get("logger") == "holdfast.request" and status.startswith("5")
    return faulty or told.get("level") in {"error", "critical"} or "exception" in told


def tell_refusals_as_ecr(registry: Registry) -> None:
    """Set the registry to answer a refused overwrite as Amazon ECR does, by Holdfast's own command."""
    command = [*HOLDFAST, "settings", "set", "--refusal-style", "ecr", "--endpoint", registry.url]
    environment = {
        **our_environment(),
        "HOLDFAST_ACCESS_KEY_ID": registry.user,
        "HOLDFAST_SECRET_ACCESS_KEY": registry.password,
    }
    ended = run(command, environment, folder=Path.cwd())
    assert ended.succeeded, ended


def our_environment() -> dict[str, str]:
    """An environment in which this run's Holdfast is imported also where it is not installed."""
    found = importlib.util.find_spec("holdfast")
    assert found is not None
    assert found.origin is not None
    settings = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**settings, "PYTHONPATH": str(Path(found.origin).parents[1])}


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers_ready(registry: Registry) -> bool:
    try:
        return registry.request("GET", "/readyz").status == http.client.OK
    except OSError:
        return False


def _accepts(registry: Registry) -> bool:
    address, _, port = registry.host.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((address, int(port))) == 0
