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
import types
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from holdfast.faces.framing import ChunkedDecoder, HeadReader, Refused
from holdfast.faces.http import CLIENT_GONE, BodyAborted, BodyTooLarge, Request, RequestBody, Response
from holdfast.faces.limits import Pace
from holdfast.faces.sending import BodySender

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from holdfast.faces.server import Edge

_log = logging.getLogger(__name__)

_READING: Final = 0
_BODY: Final = 1
_DISCARD: Final = 2

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_KEEP: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nConnection: close\r\n\r\n"
_TLS_HANDSHAKE_RECORD: Final = b"\x16"
_CR: Final = 0x0D
_HEAD_END_BYTES: Final = 4  # CR LF CR LF
_REQUEST_LINE_REST_BYTES: Final = 32  # method, spaces and version beside the target
_JOIN_BYTES_MAX: Final = 65_536  # below this, one write of a copy is cheaper than a gathered write
_DRAIN_BYTES_MAX: Final = 65_536  # an unread rest up to this is cheaper to read than a new connection is to make
_TURN_REQUESTS: Final = 32  # pipelined requests answered before the loop looks at the other connections
_STATUS_CLIENT_GONE: Final = 499  # nginx's, for logs and metrics only: nobody was there to get an answer


@types.coroutine
def _continued(coroutine: Coroutine[Any, Any, Response], awaited: object) -> Generator[Any, Any, Response]:
    """Go on with a coroutine that was stepped by hand once and yielded `awaited`, the future it waits for.

    The Task that runs this sees that future as if it had stepped the coroutine itself.
    """
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001  a cancellation is the handler's to see
            try:
                awaited = coroutine.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
        else:
            return (yield from coroutine.__await__())


