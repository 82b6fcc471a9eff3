"""Run the same work in several forked processes that begin at one moment."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

from bench.errors import WrongAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

Part = tuple[list[float], int, float]
"""Latencies in seconds, body bytes, duration in seconds."""
START_DELAY_SECONDS = 0.15
"""Enough for every process to connect before the first request leaves."""


def split(total: int, parts: int) -> list[int]:
    """``total`` as at most ``parts`` near-equal positive shares."""
    count = max(1, min(parts, total))
    return [total // count + (1 if index < total % count else 0) for index in range(count)]


def run_processes(work: Callable[[int, float], Part], count: int) -> list[Part]:
    """``work(number, start_at)`` in ``count`` processes; the first failure is raised here."""
    start_at = time.perf_counter() + START_DELAY_SECONDS
    if count == 1:
        return [work(0, start_at)]
    context = multiprocessing.get_context("fork")

    def child(number: int, pipe: Connection) -> None:
        try:
            pipe.send(work(number, start_at))
        except Exception as error:  # noqa: BLE001  carried to the parent, which raises it
            pipe.send(f"{type(error).__name__}: {error}")

    pairs = [context.Pipe(duplex=False) for _ in range(count)]
    children = [context.Process(target=child, args=(number, sender)) for number, (_, sender) in enumerate(pairs)]
    for process in children:
        process.start()
    results = [receiver.recv() for receiver, _ in pairs]
    for process in children:
        process.join()
    for result in results:
        if isinstance(result, str):
            raise WrongAnswerError(result)
    return results
