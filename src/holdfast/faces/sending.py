"""Sending one `ResponseBody`: pieces in, bytes on the wire, or a connection that is visibly broken.

This file alone keeps the two promises of a streamed answer: the next piece is asked for only when the transport holds
nothing of the last (so a view may live in a recycled buffer), and a body that fails or comes out short cuts the
connection (so nobody takes a part for the whole). It must not know requests, or where the pieces come from.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from holdfast.faces.http import ResponseBody

_TURN_BYTES: Final = 4 << 20  # one connection sends at most this before the loop looks at the others


class Owner(Protocol):
    """What a sender needs of its connection."""

    sent_bytes: int
    paused: bool
    """Whether the transport holds anything that the kernel has not taken."""

    def body_sent(self) -> None:
        """Hear that the whole body has left, or that nobody is left to send it to; it is closed."""

    def body_failed(self, why: str) -> None:
        """Hear that the body cannot go on: cut the connection. `sys.exc_info` has the cause, if any."""


class BodySender:
    """Sends one body, after the head in `front`. `pump` it at the start and whenever the transport has drained."""

    __slots__ = ("_body", "_front", "_left_bytes", "_loop", "_owner", "_task", "_transport")

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, front: bytes, body: ResponseBody
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = transport
        self._front = front
        self._body: ResponseBody | None = body
        self._left_bytes = body.length
        self._task: asyncio.Task[None] | None = None

    def pump(self) -> None:
        """Hand on pieces as long as the transport takes them whole and the other connections can wait."""
        turn_end_bytes = self._owner.sent_bytes + _TURN_BYTES
        while self._body is not None and self._task is None and self._transport is not None and not self._owner.paused:
            if not self._left_bytes and not self._front:
                self._finish()
                return
            if self._owner.sent_bytes >= turn_end_bytes:
                self._loop.call_soon(self.pump)
                return
            try:
                view = self._body.read_nowait() if self._left_bytes else memoryview(b"")
            except Exception:  # noqa: BLE001  whatever it is, the rest of the body is not to be had
                self._fail("reading it failed")
                return
            if view is None:
                self._task = self._loop.create_task(self._fetch(self._body))
            else:
                self._send(view)

    def lose(self) -> None:
        """Hear that the connection is gone. The body is closed now, or when the thread that reads it is back."""
        self._transport = None
        if self._task is None:
            self._finish()

    def cancel(self) -> asyncio.Task[None] | None:
        """Give up waiting for a piece; the cancelled Task, if there is one, is the caller's to await."""
        if self._task is not None:
            self._task.cancel()
        return self._task

    async def _fetch(self, body: ResponseBody) -> None:
        """Have one piece read where it may block, and go on with it."""
        try:
            view = await body.read()
        except asyncio.CancelledError:
            self._task = None
            self._fail("the server is stopping")
            raise
        except Exception:  # noqa: BLE001  as above
            self._task = None
            self._fail("reading it failed")
        else:
            self._task = None
            self._send(view)
            self.pump()
        if self._transport is None:
            self._finish()

    def _send(self, view: memoryview) -> None:
        """Hand on one piece, behind the head if that is still here."""
        if self._transport is None:
            return
        size_bytes = view.nbytes
        if size_bytes > self._left_bytes or (self._left_bytes and not size_bytes):
            self._fail(f"{self._left_bytes} bytes were due and the next piece has {size_bytes}")
            return
        self._left_bytes -= size_bytes
        self._owner.sent_bytes += size_bytes + len(self._front)
        if self._front:
            front, self._front = self._front, b""
            self._transport.writelines((front, view))
        else:
            self._transport.write(view)

    def _fail(self, why: str) -> None:
        if self._transport is not None:
            self._owner.body_failed(why)

    def _finish(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
            self._owner.body_sent()
