"""Estates for tests: a Holdfast server with registries of several accounts and regions, moto as Organizations."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from holdfast.client.api import session_of
from images import image, sha256
from running import ACCOUNT, KEY_ID, SECRET, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from images import Image

MANAGEMENT = ACCOUNT
READER = "audit-read"
FAR = "eu-west-1"
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:*", "sts:*"], "Resource": "*"}],
}


def aws_client(service: str, region: str, url: str, key: tuple[str, ...]) -> Any:
    """Return a client of botocore, for making what a test looks at."""
    return session_of().create_client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )


@dataclass
class Estate:
    """A server and keys of administrators of its accounts."""

    server: RunningServer
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def ecr(self, account: str, region: str) -> Any:
        """Return a client of ECR in a place."""
        return aws_client("ecr", region, self.server.url, self.keys[account])

    def repository(self, account: str, region: str, name: str, **more: Any) -> None:
        """Make a repository."""
        with contextlib.closing(self.ecr(account, region)) as ecr:
            ecr.create_repository(repositoryName=name, **more)

    def push(self, account: str, region: str, name: str, tag: str | None, pushed: Image | None = None) -> str:
        """Push an image through ECR's API, and return its digest."""
        pushed = pushed or image()
        with contextlib.closing(self.ecr(account, region)) as ecr:
            return put(ecr, name, tag, pushed)


def put(ecr: Any, name: str, tag: str | None, pushed: Image) -> str:
    """Push an image with its parts."""
    for child in pushed.children:
        put(ecr, name, None, child)
    put_layers(ecr, name, pushed)
    more = {"imageTag": tag} if tag else {"imageDigest": pushed.digest}
    ecr.put_image(
        repositoryName=name,
        imageManifest=pushed.manifest.decode(),
        imageManifestMediaType=pushed.media_type,
        **more,
    )
    return pushed.digest


def put_layers(ecr: Any, name: str, pushed: Image) -> None:
    """Push the blobs of an image."""
    for blob in pushed.blobs:
        upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=name, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob
        )
        with contextlib.suppress(ecr.exceptions.LayerAlreadyExistsException):
            ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[sha256(blob)])


@contextlib.contextmanager
def estate(data: Path, accounts: Mapping[str, tuple[str, ...]], **overrides: str) -> Iterator[Estate]:
    """Run a server with registries of these accounts in these regions; the first account manages the others.

    Each account has the role `audit-read`, which the managing account may assume.
    """
    places = ",".join(f"{account}/{region}" for account, regions in accounts.items() for region in regions)
    with running(settings(data, registries=places, **overrides)) as server:
        made = Estate(server, {MANAGEMENT: (KEY_ID, SECRET)})
        with contextlib.closing(server.aws("holdfast")) as ours:
            for account in accounts:
                trust = {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"AWS": MANAGEMENT},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"sts:ExternalId": "agreed"}},
                    },
                }
                if account != MANAGEMENT:
                    ours.create_principal(name="boss", policies=[json.dumps(EVERYTHING)], registryId=account)
                    key = ours.create_access_key(name="boss", registryId=account)
                    made.keys[account] = (key["accessKeyId"], key["secretAccessKey"])
                    ours.create_role(
                        name=READER,
                        trustPolicy=json.dumps(trust),
                        policies=[json.dumps(EVERYTHING)],
                        registryId=account,
                    )
        yield made


_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """Run moto's server in a process of its own, so that what it patches stays there; give its URL."""
    quiet = {**os.environ, "MOTO_CALL_RESET_API": "false"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=quiet,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(20)
