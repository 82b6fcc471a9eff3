"""Sending one `ResponseBody`: pieces in, bytes on the wire, or a connection that is visibly broken.

This file alone keeps the two promises of a streamed answer: the next piece is asked for only when the transport holds
nothing of the last (so a view may live in a recycled buffer), and a body that fails or comes out short cuts the
connection (so nobody takes a part for the whole). It must not know requests, or where the pieces come from.

A body that lies in a file goes from the page cache to a plain socket without passing through this process (sendfile:
a third of the processor time of reading and writing). The event loop has no such call, so the socket is written to
beside its transport, and only while the transport holds nothing.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.faces.http import FileBody, ResponseBody

    Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Runs work in a Task that the server knows of."""

_TURN_BYTES: Final = 4 << 20  # one connection sends at most this before the loop looks at the others
JOIN_BYTES_MAX: Final = 65_536
"""Up to this, one write of a head and a copy of the body is cheaper than a gathered write, or two of them."""


class Owner(Protocol):
    """What a sender needs of its connection."""

    sent_bytes: int
    paused: bool
    """Whether the transport holds anything that the kernel has not taken."""

    def body_sent(self) -> None:
        """Hear that the whole body has left, or that nobody is left to send it to; it is closed."""

    def body_failed(self, why: str, error: BaseException | None) -> None:
        """Hear that the body cannot go on: cut the connection."""


class BodySender:
    """Sends one body, after the head in `front`. `pump` it at the start and whenever the transport has drained."""

    __slots__ = (
        "_awaited_socket", "_body", "_failed", "_front", "_left_bytes", "_owner", "_socket", "_spawn", "_task",
        "_transport",
    )  # fmt: skip

    def __init__(
        self, owner: Owner, spawn: Spawn, transport: asyncio.Transport, front: bytes, body: ResponseBody
    ) -> None:
        self._owner = owner
        self._spawn = spawn
        self._transport: asyncio.Transport | None = transport
        self._front = front
        self._body: ResponseBody | None = body
        self._left_bytes = body.length
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        is_large_file = body.length > JOIN_BYTES_MAX and hasattr(body, "send_nowait")
        self._socket = _plain_socket(transport) if is_large_file else None
        self._awaited_socket: int | None = None
        """The socket under another number, as the event loop keeps the first to itself; open while it is waited for."""

    def pump(self) -> None:
        """Hand on pieces as long as the transport takes them whole and the other connections can wait."""
        body = self._body
        if body is None:
            return
        turn_end_bytes = self._owner.sent_bytes + _TURN_BYTES
        while self._can_send():
            if not self._left_bytes and not self._front:
                self._finish()
                return
            if self._owner.sent_bytes >= turn_end_bytes:
                asyncio.get_running_loop().call_soon(self.pump)
                return
            if self._socket is not None and self._left_bytes:
                if self._front:
                    self._write_front()
                elif not self._send_from_file(self._socket, cast("FileBody", body)):
                    return
                continue
            try:
                view = body.read_nowait() if self._left_bytes else memoryview(b"")
            except Exception as error:  # noqa: BLE001  whatever it is, the rest of the body is not to be had
                self._fail("reading it failed", error)
                return
            if view is None:
                self._task = self._spawn(self._fetch(body))
            else:
                self._send(view)

    def _write_front(self) -> None:
        if self._transport is not None:
            front, self._front = self._front, b""
            self._owner.sent_bytes += len(front)
            self._transport.write(front)

    def _send_from_file(self, socket: int, body: FileBody) -> bool:
        """Send one piece without reading it; return whether to go on at once."""
        try:
            sent_bytes = body.send_nowait(socket)
        except BlockingIOError:
            self._await_socket(socket)
            return False
        except ConnectionError:
            if self._transport is not None:
                self._transport.abort()
            return False
        except Exception as error:  # noqa: BLE001  as where pieces are read
            self._fail("reading it failed", error)
            return False
        if sent_bytes is None:
            self._task = self._spawn(self._fetch(body))
            return False
        self._left_bytes -= sent_bytes
        self._owner.sent_bytes += sent_bytes
        return True

    def _await_socket(self, socket: int) -> None:
        if self._awaited_socket is None:
            self._awaited_socket = os.dup(socket)
        self._owner.paused = True
        asyncio.get_running_loop().add_writer(self._awaited_socket, self._on_writable)

    def _on_writable(self) -> None:
        if self._awaited_socket is not None:
            asyncio.get_running_loop().remove_writer(self._awaited_socket)
            self._owner.paused = False
            self.pump()

    def _forget_socket(self) -> None:
        awaited, self._awaited_socket = self._awaited_socket, None
        if awaited is not None:
            asyncio.get_running_loop().remove_writer(awaited)
            os.close(awaited)

    def _can_send(self) -> bool:
        return not (self._transport is None or self._failed or self._task is not None or self._owner.paused)

    def lose(self) -> None:
        """Hear that the connection is gone. The body is closed now, or when the thread that reads it is back."""
        self._transport = None
        self._forget_socket()
        if self._task is None:
            self._finish()

    async def _fetch(self, body: ResponseBody) -> None:
        """Have one piece read where it may block, and go on with it."""
        try:
            view = await body.read()
        except asyncio.CancelledError:  # the stop's grace ran out
            self._task = None
            self._fail("the server is stopping", None)
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._task = None
            self._fail("reading it failed", error)
        else:
            self._task = None
            self._send(view)
            self.pump()
        finally:
            if self._transport is None:
                self._finish()

    def _send(self, view: memoryview) -> None:
        """Hand on one piece, behind the head if that is still here."""
        if self._transport is None:
            return
        size_bytes = view.nbytes
        if size_bytes > self._left_bytes or (self._left_bytes and not size_bytes):
            self._fail(f"{self._left_bytes} bytes were due and the next piece has {size_bytes}", None)
            return
        self._left_bytes -= size_bytes
        self._owner.sent_bytes += size_bytes + len(self._front)
        if self._front:
            front, self._front = self._front, b""
            if size_bytes <= JOIN_BYTES_MAX:
                self._transport.write(b"".join((front, view)))
            else:
                self._transport.writelines((front, view))
        else:
            self._transport.write(view)

    def _fail(self, why: str, error: BaseException | None) -> None:
        if self._transport is not None and not self._failed:
            self._failed = True
            self._owner.body_failed(why, error)

    def _finish(self) -> None:
        self._forget_socket()
        body, self._body = self._body, None
        if body is not None:
            body.close()
            self._owner.body_sent()


def _plain_socket(transport: asyncio.Transport) -> int | None:
    """Return the number of a transport's socket, None where what goes over it is encrypted first."""
    socket = transport.get_extra_info("socket")
    if socket is None or transport.get_extra_info("sslcontext") is not None:
        return None
    return int(socket.fileno())


class BytesBody:
    """A large body that is all in memory, sent as it is instead of being joined to its head."""

    __slots__ = ("_view", "length")

    def __init__(self, body: bytes) -> None:
        self._view = memoryview(body)
        self.length = len(body)

    def read_nowait(self) -> memoryview:
        """Return everything; the sender asks once."""
        return self._view

    async def read(self) -> memoryview:
        """Return everything; never needed."""
        return self._view

    def close(self) -> None:
        """Let go of the bytes."""
        self._view = memoryview(b"")


def close_body(body: object) -> None:
    """Close what a handler gave as a body, if it is one that is to be closed."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
