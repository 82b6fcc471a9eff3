"""The vocabulary of the HTTP edge: what a handler is given and what it answers.

This file alone decides how a request, its body and an answer look to the code behind the edge. It knows HTTP only: it
must not know the event loop's transports (`connection.py` does), limits and listening (`server.py` does), or anything
of registries, accounts or storage.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT_GONE: Final = 0
"""`BodyAborted.status` when nobody is left to answer."""

_JOIN_BYTES_MAX: Final = 4096
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
    if status.value >= HTTPStatus.OK
}
"""Of answers: what tells of progress (1xx) is none."""

_BODILESS: Final = frozenset({204, 304})
_NEVER_IN_VALUES: Final = frozenset("\r\n\0")
_SET_BY_THE_EDGE: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade", "x-request-id"}
)


class BodyTooLarge(Exception):
    """The request's body is larger than the handler takes. Unanswered by the handler, the edge answers 413."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body is larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class BodyAborted(Exception):
    """The rest of the request's body will never come.

    `status` is what the edge answers when the handler lets this pass: 400 (broken framing), 408 (too slow), or
    `CLIENT_GONE` (the client closed or reset the connection, nobody reads an answer).
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BodySource(Protocol):
    """What a body needs of the connection it comes from."""

    def body_wanted(self) -> None:
        """Hear that the handler is about to wait: answer `Expect: 100-continue`, read on from the socket."""

    def body_taken(self) -> None:
        """Hear that the handler took all that was buffered: read on from the socket."""


class RequestBody:
    """The body of one request, in pieces as they come from the socket.

    Promise: one reader at a time; no more than the edge's high water mark (plus one read from the socket) is held;
    nothing is inflated or decoded except the chunked framing. Pieces that came before the client went away are still
    handed out, then `BodyAborted` is raised, so that a resumable upload keeps what it got.
    """

    __slots__ = ("_aborted", "_ended", "_least_bytes", "_pieces", "_source", "_waiter", "buffered_bytes", "length")

    def __init__(self, length: int | None, source: BodySource | None) -> None:
        self.length = length
        """Bytes announced by Content-Length; None when the body is chunked."""
        self.buffered_bytes = 0
        self._pieces: list[bytes] = []
        self._least_bytes = 1
        self._ended = length == 0
        self._aborted: BodyAborted | None = None
        self._source = source
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether the whole body came in from the socket (it may still be buffered here)."""
        return self._ended

    async def pieces(self, least_bytes: int = 1) -> list[bytes]:
        """Take all the pieces buffered now, waiting for so many bytes or the end; an empty list is the end.

        Whoever does much for each call asks for some more at once; far less than the edge's high water mark, or nobody
        would read on.

        Raises `BodyAborted` when the client went away, broke the framing or stalled past its deadline.
        """
        while self.buffered_bytes < least_bytes and not self._ended and self._aborted is None:
            await self._wait(least_bytes)
        if not self._pieces and self._aborted is not None:
            raise self._aborted
        taken = self._pieces
        self._pieces = []
        self.buffered_bytes = 0
        if not self._ended and self._source is not None:
            self._source.body_taken()
        return taken

    async def read(self, limit_bytes: int) -> bytes:
        """Read the whole body, or raise `BodyTooLarge` as soon as it is known to be larger than `limit_bytes`.

        With a Content-Length above the limit nothing is read. Raises `BodyAborted` as `pieces` does.
        """
        if self.length is not None and self.length > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        taken: list[bytes] = []
        taken_bytes = 0
        while pieces := await self.pieces():
            taken += pieces
            taken_bytes += sum(map(len, pieces))
            if taken_bytes > limit_bytes:
                raise BodyTooLarge(limit_bytes)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def _wait(self, least_bytes: int) -> None:
        if self._waiter is not None:
            message = "a body has one reader at a time"
            raise RuntimeError(message)
        self._waiter = asyncio.get_running_loop().create_future()
        self._least_bytes = least_bytes
        try:
            if self._source is not None:
                self._source.body_wanted()
            await self._waiter
        finally:
            self._waiter = None

    # What follows is for the connection.

    @property
    def awaited(self) -> bool:
        """Whether the handler waits for the client at this moment."""
        return self._waiter is not None

    def feed(self, piece: bytes) -> None:
        """Buffer one piece, joining small ones: many one-byte pieces would hold fifty times their size."""
        pieces = self._pieces
        if pieces and len(pieces[-1]) + len(piece) <= _JOIN_BYTES_MAX:
            pieces[-1] += piece
        else:
            pieces.append(piece)
        self.buffered_bytes += len(piece)
        if self.buffered_bytes >= self._least_bytes:
            self._wake()

    def end(self) -> None:
        """Note that the body is complete."""
        self._ended = True
        self._source = None
        self._wake()

    def abort(self, status: int, reason: str) -> None:
        """Note that no more will come; a body that ended or was aborted before stays as it is."""
        if not self._ended and self._aborted is None:
            self._aborted = BodyAborted(status, reason)
            self._source = None
            self._wake()

    def drop(self) -> None:
        """Forget what is buffered: the handler has answered and nobody will read it."""
        self._pieces = []
        self.buffered_bytes = 0

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


NO_BODY: Final = RequestBody(0, None)
"""The body of every request without one; it holds no state, so all share it."""


