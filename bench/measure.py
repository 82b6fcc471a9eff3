"""What a run cost the server: CPU time and memory, read from /proc while a load runs."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.profiles import MIB
from bench.servers import process
from bench.servers.server import OwnedServer, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.job import Load

SAMPLE_SECONDS = 0.05
"""Pace of the memory samples: a shorter peak may be missed in ``anonymous_mib``, never in ``resident_mib``."""
GIGABYTE = 1e9


@dataclass(frozen=True)
class Sample:
    """One run of one case on one server. Not-a-number where it could not be measured (a server elsewhere)."""

    value: float
    """In the case's unit."""
    load: Load
    cpu_seconds: float = math.nan
    """User and system time of the server and its children during the run."""
    anonymous_mib: float = math.nan
    """Highest sampled anonymous memory."""
    resident_mib: float = math.nan
    """Highest resident size, file mappings and all."""
    other_cores: float = math.nan
    """Cores that everything else on the machine kept busy meanwhile; much above 0 the run was disturbed."""

    @property
    def cpu_us_per_operation(self) -> float:
        """Server CPU per request, blob, tag or image, microseconds."""
        return self.cpu_seconds * 1e6 / self.load.operations if self.load.operations else math.nan

    @property
    def cpu_s_per_gb(self) -> float:
        """Server CPU per 10**9 payload bytes, seconds."""
        return self.cpu_seconds / (self.load.body_bytes / GIGABYTE) if self.load.body_bytes else math.nan

    @property
    def server_cores(self) -> float:
        """How many cores the server kept busy; near 1.0 a single-process server is at its end."""
        return self.cpu_seconds / self.load.seconds if self.load.seconds else math.nan

    @property
    def generator_cores(self) -> float:
        """How many cores the generator kept busy."""
        return self.load.generator_cpu_seconds / self.load.seconds if self.load.seconds else math.nan

    def metric(self, name: str) -> float:
        """A number of this sample or of its load by the name that goals use."""
        found = getattr(self, name) if hasattr(self, name) else getattr(self.load, name)
        return float(found)


@dataclass(frozen=True)
class Cost:
    """CPU and memory of a server during one run."""

    cpu_seconds: float = math.nan
    anonymous_mib: float = math.nan
    resident_mib: float = math.nan
    other_cores: float = math.nan


class _Watch:
    """Samples the anonymous memory of a server until stopped."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._peak = max(self._peak, process.memory(self._pids).anonymous)
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> int:
        """The highest sample, bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak


def costed(server: Server, run: Callable[[], Load]) -> tuple[Load, Cost]:
    """Run a load and see what it cost the server; an error when the server died of it."""
    pids = server.pids
    if not pids:
        return run(), Cost()
    process.reset_peak(pids)
    before, began, busy = process.cpu_seconds(pids), time.perf_counter(), process.machine_busy_seconds()
    watch = _Watch(pids)
    try:
        load = run()
    finally:
        anonymous = watch.stop()
    if isinstance(server, OwnedServer):
        server.require_alive()
    cpu = process.cpu_seconds(pids) - before
    own = cpu + (0.0 if math.isnan(load.generator_cpu_seconds) else load.generator_cpu_seconds)
    other = (process.machine_busy_seconds() - busy - own) / (time.perf_counter() - began)
    return load, Cost(cpu, anonymous / MIB, process.peak_resident(pids) / MIB, max(0.0, other))
