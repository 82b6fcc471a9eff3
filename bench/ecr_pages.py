"""How long a page of Amazon ECR's API takes over a repository of 100,000 images: `python -m bench.ecr_pages`.

Fills the database of a server of its own, starts it, then walks DescribeImages and ListImages to
the end: each page is one signed request on one connection, timed from its first byte sent to its last byte read. The
server's own processor time per page says what a machine that does other things too hides.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.load.wire import Origin, Wire
from bench.seed import CONFIG, LAYER, MANIFEST_TYPE, image_manifest, sha256
from bench.servers.process import Process, cpu_seconds, family
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.mutability import MutabilitySettings
from holdfast.store import bindings, catalog, content, manifests
from holdfast.store.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from holdfast.store.database import Transaction

REPOSITORY = "bench/pages"
KEY, SECRET, REGION = "AKIABENCHPAGES234567", "a-secret-for-the-bench", "eu-central-1"
PORT = 5997
STEP = 2_000
GOAL_MILLISECONDS = 20.0
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("DescribeImages", {"maxResults": 100}),
    ("DescribeImages", {"maxResults": 100, "filter": {"tagStatus": "UNTAGGED"}}),
    ("DescribeImages", {"maxResults": 1000}),
    ("ListImages", {"maxResults": 100}),
    ("ListImages", {"maxResults": 1000}),
    ("ListImages", {"maxResults": 1000, "filter": {"tagStatus": "TAGGED"}}),
    ("ListImages", {"maxResults": 100, "filter": {"tagStatus": "UNTAGGED"}}),
)
PAGES = 200
"""Most pages timed of one case, from the first on; the walk itself goes to the end once."""


def call(wire: Wire, origin: Origin, operation: str, parameters: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Make one call; return the seconds that it took and the reply."""
    body = json.dumps(parameters).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}",
    }
    request = AWSRequest("POST", f"{origin.url}/", headers, body)
    SigV4Auth(Credentials(KEY, SECRET), "ecr", REGION).add_auth(request)
    begun = time.perf_counter()
    answer = wire.expect((200,), "POST", "/", dict(request.headers.items()), body)
    return time.perf_counter() - begun, json.loads(answer.body)


async def seed(folder: Path, images: int) -> None:
    """Write the images into the database of a server that does not run, every tenth without a tag.

    By the server's own statements, in large transactions: to push as many takes half an hour.
    """
    database = SQLiteDatabase(folder / "holdfast.db")
    settings = MutabilitySettings()

    def start(txn: Transaction) -> int:
        registry = catalog.ensure_registry(txn, "000000000000", REGION, 1)
        made = catalog.insert_repository(
            txn,
            registry.id,
            REPOSITORY,
            settings,
            scan_on_push=False,
            encryption={"encryptionType": "AES256"},
            created_at=1,
            created_by="bench",
        )
        for data in (CONFIG, LAYER):
            digest = sha256(data)
            content.insert_blob(txn, content.Blob(digest, len(data), "bench"), at=1)
            content.lease_blob(txn, made.id, digest, until=2**62)
        return made.id

    identity = await database.write(start)

    def some(txn: Transaction, first: int) -> None:
        for number in range(first, min(images, first + STEP)):
            manifest = parse_manifest(image_manifest(f"image {number}"), MANIFEST_TYPE)
            manifests.insert_manifest(txn, identity, manifest, image_bytes=1_000, at=number, by="bench")
            if number % 10:
                bindings.begin(txn, identity, f"v{number}", str(manifest.digest), at=number, by="bench")

    for first in range(0, images, STEP):
        await database.write(partial(some, first=first))
    database.close()


def walk(origin: Origin, operation: str, parameters: dict[str, Any]) -> list[float]:
    """Ask for pages from the first on; return the seconds of each."""
    seconds: list[float] = []
    token: dict[str, str] = {}
    with Wire(origin) as wire:
        while len(seconds) < PAGES:
            took, reply = call(wire, origin, operation, {"repositoryName": REPOSITORY, **parameters, **token})
            seconds.append(took)
            if "nextToken" not in reply:
                break
            token = {"nextToken": reply["nextToken"]}
    return seconds


def main() -> int:
    """Seed, measure, print; 1 when a page of the default size misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the data here, and use what is here from a run before")
    arguments = parser.parse_args()
    images = arguments.images
    missed = False
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-bench-"))
        folder = arguments.folder or Path(temporary)
        environment = {
            **os.environ,
            "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY,
            "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": SECRET,
        }
        data = Path(folder, "data")
        if not data.exists():
            data.mkdir(parents=True)
            begun = time.perf_counter()
            asyncio.run(seed(data, images))
            print(f"{images} images written in {time.perf_counter() - begun:.0f} s")
        argv = [sys.executable, "-m", "holdfast", "serve", "--port", str(PORT), "--data", str(data)]
        server = Process([*argv, "--region", REGION], environment, Path(folder, "log"))
        origin = Origin("127.0.0.1", PORT)
        try:
            _wait(server, origin)
            print("| operation | page, filter | pages | p50 ms | p99 ms | longest ms | CPU ms |")
            print("|---|---|---|---|---|---|---|")
            for operation, parameters in CASES:
                before = cpu_seconds(family(server.pid))
                seconds = [one * 1_000 for one in walk(origin, operation, parameters)]
                cpu = (cpu_seconds(family(server.pid)) - before) * 1_000 / len(seconds)
                seconds.sort()
                p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
                told = ", ".join([str(parameters["maxResults"]), *parameters.get("filter", {}).values()])
                print(
                    f"| {operation} | {told} | {len(seconds)} | {statistics.median(seconds):.2f} | {p99:.2f} "
                    f"| {seconds[-1]:.2f} | {cpu:.2f} |"
                )
                missed |= parameters["maxResults"] <= 100 and p99 > GOAL_MILLISECONDS
        finally:
            server.stop()
    return int(missed)


def _wait(server: Process, origin: Origin) -> None:
    while True:
        server.require_alive()
        try:
            with Wire(origin) as wire:
                wire.expect((200,), "GET", "/readyz")
        except OSError:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
