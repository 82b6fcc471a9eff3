"""Receiving one request's body: bytes off the wire in, pieces for the handler out, no more held than need be.

This file alone decides when reading from the socket pauses for a slow handler and when `100 Continue` is sent. It must
not know what follows the body on the connection, nor how long a client may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from holdfast.faces.framing import ChunkedDecoder
from holdfast.faces.http import RequestBody

if TYPE_CHECKING:
    from holdfast.faces.limits import Limits

_DRAIN_BYTES_MAX: Final = 65_536  # an unread rest up to this is cheaper to read than a new connection is to make


class Owner(Protocol):
    """What a receiver needs of its connection."""

    def send_continue(self) -> None:
        """Send the interim answer 100."""

    def pause_reading(self) -> None:
        """Read no more from the socket."""

    def resume_reading(self) -> None:
        """Read on, if reading was paused."""


class BodyReceiver:
    """Receives one body: `length` bytes, or chunks when `length` is None."""

    __slots__ = ("_chunks", "_continue_due", "_discarding", "_high_water", "_left", "_owner", "body", "received_bytes")

    def __init__(self, owner: Owner, length: int | None, limits: Limits, *, continue_due: bool) -> None:
        self.body = RequestBody(length, self)
        self.received_bytes = 0
        """From the wire, framing included: what shows that the client is alive."""
        self._owner = owner
        self._chunks = ChunkedDecoder() if length is None else None
        self._left = length or 0
        self._high_water = limits.body_high_water_bytes
        self._continue_due = continue_due
        self._discarding = False

    def feed(self, data: bytes) -> bytes | None:
        """Take what came. Return what follows the body's end, None while it goes on; `Refused` if it is broken."""
        self._continue_due = False
        self.received_bytes += len(data)
        body = self.body
        if self._chunks is None:
            rest_bytes = len(data) - self._left
            body.feed(data if rest_bytes <= 0 else data[: self._left])
            self._left = max(0, -rest_bytes)
        else:
            pieces: list[bytes] = []
            rest_bytes = self._chunks.feed(data, pieces)
            for piece in pieces:
                body.feed(piece)
        if self._discarding:
            body.drop()
        if rest_bytes >= 0:
            body.end()
            return data[len(data) - rest_bytes :]
        if body.buffered_bytes > self._high_water:
            self._owner.pause_reading()
        return None

    @property
    def is_small_rest(self) -> bool:
        """Whether what nobody will read is known to come and to be little; else only closing gets rid of it."""
        return self._chunks is None and self._left <= _DRAIN_BYTES_MAX and not self._continue_due

    @property
    def is_awaited(self) -> bool:
        """Whether anything waits for the client now; while a handler is busy with what it has, nobody does."""
        return self._discarding or self.body.awaited

    def discard(self) -> None:
        """Throw away what is buffered and what will come: the request has been answered."""
        self._discarding = True
        self.body.drop()
        self._owner.resume_reading()

    # Called by the body.

    def body_wanted(self) -> None:
        """Let the client send: the handler waits."""
        if self._continue_due:
            self._continue_due = False
            self._owner.send_continue()
        self._owner.resume_reading()

    def body_taken(self) -> None:
        """Read on: the handler took what was buffered."""
        self._owner.resume_reading()
