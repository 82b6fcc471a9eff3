"""One client's connection: from bytes to a request, from an answer to bytes, and nothing in between.

This file alone decides the order of things on a connection: one request at a time, when reading pauses, what happens
to a body nobody reads, how a connection ends. It must not know what a request is for, who may send it, or what is
stored. What is valid HTTP is decided in `framing.py`, how long anything may take in `limits.py`.

    READING  a head is awaited or coming (pipelined input waits here while an answer is on its way)
    BODY     the body of the current request is coming: to its handler or, after the answer, to nobody
    DISCARD  the rest of the input means nothing and is thrown away until the connection closes
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from holdfast.faces.framing import HeadReader, Refused, check_partial_head
from holdfast.faces.http import CLIENT_GONE, BodyAborted, BodyTooLarge, Request, Response
from holdfast.faces.limits import Pace
from holdfast.faces.receiving import BodyReceiver
from holdfast.faces.sending import JOIN_BYTES_MAX, BodySender, BytesBody, close_body
from holdfast.faces.stepping import continued

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from holdfast.faces.server import Edge

_log = logging.getLogger(__name__)

_READING: Final = 0
_BODY: Final = 1
_DISCARD: Final = 2

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_KEEP: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nConnection: close\r\n\r\n"
_CR: Final = 0x0D
_HEAD_END_BYTES: Final = 4  # CR LF CR LF
_TURN_REQUESTS: Final = 32  # pipelined requests answered before the loop looks at the other connections
_STATUS_CLIENT_GONE: Final = 499  # nginx's, for logs and metrics only: nobody was there to get an answer


class Connection(asyncio.Protocol):
    """The protocol of one accepted connection. Its limits, handler and clock are the edge's."""

    __slots__ = (
        "_advancing", "_at", "_began", "_edge", "_half_closed", "_head_began", "_input", "_keep_alive", "_pace",
        "_phase", "_reader", "_reading_paused", "_receiver", "_request", "_sender", "_status", "_transport", "deadline",
        "paused", "sent_bytes",
    )  # fmt: skip

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._transport: asyncio.Transport | None = None
        self._phase = _READING
        self.deadline = inf
        """The loop's time from which the sweep calls `look`; 0.0 while there is something to judge at every sweep."""
        # Input; the bytes before `_at` are done with.
        self._reader = HeadReader(edge.limits)
        self._input = b""
        self._at = 0
        self._advancing = False
        self._head_began = True
        self._reading_paused = False
        self._half_closed = False
        # The request that is handled or answered, and its body while that is coming.
        self._request: Request | None = None
        self._began = 0.0
        self._keep_alive = True
        self._receiver: BodyReceiver | None = None
        # Output; `_status` is 0 until there is an answer.
        self._status = 0
        self._sender: BodySender | None = None
        self.sent_bytes = 0
        self.paused = False
        self._pace: Pace | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; with too many connections open, refuse at once."""
        stream = cast("asyncio.Transport", transport)
        edge = self._edge
        secure = stream.get_extra_info("sslcontext") is not None
        # No buffer above the kernel's: a write that is not taken whole pauses at once. So the view of a body is known
        # to be free when writing resumes, and a slow reader holds one piece. TLS pauses at the mark, not above it.
        stream.set_write_buffer_limits(high=1 if secure else 0, low=0)
        self._transport = stream
        self._reader.peer = str((stream.get_extra_info("peername") or ("",))[0])
        self._reader.scheme = "https" if secure else "http"
        self.deadline = edge.loop.time() + edge.limits.header_deadline_seconds
        edge.connections.add(self)
        if edge.stopping:
            stream.close()
        elif len(edge.connections) > edge.connections_max:
            self._refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        """Take what came to the place where it belongs now."""
        if self._phase == _READING:
            if (
                data.find(b"\r\n\r\n") == len(data) - _HEAD_END_BYTES
                and self._request is None
                and not self._input
                and data[0] != _CR
                and _HEAD_END_BYTES <= len(data) <= self._edge.limits.header_bytes
            ):
                self._begin(data)  # by far the most common: one whole head and nothing else
                return
            self._input = self._input[self._at :] + data if self._input else data
            self._at = 0
            if self._request is None:
                self._advance()
            else:
                self.pause_reading()
        elif self._receiver is not None:
            self._receive_body(self._receiver, data)

    def eof_received(self) -> bool:
        """Hear that the client sends no more; over plain TCP it may still be waiting for its answer."""
        self._half_closed = True
        self._keep_alive = False
        if self._request is None or self._reader.scheme == "https":
            return False
        if self._receiver is not None:
            self._abort_body(400, "the connection was closed before the end of the body")
        return True

    def pause_writing(self) -> None:
        """Hear that the kernel took only a part."""
        self.paused = True

    def resume_writing(self) -> None:
        """Hear that the kernel has taken all, so that the view last written is free."""
        self.paused = False
        if self._sender is not None:
            self._sender.pump()
        elif self._request is not None and self._status:
            self._finish_answer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up; a handler at work goes on and its answer is dropped."""
        del exc
        self._transport = None
        self._edge.drop_connection(self)
        self._input = b""
        self._reader.release()
        if self._receiver is not None:
            self._receiver.body.abort(CLIENT_GONE, "the client closed the connection")
        if self._sender is not None:
            self._sender.lose()
        elif self._request is not None and self._status:
            self._finish_answer()

    # Input: heads.

    def _advance(self) -> None:
        """Begin requests as long as whole heads wait and nothing is being answered."""
        self._advancing = True
        for _ in range(_TURN_REQUESTS):
            if not self._input or self._request is not None or self._phase != _READING:
                break
            head = self._cut_head()
            if head is None:
                break
            self._begin(head)
        else:
            self._edge.loop.call_soon(self._advance)
        self._advancing = False
        if self._phase == _READING and not (self._input and self._request is not None):
            self.resume_reading()

    def _cut_head(self) -> bytes | None:
        """Take the next head off the input, or None when it is not whole yet or cannot become valid."""
        data, at = self._input, self._at
        while data.startswith(b"\r\n", at):  # an empty line before a request is ignored (RFC 9112, 2.2)
            at += 2
        end = data.find(b"\r\n\r\n", at) + _HEAD_END_BYTES
        if end < _HEAD_END_BYTES:
            self._input, self._at = data[at:], 0
            if self._input:
                self._check_partial_head(self._input)
            return None
        if end == len(data):
            self._input, self._at = b"", 0
        else:
            self._at = end
        if end - at > self._edge.limits.header_bytes:
            self._refuse(431, f"the request line and headers are larger than {self._edge.limits.header_bytes} bytes")
            return None
        return data if end - at == len(data) else data[at:end]

    def _check_partial_head(self, data: bytes) -> None:
        """Refuse early what cannot become a request, and start its deadline with its first byte."""
        limits = self._edge.limits
        if not self._head_began:
            self._head_began = True
            self.deadline = self._edge.loop.time() + limits.header_deadline_seconds
        try:
            check_partial_head(data, limits)
        except Refused as refused:
            self._refuse(refused.status, refused.reason)

    def _begin(self, head: bytes) -> None:
        """Read one head and start its handler."""
        edge, reader = self._edge, self._reader
        try:
            request = reader.read(head, edge.new_id())
        except Refused as refused:
            self._refuse(refused.status, refused.reason)
            return
        self._request = request
        self._keep_alive = reader.keep_alive and not self._half_closed
        self._status = 0
        self.sent_bytes = 0
        self._pace = None
        self.deadline = 0.0
        if edge.on_request_done is not None:
            self._began = time.perf_counter()
        if reader.length != 0:
            self._begin_body(request)
        self._run(edge, request)

    def _run(self, edge: Edge, request: Request) -> None:
        """Run the handler, in a Task only if it waits (`stepping.py`).

        The context is the request's own, as a Task's would be: what one handler sets in it, the next does not see. This
        function is short for a reason: a StopIteration passing through has its line looked up, from the function's top.
        """
        try:
            coroutine = edge.handler(request)
            awaited = (context := contextvars.copy_context()).run(coroutine.send, None)
        except StopIteration as done:
            response = done.value
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  whatever it is, there must be an answer
            self._answer_error(request, error)
            return
        else:
            edge.spawn(self._await_answer(request, coroutine, awaited), context)
            return
        self._answer(request, response)

    async def _await_answer(self, request: Request, coroutine: Coroutine[Any, Any, Response], awaited: object) -> None:
        try:
            response = await continued(coroutine, awaited)
        except asyncio.CancelledError:  # the stop's grace ran out
            self._answer_nobody()
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._answer_error(request, error)
        else:
            self._answer(request, response)

    # Input: bodies.

    def _begin_body(self, request: Request) -> None:
        reader = self._reader
        receiver = BodyReceiver(self, reader.length, self._edge.limits, continue_due=reader.expects_continue)
        self._receiver = receiver
        self._phase = _BODY
        request.body = receiver.body
        if self._input:
            data = self._input[self._at :]
            self._input, self._at = b"", 0
            self._receive_body(receiver, data)

    def _receive_body(self, receiver: BodyReceiver, data: bytes) -> None:
        try:
            rest = receiver.feed(data)
        except Refused as refused:
            self._abort_body(refused.status, refused.reason)
            return
        if rest is None:
            return
        self._receiver = None
        self._phase = _READING
        self._input, self._at = rest, 0
        if self._request is not None:
            return
        # It was a rest that nobody read.
        if self._edge.stopping:
            self._close()
        else:
            self._head_began = False
            self.deadline = self._edge.idle_deadline
            self._advance()

    def _abort_body(self, status: int, reason: str) -> None:
        """Give up on a body: what else comes in means nothing."""
        receiver, self._receiver = self._receiver, None
        self._keep_alive = False
        self._phase = _DISCARD
        self.resume_reading()
        if receiver is not None:
            receiver.body.abort(status, reason)
        if self._request is None:
            self._close()

    def send_continue(self) -> None:
        """Let the client send its body; called by the receiver."""
        if self._transport is not None:
            self._transport.write(_CONTINUE)

    def pause_reading(self) -> None:
        """Read no more from the socket; also called by the receiver."""
        if not self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, if reading was paused; also called by the receiver."""
        if self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # Output. The last two are called by the sender of a body.

    def _answer(self, request: Request, response: Response) -> None:
        """Send the handler's answer."""
        edge, transport = self._edge, self._transport
        try:
            body = response.body
            head = response.head
            if head is None:
                head = response.encode_head()
        except Exception as error:  # noqa: BLE001  a handler's bug: no answer at all, or headers that are none
            close_body(getattr(response, "body", None))
            self._answer_error(request, error)
            return
        self._status = response.status
        self._pace = None
        if transport is None:
            close_body(body)
            self._finish_answer()
            return
        if self._receiver is not None and not self._receiver.is_small_rest:
            self._keep_alive = False  # nobody will read the rest of this body
        if edge.stopping:
            self._keep_alive = False
        ending = _KEEP if self._keep_alive else _CLOSE
        if request.method == "HEAD":
            close_body(body)
            body = None
        if body is None or (isinstance(body, bytes) and len(body) <= JOIN_BYTES_MAX):
            wire = b"".join((head, edge.date_and_id, request.id.encode(), ending, body or b""))
            self.sent_bytes = len(wire)
            if self._keep_alive and self._receiver is None and not self._input:
                edge.write_soon(self, wire)
            else:  # a body is still coming, pipelined requests wait, or this is the end
                self.write_now(wire)
            return
        front = b"".join((head, edge.date_and_id, request.id.encode(), ending))
        if isinstance(body, bytes):
            body = BytesBody(body)
        self._sender = BodySender(self, edge.spawn, transport, front, body)
        self._sender.pump()

    def write_now(self, wire: bytes) -> None:
        """Send a small answer whole, unless the connection was lost meanwhile (then the answer ended there)."""
        transport = self._transport
        if transport is None:
            return
        transport.write(wire)
        if not self.paused:
            self._finish_answer()

    def _answer_error(self, request: Request, error: BaseException) -> None:
        """Answer for a handler that did not."""
        if isinstance(error, BodyAborted) and error.status == CLIENT_GONE:
            self._answer_nobody()
            return
        if isinstance(error, BodyAborted):
            status, reason = error.status, error.reason
        elif isinstance(error, BodyTooLarge):
            status, reason = 413, str(error)
        else:
            status, reason = 500, "internal error"
            _log.error("request %s failed: %s %s", request.id, request.method, request.path, exc_info=error)
        self._answer(request, self._edge.error_response(status, reason, request.id))

    def _answer_nobody(self) -> None:
        self._status = _STATUS_CLIENT_GONE
        if self._transport is not None:
            self._transport.abort()
        else:
            self._finish_answer()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what is no request, and end the connection."""
        transport = self._transport
        if transport is None:
            return
        self.sent_bytes = 0
        transport.write(self._edge.refusal(status, reason, _CLOSE))
        self._linger(transport)

    def body_sent(self) -> None:
        """Go on: the sender is done with the answer's body."""
        self._sender = None
        self._finish_answer()

    def body_failed(self, why: str, error: BaseException | None) -> None:
        """Break the connection so that the client cannot take what it got for the whole."""
        _log.error("request %s: the answer was cut short: %s", self._request and self._request.id, why, exc_info=error)
        if self._transport is not None:
            self._transport.abort()

    # The end of an answer, and of the connection.

    def _finish_answer(self) -> None:
        """Go on after an answer that is sent, or never will be."""
        edge, request = self._edge, self._request
        self._request = None
        if edge.on_request_done is not None and request is not None:
            edge.on_request_done(request, self._status, time.perf_counter() - self._began, self.sent_bytes)
        if self._transport is None:
            return
        if not self._keep_alive or edge.stopping:
            self._close()
            return
        if self._receiver is not None:
            self._pace = None
            self._receiver.discard()
        else:
            self._head_began = False
            self.deadline = edge.idle_deadline
        if (self._input or self._reading_paused) and not self._advancing:
            edge.loop.call_soon(self._advance)

    def _close(self) -> None:
        """End the connection after its last answer, so that the client gets to read it."""
        transport = self._transport
        if transport is None:
            return
        if self._half_closed or (self._phase == _READING and not self._input):
            transport.close()
        else:
            self._linger(transport)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Throw input away for a while: closing over unread input resets, and the client loses the answer."""
        self._phase = _DISCARD
        if self._receiver is not None:
            self._receiver.body.abort(CLIENT_GONE, "the request has been answered")
            self._receiver = None
        self._input, self._at = b"", 0
        self.deadline = self._edge.loop.time() + self._edge.limits.linger_seconds
        if transport.can_write_eof():
            transport.write_eof()
        self.resume_reading()

    # Called by the server.

    def close_if_idle(self) -> None:
        """Close, for a stop, if no request is under way."""
        if self._request is None and self._phase == _READING and not self._input and self._transport is not None:
            if self._reader.scheme == "https":
                self._transport.abort()  # `close` would wait for the client to say goodbye, too
            else:
                self._transport.close()

    def kill(self) -> None:
        """Break off, for a stop whose grace ran out."""
        if self._transport is not None:
            self._transport.abort()

    def look(self, seconds: float) -> None:
        """Judge the client. Called once `deadline` has passed, by a sweep `seconds` after the one before."""
        transport, limits = self._transport, self._edge.limits
        if transport is None:
            return
        if self.paused or transport.is_closing():
            moved_bytes = self.sent_bytes - transport.get_write_buffer_size()
            if self._is_too_slow(moved_bytes, seconds, limits.write_stall_seconds):
                transport.abort()
        elif self._request is None and self._phase == _READING:
            if self._head_began and self._input:
                self._refuse(408, "the request did not arrive in time")
            else:
                transport.close()
        elif self._receiver is not None:
            if self._receiver.is_awaited and self._is_too_slow(
                self._receiver.received_bytes, seconds, limits.body_stall_seconds
            ):
                self._abort_body(408, "the body did not arrive in time")
        elif self._request is None:
            transport.abort()  # it had its time to read the last answer

    def _is_too_slow(self, moved_bytes: int, seconds: float, stall_seconds: float) -> bool:
        if self._pace is None:
            self._pace = Pace()
        self._pace.add(moved_bytes, seconds)
        return self._pace.is_too_slow(self._edge.limits, stall_seconds)
