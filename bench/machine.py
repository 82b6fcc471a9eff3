"""Which machine it was: without it a number means nothing."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The machine and the moment."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    system: str
    python: str
    filesystem: str
    """Type of the file system that held the servers' data."""
    load_before: float
    """One-minute load average when the run began; above 1 something else was running."""
    date: str


def _value(path: str, key: str, default: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=" if "=" in line else ":")
        if name.strip() == key:
            return value.strip().strip('"')
    return default


def filesystem_of(folder: Path) -> str:
    """The type of the mount that holds a folder (the longest mount point wins)."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        point, name = line.split()[1:3]
        inside = str(folder.resolve()).startswith(point.rstrip("/") + "/") or point == "/"
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind


def describe(folder: Path) -> Machine:
    """This machine now."""
    kib = int(_value("/proc/meminfo", "MemTotal", "0 kB").split()[0])
    return Machine(
        processor=_value("/proc/cpuinfo", "model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(kib / 1024 / 1024, 1),
        kernel=platform.release(),
        system=_value("/etc/os-release", "PRETTY_NAME", platform.system()),
        python=platform.python_version(),
        filesystem=filesystem_of(folder),
        load_before=round(os.getloadavg()[0], 2),
        date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
