"""Listening, stopping and the one sweep that keeps every deadline.

This file alone decides who may connect while, and when the edge ends. It must not know HTTP's bytes (`framing.py`,
`connection.py`), and nothing of what the handler does.

    server = Server()
    await server.start(handler, "127.0.0.1", 5000)
    ...
    await server.stop()
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import resource
import secrets
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from holdfast.faces.connection import Connection
from holdfast.faces.http import Handler, Request, Response
from holdfast.faces.limits import Limits

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Iterator
    from contextvars import Context

    OnRequestDone = Callable[[Request, int, float, int], None]
    """Called after each request with its status, seconds and bytes sent. 499: the client went away unanswered."""
    RenderError = Callable[[int, str, str], tuple[str, bytes]]
    """Makes the body of an answer of the edge's own from status, reason and request id: content type and bytes."""

__all__ = ["Edge", "Limits", "Server", "render_plain"]

_log = logging.getLogger(__name__)

_NO_SNIFFING: Final = "X-Content-Type-Options: nosniff\r\n"
"""What strangers pushed is what its Content-Type says, whatever a browser thinks that it sees in it."""
_TLS_ALWAYS: Final = "Strict-Transport-Security: max-age=31536000\r\n"
"""Who reached us by TLS once does so for a year. Source: RFC 6797."""

_M_TRIM_THRESHOLD: Final = -1  # from malloc.h
_M_MMAP_THRESHOLD: Final = -3
_MAPPED_BYTES_MIN: Final = 4 << 20  # larger than any piece; what is larger still is given back at once
_FREE_BYTES_KEPT: Final = 8 << 20  # a few uploads' worth of pieces
_KILL_SECONDS: Final = 5.0  # for cancelled handlers to let go; what is still there then is left behind


def render_plain(status: int, reason: str, request_id: str) -> tuple[str, bytes]:
    """Render an error of the edge for people."""
    return "text/plain; charset=utf-8", f"{status} {reason} (request {request_id})\n".encode()


