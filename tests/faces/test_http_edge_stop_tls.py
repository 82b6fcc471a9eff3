"""The end of a server, and TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
from holdfast.faces.http import BodyAborted, Request, Response
from holdfast.faces.server import Server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = on_both_loops

# The end.


async def test_stop_lets_a_running_upload_finish() -> None:
    done: list[tuple[str, int, int]] = []
    async with edge(limits=quick(shutdown_grace_seconds=10), done=done) as server:  # noqa: SIM117  as it is built up
        async with wire(server) as idle, wire(server) as client, wire(server) as partial:
            assert (await idle.ask(GET)).status == 200
            await partial.send(GET[:-2])
            await client.send(b"PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
            await asyncio.sleep(0.05)
            port = server.port
            stopping = asyncio.ensure_future(server.stop())
            assert await idle.is_closed()
            with pytest.raises(OSError, match=r"refused|failed"):
                await asyncio.open_connection("127.0.0.1", port)
            assert (await partial.ask(GET[-2:])).headers["connection"] == "close"
            answer = await client.ask(b"def")
            assert answer.json()["body"] == "abcdef"
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()
            await asyncio.wait_for(stopping, 5)
            assert server.connections == 0
    assert [(path, status) for path, status, _ in done] == [("/", 200), ("/", 200), ("/up", 200)]


async def test_stop_lets_a_download_finish_and_closes_after_it() -> None:
    async def handler(_: Request) -> Response:
        return Response(200, (), Big(30 << 20))

    limits = quick(shutdown_grace_seconds=15)
    async with edge(handler, limits=limits) as server, wire(server, limit_bytes=1 << 16) as client:
        await client.send(GET)
        assert "connection" not in (await client.head()).headers
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.05)
        async with takes(0, 12):  # well within the grace
            assert len(await client.rest()) == 30 << 20
            await stopping


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
            client.reset()
        await until(lambda: not server.connections)
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


# TLS.


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for localhost, made here."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
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
    async with edge(ssl_context=server_tls, limits=quick(shutdown_grace_seconds=10)) as server:  # noqa: SIM117
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
