"""How much and how long anything may be on the HTTP edge, each limit with its precedent.

This file alone holds the numbers and the arithmetic of being too slow. It must not know connections or the clock: the
seconds are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The edge's limits. Units are last in the names; every deadline is kept to within `sweep_seconds`."""

    header_bytes: int = 16_384
    """Request line and headers together. Node.js has 16 KiB, nginx 4 x 8 KiB; a token of 8 KiB still fits."""
    header_fields: int = 100
    """Apache's LimitRequestFields; docker, containerd and the AWS SDKs send fewer than 20."""
    target_bytes: int = 8_192
    """Apache's LimitRequestLine (8,190) and nginx's single header buffer (8 KiB); RFC 9110 asks for 8,000."""
    header_deadline_seconds: float = 10.0
    """From the accept, or from a later request's first byte. Go's advice is 5 to 10, mod_reqtimeout has 20 to 40."""
    keep_alive_seconds: float = 75.0
    """Idle between requests: nginx's keepalive_timeout; above the 60 of load balancers."""
    body_stall_seconds: float = 30.0
    """Without one byte while a handler waits for the body. nginx waits 60, Kestrel 5."""
    write_stall_seconds: float = 60.0
    """Without one byte taken by a client that has an answer waiting: nginx's send_timeout."""
    min_bytes_per_second: int = 500
    """The average rate below which a client only holds a place: mod_reqtimeout's 500, Kestrel's 240."""
    rate_grace_seconds: float = 30.0
    """Waited for a client before its average rate counts (Kestrel: 5; container builds stall longer)."""
    body_high_water_bytes: int = 1 << 20
    """Buffered for a handler before reading from the socket pauses; `bench` shows nothing gained above it."""
    linger_seconds: float = 5.0
    """Input thrown away after a last answer so that the client sees it: nginx's lingering_timeout."""
    connections: int = 10_000
    """Open at once; lowered at the start to what the process may open, less `files_reserved`."""
    files_reserved: int = 256
    """File descriptors that are not for connections: blobs being read and written, the database, the log."""
    backlog: int = 4_096
    """Connections waiting to be accepted; Linux's own default for net.core.somaxconn since 5.4."""
    shutdown_grace_seconds: float = 30.0
    """For running requests after a stop: Kubernetes' terminationGracePeriodSeconds."""
    sweep_seconds: float = 1.0
    """Between two looks at the deadlines; one sweep serves all connections, no request has a timer of its own."""


class Pace:
    """How one client keeps up, counting only the seconds in which the server waited for it."""

    __slots__ = ("_moved_bytes", "_still_seconds", "_waited_seconds")

    def __init__(self) -> None:
        self._moved_bytes = 0
        self._still_seconds = 0.0
        self._waited_seconds = 0.0

    def add(self, moved_bytes: int, seconds: float) -> None:
        """Note the total moved so far, after `seconds` more of waiting."""
        self._still_seconds = self._still_seconds + seconds if moved_bytes == self._moved_bytes else 0.0
        self._moved_bytes = moved_bytes
        self._waited_seconds += seconds

    def is_too_slow(self, limits: Limits, stall_seconds: float) -> bool:
        """Tell whether the client stood still for `stall_seconds`, or moves less than the least average rate."""
        counted_seconds = self._waited_seconds - limits.rate_grace_seconds
        return self._still_seconds >= stall_seconds or self._moved_bytes < limits.min_bytes_per_second * counted_seconds
