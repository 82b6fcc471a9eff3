"""Running programs: bounded in time, in an environment of their own, ended with all their children.

This file alone starts processes. It knows no client.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TIMEOUT_SECONDS: Final = 180.0
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
TIMED_OUT: Final = 124
SHOWN_CHARACTERS: Final = 3000
"""How much of what a program printed a failing test shows: its end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and what it printed."""

    command: str
    exit_code: int
    printed: str
    stdout: str

    @property
    def told(self) -> str:
        """What to show a person of it."""
        return f"{self.command} ended with {self.exit_code}:\n{self.printed[-SHOWN_CHARACTERS:]}"

    @property
    def succeeded(self) -> bool:
        """Whether the exit code was 0."""
        return self.exit_code == 0


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    folder: Path,
    given: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Outcome:
    """Run a program to its end; one that takes too long is killed with its children and reports exit code 124."""
    words = [str(word) for word in command]
    with subprocess.Popen(
        words,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, error = process.communicate(given, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            out, error = process.communicate()
            return Outcome(" ".join(words), TIMED_OUT, f"{out}\n{error}\nkilled after {timeout_seconds} s", out)
    return Outcome(" ".join(words), process.returncode, f"{out}\n{error}".strip(), out)


@contextmanager
def daemon(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    folder: Path,
    is_ready: Callable[[], bool],
    start_seconds: float = START_SECONDS,
) -> Iterator[Path]:
    """Start a program that stays, wait until it is ready, and end it and its children at the end; gives its log."""
    log = folder / "daemon.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, is_ready, start_seconds, log)
        yield log
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            state = f"ended with {process.returncode}" if ended else f"was not ready within {seconds} s"
            tail = log.read_text(errors="replace")[-3000:]
            message = f"{process.args!r} {state}:\n{tail}"
            raise RuntimeError(message)
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
