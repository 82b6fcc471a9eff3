"""The edge's deadlines and limits: slow clients of every kind, and a process short of files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edge import (
    GET,
    PATIENCE_SECONDS,
    Big,
    edge,
    event_loop_policy,  # noqa: F401  a fixture
    on_both_loops,
    quick,
    takes,
    until,
    wire,
)
from holdfast.faces.http import Request, Response
from holdfast.faces.limits import Limits, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = on_both_loops

# Deadlines. Each is set short and everything else is left long, so that it is the one that strikes.


@pytest.mark.parametrize("keep", [False, True])
async def test_slow_head(keep: bool) -> None:  # noqa: FBT001
    async with edge(limits=quick(header_deadline_seconds=0.4)) as server, wire(server) as client:
        if keep:
            assert (await client.ask(GET)).status == 200
        async with takes(0.3, 5):
            for byte in GET[:-1]:
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
                if client.reader.at_eof() or client.reader._buffer:  # type: ignore[attr-defined]
                    break
            assert (await client.answer()).status == 408
        assert await client.is_closed()


async def test_silent_client_is_closed_without_a_word() -> None:
    async with edge(limits=quick(header_deadline_seconds=0.3)) as server, wire(server) as client, takes(0.2, 5):
        assert await client.is_closed()


async def test_empty_lines_do_not_keep_a_connection_alive() -> None:
    async with edge(limits=quick(header_deadline_seconds=0.3)) as server, wire(server) as client:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not client.reader.at_eof():
                client.writer.write(b"\r\n")
                await asyncio.sleep(0.05)


async def test_idle_connection_is_closed() -> None:
    async with edge(limits=quick(keep_alive_seconds=0.3)) as server, wire(server) as client:
        for _ in range(4):
            assert (await client.ask(GET)).status == 200
            await asyncio.sleep(0.15)
        async with takes(0.1, 5):
            assert await client.is_closed()


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
async def test_stalled_body(framing: bytes) -> None:
    async with edge(limits=quick(body_stall_seconds=0.3)) as server, wire(server) as client:
        async with takes(0.2, 5):
            answer = await client.ask(b"PUT / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await client.is_closed()


async def test_body_below_the_least_rate() -> None:
    limits = quick(min_bytes_per_second=1000, rate_grace_seconds=0.3)
    async with edge(limits=limits) as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            client.writer.write(b"x")
            await asyncio.sleep(0.02)
            if client.reader.at_eof() or client.reader._buffer:  # type: ignore[attr-defined]
                break
        assert (await client.answer()).status == 408


async def test_a_busy_handler_does_not_make_the_client_late() -> None:
    async def handler(request: Request) -> Response:
        first = await request.body.pieces()
        await asyncio.sleep(0.8)
        return Response(200, (), b"".join(first) + await request.body.read(100))

    limits = quick(body_stall_seconds=0.3, rate_grace_seconds=0.3, min_bytes_per_second=10_000)
    async with edge(handler, limits=limits) as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
        await asyncio.sleep(0.7)
        assert (await client.ask(b"def")).body == b"abcdef"


async def test_a_rest_that_nobody_reads_may_not_stall_either() -> None:
    async def handler(_: Request) -> Response:
        return Response(403)

    async with edge(handler, limits=quick(body_stall_seconds=0.3)) as server, wire(server) as client:
        assert (await client.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")).status == 403
        async with takes(0.2, 5):
            assert await client.is_closed()


async def test_slow_reader() -> None:
    body = Big(200 << 20)

    async def handler(_: Request) -> Response:
        return Response(200, (), body)

    async with edge(handler, limits=quick(write_stall_seconds=0.3)) as server, wire(server, limit_bytes=1000) as client:
        await client.send(GET)
        await until(lambda: not server.connections)
        assert body.closed == 1
        assert len(await client.rest()) < 100 << 20


async def test_slow_reader_below_the_least_rate() -> None:
    body = Big(200 << 20)

    async def handler(_: Request) -> Response:
        return Response(200, (), body)

    limits = quick(min_bytes_per_second=1 << 30, rate_grace_seconds=0.2)
    async with edge(handler, limits=limits) as server, wire(server, limit_bytes=1000) as client:
        await client.send(GET)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections:
                await client.reader.read(10_000)
                await asyncio.sleep(0.02)
        assert body.closed == 1


async def test_a_steady_reader_is_left_alone() -> None:
    async def handler(_: Request) -> Response:
        return Response(200, (), Big(30 << 20))

    async with edge(handler, limits=quick(write_stall_seconds=0.3)) as server, wire(server, limit_bytes=1000) as client:
        await client.send(GET)
        total = 0
        while total < 30 << 20:
            total += len(await client.reader.read(1 << 20))
            await asyncio.sleep(0.01)


async def test_a_client_that_never_closes_is_left_after_the_linger() -> None:
    async with edge(limits=quick(linger_seconds=0.3)) as server, wire(server) as client:
        assert (await client.ask(b"junk\r\n\r\n")).status == 400
        await until(lambda: not server.connections)


def test_pace() -> None:
    limits = Limits(min_bytes_per_second=100, rate_grace_seconds=10)
    pace = Pace()
    for second in range(1, 21):
        pace.add(second * 60, 1)
        assert pace.is_too_slow(limits, 30) is (second * 60 < 100 * (second - 10))
    pace = Pace()
    pace.add(1 << 30, 1)
    for _ in range(29):
        pace.add(1 << 30, 1)
        assert not pace.is_too_slow(limits, 30)
    pace.add(1 << 30, 1)
    assert pace.is_too_slow(limits, 30)


_FEW_FILES = """
import asyncio, resource, sys
import uvloop
from holdfast.faces.http import Response
from holdfast.faces.server import Server, Limits

