"""The harness's side of the generators: start one as a process, wait for it, return its load or raise its error."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.errors import WrongAnswerError
from bench.load.job import Job, Load

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 900.0
"""Longest run of one generator; seeding 100,000 tags into a slow registry takes several minutes."""


def run_job(job: Job) -> Load:
    """Run one job in a generator process of its own."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    finished = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(dataclasses.asdict(job)),
        capture_output=True,
        text=True,
        check=False,
        timeout=GRACE_SECONDS,
        cwd=ROOT,  # -m looks in the current folder first, and that may hold another "bench"
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        result = json.loads(finished.stdout)
    except ValueError:
        message = f"the load generator failed: {finished.stderr[-400:]}"
        raise WrongAnswerError(message) from None
    if "error" in result:
        raise WrongAnswerError(result["error"])
    return Load(**result)