class Edge:
    """What all connections of one server share. The connections read it; only the server writes it."""

    __slots__ = (
        "_fixed", "_render_error", "_unsent", "connections", "connections_max", "date_and_id", "empty",
        "handler", "idle_deadline", "limits", "loop", "new_id", "on_request_done", "stopping",
        "tasks",
    )  # fmt: skip

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        on_request_done: OnRequestDone | None,
        render_error: RenderError,
        *,
        is_tls: bool = False,
    ) -> None:
        self._fixed = _NO_SNIFFING + (_TLS_ALWAYS if is_tls else "")
        self.handler = handler
        self.limits = limits
        self.on_request_done = on_request_done
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        """Handlers that wait and pieces being read, also those whose connection is gone."""
        self.empty = asyncio.Event()
        """While stopping: whether the last connection and the last task have ended."""
        self.connections_max = min(limits.connections, _connections_possible(limits))
        self.stopping = False
        self.date_and_id = b""
        """The Date line, the lines that every answer has, and the name of the line after them, X-Request-Id."""
        self.idle_deadline = 0.0
        """The deadline of a connection that becomes idle now."""
        self._render_error = render_error
        self._unsent: list[tuple[Connection, bytes]] = []
        self.new_id = _request_ids().__next__
        """Make a request id."""
        self.tick()

    def error_response(self, status: int, reason: str, request_id: str) -> Response:
        """Make an answer of the edge's own."""
        content_type, body = self._render_error(status, reason, request_id)
        headers = [("Content-Type", content_type)]
        if status == 405:  # noqa: PLR2004
            headers.append(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE"))
        elif status == 503:  # noqa: PLR2004
            headers.append(("Retry-After", "1"))
        return Response(status, headers, body)

    def refusal(self, status: int, reason: str, ending: bytes) -> bytes:
        """Make the bytes of an answer to what is no request; `ending` ends the head."""
        request_id = self.new_id()
        response = self.error_response(status, reason, request_id)
        body = response.body if isinstance(response.body, bytes) else b""
        return b"".join((response.encode_head(), self.date_and_id, request_id.encode(), ending, body))

    def write_soon(self, connection: Connection, wire: bytes) -> None:
        """Send a small answer once all requests that have come in were handled: together, not each in turn.

        A write wakes the process at the other end, and to wake a processor that sleeps costs more than the request
        itself. Written together, answers find their readers awake. Measured with 64 connections: a third less time of
        the processor a request.
        """
        if not self._unsent:
            self.loop.call_soon(self._write_all)
        self._unsent.append((connection, wire))

    def _write_all(self) -> None:
        unsent, self._unsent = self._unsent, []
        for connection, wire in unsent:
            try:
                connection.write_now(wire)
            except Exception:  # noqa: BLE001  one answer's trouble (of `on_request_done`, say) must not keep the others
                _log.exception("an answer was not finished")
                connection.kill()

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """Run `work` in a Task that a stop waits for."""
        task = self.loop.create_task(work, context=context)
        self.tasks.add(task)
        task.add_done_callback(self._drop_task)
        return task

    def _drop_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a connection's task failed", exc_info=error)
        self.check_empty()

    def drop_connection(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        self.check_empty()

    def check_empty(self) -> None:
        """Wake the stop when nothing is left to wait for."""
        if self.stopping and not self.connections and not self.tasks:
            self.empty.set()

    def tick(self) -> None:
        """Renew what changes with the clock, so that requests need not ask it."""
        limits = self.limits
        # One sweep more: the clock read here is up to one sweep old when a connection uses it.
        self.idle_deadline = self.loop.time() + limits.keep_alive_seconds + limits.sweep_seconds
        self.date_and_id = f"Date: {formatdate(usegmt=True)}\r\n{self._fixed}X-Request-Id: ".encode("ascii")


def _request_ids() -> Iterator[str]:
    """Make request ids: 32 hexadecimal digits, unique here and elsewhere. Cheap, for every answer carries one."""
    endings = [f"{number:03x}" for number in range(4096)]
    while True:
        beginning = secrets.token_hex(15)[1:]
        for ending in endings:
            yield beginning + ending


def _connections_possible(limits: Limits) -> int:
    """Return how many connections leave the process its files."""
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files_max == resource.RLIM_INFINITY:
        return limits.connections
    possible = max(files_max - limits.files_reserved, files_max // 2)
    if possible < limits.connections:
        _log.warning("only %d connections at once: the process may open %d files", possible, files_max)
    return possible


def _keep_freed_memory() -> None:
    """Tell glibc to keep some memory that was freed; other C libraries have no such setting and are left alone.

    The pieces of an upload are as large as a read, 256 KB, and are freed at once. By default glibc gives such memory
    back to the system each time and has it zeroed anew for the next piece: a third of the processor time of an upload.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES_KEPT)


class Server:
    """One listening address with its connections."""

    def __init__(self) -> None:
        self._edge: Edge | None = None
        self._server: asyncio.Server | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._swept_at = 0.0

    async def start(
        self,
        handler: Handler,
        host: str,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        on_request_done: OnRequestDone | None = None,
        render_error: RenderError = render_plain,
    ) -> None:
        """Listen, and answer every request with `handler`; OSError when the address cannot be had."""
        limits = limits or Limits()
        _keep_freed_memory()
        edge = self._edge = Edge(handler, limits, on_request_done, render_error, is_tls=ssl_context is not None)
        tls_seconds = None if ssl_context is None else limits.header_deadline_seconds
        # Out of file descriptors, libuv accepts and closes what waits (it keeps one in reserve), rather than spin.
        self._server = await edge.loop.create_server(
            lambda: Connection(edge),
            host,
            port,
            ssl=ssl_context,
            backlog=limits.backlog,
            ssl_handshake_timeout=tls_seconds,
            ssl_shutdown_timeout=None if ssl_context is None else limits.linger_seconds,
        )
        self._swept_at = edge.loop.time()
        self._sweep_timer = edge.loop.call_later(limits.sweep_seconds, self._sweep)

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        if self._server is None or not self._server.sockets:
            message = "the server is not listening"
            raise RuntimeError(message)
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return 0 if self._edge is None else len(self._edge.connections)

    async def stop(self) -> None:
        """Stop listening, let running requests finish within the grace, then break off what is left."""
        edge, server = self._edge, self._server
        if edge is None or server is None or edge.stopping:
            return
        edge.stopping = True
        server.close()
        for connection in list(edge.connections):
            connection.close_if_idle()
        edge.check_empty()
        try:
            await asyncio.wait_for(edge.empty.wait(), edge.limits.shutdown_grace_seconds)
        except TimeoutError:
            _log.warning("the grace is over: breaking off %d connections", len(edge.connections))
            for task in list(edge.tasks):
                task.cancel()
            for connection in list(edge.connections):
                connection.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(edge.empty.wait(), _KILL_SECONDS)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def _sweep(self) -> None:
        """Look at every connection whose deadline has passed."""
        edge = self._edge
        assert edge is not None  # noqa: S101  the timer starts after it
        now = edge.loop.time()
        seconds, self._swept_at = now - self._swept_at, now
        edge.tick()
        for connection in [connection for connection in edge.connections if connection.deadline <= now]:
            connection.look(seconds)
        self._sweep_timer = edge.loop.call_later(edge.limits.sweep_seconds, self._sweep)
