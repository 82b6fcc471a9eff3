"""How fast a service is called: freely until it says that it is too fast, then by a rate that it allows.

Pure but for the caller's clock, which is an argument. The rate halves with each refusal and grows again slowly, as TCP
does it. One pace is one allowance of the service: of Amazon ECR, an account in a region. Threads may share it.
"""

from __future__ import annotations

import threading
from typing import Final

LEAST_PER_SECOND: Final = 0.5
_MEASURED_SECONDS: Final = 2.0
_GROWTH_PER_SECOND: Final = 0.05
"""A rate grows by a twentieth of itself each second without a refusal."""

_QUIET_SECONDS: Final = 1.0
"""Refusals within this after one that counted are of calls that were under way: they count as the same."""

_FREE_AGAIN: Final = 8.0
"""A rate that has grown to so many times what was measured at the refusal limits nothing any more."""


class Pace:
    """Says how long to wait before the next call. Times in seconds, of any one clock that never goes back."""

    def __init__(self, per_second: float | None = None) -> None:
        """`per_second`: what the service is known to allow at most; None: unknown."""
        self._most = per_second
        self._rate = per_second
        self._ceiling = 0.0
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._grown_at = 0.0
        self._refused_at = float("-inf")
        self._began: float | None = None
        self._calls = 0

    @property
    def per_second(self) -> float | None:
        """The rate now; None: none is kept."""
        return self._rate

    def reserve(self, now: float) -> float:
        """Take a place in the line; return how many seconds to wait before the call."""
        with self._lock:
            self._count(now)
            if self._rate is None:
                return 0.0
            self._grow(now)
            if self._rate is None:
                return 0.0
            begin = max(now, self._free_at)
            self._free_at = begin + 1 / self._rate
            return begin - now

    def refused(self, now: float) -> None:
        """The service said that it was too fast."""
        with self._lock:
            if now - self._refused_at < _QUIET_SECONDS:
                return
            measured = self._measured(now)
            self._ceiling = measured * _FREE_AGAIN
            self._rate = max((min(measured, self._rate) if self._rate else measured) / 2, LEAST_PER_SECOND)
            self._refused_at = self._grown_at = now
            self._free_at = max(self._free_at, now + 1 / self._rate)

    def _count(self, now: float) -> None:
        if self._began is None or now - self._began > _MEASURED_SECONDS:
            self._began, self._calls = now, 0
        self._calls += 1

    def _measured(self, now: float) -> float:
        elapsed = max(now - (self._began if self._began is not None else now), 0.1)
        return max(self._calls / elapsed, LEAST_PER_SECOND)

    def _grow(self, now: float) -> None:
        if self._rate is None or now <= self._grown_at or now - self._refused_at < _QUIET_SECONDS:
            return
        self._rate *= (1 + _GROWTH_PER_SECOND) ** min(now - self._grown_at, 10.0)
        self._grown_at = now
        if self._most is not None:
            self._rate = min(self._rate, self._most)
        elif self._rate > self._ceiling:
            self._rate = None
