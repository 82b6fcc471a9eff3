"""A running HTTP edge for tests, and a client that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from holdfast.faces.http import Request, Response
from holdfast.faces.server import Limits, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from holdfast.faces.http import Handler

PATIENCE_SECONDS = 20.0
BODY_LIMIT_BYTES = 8 << 20
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def echo(request: Request) -> Response:
    """Answer with what was asked, after reading the body whole."""
    body = await request.body.read(BODY_LIMIT_BYTES)
    asked = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "host": request.host,
        "peer": request.peer,
        "scheme": request.scheme,
        "body": body.decode("latin-1"),
    }
    return Response(200, [("Content-Type", "application/json")], json.dumps(asked).encode())


@asynccontextmanager
async def edge(
    handler: Handler = echo,
    *,
    limits: Limits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    done: list[tuple[str, int, int]] | None = None,
) -> AsyncIterator[Server]:
    """Run an edge on a free port; `done` collects path, status and bytes sent of each request."""
    server = Server()
    on_request_done = None
    if done is not None:

        def on_request_done(request: Request, status: int, seconds: float, sent_bytes: int) -> None:
            assert seconds >= 0
            done.append((request.path, status, sent_bytes))

    await server.start(
        handler,
        "127.0.0.1",
        0,
        ssl_context=ssl_context,
        limits=limits or quick(),
        on_request_done=on_request_done,
    )
    try:
        yield server
    finally:
        await asyncio.wait_for(server.stop(), PATIENCE_SECONDS)


def quick(**changes: Any) -> Limits:
    """Limits for tests: swept often, a short linger and grace."""
    return Limits(**{"sweep_seconds": 0.05, "linger_seconds": 0.5, "shutdown_grace_seconds": 0.5} | changes)


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Run each test on the loop that serves and on the standard one."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


on_both_loops = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


def put(body: bytes, *fields: bytes, path: bytes = b"/up") -> bytes:
    lines = (b"PUT " + path + b" HTTP/1.1", b"Host: h", b"Content-Length: %d" % len(body), *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Pieces:
    """A response body that hands out `pieces`; None is one that has to be waited for, an error is raised."""

    def __init__(self, *pieces: bytes | Exception | None, length: int | None = None) -> None:
        self.length = sum(len(piece) for piece in pieces if isinstance(piece, bytes)) if length is None else length
        self.pieces = list(pieces)
        self.closed = 0

    def read_nowait(self) -> memoryview | None:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return None if piece is None else memoryview(piece)

    async def read(self) -> memoryview:
        await asyncio.sleep(0.001)
        view = self.read_nowait()
        assert view is not None
        return view

    def close(self) -> None:
        self.closed += 1


class Big:
    """A large response body of zeros."""

    def __init__(self, length: int) -> None:
        self.length = self.left = length
        self.closed = 0

    def read_nowait(self) -> memoryview:
        self.left -= 1 << 16
        return memoryview(bytes(1 << 16))

    async def read(self) -> memoryview:
        return self.read_nowait()

    def close(self) -> None:
        self.closed += 1


def answering(response: Response) -> Handler:
    async def handler(_: Request) -> Response:
        return response

    return handler


@asynccontextmanager
async def takes(least_seconds: float, most_seconds: float) -> AsyncIterator[None]:
    """Assert that the block takes about so long."""
    began = time.monotonic()
    yield
    assert least_seconds <= time.monotonic() - began < most_seconds


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.01)


@dataclass
class Answer:
    """One answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Wire:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send, and let the loop run so that the server sees it as one segment."""
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)

    async def head(self) -> Answer:
        """Read one answer's head."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
        status_line, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        assert status_line.startswith("HTTP/1.1 "), status_line
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} is sent twice"
            headers[name.lower()] = value
        return Answer(int(status_line.split(" ")[1]), headers, b"")

    async def answer(self, method: str = "GET") -> Answer:
        """Read one answer to `method` whole."""
        answer = await self.head()
        if method != "HEAD" and answer.status not in {100, 204, 304}:
            size = int(answer.headers["content-length"])
            answer.body = await asyncio.wait_for(self.reader.readexactly(size), PATIENCE_SECONDS)
        return answer

    async def ask(self, data: bytes, method: str = "GET") -> Answer:
        """Send and read one answer."""
        await self.send(data)
        return await self.answer(method)

    async def rest(self) -> bytes:
        """Read until the server closes; a reset ends it too."""
        taken: list[bytes] = []
        with suppress(ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(1 << 20), PATIENCE_SECONDS):
                taken.append(piece)
        return b"".join(taken)

    def reset(self) -> None:
        """Break the connection, so that the server knows that nobody reads any more."""
        one = self.writer.get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def is_closed(self) -> bool:
        """Tell whether the server closes without saying more."""
        return await self.rest() == b""


@asynccontextmanager
async def wire(
    server: Server, ssl_context: ssl.SSLContext | None = None, limit_bytes: int = 1 << 24
) -> AsyncIterator[Wire]:
    """Connect, and disconnect at the end."""
    name = "localhost" if ssl_context is not None else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=ssl_context, server_hostname=name, limit=limit_bytes
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), PATIENCE_SECONDS)
