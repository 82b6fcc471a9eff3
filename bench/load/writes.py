"""Many small writes at once: blobs, manifests, tags, repositories. One table, :data:`WRITERS`, names them."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING

from bench.errors import WrongAnswerError
from bench.load.job import Load, WriteJob, WriteKind, summarize
from bench.load.pool import Part, run_processes, split
from bench.load.uploads import begin_upload
from bench.load.wire import Wire, with_query

if TYPE_CHECKING:
    from collections.abc import Callable

OCTETS = {"Content-Type": "application/octet-stream"}


def put_blob(wire: Wire, repository: str, data: bytes) -> str:
    """Upload a small blob by POST and PUT, as most clients do; its digest."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    target = with_query(begin_upload(wire, repository), f"digest={digest}")
    wire.expect((201,), "PUT", target, OCTETS, data)
    return digest


def put_manifest(wire: Wire, repository: str, reference: str, media_type: str, body: bytes) -> None:
    """Put manifest bytes under a tag or digest; only 201 counts."""
    wire.expect((201,), "PUT", f"/v2/{repository}/manifests/{reference}", {"Content-Type": media_type}, body)


def mount_blob(wire: Wire, repository: str, digest: str, source: str) -> None:
    """Mount a blob from another repository; a server that does not mount (202) is an error here."""
    target = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}"
    wire.expect((201,), "POST", target)


def fresh_manifest(job: WriteJob, name: str) -> bytes:
    """The job's manifest made distinct by one annotation."""
    document = json.loads(job.manifest)
    document["annotations"] = {**document.get("annotations", {}), "bench.name": name}
    return json.dumps(document).encode()


def _write_blob(job: WriteJob, wire: Wire, repository: str, _name: str) -> int:
    put_blob(wire, repository, os.urandom(job.blob_bytes))
    return job.blob_bytes


def _write_manifest(job: WriteJob, wire: Wire, repository: str, name: str) -> int:
    body = fresh_manifest(job, name)
    put_manifest(wire, repository, name, job.media_type, body)
    return len(body)


def _write_bind(job: WriteJob, wire: Wire, repository: str, name: str) -> int:
    put_manifest(wire, repository, name, job.media_type, job.manifest.encode())
    return len(job.manifest)


def _write_contended(job: WriteJob, wire: Wire, repository: str, name: str) -> int:
    body = fresh_manifest(job, name)
    put_manifest(wire, repository, "contended", job.media_type, body)
    return len(body)


def _write_repository(job: WriteJob, wire: Wire, repository: str, name: str) -> int:
    fresh = f"{repository}/{name}"
    mount_blob(wire, fresh, job.mount_digest, job.mount_from)
    put_manifest(wire, fresh, "latest", job.media_type, job.manifest.encode())
    return len(job.manifest)


WRITERS: dict[WriteKind, Callable[[WriteJob, Wire, str, str], int]] = {
    "blob": _write_blob,
    "manifest": _write_manifest,
    "bind": _write_bind,
    "contend": _write_contended,
    "repository": _write_repository,
}
"""Each performs one operation under a fresh name and returns the payload bytes it sent."""


class _Team:
    """The threads of one process; thread ``t`` of ``n`` writes the names ``first + t``, ``first + t + n`` ..."""

    def __init__(self, job: WriteJob, first: int, threads: int, count: int) -> None:
        self._job = job
        self._first = first
        self._threads = threads
        self._counts = split(count, threads) if count else [0] * threads
        self._latencies: list[float] = []
        self._failures: list[Exception] = []
        self._bytes = [0] * threads

    def run(self, start_at: float) -> Part:
        """All threads to their end."""
        time.sleep(max(0.0, start_at - time.perf_counter()))
        started = time.perf_counter()
        end = started + self._job.seconds
        numbers = range(len(self._counts))
        threads = [threading.Thread(target=self._guarded, args=(number, end)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        return self._latencies, sum(self._bytes), time.perf_counter() - started

    def _guarded(self, number: int, end: float) -> None:
        try:
            self._write(number, end)
        except (WrongAnswerError, OSError) as error:
            self._failures.append(error)

    def _write(self, number: int, end: float) -> None:
        job = self._job
        write = WRITERS[job.kind]
        done = 0
        with Wire(job.origin) as wire:
            while not self._failures:
                begun = time.perf_counter()
                if done >= self._counts[number] if job.count else begun >= end:
                    return
                serial = self._first + number + done * self._threads
                repository = job.repositories[serial % len(job.repositories)]
                self._bytes[number] += write(job, wire, repository, f"{job.token}-{serial}")
                self._latencies.append(time.perf_counter() - begun)
                done += 1


def run_writes(job: WriteJob) -> Load:
    """Run the job over its processes and add up what they did."""
    shares = split(job.connections, job.processes)
    counts = split(job.count, len(shares)) if job.count else [0] * len(shares)
    counts += [0] * (len(shares) - len(counts))
    apart = 1_000_000_000
    """Distance between the processes' names; no run writes that many."""

    def work(number: int, start_at: float) -> Part:
        if job.count and not counts[number]:
            return [], 0, 0.0
        return _Team(job, number * apart, shares[number], counts[number]).run(start_at)

    parts = run_processes(work, len(shares))
    latencies = [latency for part in parts for latency in part[0]]
    return summarize(latencies, sum(part[1] for part in parts), max(part[2] for part in parts))
