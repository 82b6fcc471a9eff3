"""One HTTP/1.1 connection over a raw socket, with as little work per request as Python allows.

Decides: how a request is written and an answer is read. Knows nothing of registries. It exists because the
standard library's client costs three times the CPU per request, which a measuring tool must not.
"""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bench.errors import WrongAnswerError

TIMEOUT_SECONDS = 300.0
"""Longest wait for one socket operation; a 1 GiB commit on a slow disk stays below it."""
HEADER_LIMIT_BYTES = 64 * 1024
READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class Origin:
    """Where a server listens and what to say to be let in."""

    host: str
    port: int
    authorization: str = ""
    """The whole value of the Authorization header; empty means none is sent."""
    tls: bool = False

    @property
    def url(self) -> str:
        """The origin as a URL without credentials."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """A whole answer. Header names are lower case; of a repeated header the last one counts."""

    status: int
    headers: dict[str, str]
    body: bytes


def open_socket(origin: Origin) -> socket.socket:
    """Connect; the certificate is not checked, because the harness made it a moment ago."""
    plain = socket.create_connection((origin.host, origin.port), TIMEOUT_SECONDS)
    # A deadline kept by the kernel: Python's own would make the socket non-blocking, which sendfile cannot use.
    plain.settimeout(None)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        plain.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(TIMEOUT_SECONDS), 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not origin.tls:
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context.wrap_socket(plain, server_hostname=origin.host)


def request_head(origin: Origin, method: str, target: str, headers: dict[str, str]) -> bytes:
    """The bytes of a request up to and with the empty line."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {origin.host}:{origin.port}"]
    if origin.authorization:
        lines.append(f"Authorization: {origin.authorization}")
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers from the bytes before the empty line."""
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.") or not lines[0][9:12].isdigit():
        message = f"not an HTTP answer: {lines[0][:80]!r}"
        raise WrongAnswerError(message)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(lines[0][9:12]), headers


def path_of(location: str) -> str:
    """The request target of a Location header, absolute or relative."""
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def with_query(target: str, query: str) -> str:
    """The target with one more query parameter."""
    return f"{target}{'&' if '?' in target else '?'}{query}"


class Wire:
    """A keep-alive connection for one caller at a time; reconnects when the server closed it between requests."""

    def __init__(self, origin: Origin) -> None:
        """Remember the origin; the socket is opened by the first request."""
        self.origin = origin
        self._socket: socket.socket | None = None
        self._buffer = b""

    def __enter__(self) -> Self:
        """Nothing to do: connecting is lazy."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the socket, if open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    @property
    def socket(self) -> socket.socket:
        """The open socket, for callers that send a large body themselves."""
        if self._socket is None:
            self._socket = open_socket(self.origin)
        return self._socket

    def call(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send one request and read its whole answer."""
        named = dict(headers or {})
        if body or method in {"POST", "PUT", "PATCH"}:
            named["Content-Length"] = str(len(body))
        self.socket.sendall(request_head(self.origin, method, target, named) + body)
        return self.read_answer(method)

    def expect(
        self,
        statuses: tuple[int, ...],
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """As :meth:`call`; an answer with any other status is an error."""
        return check(self.call(method, target, headers, body), statuses, f"{method} {target}")

    def read_answer(self, method: str) -> Answer:
        """Read the answer to a request that was already sent."""
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if separator:
                break
            if len(self._buffer) > HEADER_LIMIT_BYTES:
                message = "the answer's headers exceed 64 KiB"
                raise WrongAnswerError(message)
            self._fill()
        self._buffer = rest
        status, headers = parse_head(head)
        if status < 200:
            return self.read_answer(method)
        body = b"" if method == "HEAD" or status in {204, 304} else self._body(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    def _fill(self) -> None:
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            message = f"no answer within {TIMEOUT_SECONDS:.0f} s"
            raise WrongAnswerError(message) from None
        if not data:
            self.close()
            message = "the server closed the connection before its answer was complete"
            raise WrongAnswerError(message)
        self._buffer += data

    def _take(self, count: int) -> bytes:
        parts = [self._buffer[:count]]
        self._buffer = self._buffer[count:]
        missing = count - len(parts[0])
        while missing:
            self._fill()
            parts.append(self._buffer[:missing])
            self._buffer = self._buffer[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._take(int(headers.get("content-length", "0")))
        parts: list[bytes] = []
        while size := int(self._line().split(b";")[0], 16):
            parts.append(self._take(size))
            self._take(2)
        while self._line():
            pass
        return b"".join(parts)


def check(answer: Answer, statuses: tuple[int, ...], what: str) -> Answer:
    """The answer itself when its status is one of those allowed; an error that quotes the body otherwise."""
    if answer.status in statuses:
        return answer
    allowed = " or ".join(str(status) for status in statuses)
    body = answer.body[:200].decode(errors="replace")
    message = f"{what[:160]}: {answer.status} where {allowed} was expected: {body}"
    raise WrongAnswerError(message)
