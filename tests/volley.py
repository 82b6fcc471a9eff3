"""Many requests that arrive at one moment: all but the last byte of each is sent, then all the last bytes."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rawhttp import head, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from running import Answer, RunningServer


def request(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Write a whole request."""
    return head(method, target, {"Content-Length": str(len(body)), **(headers or {})}) + body


def volley(server: RunningServer, requests: Sequence[bytes]) -> list[Answer]:
    """Send each request on a connection of its own, all at one moment in random order; return the answers in order."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((server.host, server.port), timeout=60)) for _ in requests
        ]
        for connection, content in zip(connections, requests, strict=True):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(content[:-1])
        order = list(zip(connections, requests, strict=True))
        random.shuffle(order)
        for connection, content in order:
            connection.send(content[-1:])
        return [read_answer(connection) for connection in connections]
