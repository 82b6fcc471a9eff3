"""GET and HEAD of manifests and blobs. Every kind of answer is checked byte for byte once before it is timed."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Literal

from bench.errors import WrongAnswerError
from bench.load.generator import run_job
from bench.load.job import BlobPlan, Load, Request, SwarmJob
from bench.load.wire import Wire
from bench.load.wrk import run_wrk
from bench.profiles import KIB
from bench.seed import MANIFEST_TYPE

if TYPE_CHECKING:
    from bench.cases.context import Bench
    from bench.servers.server import Server

ACCEPT = {"Accept": MANIFEST_TYPE}
RANGE_BYTES = 64 * KIB
RANGES = 256
"""How many different places of the large blob are asked for."""

Reference = Literal["tag", "digest", "tags"]


def verify(bench: Bench, server: Server, target: str, expected: str, headers: dict[str, str] | None = None) -> int:
    """Fetch a target and compare its digest; its length. Done once per server and target."""
    status = 206 if headers and "Range" in headers else 200
    with Wire(server.origin) as wire:
        answer = wire.expect((status,), "GET", target, headers)
    if "sha256:" + hashlib.sha256(answer.body).hexdigest() != expected:
        message = f"GET {target[:120]} answered other bytes than were put"
        raise WrongAnswerError(message)
    bench.verified.add((server.name, target))
    return len(answer.body)


def _manifest_targets(bench: Bench, reference: Reference) -> list[str]:
    base = f"/v2/{bench.content.repository}/manifests"
    if reference == "tags":
        return [f"{base}/{tag}" for tag, _ in bench.content.rotating]
    return [f"{base}/latest" if reference == "tag" else f"{base}/{bench.content.digest}"]


def get_manifest(bench: Bench, server: Server, *, reference: Reference, connections: int) -> Load:
    """GET one manifest (or one of many tags in turn) by ``wrk``."""
    targets = _manifest_targets(bench, reference)
    bodies = [body for _, body in bench.content.rotating] if reference == "tags" else [bench.content.manifest]
    for target, body in zip(targets, bodies, strict=True):
        if (server.name, target) not in bench.verified:
            verify(bench, server, target, "sha256:" + hashlib.sha256(body).hexdigest(), ACCEPT)
    return run_wrk(
        server.origin,
        targets,
        headers=ACCEPT,
        length=min(len(body) for body in bodies),
        connections=connections,
        seconds=bench.profile.seconds,
        scratch=bench.scratch,
    )


def _swarm(bench: Bench, server: Server, requests: list[Request], connections: int) -> Load:
    seconds = bench.profile.seconds
    return run_job(SwarmJob(server.origin, requests, connections, bench.processes, seconds))


def head_manifest(bench: Bench, server: Server, *, reference: Reference, connections: int) -> Load:
    """HEAD one manifest."""
    requests = [Request("HEAD", target, 200, 0, ACCEPT) for target in _manifest_targets(bench, reference)]
    return _swarm(bench, server, requests, connections)


def _blob_target(blob: BlobPlan) -> str:
    return f"/v2/{blob.repository}/blobs/{blob.digest}"


def head_blob(bench: Bench, server: Server, *, connections: int) -> Load:
    """HEAD each of the small blobs in turn."""
    requests = [Request("HEAD", _blob_target(blob), 200, 0) for blob in bench.content.small]
    return _swarm(bench, server, requests, connections)


def get_blob(bench: Bench, server: Server, *, size: Literal["small", "medium", "large"], connections: int) -> Load:
    """GET whole blobs in turn; bytes count as they arrive, also of the answers cut off by the end of the run."""
    content = bench.content
    blobs = {"small": content.small, "medium": content.medium, "large": [content.large]}[size]
    for blob in blobs:
        if (server.name, _blob_target(blob)) not in bench.verified:
            verify(bench, server, _blob_target(blob), blob.digest)
    requests = [Request("GET", _blob_target(blob), 200, blob.size) for blob in blobs]
    return _swarm(bench, server, requests, connections)


def get_ranges(bench: Bench, server: Server, *, connections: int) -> Load:
    """GET 64 KiB from random places of the large blob."""
    blob = bench.content.large
    target = _blob_target(blob)
    places = random.Random(1)  # noqa: S311  the same places on every server, not a secret
    starts = [places.randrange(blob.size - RANGE_BYTES) for _ in range(RANGES)]
    headers = [{"Range": f"bytes={start}-{start + RANGE_BYTES - 1}"} for start in starts]
    expected = bench.payload.bytes_of(blob, starts[0], starts[0] + RANGE_BYTES)
    verify(bench, server, target, "sha256:" + hashlib.sha256(expected).hexdigest(), headers[0])
    requests = [Request("GET", target, 206, RANGE_BYTES, header) for header in headers]
    return _swarm(bench, server, requests, connections)
