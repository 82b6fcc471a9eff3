"""GET and HEAD over many connections: one epoll loop per process, every answer's status and length checked.

Used where ``wrk`` cannot be: it waits for ever for the body that a HEAD answer announces, and it reads bodies in
8 KiB pieces, which makes it, not the server, the limit for large blobs.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import WrongAnswerError
from bench.load.job import Load, Request, SwarmJob, summarize
from bench.load.pool import run_processes, split
from bench.load.wire import READ_BYTES, Origin, open_socket, parse_head, request_head

if TYPE_CHECKING:
    import socket

HEAD_READ_BYTES = 16 * 1024


@dataclass(frozen=True)
class _Prepared:
    """A request as bytes, with what its answer must begin with."""

    wire: bytes
    status_line: bytes
    length: int
    is_head: bool
    target: str


class _Connection:
    """The state of one connection between two reads."""

    __slots__ = ("buffer", "index", "left", "sock", "started")

    def __init__(self, sock: socket.socket, index: int) -> None:
        self.sock = sock
        self.index = index
        self.left = 0
        self.started = 0.0
        self.buffer = b""


@dataclass
class _Tally:
    latencies: list[float]
    body_bytes: int = 0


def _prepare(origin: Origin, request: Request) -> _Prepared:
    wire = request_head(origin, request.method, request.target, request.headers)
    status_line = b"HTTP/1.1 %d" % request.status
    return _Prepared(wire, status_line, request.length, request.method == "HEAD", request.target)


def _body_length(prepared: _Prepared, head: bytes) -> int:
    """How many body bytes follow; an error unless status and length are the ones demanded."""
    if not head.startswith(prepared.status_line):
        message = f"{prepared.target[:160]}: {head[:40]!r} where {prepared.status_line!r} was expected"
        raise WrongAnswerError(message)
    if prepared.is_head:
        return 0
    length = int(parse_head(head)[1].get("content-length", "-1"))
    if length != prepared.length:
        message = f"{prepared.target[:160]}: Content-Length {length}, expected {prepared.length}"
        raise WrongAnswerError(message)
    return length


class _Loop:
    """One process's share of the connections, from the first request to the deadline."""

    def __init__(self, job: SwarmJob, connections: int) -> None:
        self._origin = job.origin
        self._prepared = [_prepare(job.origin, request) for request in job.requests]
        self._seconds = job.seconds
        self._tally = _Tally([])
        self._poll = select.epoll()
        self._open: dict[int, _Connection] = {}
        for number in range(connections):
            self._connect(number * 7919)

    def _connect(self, index: int) -> _Connection:
        sock = open_socket(self._origin)
        sock.settimeout(0)
        connection = _Connection(sock, index % len(self._prepared))
        self._open[sock.fileno()] = connection
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return connection

    def run(self, start_at: float) -> tuple[list[float], int, float]:
        """Latencies (seconds), body bytes and the true duration (seconds)."""
        time.sleep(max(0.0, start_at - time.perf_counter()))
        started = time.perf_counter()
        end = started + self._seconds
        for connection in list(self._open.values()):
            self._send(connection, started)
        sink = memoryview(bytearray(READ_BYTES))
        clock, poll = time.perf_counter, self._poll.poll
        while clock() < end:
            for fileno, _ in poll(1.0):
                connection = self._open[fileno]
                if connection.left:
                    self._read_body(connection, sink)
                else:
                    self._read_head(connection)
        duration = clock() - started
        for connection in self._open.values():
            connection.sock.close()
        return self._tally.latencies, self._tally.body_bytes, duration

    def _send(self, connection: _Connection, now: float) -> None:
        connection.started = now
        connection.sock.send(self._prepared[connection.index].wire)

    def _finish(self, connection: _Connection) -> None:
        now = time.perf_counter()
        self._tally.latencies.append(now - connection.started)
        connection.index = (connection.index + 1) % len(self._prepared)
        self._send(connection, now)

    def _read_head(self, connection: _Connection) -> None:
        data = connection.sock.recv(HEAD_READ_BYTES)
        if not data:
            self._reconnect(connection)
            return
        data = connection.buffer + data
        mark = data.find(b"\r\n\r\n")
        if mark < 0:
            connection.buffer = data
            return
        connection.buffer = b""
        body_seen = len(data) - mark - 4
        left = _body_length(self._prepared[connection.index], data[:mark]) - body_seen
        if left < 0:
            message = "bytes after the end of an answer"
            raise WrongAnswerError(message)
        self._tally.body_bytes += body_seen
        connection.left = left
        if not left:
            self._finish(connection)

    def _read_body(self, connection: _Connection, sink: memoryview) -> None:
        count = connection.sock.recv_into(sink, min(len(sink), connection.left))
        if not count:
            message = f"body cut off, {connection.left} bytes missing"
            raise WrongAnswerError(message)
        connection.left -= count
        self._tally.body_bytes += count
        if not connection.left:
            self._finish(connection)

    def _reconnect(self, old: _Connection) -> None:
        """A server may close a kept-alive connection between answers; the next request needs a new one."""
        if old.buffer:
            message = "connection closed inside an answer's headers"
            raise WrongAnswerError(message)
        self._poll.unregister(old.sock.fileno())
        del self._open[old.sock.fileno()]
        old.sock.close()
        self._send(self._connect(old.index), time.perf_counter())


def _run_blocking(job: SwarmJob, start_at: float) -> tuple[list[float], int, float]:
    """The same for one TLS connection, with blocking reads."""
    prepared = [_prepare(job.origin, request) for request in job.requests]
    latencies: list[float] = []
    total = 0
    sink = memoryview(bytearray(READ_BYTES))
    with open_socket(job.origin) as sock:
        time.sleep(max(0.0, start_at - time.perf_counter()))
        started = time.perf_counter()
        end = started + job.seconds
        while (begun := time.perf_counter()) < end:
            request = prepared[len(latencies) % len(prepared)]
            sock.sendall(request.wire)
            data = b""
            while b"\r\n\r\n" not in data:
                piece = sock.recv(HEAD_READ_BYTES)
                if not piece:
                    message = "connection closed inside an answer's headers"
                    raise WrongAnswerError(message)
                data += piece
            mark = data.find(b"\r\n\r\n")
            left = _body_length(request, data[:mark]) - (len(data) - mark - 4)
            while left:
                count = sock.recv_into(sink, min(len(sink), left))
                if not count:
                    message = f"body cut off, {left} bytes missing"
                    raise WrongAnswerError(message)
                left -= count
            total += request.length
            latencies.append(time.perf_counter() - begun)
        return latencies, total, time.perf_counter() - started


def run_swarm(job: SwarmJob) -> Load:
    """Run the job over its processes and add up what they saw."""
    shares = [1] * job.connections if job.origin.tls else split(job.connections, job.processes)

    def work(number: int, start_at: float) -> tuple[list[float], int, float]:
        if job.origin.tls:
            return _run_blocking(job, start_at)
        return _Loop(job, shares[number]).run(start_at)

    parts = run_processes(work, len(shares))
    latencies = [latency for part in parts for latency in part[0]]
    return summarize(latencies, sum(part[1] for part in parts), max(part[2] for part in parts))
