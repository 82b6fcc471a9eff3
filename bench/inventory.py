"""What an inventory costs: `python -m bench.inventory [--repositories N] [--data FOLDER]`, on this machine.

Starts a server with 20 registries (5 accounts, 4 regions), makes N repositories in them with an image and two tags
each, and lets `holdfast inventory` read them: seconds, calls, processor time of client and server, memory. A folder
of a run before is used again as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.client.api import API, APIError
from holdfast.client.aws import AWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.client.aws import Caller

KEY = ("AKIABENCHINVENTORY23", "a-secret-for-a-bench-server")
ACCOUNTS = tuple(str(number) * 12 for number in range(1, 6))
REGIONS = ("ap-south-1", "eu-central-1", "eu-west-1", "us-east-1")
ROLE = "reader"
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["ecr:*", "sts:*"], "Resource": "*"}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNTS[0]}, "Action": "sts:AssumeRole"},
}
CONFIG = b"{}"
VARIABLES = {
    "HOLDFAST_ACCOUNT_ID": ACCOUNTS[0],
    "HOLDFAST_REGION": REGIONS[1],
    "HOLDFAST_REGISTRIES": ",".join(f"{account}/{region}" for account in ACCOUNTS for region in REGIONS),
    "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY[0],
    "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": KEY[1],
}


@contextlib.contextmanager
def serving(data: Path) -> Iterator[tuple[str, int]]:
    """Run a server; give its address and process."""
    command = [sys.executable, "-m", "holdfast", "serve", "--json", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **VARIABLES}) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield str(json.loads(process.stdout.readline())["url"]), process.pid
        finally:
            process.terminate()


def seed(url: str, count: int) -> None:
    """Make the repositories, as many in each registry."""
    base = AWS(endpoint=url, key=KEY)
    api = API(url, REGIONS[1], *KEY)
    for account in ACCOUNTS:
        documents = {"trustPolicy": json.dumps(TRUST), "policies": [json.dumps(EVERYTHING)]}
        try:
            api.holdfast("create_role", name=ROLE, registryId=account, **documents)
        except APIError:
            return  # it was seeded before
    roles = {account: base.assume(f"arn:aws:iam::{account}:role/{ROLE}") for account in ACCOUNTS}
    places = list(itertools.product(ACCOUNTS, REGIONS))

    def work(place: tuple[str, str]) -> None:
        with contextlib.closing(roles[place[0]].caller("ecr", place[1])) as caller:
            for number in range(count // len(places)):
                repository(caller, f"team{number % 20}/app-{number}")

    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(work, places))


def repository(ecr: Caller, name: str) -> None:
    """Make a repository with an image under two tags."""
    ecr.call("CreateRepository", repositoryName=name)
    upload = ecr.call("InitiateLayerUpload", repositoryName=name)["uploadId"]
    part = {"partFirstByte": 0, "partLastByte": len(CONFIG) - 1, "layerPartBlob": "e30="}
    ecr.call("UploadLayerPart", repositoryName=name, uploadId=upload, **part)
    digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
    ecr.call("CompleteLayerUpload", repositoryName=name, uploadId=upload, layerDigests=[digest])
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(CONFIG)}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []})
    for tag in ("latest", "1.0.0"):
        ecr.call("PutImage", repositoryName=name, imageManifest=manifest, imageTag=tag)


def seconds_of(process: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, server: int, out: Path, *options: str) -> dict[str, Any]:
    """Take an inventory, and say what it cost."""
    accounts = itertools.chain.from_iterable(("--account", one) for one in ACCOUNTS)
    command = [sys.executable, "-m", "holdfast", "inventory", "--endpoint-url", url, "--role", ROLE, "--json"]
    variables = {"HOLDFAST_ACCESS_KEY_ID": KEY[0], "HOLDFAST_SECRET_ACCESS_KEY": KEY[1], "AWS_REGION": REGIONS[1]}
    at_server, before = seconds_of(server), resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    ran = subprocess.run(
        [*command, "--out", str(out), *accounts, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **variables},
        check=True,
    )
    elapsed, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(ran.stdout)
    return {
        "options": " ".join(options) or "everything",
        "repositories": told["repositories"],
        "calls": told["calls"],
        "seconds": round(elapsed, 1),
        "client_processor_seconds": round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 1),
        "server_processor_seconds": round(seconds_of(server) - at_server, 1),
        "client_memory_mib": round(used.ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=1_000)
    parser.add_argument("--data", type=Path)
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        data = wanted.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, server = stack.enter_context(serving(data))
        seed(url, wanted.repositories)
        for options in ((), ("--no-policies",), ("--no-policies", "--no-images")):
            print(json.dumps(measure(url, server, data / "inventory.jsonl", *options)), flush=True)


if __name__ == "__main__":
    main()
