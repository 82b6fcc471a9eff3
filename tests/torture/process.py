"""A server in a process of its own, that can be killed at any moment and started again on the same data.

Processes are forked from a helper that has imported everything: a start takes a twentieth of a second instead of one,
so that a crash test can afford thousands. The process is real: its end by SIGKILL is the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, Self

import uvloop

from holdfast import wiring
from holdfast.store import failpoints
from holdfast.wiring import Holdfast, SteadyClock, microseconds_now
from running import settings
from torture.seams import FailingDisk
from torture.user import User

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
HOUR_MICROSECONDS = 3_600 * 1_000_000
START_SECONDS = 60


def _ready() -> None:
    """Start the helper. It does not learn this process's sys.path but from the environment, and says nothing of it."""
    _FORKS.set_forkserver_preload(["torture.process"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


class Died(Exception):
    """The process ended before it listened."""


@dataclass(frozen=True)
class _Orders:
    """What a process is told."""

    data: Path
    plan: str
    disk: str
    own_leases: bool
    limits: dict[int, int]
    overrides: dict[str, str]


def _jumping(jump: Any) -> None:
    """Let the clock of the wall be off by a number of seconds that another process sets; the steady one is not."""
    real = time.time_ns
    time.time_ns = lambda: real() + int(jump.value) * 1_000_000_000
    time.time = lambda: time.time_ns() / 1_000_000_000


def _serve(said: Connection, orders: _Orders, hours: Any, effects: Any, jump: Any) -> None:
    """Be the server; `hours` puts its leases forward, `effects` counts what a failing disk did.

    `jump` is by how much its clock is wrong, in seconds.
    """
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    os.close(quiet)
    logging.disable(logging.CRITICAL)
    for name, value in orders.limits.items():
        resource.setrlimit(name, (value, value))
    if orders.plan:
        failpoints.arm(orders.plan)

    _jumping(jump)
    vars(wiring)["ROOM_SECONDS"] = 0.05  # a full disk is looked at often: the tests make room at once
    steady = SteadyClock(microseconds_now)

    def leases() -> int:
        return steady() + int(hours.value) * HOUR_MICROSECONDS

    async def run() -> int:
        server = Holdfast(
            settings(orders.data, **orders.overrides),
            lease_clock=None if orders.own_leases else leases,
        )
        await server.start()
        # Or time that passes meanwhile would end leases of which the model believes that nothing has ended them.
        begun = [asyncio.ensure_future(server.collected_once.wait()), asyncio.ensure_future(server.failed.wait())]
        await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
        for wait in begun:
            wait.cancel()
        host, _, port = server.url.partition("://")[2].rpartition(":")
        said.send((host, int(port)))
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        waits = [asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(server.failed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await server.stop()
        return 3 if server.failed.is_set() else 0

    with contextlib.ExitStack() as stack:
        if orders.disk:
            stack.enter_context(_failing_disk(orders.disk, effects).installed())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(run())
    os._exit(code)


def _failing_disk(plan: str, effects: Any) -> FailingDisk:
    number, mode, error, for_good = plan.split()
    disk = FailingDisk(int(number), mode, int(error), for_good=for_good == "1")
    disk.counter = effects
    return disk


@dataclass
class Server:
    """A server's data, and at most one process at a time that serves it."""

    data: Path
    overrides: dict[str, str] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)
    own_leases: bool = False
    """Whether leases run by the product's own clock, which `pass_time` cannot put forward."""
    kills: int = 0
    host: str = ""
    port: int = 0
    process: BaseProcess | None = None
    _hours: Any = field(default_factory=lambda: _FORKS.Value("q", 0, lock=False))
    _jump: Any = field(default_factory=lambda: _FORKS.Value("q", 0, lock=False))
    _effects: Any = field(default_factory=lambda: _FORKS.Value("q", 0, lock=False))

    def start(self, plan: str = "", *, disk: str = "") -> None:
        """Start, with failpoints or on a failing disk; raises Died when the process ended before it listened."""
        _ready()
        ours, theirs = _FORKS.Pipe(duplex=False)
        self._effects.value = 0
        orders = _Orders(self.data, plan, disk, self.own_leases, self.limits, self.overrides)
        arguments = (theirs, orders, self._hours, self._effects, self._jump)
        self.process = _FORKS.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        try:
            if not ours.poll(START_SECONDS):
                self.kill()
                msg = f"the server did not come up in {START_SECONDS} s"
                raise TimeoutError(msg)
            self.host, self.port = ours.recv()
        except EOFError:
            self.wait()
            raise Died from None
        finally:
            ours.close()

    def user(self) -> User:
        """Return the administrator's client."""
        return User(self.host, self.port)

    def pass_time(self, hours: int) -> None:
        """Let hours pass, for leases."""
        self._hours.value += hours

    def set_clock(self, seconds: int) -> None:
        """Let the server's clock be ahead by so much, or behind."""
        self._jump.value = seconds

    @property
    def effects(self) -> int:
        """How many effects a failing disk saw since the start."""
        return int(self._effects.value)

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def kill(self) -> None:
        """Kill the process as kill -9 does."""
        if self.process is not None and self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.kills += 1
        self.wait()

    def pause(self, seconds: float) -> None:
        """Stop the process as the kernel or an operator may (SIGSTOP), and let it go on after a while."""
        os.kill(self.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int | None:
        """Ask the process to end, wait for it, return its exit code."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
        return self.wait()

    def wait(self) -> int | None:
        """Wait for the end of the process; return its exit code, negative for a signal."""
        if self.process is None:
            return None
        self.process.join(START_SECONDS)
        if self.process.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            self.process.join()
            msg = "the server did not end when it was asked to"
            raise TimeoutError(msg)
        code = self.process.exitcode
        self.process.close()
        self.process = None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


assert sys.platform == "linux"
