"""The edge's deadlines and its end: slow clients of every kind, a graceful stop, and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from edge import GET, PATIENCE_SECONDS, edge, quick, wire

from holdfast.faces.http import BodyAborted, Request, Response
from holdfast.faces.limits import Limits, Pace
from holdfast.faces.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Run each test on the loop that serves and on the standard one."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


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


@contextlib.asynccontextmanager
async def takes(least_seconds: float, most_seconds: float) -> AsyncIterator[None]:
    began = time.monotonic()
    yield
    assert least_seconds <= time.monotonic() - began < most_seconds


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
    async with edge(limits=quick(header_deadline_seconds=0.3)) as server, wire(server) as client:
        async with takes(0.2, 5):
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections:
                await asyncio.sleep(0.02)
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections:
                await asyncio.sleep(0.02)


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


# The end.


async def test_stop_lets_a_running_upload_finish() -> None:
    done: list[tuple[str, int, int]] = []
    async with edge(limits=quick(shutdown_grace_seconds=10), done=done) as server:
        async with wire(server) as idle, wire(server) as client, wire(server) as partial:
            assert (await idle.ask(GET)).status == 200
            await partial.send(GET[:-2])
            await client.send(b"PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
            await asyncio.sleep(0.05)
            port = server.port
            stopping = asyncio.ensure_future(server.stop())
            assert await idle.is_closed()
            with pytest.raises(OSError, match="refused|failed"):
                await asyncio.open_connection("127.0.0.1", port)
            assert (await partial.ask(GET[-2:])).headers["connection"] == "close"
            answer = await client.ask(b"def")
            assert answer.json()["body"] == "abcdef"
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()
            await asyncio.wait_for(stopping, 5)
            assert server.connections == 0
    assert [(path, status) for path, status, _ in done] == [("/", 200), ("/", 200), ("/up", 200)]


async def test_stop_breaks_off_what_outlives_the_grace() -> None:
    outcome: list[str] = []
    done: list[tuple[str, int, int]] = []

    async def handler(request: Request) -> Response:
        if request.path == "/big":
            return Response(200, (), Big(200 << 20))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise
        return Response(200)

    async with edge(handler, limits=quick(shutdown_grace_seconds=0.2), done=done) as server:
        async with wire(server) as client, wire(server, limit_bytes=1000) as reader:
            await client.send(GET)
            await reader.send(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.sleep(0.05)
            async with takes(0.1, 5):
                await server.stop()
            assert await client.is_closed()
        assert server.connections == 0
    assert outcome == ["cancelled"]
    assert sorted((path, status) for path, status, _ in done) == [("/", 499), ("/big", 200)]


async def test_stop_waits_for_a_handler_whose_client_is_gone() -> None:
    finished: list[str] = []

    async def handler(_: Request) -> Response:
        await asyncio.sleep(0.3)
        finished.append("yes")
        return Response(200)

    async with edge(handler, limits=quick(shutdown_grace_seconds=5)) as server:
        async with wire(server) as client:
            await client.send(GET)
            await asyncio.sleep(0.05)
            client.writer.transport.abort()
        await asyncio.sleep(0.05)
        await server.stop()
    assert finished == ["yes"]


async def test_stop_without_connections_is_at_once() -> None:
    async with edge() as server:
        async with takes(0, 0.4):
            await server.stop()
        await server.stop()
        with pytest.raises(RuntimeError):
            _ = server.port


async def test_an_address_in_use_is_an_error() -> None:
    async with edge() as server:
        with pytest.raises(OSError, match="in use"):
            await Server().start(lambda _: None, "127.0.0.1", server.port)  # type: ignore[arg-type, return-value]


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


# TLS.


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for localhost, made here."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server_tls(tls: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context


@pytest.fixture
def client_tls(tls: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tls[0]))


async def test_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with edge(ssl_context=server_tls) as server, wire(server, client_tls) as client:
        for _ in range(3):
            body = bytes(1 << 20)
            answer = await client.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert (answer.json()["scheme"], len(answer.json()["body"])) == ("https", 1 << 20)
            assert (await client.ask(GET)).json()["peer"] == "127.0.0.1"


async def test_tls_streams_a_large_body(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    class Counting(Big):
        buffer = bytearray(1 << 18)

        def read_nowait(self) -> memoryview:
            self.left -= len(self.buffer)
            self.buffer[:] = bytes([(self.left >> 18) % 251]) * len(self.buffer)
            return memoryview(self.buffer)

    async def handler(_: Request) -> Response:
        return Response(200, (), Counting(40 << 18))

    async with edge(handler, ssl_context=server_tls) as server, wire(server, client_tls, limit_bytes=1000) as client:
        await client.send(GET)
        await asyncio.sleep(0.1)
        answer = await client.answer()
        assert answer.body == b"".join(bytes([left % 251]) * (1 << 18) for left in range(39, -1, -1))


async def test_tls_early_answer_refusal_and_close(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def handler(_: Request) -> Response:
        return Response(403, (), b"no")

    async with edge(handler, ssl_context=server_tls) as server:
        async with wire(server, client_tls) as client:
            client.writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n" + bytes(5_000_000))
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
        async with wire(server, client_tls) as client:
            assert (await client.ask(b"junk\r\n\r\n")).status == 400
        async with wire(server, client_tls) as client:
            answer = await client.ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert answer.status == 403
            assert await client.is_closed()


async def test_tls_client_that_leaves_mid_body(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def handler(request: Request) -> Response:
        try:
            await request.body.read(100)
        except BodyAborted:
            outcome.set_result(True)
            raise
        return Response(200)

    async with edge(handler, ssl_context=server_tls) as server:
        async with wire(server, client_tls) as client:
            await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
            await asyncio.sleep(0.05)
            client.writer.transport.abort()
        assert await asyncio.wait_for(outcome, PATIENCE_SECONDS)


async def test_tls_port_is_safe_from_those_who_do_not_speak_it(
    server_tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge(ssl_context=server_tls, limits=quick(header_deadline_seconds=0.4)) as server:
        async with wire(server) as client:
            await client.send(GET)
            assert b"HTTP/1.1" not in await client.rest()
        async with wire(server) as silent, takes(0.3, 5):
            assert await silent.is_closed()
    assert not [record for record in caplog.records if record.name.startswith("holdfast")]


async def test_stop_with_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with edge(ssl_context=server_tls, limits=quick(shutdown_grace_seconds=10)) as server:
        async with wire(server, client_tls) as idle, wire(server, client_tls) as client:
            assert (await idle.ask(GET)).status == 200
            await client.send(b"PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
            await asyncio.sleep(0.05)
            stopping = asyncio.ensure_future(server.stop())
            assert await idle.is_closed()
            answer = await client.ask(b"def")
            assert json.loads(answer.body)["body"] == "abcdef"
            assert await client.is_closed()
            await asyncio.wait_for(stopping, 5)
