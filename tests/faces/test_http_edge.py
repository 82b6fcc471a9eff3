"""The edge through real sockets, byte by byte: requests, answers, and how connections go on and end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import resource
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from edge import (
    GET,
    Pieces,
    answering,
    echo,
    edge,
    event_loop_policy,  # noqa: F401  a fixture
    on_both_loops,
    put,
    quick,
    until,
    wire,
)
from holdfast.faces.http import Request, Response
from holdfast.faces.server import Server

if TYPE_CHECKING:
    from edge import Wire

pytestmark = on_both_loops


# Requests and answers.


async def test_request_as_the_handler_sees_it() -> None:
    async with edge() as server, wire(server) as client:
        answer = await client.ask(b"GET /v2/%2e%2e/a?b=%63 HTTP/1.1\r\nHOST: h:5000\r\nAccept: a\r\nAccept: b\r\n\r\n")
        assert answer.json() == {
            "method": "GET",
            "path": "/v2/%2e%2e/a",
            "query": "b=%63",
            "headers": {"host": "h:5000", "accept": "a, b"},
            "host": "h:5000",
            "peer": "127.0.0.1",
            "scheme": "http",
            "body": "",
        }


async def test_every_answer_has_date_and_its_own_id() -> None:
    async with edge() as server, wire(server) as client:
        first, second = await client.ask(GET), await client.ask(GET)
        assert first.headers["date"].endswith(" GMT")
        ids = {first.headers["x-request-id"], second.headers["x-request-id"]}
        assert len(ids) == 2
        assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
        assert "connection" not in second.headers


async def test_frozen_answer_is_sent_again_and_again() -> None:
    frozen = Response.frozen(200, [("Content-Type", "text/x")], b"kept")
    async with edge(answering(frozen)) as server, wire(server) as client:
        for _ in range(3):
            answer = await client.ask(GET)
            assert (answer.body, answer.headers["content-type"]) == (b"kept", "text/x")


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (lambda: Response(200, (), b"12345"), "5"),
        (lambda: Response.frozen(200, (), b"12345"), "5"),
        (lambda: Response(200, (), length=77), "77"),
        (lambda: Response(200, (), Pieces(b"123")), "3"),
        (lambda: Response(404), "0"),
        (lambda: Response(204), None),
        (lambda: Response(304), None),
    ],
)
async def test_head_has_the_headers_of_get_and_no_body(response: object, length: str | None) -> None:
    assert callable(response)
    made = response()
    async with edge(answering(made)) as server, wire(server) as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" + GET)
        answer = await client.answer("HEAD")
        assert answer.headers.get("content-length") == length
        assert (await client.head()).status == made.status
    if isinstance(made.body, Pieces):
        assert made.body.closed == 2  # for HEAD, and once more for the GET after it


@pytest.mark.parametrize(
    "response",
    [
        lambda: Response(200, [("A", "b\r\nSet-Cookie: c")]),
        lambda: Response(200, [("A", "b\0")]),
        lambda: Response(200, [("A\r\nB", "c")]),
        lambda: Response(200, [("A b", "c")]),
        lambda: Response(200, [("Content-Length", "5")]),
        lambda: Response(200, [("transfer-encoding", "chunked")]),
        lambda: Response(200, [("A", "\u20ac")]),
        lambda: Response(204, (), b"x"),
        lambda: Response(101),
        lambda: Response(799),
        lambda: None,
    ],
)
async def test_an_answer_that_is_not_http_is_a_500(response: object, caplog: pytest.LogCaptureFixture) -> None:
    assert callable(response)
    async with edge(answering(response())) as server, wire(server) as client:
        answer = await client.ask(GET)
        assert answer.status == 500
        assert "set-cookie" not in answer.headers
        assert (await client.ask(GET)).status == 500  # the connection goes on
    assert "failed" in caplog.text


async def test_an_exception_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/late":
            await asyncio.sleep(0.001)
        msg = "the reason"
        raise LookupError(msg)

    async with edge(handler) as server, wire(server) as client:
        for path in (b"/now", b"/late"):
            caplog.clear()
            answer = await client.ask(b"GET " + path + b"?t=secret HTTP/1.1\r\nHost: h\r\nAuthorization: key\r\n\r\n")
            assert answer.status == 500
            assert b"reason" not in answer.body
            assert answer.headers["x-request-id"] in answer.body.decode()
            assert answer.headers["x-request-id"] in caplog.text
            assert "LookupError: the reason" in caplog.text
            assert "secret" not in caplog.text
            assert "Authorization" not in caplog.text


async def test_handlers_do_not_see_each_others_context() -> None:
    seen = contextvars.ContextVar("seen", default="nothing")

    async def handler(request: Request) -> Response:
        before = seen.get()
        seen.set(request.path)
        if request.path == "/waits":
            await asyncio.sleep(0.001)
        return Response(200, (), f"{before} {seen.get()}".encode())

    async with edge(handler) as server, wire(server) as client:
        for path in ("/a", "/waits", "/b"):
            answer = await client.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            assert answer.body == f"nothing {path}".encode()


async def test_a_handler_that_waits_runs_in_a_task_and_sees_its_results() -> None:
    async def handler(request: Request) -> Response:
        del request
        assert asyncio.current_task() is None
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(None, lambda: 7)
        assert asyncio.current_task() is not None
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        failed = loop.create_future()
        loop.call_soon(failed.set_exception, KeyError("x"))
        with pytest.raises(KeyError):
            await failed
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(5)
        return Response(200, (), str(value).encode())

    async with edge(handler) as server, wire(server) as client:
        assert (await client.ask(GET)).body == b"7"


async def test_done_is_told_of_each_request() -> None:
    done: list[tuple[str, int, int]] = []
    async with edge(done=done) as server, wire(server) as client:
        answer = await client.ask(GET)
        await client.send(b"junk\r\n\r\n")
        await client.rest()
    assert [(path, status) for path, status, _ in done] == [("/", 200)]
    assert done[0][2] > len(answer.body)


async def test_trouble_after_one_answer_does_not_keep_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def told(request: Request, *_: object) -> None:
        if request.path == "/bad":
            raise LookupError

    server = Server()
    await server.start(echo, "127.0.0.1", 0, limits=quick(), on_request_done=told)
    try:
        async with wire(server) as bad, wire(server) as good:
            bad.writer.write(b"GET /bad HTTP/1.1\r\nHost: h\r\n\r\n")
            good.writer.write(GET)
            assert (await good.answer()).status == 200
            await bad.rest()
            assert (await good.ask(GET)).status == 200
    finally:
        await server.stop()
    assert "LookupError" in caplog.text


# Connections.


async def test_http_10_is_answered_and_closed() -> None:
    async with edge() as server, wire(server) as client:
        answer = await client.ask(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.is_closed()


async def test_close_is_honoured() -> None:
    async with edge() as server, wire(server) as client:
        answer = await client.ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.headers["connection"] == "close"
        assert await client.is_closed()


@pytest.mark.parametrize("count", [2, 31, 32, 33, 500])
@pytest.mark.parametrize("waits", [False, True])
async def test_pipelined_requests_are_answered_in_order_one_at_a_time(count: int, waits: bool) -> None:  # noqa: FBT001
    running = 0

    async def handler(request: Request) -> Response:
        nonlocal running
        running += 1
        assert running == 1
        if waits:
            await asyncio.sleep(0)
        body = await request.body.read(100)
        running -= 1
        return Response(200, (), request.path.encode() + body)

    requests = [
        put(b"x%d" % number, path=b"/%d" % number) if number % 3 else b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number
        for number in range(count)
    ]
    async with edge(handler) as server, wire(server) as client:
        await client.send(b"".join(requests))
        for number in range(count):
            answer = await client.answer()
            assert answer.body == b"/%d" % number + (b"x%d" % number if number % 3 else b"")


async def test_pipelined_input_is_bounded_while_an_answer_waits() -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        await gate.wait()
        return Response(200, (), request.path.encode())

    large = GET.replace(b"Host", b"A: " + b"a" * 8000 + b"\r\nHost")
    async with edge(handler) as server, wire(server) as client:
        client.writer.transport.set_write_buffer_limits(high=0)
        count = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    client.writer.write(large * 50)
                    count += 50
                    await client.writer.drain()
        assert server._edge is not None
        (connection,) = server._edge.connections
        assert len(connection._input) <= 1 << 19
        gate.set()
        for _ in range(count):
            assert (await client.answer()).status == 200


async def test_empty_lines_before_a_request_are_ignored() -> None:
    async with edge() as server, wire(server) as client:
        assert (await client.ask(b"\r\n\r\n" + GET)).status == 200
        assert (await client.ask(b"\r\n" + GET)).status == 200
        await client.send(b"\r")
        await asyncio.sleep(0.01)
        assert (await client.ask(b"\n" + GET)).status == 200


async def test_half_closed_client_gets_its_answer() -> None:
    async with edge() as server, wire(server) as client:
        await client.send(put(b"abc"))
        client.writer.write_eof()
        assert (await client.answer()).json()["body"] == "abc"
        assert await client.is_closed()


async def test_half_closed_while_the_handler_waits() -> None:
    async def handler(_: Request) -> Response:
        await asyncio.sleep(0.05)
        return Response(200, (), b"late")

    async with edge(handler) as server, wire(server) as client:
        await client.send(GET)
        client.writer.write_eof()
        assert (await client.answer()).body == b"late"
        assert await client.is_closed()


REFUSED = {
    "smuggled": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        400,
    ),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n" + GET, 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "bad host": (b"GET / HTTP/1.1\r\nHost: x/y?z#\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "junk": (b"\x00\x01\x02", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    "bare line feed, unfinished": (b"GET / HTTP/1.1\n", 400),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    "long target, unfinished": (b"GET /" + b"a" * 9000, 414),
    "large head": (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 16384 + b"\r\n\r\n", 431),
    "large head, unfinished": (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 17000, 431),
    "many fields": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    "expectation": (put(b"", b"Expect: cake"), 417),
    "endless": (b"A" * 4_000_000, 414),
    "megabyte of headers": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: bcd\r\n" * 150_000, 431),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("keep", [False, True])
async def test_what_is_no_request_is_refused_and_the_connection_closed(name: str, keep: bool) -> None:  # noqa: FBT001
    raw, status = REFUSED[name]
    handled = []

    async def handler(request: Request) -> Response:
        handled.append(request.path)
        return Response(200)

    async with edge(handler) as server, wire(server) as client:
        if keep:
            assert (await client.ask(b"GET /ok HTTP/1.1\r\nHost: h\r\n\r\n")).status == 200
        client.writer.write(raw)
        answer = await client.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-request-id"] in answer.body.decode()
        assert await client.is_closed()
    assert handled == (["/ok"] if keep else [])


async def test_too_many_connections_are_told_so() -> None:
    async with edge(limits=quick(connections=2)) as server, wire(server) as one, wire(server) as two:
        assert (await one.ask(GET)).status == 200
        assert (await two.ask(GET)).status == 200
        async with wire(server) as three:
            answer = await three.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert await three.is_closed()
        assert (await one.ask(GET)).status == 200


# Many connections.


IDLE = min(5_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1_000) // 2)
"""Both ends of each connection are files of this process."""


async def test_five_thousand_idle_connections(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with edge() as server:
        sockets = []
        loop = asyncio.get_running_loop()
        for _ in range(IDLE):
            one = socket.socket()
            one.setblocking(False)  # noqa: FBT003
            await loop.sock_connect(one, ("127.0.0.1", server.port))
            sockets.append(one)
        await until(lambda: server.connections >= IDLE)
        async with wire(server) as client:
            assert (await client.ask(GET)).status == 200
        for one in sockets:
            one.close()
        await until(lambda: not server.connections)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_echo_over_many_connections_at_once() -> None:
    async def one(client: Wire, number: int) -> None:
        for _ in range(10):
            answer = await client.ask(put(b"%d" % number))
            assert answer.json()["body"] == str(number)

    async with edge(echo) as server, asyncio.TaskGroup() as group:

        async def connected(number: int) -> None:
            async with wire(server) as client:
                await one(client, number)

        for number in range(50):
            group.create_task(connected(number))
