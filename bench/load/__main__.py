"""``python -m bench.load``: read one job as JSON from standard input, run it, write what happened to standard output.

Its own process, so that its CPU time is known exactly and a busy generator shares no lock with the harness.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from typing import Any

from bench.errors import BenchError
from bench.load.job import BlobPlan, Job, Load, Request, SwarmJob, UploadJob, WriteJob
from bench.load.swarm import run_swarm
from bench.load.uploads import run_uploads
from bench.load.wire import Origin
from bench.load.writes import run_writes


def decode(text: str) -> Job:
    """The job from its JSON text."""
    values: dict[str, Any] = json.loads(text)
    values["origin"] = Origin(**values["origin"])
    if values["job"] == "swarm":
        values["requests"] = [Request(**request) for request in values["requests"]]
        return SwarmJob(**values)
    if values["job"] == "upload":
        values["blobs"] = [BlobPlan(**blob) for blob in values["blobs"]]
        return UploadJob(**values)
    return WriteJob(**values)


def run(job: Job) -> Load:
    """Run one job in this process (and the children it forks)."""
    match job:
        case SwarmJob():
            return run_swarm(job)
        case UploadJob():
            return run_uploads(job)
        case WriteJob():
            return run_writes(job)


def cpu_seconds() -> float:
    """CPU time of this process and its finished children, seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> int:
    """Exit code 0 with a load as JSON, or 1 with the reason as JSON."""
    job = decode(sys.stdin.read())
    before = cpu_seconds()
    try:
        load = run(job)
    except (BenchError, OSError) as error:
        sys.stdout.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 1
    load = dataclasses.replace(load, generator_cpu_seconds=cpu_seconds() - before)
    sys.stdout.write(json.dumps(dataclasses.asdict(load)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