async def handler(request):
    return Response(200, (), b"here")

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
    server = Server()
    limits = Limits(files_reserved=int(sys.argv[1]), sweep_seconds=0.1, linger_seconds=0.2)
    await server.start(handler, "127.0.0.1", 0, limits=limits)
    print(server.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await server.stop()

uvloop.install()
asyncio.run(main())
"""


@contextlib.contextmanager
def few_files(files_reserved: int) -> Iterator[int]:
    """Run a server that may open 80 files; its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FEW_FILES, str(files_reserved)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        _, errors = process.communicate("stop\n", timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in errors


def ask(client: socket.socket, question: bytes = GET) -> bytes:
    """Send and read one answer, or to the end; empty when the server closed or reset."""
    client.settimeout(PATIENCE_SECONDS)
    taken = b""
    with contextlib.suppress(ConnectionError):
        client.sendall(question)
        while not taken.endswith(b"here") and (piece := client.recv(65536)):
            taken += piece
    return taken


def test_connections_leave_the_process_its_files() -> None:
    """With 80 descriptors and 30 kept back, the 51st connection is refused in words and the others are served."""
    with few_files(30) as port, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", port)
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(50)]
        assert all(ask(client).startswith(b"HTTP/1.1 200 ") for client in clients)
        for _ in range(40):
            with socket.create_connection(address) as refused:
                assert ask(refused, b"").startswith(b"HTTP/1.1 503 ")
        assert all(ask(client).startswith(b"HTTP/1.1 200 ") for client in clients)


def test_no_descriptor_left_for_a_connection() -> None:
    """Out of descriptors altogether, the newest connections are closed, the others are served, and all recovers."""
    with few_files(0) as port:
        address = ("127.0.0.1", port)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(address)) for _ in range(120)]
            served = sum(ask(client).startswith(b"HTTP/1.1 200 ") for client in clients)
            assert 40 < served < 80
        time.sleep(0.3)
        with socket.create_connection(address) as client:
            assert ask(client).startswith(b"HTTP/1.1 200 ")
