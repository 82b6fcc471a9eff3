"""A running HTTP edge for tests, and a client that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.faces.http import Request, Response
from holdfast.faces.server import Limits, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

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
        taken = b""
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), PATIENCE_SECONDS):
                taken += piece
        except ConnectionError:
            pass
        return taken

    async def is_closed(self) -> bool:
        """Tell whether the server closes without saying more."""
        return await self.rest() == b""


@asynccontextmanager
async def wire(server: Server, ssl_context: ssl.SSLContext | None = None, limit_bytes: int = 1 << 24) -> AsyncIterator[Wire]:
    """Connect, and disconnect at the end."""
    name = "localhost" if ssl_context is not None else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=ssl_context, server_hostname=name, limit=limit_bytes
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        try:
            await asyncio.wait_for(writer.wait_closed(), PATIENCE_SECONDS)
        except (ConnectionError, TimeoutError):
            pass
