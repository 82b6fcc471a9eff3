"""Requests as bytes on a socket, for what no HTTP library would send."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING

from running import KEY_ID, SECRET, Answer, basic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from running import RunningServer

ADMINISTRATOR = basic(KEY_ID, SECRET)


def head(
    method: str,
    target: str | bytes,
    headers: Mapping[str, str] | None = None,
    *,
    authorization: str | None = ADMINISTRATOR,
    host: str | None = "localhost",
) -> bytes:
    """Write the head of a request; nothing is checked, encoded or normalised."""
    lines = [method.encode() + b" " + (target.encode() if isinstance(target, str) else target) + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host.encode("latin-1"))
    if authorization is not None:
        lines.append(b"Authorization: " + authorization.encode("latin-1"))
    lines += [f"{name}: {value}".encode("latin-1") for name, value in (headers or {}).items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@contextlib.contextmanager
def connected(server: RunningServer) -> Iterator[socket.socket]:
    """Open a connection for as long as the block runs."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        yield connection


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one answer; the connection stays open."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    response.close()
    return Answer(response.status, response.headers, body)


def exchange(server: RunningServer, request: bytes, method: str = "GET") -> Answer:
    """Send bytes on a new connection and read one answer."""
    with connected(server) as connection:
        connection.sendall(request)
        return read_answer(connection, method)


def raw(
    server: RunningServer,
    method: str,
    target: str | bytes,
    headers: Mapping[str, str] | None = None,
    *,
    authorization: str | None = ADMINISTRATOR,
    host: str | None = "localhost",
) -> Answer:
    """Send a request without a body, whose target goes out byte for byte."""
    return exchange(server, head(method, target, headers, authorization=authorization, host=host), method)
