"""Limits of rate: so many requests a second for each principal, so many for each address that has not logged in.

The buckets are bounded in number: past that the one that was used longest ago is forgotten, which gives its owner a
full one. Kept in memory alone, so a restart fills them all.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from holdfast.core import rates
from holdfast.core.errors import RateExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BUCKETS: Final = 10_000
"""Principals, and addresses, remembered."""

_MICROSECONDS: Final = 1_000_000


class _Buckets:
    """The buckets of one kind of client."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def admit(self, who: str, now: int) -> int:
        """Take one request out of a bucket; return the microseconds to wait when it is empty, else 0."""
        full_at, wait = rates.admit(self._full_at.get(who, 0), now, self.per_second)
        if who not in self._full_at and len(self._full_at) >= MAX_BUCKETS:
            self._full_at.popitem(last=False)
        self._full_at[who] = full_at
        self._full_at.move_to_end(who)
        return wait


class RateLimits:
    """Admits requests or tells how long to wait."""

    def __init__(self, clock: Callable[[], int], principal_per_second: int = 0, stranger_per_second: int = 0) -> None:
        """`clock` gives microseconds since the epoch; a rate of 0 is no limit."""
        self._clock = clock
        self._principals = _Buckets(principal_per_second) if principal_per_second else None
        self._strangers = _Buckets(stranger_per_second) if stranger_per_second else None
        self.refused: Counter[str] = Counter({"principal": 0, "stranger": 0})
        """Requests that had to wait since the start, by whose they were."""

    def admit(self, principal: str) -> None:
        """Count a request of a principal who is known. Raises RateExceeded."""
        if self._principals is not None:
            self._require("principal", self._principals.admit(principal, self._clock()), self._principals.per_second)

    def admit_stranger(self, source: str) -> None:
        """Count a request without credentials, or with wrong ones, from an address. Raises RateExceeded."""
        if self._strangers is not None:
            wait = self._strangers.admit(_neighbourhood(source), self._clock())
            self._require("stranger", wait, self._strangers.per_second)

    def _require(self, whose: str, wait: int, per_second: int) -> None:
        if wait:
            self.refused[whose] += 1
            raise RateExceeded(per_second, -(-wait // _MICROSECONDS))


def _neighbourhood(source: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, which is what one customer has (RFC 6177)."""
    if ":" not in source:
        return source
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return source
    return address.packed[:8].hex()