class Connection(asyncio.Protocol):
    """The protocol of one accepted connection. Its limits, handler and clock are the edge's."""

    __slots__ = (
        "_advancing", "_at", "_began", "_body", "_chunks", "_edge", "_half_closed", "_head_began", "_input",
        "_keep_alive", "_left", "_pace", "_phase", "_reader", "_reading_paused", "_received_bytes", "_request",
        "_send_continue", "_sender", "_status", "_task", "_transport", "deadline", "paused", "sent_bytes",
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
        self._task: asyncio.Task[None] | None = None
        self._body: RequestBody | None = None
        self._chunks: ChunkedDecoder | None = None
        self._left = 0
        self._received_bytes = 0
        self._send_continue = False
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
        # No buffer above the kernel's: a write that is not taken whole pauses at once. So the view of a body is known
        # to be free when writing resumes, and a slow reader holds one piece.
        stream.set_write_buffer_limits(high=0)
        self._transport = stream
        self._reader.peer = str((stream.get_extra_info("peername") or ("",))[0])
        self._reader.scheme = "http" if stream.get_extra_info("sslcontext") is None else "https"
        self.deadline = edge.loop.time() + edge.limits.header_deadline_seconds
        edge.connections.add(self)
        if len(edge.connections) > edge.connections_max:
            self._refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        """Take what came to the place where it belongs now."""
        if self._phase == _READING:
            if (
                data.find(b"\r\n\r\n") == len(data) - _HEAD_END_BYTES
                and self._request is None
                and not self._input
                and data[0] != _CR
                and len(data) <= self._edge.limits.header_bytes
            ):
                self._begin(data)  # by far the most common: one whole head and nothing else
                return
            self._input = self._input[self._at :] + data if self._input else data
            self._at = 0
            if self._request is None:
                self._advance()
            else:
                self._pause_reading()
        elif self._phase == _BODY:
            self._receive_body(data)

    def eof_received(self) -> bool:
        """Hear that the client sends no more; over plain TCP it may still be waiting for its answer."""
        self._half_closed = True
        self._keep_alive = False
        if self._request is None or self._reader.scheme == "https":
            return False
        if self._phase == _BODY:
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
        self._edge.connections.discard(self)
        self._input = b""
        self._reader.release()
        if self._body is not None:
            self._body.abort(CLIENT_GONE, "the client closed the connection")
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
        if self._input and self._request is not None:
            self._pause_reading()
        elif self._reading_paused and self._phase == _READING:
            self._resume_reading()

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
            self._refuse_size()
            return None
        return data if end - at == len(data) else data[at:end]

    def _check_partial_head(self, data: bytes) -> None:
        """Refuse early what cannot become a request, and start its deadline with its first byte."""
        limits = self._edge.limits
        if not self._head_began:
            self._head_began = True
            self.deadline = self._edge.loop.time() + limits.header_deadline_seconds
        if data.startswith(_TLS_HANDSHAKE_RECORD):
            self._refuse(400, "this port speaks plain HTTP, not TLS")
        elif not data[:1].isalpha() and data != b"\r":
            self._refuse(400, "not an HTTP/1.1 request")
        elif data.count(b"\n") != data.count(b"\r\n"):
            self._refuse(400, "lines must end with CR LF")
        elif b"\n" not in data and len(data) > limits.target_bytes + _REQUEST_LINE_REST_BYTES:
            self._refuse(414, f"the request target is longer than {limits.target_bytes} bytes")
        elif len(data) > limits.header_bytes:
            self._refuse_size()

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
        """Run the handler, in a Task only if it waits.

        A Task costs more than all the rest of a small request, and most handlers never wait. So the first step is made
        by hand: a coroutine that returns at once raises StopIteration with its answer; one that waits has yielded the
        future it waits for, and a Task takes it on from there. The context is the request's own, as a Task's would be:
        a context variable set by one handler is not seen by the next.
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
            self._task = edge.loop.create_task(self._await_answer(request, coroutine, awaited), context=context)
            return
        self._answer(request, response)

    async def _await_answer(self, request: Request, coroutine: Coroutine[Any, Any, Response], awaited: object) -> None:
        try:
            response = await _continued(coroutine, awaited)
        except asyncio.CancelledError:  # the stop's grace ran out
            self._task = None
            self._answer_nobody()
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._task = None
            self._answer_error(request, error)
        else:
            self._task = None
            self._answer(request, response)

    # Input: bodies. The first two are called by the request's body.

    def body_wanted(self) -> None:
        """Let the client send: the handler waits."""
        if self._send_continue and self._transport is not None:
            self._send_continue = False
            self._transport.write(_CONTINUE)
        self._resume_reading()

    def body_taken(self) -> None:
        """Read on: the handler took what was buffered."""
        if self._reading_paused:
            self._resume_reading()

    def _begin_body(self, request: Request) -> None:
        length = self._reader.length
        self._body = request.body = RequestBody(length, self)
        self._phase = _BODY
        self._chunks = ChunkedDecoder() if length is None else None
        self._left = length or 0
        self._received_bytes = 0
        self._send_continue = self._reader.expects_continue
        if self._input:
            data = self._input[self._at :]
            self._input, self._at = b"", 0
            self._receive_body(data)

    def _receive_body(self, data: bytes) -> None:
        body = self._body
        assert body is not None  # noqa: S101  the phase says so
        self._send_continue = False
        self._received_bytes += len(data)
        if self._chunks is None:
            rest_bytes = len(data) - self._left
            body.feed(data if rest_bytes <= 0 else data[: self._left])
            self._left = max(0, -rest_bytes)
        else:
            pieces: list[bytes] = []
            try:
                rest_bytes = self._chunks.feed(data, pieces)
            except Refused as refused:
                self._abort_body(refused.status, refused.reason)
                return
            for piece in pieces:
                body.feed(piece)
        if self._request is None:
            body.drop()
        if rest_bytes >= 0:
            self._end_body(body, data[len(data) - rest_bytes :])
        elif body.buffered_bytes > self._edge.limits.body_high_water_bytes:
            self._pause_reading()

    def _end_body(self, body: RequestBody, rest: bytes) -> None:
        """Note that the body is whole; `rest` is the beginning of the next request."""
        self._body = None
        self._phase = _READING
        self._input, self._at = rest, 0
        body.end()
        if self._request is None:
            self._become_idle()
            self._advance()

    def _abort_body(self, status: int, reason: str) -> None:
        """Give up on a body: what else comes in means nothing."""
        body, self._body = self._body, None
        self._keep_alive = False
        self._phase = _DISCARD
        self._resume_reading()
        if body is not None:
            body.abort(status, reason)
        if self._request is None:
            self._close()

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
            _close_body(getattr(response, "body", None))
            self._answer_error(request, error)
            return
        self._status = response.status
        if transport is None:
            _close_body(body)
            self._finish_answer()
            return
        if self._phase == _BODY and (self._chunks is not None or self._left > _DRAIN_BYTES_MAX or self._send_continue):
            self._keep_alive = False  # nobody will read the rest of this body
        if edge.stopping:
            self._keep_alive = False
        front = b"".join((head, edge.date_and_id, request.id.encode(), _KEEP if self._keep_alive else _CLOSE))
        if request.method == "HEAD":
            _close_body(body)
            body = None
        if body is None or isinstance(body, bytes):
            if body is not None and len(body) > _JOIN_BYTES_MAX:
                self.sent_bytes = len(front) + len(body)
                transport.writelines((front, body))
            else:
                wire = front + body if body else front
                self.sent_bytes = len(wire)
                transport.write(wire)
            if not self.paused:
                self._finish_answer()
        else:
            self._sender = BodySender(self, edge.loop, transport, front, body)
            self._sender.pump()

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

    def _refuse_size(self) -> None:
        self._refuse(431, f"the request line and headers are larger than {self._edge.limits.header_bytes} bytes")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what is no request, and end the connection."""
        edge, transport = self._edge, self._transport
        if transport is None:
            return
        request_id = edge.new_id()
        response = edge.error_response(status, reason, request_id)
        body = response.body
        front = b"".join((response.encode_head(), edge.date_and_id, request_id.encode(), _CLOSE))
        self.sent_bytes = 0
        transport.write(front + body if isinstance(body, bytes) else front)
        self._linger(transport)

    def body_sent(self) -> None:
        """Go on: the sender is done with the answer's body."""
        self._sender = None
        self._finish_answer()

    def body_failed(self, why: str) -> None:
        """Break the connection so that the client cannot take what it got for the whole."""
        _log.error("request %s: the answer was cut short: %s", self._request and self._request.id, why, exc_info=True)
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
        if not self._keep_alive:
            self._close()
            return
        if self._body is not None:  # a small rest that nobody reads
            self._body.drop()
            self._resume_reading()
        else:
            self._become_idle()
        if (self._input or self._reading_paused) and not self._advancing:
            edge.loop.call_soon(self._advance)

    def _become_idle(self) -> None:
        self._head_began = False
        self.deadline = self._edge.idle_deadline

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
        self._body = None
        self._input, self._at = b"", 0
        self.deadline = self._edge.loop.time() + self._edge.limits.linger_seconds
        if transport.can_write_eof():
            transport.write_eof()
        self._resume_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # Called by the server.

    def close_if_idle(self) -> None:
        """Close, for a stop, if no request is under way."""
        if self._request is None and self._phase == _READING and not self._input and self._transport is not None:
            self._transport.close()

    def kill(self) -> asyncio.Task[None] | None:
        """Break off, for a stop whose grace ran out. The Task returned, if any, is cancelled and yet to end."""
        task = self._task
        if task is not None:
            task.cancel()
        elif self._sender is not None:
            task = self._sender.cancel()
        if self._transport is not None:
            self._transport.abort()
        return task

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
        elif self._body is not None:
            # The client is late only when somebody waits for it: a handler, or nobody's drain.
            if (self._request is None or self._body.awaited) and self._is_too_slow(
                self._received_bytes, seconds, limits.body_stall_seconds
            ):
                self._abort_body(408, "the body did not arrive in time")
        elif self._request is None:
            transport.abort()  # it had its time to read the last answer

    def _is_too_slow(self, moved_bytes: int, seconds: float, stall_seconds: float) -> bool:
        if self._pace is None:
            self._pace = Pace()
        self._pace.add(moved_bytes, seconds)
        return self._pace.is_too_slow(self._edge.limits, stall_seconds)


def _close_body(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