class Request:
    """One request, checked for HTTP's own rules and otherwise as sent.

    `path` is percent-encoded as it came, printable ASCII, beginning with "/" and never decoded or normalised here;
    `query` has no "?". `headers` has lower-case names, repeated fields joined with ", "; `raw_headers` has every field
    as sent, in order. Both are to be read only: requests with the same fields on one connection share them. `host` is
    the Host header, valid `host[:port]`. `peer` is the other end's IP, as the socket says.
    """

    __slots__ = ("body", "headers", "host", "id", "method", "path", "peer", "query", "raw_headers", "scheme")

    def __init__(  # noqa: PLR0913  the fields of a request
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: RequestBody = NO_BODY,
        raw_headers: list[tuple[bytes, bytes]] | None = None,
        host: str = "localhost",
        peer: str = "127.0.0.1",
        scheme: str = "http",
        request_id: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.raw_headers = [] if raw_headers is None else raw_headers
        self.host = host
        self.peer = peer
        self.scheme = scheme
        self.id = request_id
        self.body = body

    def __repr__(self) -> str:
        """Say which request, without what may be secret: no headers, no query."""
        return f"<Request {self.id} {self.method} {self.path}>"


class ResponseBody(Protocol):
    """A body that is sent in pieces, of known length.

    A view is valid until the next read or `close`; the edge asks for the next one only when the transport holds
    nothing of the last. The pieces add up to `length` or the connection is cut, as when a read raises: what was sent
    can then not be taken for the whole. An empty view is the end. After an aborted connection `close` may come while
    the event loop still holds the last view, so drop references there rather than unmap by force.
    """

    length: int

    def read_nowait(self) -> memoryview | None:
        """Return the next piece if it can be had without blocking (from the page cache), else None."""

    async def read(self) -> memoryview:
        """Return the next piece, fetched without blocking the loop (in a thread)."""
        ...

    def close(self) -> None:
        """Let go of everything; called exactly once, however the answer ended."""


class FileBody(ResponseBody, Protocol):
    """A body that lies in a file, and can go from there to a socket without being read."""

    def send_nowait(self, socket: int) -> int | None:
        """Copy the next piece from the page cache into a socket that does not block; return how many bytes went.

        None when the disk must be asked: `read` then gives the next piece. Raises BlockingIOError while the socket
        takes nothing, ConnectionError when its other end is gone.
        """


class Response:
    """An answer. Content-Length, Date, Connection and X-Request-Id are the edge's and must not be in `headers`.

    `body` None is an empty body. An answer to HEAD is written as GET's would be: give the same `body` (it is not
    sent, a `ResponseBody` is closed unread) or `length`, the bytes that GET would send.
    """

    __slots__ = ("body", "head", "headers", "length", "status")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | ResponseBody | None = None,
        *,
        length: int | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.length = length
        self.head: bytes | None = None
        """The encoded status line and headers, without Date, Connection, X-Request-Id and the empty line."""

    @classmethod
    def frozen(
        cls,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        length: int | None = None,
    ) -> Response:
        """Make an answer that is encoded once and may be returned any number of times; do not change it after."""
        response = cls(status, tuple(headers), body, length=length)
        response.head = response.encode_head()
        return response

    def encode_head(self) -> bytes:
        """Encode the status line, the headers and Content-Length; ValueError when that would not be valid HTTP.

        A CR, LF or NUL in a header is a bug of the caller (response splitting) and never reaches the wire.
        """
        lines = [f"{_settable(name)}: {value}" for name, value in self.headers]
        length = self.content_length()
        if length is not None:
            lines.append(f"Content-Length: {length}")
        fields = "\r\n".join([*lines, ""]) if lines else ""
        if "\0" in fields or not fields.count("\r") == fields.count("\n") == len(lines):
            names = [name for name, value in self.headers if set(value) & _NEVER_IN_VALUES]
            message = f"a line break or NUL in the value of {', '.join(names)}"
            raise ValueError(message)
        return _status_line(self.status) + fields.encode("latin-1")

    def content_length(self) -> int | None:
        """Return the bytes of the body as GET would send them; None where HTTP has no Content-Length."""
        body_bytes = 0
        if isinstance(self.body, bytes):
            body_bytes = len(self.body)
        elif self.body is not None:
            body_bytes = self.body.length
        if self.status in _BODILESS:
            if self.body is not None:
                message = f"status {self.status} has no body"
                raise ValueError(message)
            return self.length if self.status != HTTPStatus.NO_CONTENT else None
        if self.length is None or self.body is not None:
            return body_bytes
        return self.length


@functools.lru_cache(maxsize=256)
def _settable(name: str) -> str:
    """Return the name of a header that a handler may set; ValueError for any other."""
    if not name.isascii() or not name.replace("-", "").isalnum() or name.lower() in _SET_BY_THE_EDGE:
        message = f"not a header for a handler to set: {name!r}"
        raise ValueError(message)
    return name


def _status_line(status: int) -> bytes:
    line = _STATUS_LINES.get(status)
    if line is None:
        message = f"not a final status: {status}"
        raise ValueError(message)
    return line


Handler = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers one request. Called on the event loop, so it must not block.

It is stepped by hand before it gets a Task: until its first real suspension there is no `asyncio.current_task()`, so
`asyncio.timeout` and `asyncio.TaskGroup` need an `await asyncio.sleep(0)` before them. It is not cancelled when the
client goes away (an act half done is worse than an answer unread); only a stop whose grace ran out cancels.
"""
