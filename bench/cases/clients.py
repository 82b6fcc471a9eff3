"""Whole pushes and pulls by a real client, skopeo. Wall time is mostly the client's own; the server's CPU is not."""

from __future__ import annotations

import hashlib
import os
import resource
import secrets
import shutil
import subprocess
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from bench.cases.image import Image, open_image
from bench.errors import UnavailableError, WrongAnswerError
from bench.load.job import Load
from bench.servers.programs import CACHE

if TYPE_CHECKING:
    from pathlib import Path

    from bench.cases.context import Bench
    from bench.servers.server import Server

CLIENT_SECONDS = 900.0


@lru_cache(maxsize=1)
def image(size_mib: int, layers: int) -> Image:
    """The image that all servers get."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return open_image(CACHE, size_mib, layers)


def image_of(bench: Bench) -> Image:
    """The image of this run's profile."""
    return image(bench.profile.image_mib, bench.profile.image_layers)


def _skopeo(server: Server, side: str, source: str, target: str, home: Path) -> subprocess.Popen[bytes]:
    """Start a copy. ``home`` is a fresh folder: skopeo remembers where a blob was seen and would mount, not push."""
    program = shutil.which("skopeo")
    if program is None:
        message = "skopeo is not installed (Debian: apt-get install skopeo)"
        raise UnavailableError(message)
    argv = [program, "--insecure-policy", "copy", "--quiet", f"--{side}-tls-verify=false"]
    if server.credentials:
        argv.append(f"--{side}-creds={server.credentials[0]}:{server.credentials[1]}")
    home.mkdir(parents=True, exist_ok=True)
    # The library keeps root's memory of blobs in /var/lib; told that it runs rootless, it keeps it below XDG_DATA_HOME.
    environment = {**os.environ, "XDG_DATA_HOME": str(home), "_CONTAINERS_ROOTLESS_UID": "65534"}
    return subprocess.Popen([*argv, source, target], env=environment, stderr=subprocess.PIPE)


def _finish(client: subprocess.Popen[bytes]) -> None:
    _, errors = client.communicate(timeout=CLIENT_SECONDS)
    if client.returncode:
        message = f"skopeo ended with {client.returncode}: {errors.decode(errors='replace').strip()[-300:]}"
        raise WrongAnswerError(message)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _address(server: Server, repository: str) -> str:
    return f"docker://{server.origin.host}:{server.origin.port}/{repository}:v1"


def _push(bench: Bench, server: Server, repositories: list[str]) -> Load:
    pushed = image_of(bench)
    home = bench.scratch / f"skopeo-{secrets.token_hex(4)}"
    before, started = _cpu_seconds(), time.perf_counter()
    clients = [
        _skopeo(server, "dest", f"oci:{pushed.layout}:latest", _address(server, repository), home / str(number))
        for number, repository in enumerate(repositories)
    ]
    try:
        for client in clients:
            _finish(client)
    finally:
        for client in clients:
            if client.poll() is None:
                client.kill()
                client.wait()
    seconds = time.perf_counter() - started
    shutil.rmtree(home)
    size = pushed.blob_bytes * len(repositories)
    return Load(len(repositories), size, seconds, generator_cpu_seconds=_cpu_seconds() - before)


def prepare_image(bench: Bench, _server: Server) -> None:
    """Build the image before anything is timed."""
    image_of(bench)


def push(bench: Bench, server: Server) -> Load:
    """Push the image to a repository that has none of its blobs."""
    return _push(bench, server, [f"{bench.content.base}/push-{secrets.token_hex(4)}"])


def push_parallel(bench: Bench, server: Server) -> Load:
    """Push the image to many repositories at once, a client each."""
    token = secrets.token_hex(4)
    repositories = [f"{bench.content.base}/many-{token}-{number}" for number in range(bench.profile.parallel_pushes)]
    return _push(bench, server, repositories)


def prepare_pull(bench: Bench, server: Server) -> None:
    """Push what will be pulled."""
    _push(bench, server, [f"{bench.content.base}/pull"])


def pull(bench: Bench, server: Server) -> Load:
    """Pull the image; skopeo verifies every blob, and the manifest must be the very bytes that were pushed."""
    pulled = image_of(bench)
    home = bench.scratch / f"skopeo-{secrets.token_hex(4)}"
    target = home / "image"
    target.mkdir(parents=True)
    before, started = _cpu_seconds(), time.perf_counter()
    source = _address(server, f"{bench.content.base}/pull")
    _finish(_skopeo(server, "src", source, f"dir:{target}", home / "data"))
    seconds = time.perf_counter() - started
    digest = "sha256:" + hashlib.sha256((target / "manifest.json").read_bytes()).hexdigest()
    shutil.rmtree(home)
    if digest != pulled.digest:
        message = f"pulled manifest is {digest}, pushed was {pulled.digest}"
        raise WrongAnswerError(message)
    return Load(1, pulled.blob_bytes, seconds, generator_cpu_seconds=_cpu_seconds() - before)
