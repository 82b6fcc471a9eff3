"""Work on many things in processes of their own, each thing under a limit of time and memory that truly holds.

This file alone starts and ends these processes. A parser in C hears no alarm and may end its process: so what takes too
long is killed with its worker, what ends its worker is named, and the run goes on with the next thing in a new one.
Workers are forked: they see everything that is there, and only numbers and results go through pipes.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

MAX_WORKERS: Final = 8
BATCH: Final = 48
"""Things that a worker is given at once: enough that it seldom waits, few enough that the last are shared fairly."""

MEMORY_BYTES: Final = 4 * 1024**3
"""Of addresses, for one worker. A bomb of a few lines asks for more than any machine has."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failed:
    """What became of a thing that has no result: why, for people."""

    reason: str


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    waiting: list[int] = field(default_factory=list)
    """The numbers that it has not answered; it works on the first."""
    since: float = 0.0


class InWorkers(Generic[Result]):
    """A piece of work done for the numbers from 0 up to `count`."""

    def __init__(self, work: Callable[[int], Result], count: int, *, seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._left = list(range(count))[::-1]
        self._workers: list[_Worker] = []
        wanted = min(MAX_WORKERS, len(os.sched_getaffinity(0)), -(-count // BATCH))
        self._batch = max(1, min(BATCH, count // max(1, wanted * 4)))
        for _ in range(wanted):
            self._workers.append(self._start([]))

    def __enter__(self) -> InWorkers[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        """End every worker."""
        for worker in self._workers:
            _end(worker)

    def results(self) -> Iterator[tuple[int, Result | Failed]]:
        """Return each number with its result, as they come."""
        for worker in self._workers:
            self._feed(worker)
        while any(worker.waiting for worker in self._workers):
            busy = [worker for worker in self._workers if worker.waiting]
            nearest = min(worker.since for worker in busy) + self._seconds - time.monotonic()
            ready = set(wait([worker.pipe for worker in busy], max(0.0, nearest)))
            for worker in busy:
                if worker.pipe in ready:
                    yield from self._heard(worker)
                elif time.monotonic() - worker.since >= self._seconds:
                    yield self._gone(worker, Failed(f"Reading it takes longer than {self._seconds:g} seconds."))

    def _heard(self, worker: _Worker) -> Iterator[tuple[int, Result | Failed]]:
        try:
            result = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            yield self._gone(worker, Failed(f"Its reader ended by itself (exit {worker.process.exitcode})."))
            return
        number = worker.waiting.pop(0)
        worker.since = time.monotonic()
        if not worker.waiting:
            self._feed(worker)
        yield number, result

    def _gone(self, worker: _Worker, failed: Failed) -> tuple[int, Failed]:
        number, *rest = worker.waiting
        _end(worker)
        self._workers[self._workers.index(worker)] = new = self._start(rest)
        if not rest:
            self._feed(new)
        return number, failed

    def _feed(self, worker: _Worker) -> None:
        batch = [self._left.pop() for _ in range(min(self._batch, len(self._left)))]
        if batch:
            self._send(worker, batch)

    @staticmethod
    def _send(worker: _Worker, batch: list[int]) -> None:
        worker.waiting = batch
        worker.since = time.monotonic()
        # One that has just ended is noticed when it is listened to.
        with suppress(OSError):
            worker.pipe.send(batch)

    def _start(self, batch: list[int]) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(theirs, ours, self._work), daemon=True
        )
        with warnings.catch_warnings():
            # Python warns of forks beside threads. A worker touches no lock of theirs, and is killed if it hangs.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        if batch:
            self._send(worker, batch)
        return worker


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()
    worker.process.close()


def _serve(pipe: Connection, parents_end: Connection, work: Callable[[int], object]) -> None:
    """Answer batches until nobody asks; this is the whole life of a worker."""
    parents_end.close()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            for number in pipe.recv():
                try:
                    answer = work(number)
                except MemoryError:
                    answer = Failed(f"Reading it takes more than {MEMORY_BYTES // 1024**3} GiB of memory.")
                pipe.send(answer)
