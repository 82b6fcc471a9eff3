"""How often somebody may come: a token bucket as one number, the time at which it would be full again.

This file alone decides who comes too often. It must not know who comes, nor read the clock: the times are handed in.
Source of the form: the generic cell rate algorithm, ITU-T recommendation I.371, a token bucket that needs no refilling.
"""

from __future__ import annotations

from typing import Final

BURST_SECONDS: Final = 10
"""How many seconds' worth may come at one moment: a client that starts on a whole image's layers is no flood."""

_MICROSECONDS: Final = 1_000_000


def admit(full_at: int, now: int, per_second: int) -> tuple[int, int]:
    """Return when the bucket is full again, and the microseconds to wait: 0 for one who may come now.

    `full_at` and `now` are microseconds since the epoch; a bucket never seen has `full_at` 0. One who must wait takes
    nothing out of the bucket, so asking again too early costs nothing. A clock that was put back makes nobody wait
    for longer than an empty bucket would.
    """
    step = _MICROSECONDS // per_second
    burst = BURST_SECONDS * per_second * step
    full_at = min(max(full_at, now), now + burst)
    wait = full_at + step - now - burst
    return (full_at, wait) if wait > 0 else (full_at + step, 0)
