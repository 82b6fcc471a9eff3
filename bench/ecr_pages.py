"""How long a page of Amazon ECR's API takes over a repository of 100,000 images: `python -m bench.ecr_pages`.

Starts a server of its own, pushes the images through the registry protocol, then walks DescribeImages and ListImages to
the end: each page is one signed request on one connection, timed from its first byte sent to its last byte read.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.load.wire import Origin, Wire
from bench.load.writes import put_blob, put_manifest
from bench.seed import CONFIG, LAYER, MANIFEST_TYPE, image_manifest, sha256
from bench.servers.process import Process

REPOSITORY = "bench/pages"
KEY, SECRET, REGION = "AKIABENCHPAGES234567", "a-secret-for-the-bench", "eu-central-1"
PORT = 5997
WRITERS = 4
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


def seed(origin: Origin, images: int) -> None:
    """Push the images, every tenth without a tag."""
    with Wire(origin) as wire:
        for data in (CONFIG, LAYER):
            put_blob(wire, REPOSITORY, data)

    def some(first: int) -> None:
        with Wire(origin) as wire:
            for number in range(first, images, WRITERS):
                manifest = image_manifest(f"image {number}")
                reference = f"v{number}" if number % 10 else sha256(manifest)
                put_manifest(wire, REPOSITORY, reference, MANIFEST_TYPE, manifest)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(some, range(WRITERS)))


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
    images = parser.parse_args().images
    missed = False
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        environment = {
            **os.environ,
            "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY,
            "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": SECRET,
            "HOLDFAST_CREATE_ON_PUSH": "MUTABLE",
        }
        argv = [sys.executable, "-m", "holdfast", "serve", "--port", str(PORT), "--data", f"{folder}/data"]
        server = Process([*argv, "--region", REGION], environment, Path(folder, "log"))
        origin = Origin("127.0.0.1", PORT, "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode())
        try:
            _wait(server, origin)
            begun = time.perf_counter()
            seed(origin, images)
            print(f"{images} images pushed in {time.perf_counter() - begun:.0f} s")
            unsigned = Origin("127.0.0.1", PORT)
            print("| operation | page, filter | pages | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|---|")
            for operation, parameters in CASES:
                seconds = [one * 1_000 for one in walk(unsigned, operation, parameters)]
                seconds.sort()
                p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
                told = ", ".join([str(parameters["maxResults"]), *parameters.get("filter", {}).values()])
                print(
                    f"| {operation} | {told} | {len(seconds)} | {statistics.median(seconds):.2f} | {p99:.2f} "
                    f"| {seconds[-1]:.2f} |"
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
