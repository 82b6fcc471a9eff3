"""One server process with its children: start, wait until ready, CPU time, memory, stop. Linux's /proc only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ServerFailedError, UnavailableError

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 15.0
"""Time a server has to end by itself after SIGTERM."""
KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Memory of a server with its children, bytes. ``anonymous`` cannot be given back to the page cache."""

    resident: int = 0
    anonymous: int = 0


class Process:
    """A server this harness started; it leads its own process group, so that nothing of it is left behind."""

    def __init__(self, argv: list[str], environment: dict[str, str], log: Path) -> None:
        """Start it; its output goes to ``log``."""
        self.started_at = time.perf_counter()
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        if nice:  # a new session is a new autogroup, which does not inherit the harness's priority
            prefer(self._popen.pid, nice)

    @property
    def pid(self) -> int:
        """The first process's id."""
        return self._popen.pid

    def require_alive(self) -> None:
        """An error that quotes the log if the server has ended."""
        code = self._popen.poll()
        if code is not None:
            tail = self._log.read_text(errors="replace")[-600:].strip()
            message = f"the server ended with code {code}: {tail or 'no output'}"
            raise ServerFailedError(message)

    def stop(self) -> None:
        """SIGTERM, wait, SIGKILL to the whole group; returns when all are gone."""
        group = self._popen.pid
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        self._popen.wait()


def _parent_table() -> dict[int, int]:
    """Parent of every process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    parents = _parent_table()
    members = [pid]
    for candidate in members:
        members.extend(child for child, parent in parents.items() if parent == candidate)
    return members


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes and of their children that have ended, seconds."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS_PER_SECOND


def prefer(pid: int, nice: int) -> None:
    """Have the kernel prefer a process and its session to the machine's other work (needs root below 0).

    Where the kernel groups processes by session (autogroup), a plain nice value counts inside the session only, so the
    group's own is set as well.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(nice))
    except OSError as error:
        message = f"--priority {nice} was refused: {error}"
        raise UnavailableError(message) from error


def machine_busy_seconds() -> float:
    """CPU time the whole machine has spent on anything but waiting, over all cores, seconds."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def _status_bytes(text: str, name: str) -> int:
    _, found, rest = text.partition(f"\n{name}:")
    return int(rest.split(maxsplit=1)[0]) * KIB if found else 0


def memory(pids: list[int]) -> Memory:
    """Memory now, added up over the processes (shared pages count in each of them)."""
    resident = anonymous = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/status").read_text()
            resident += _status_bytes(text, "VmRSS")
            anonymous += _status_bytes(text, "RssAnon")
    return Memory(resident, anonymous)


def reset_peak(pids: list[int]) -> None:
    """Begin a new high-water mark of the resident size (needs the right to write there; else the mark stays)."""
    for pid in pids:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_resident(pids: list[int]) -> int:
    """Highest resident size since :func:`reset_peak`, bytes, added up over the processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += _status_bytes(Path(f"/proc/{pid}/status").read_text(), "VmHWM")
    return total
