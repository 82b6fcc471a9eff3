"""The edge through real sockets, byte by byte: requests, answers, bodies, and how connections end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import struct
from typing import TYPE_CHECKING

import pytest
import uvloop
from edge import GET, PATIENCE_SECONDS, edge, echo, quick, wire

from holdfast.faces.http import BodyAborted, Request, Response

if TYPE_CHECKING:
    from edge import Wire

    from holdfast.faces.http import Handler


pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Run each test on the loop that serves and on the standard one."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


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


def answering(response: Response) -> Handler:
    async def handler(_: Request) -> Response:
        return response

    return handler


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

    async with edge(handler) as server, wire(server) as client:
        client.writer.transport.set_write_buffer_limits(high=1 << 16)
        sent_bytes = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    client.writer.write(GET * 4096)
                    sent_bytes += len(GET) * 4096
                    await client.writer.drain()
        (connection,) = server._edge.connections  # type: ignore[union-attr]
        assert len(connection._input) <= 1 << 19
        gate.set()
        for _ in range(sent_bytes // len(GET)):
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
    "smuggled": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", 400),
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


# Request bodies.


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_body_arrives_whole(size: int, chunked: bool) -> None:  # noqa: FBT001
    body = bytes(range(250)) * (size // 250 + 1)
    body = body[:size]
    raw = put(body)
    if chunked:
        step = max(1, size // 7)
        chunks = [body[at : at + step] for at in range(0, size, step)]
        raw = b"PUT /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    async def handler(request: Request) -> Response:
        assert request.body.length == (0 if request.method == "GET" else None if chunked else size)
        return Response(200, (), await request.body.read(size))

    async with edge(handler) as server, wire(server) as client:
        answer = await client.ask(raw + GET.replace(b"/ ", b"/next "))
        assert answer.body == body
        assert (await client.answer()).status == 200


async def test_slow_handler_stops_the_client() -> None:
    """What is buffered stays at the high water mark however much the client has to send."""
    gate = asyncio.Event()
    most = 0

    async def handler(request: Request) -> Response:
        nonlocal most
        await gate.wait()
        total = 0
        while True:
            most = max(most, request.body.buffered_bytes)
            pieces = await request.body.pieces()
            if not pieces:
                return Response(200, (), str(total).encode())
            total += sum(map(len, pieces))

    size = 32 << 20
    async with edge(handler, limits=quick(body_high_water_bytes=1 << 16)) as server, wire(server) as client:
        client.writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await asyncio.sleep(0.2)
        gate.set()
        assert (await client.answer()).body == str(size).encode()
        assert most <= (1 << 16) + (1 << 18)


async def test_tiny_chunks_are_joined() -> None:
    async def handler(request: Request) -> Response:
        pieces: list[bytes] = []
        while more := await request.body.pieces():
            pieces += more
        return Response(200, (), f"{len(pieces)} {len(b''.join(pieces))}".encode())

    async with edge(handler) as server, wire(server) as client:
        raw = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
        count, total = map(int, (await client.ask(raw)).body.split())
        assert total == 20_000
        assert count < 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_large_a_body_is_a_413(chunked: bool) -> None:  # noqa: FBT001
    async def handler(request: Request) -> Response:
        await request.body.read(1000)
        return Response(200)

    async with edge(handler) as server, wire(server) as client:
        if chunked:
            await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            answer = await client.ask(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
        else:
            answer = await client.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        client.writer.write_eof()
        assert await client.is_closed()


async def test_expect_is_answered_when_the_handler_reads() -> None:
    async with edge() as server, wire(server) as client:
        head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        assert (await client.ask(head)).status == 100
        assert (await client.ask(b"abc")).json()["body"] == "abc"
        assert (await client.ask(head + b"abc")).status == 200  # it did not wait, so no 100
        assert (await client.ask(GET)).status == 200


async def test_expect_is_not_answered_when_the_handler_does_not_read() -> None:
    async with edge(answering(Response(401))) as server, wire(server) as client:
        answer = await client.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        client.writer.write_eof()
        assert await client.is_closed()


async def test_a_small_unread_body_is_drained() -> None:
    async with edge(answering(Response(403))) as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + b"x" * 100)
        answer = await client.answer()
        assert (answer.status, answer.headers.get("connection")) == (403, None)
        await client.send(b"x" * 50_000)
        await asyncio.sleep(0.02)
        assert (await client.ask(b"x" * 9900 + GET)).status == 403
        assert (await client.ask(GET)).status == 403


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_early_answer_to_a_large_upload_is_seen(chunked: bool) -> None:  # noqa: FBT001
    """A client that goes on sending reads the answer, not a reset."""
    async with edge(answering(Response(403, (), b"no"))) as server, wire(server) as client:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 50000000"
        client.writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n")
        for _ in range(100):
            client.writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await asyncio.sleep(0)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"], answer.body) == (403, "close", b"no")
        assert await client.is_closed()


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_mid_body_aborts_it_after_what_came(reset: bool) -> None:  # noqa: FBT001
    outcome: asyncio.Future[tuple[bytes, int]] = asyncio.get_running_loop().create_future()
    done: list[tuple[str, int, int]] = []

    async def handler(request: Request) -> Response:
        taken = b""
        try:
            while pieces := await request.body.pieces():
                taken += b"".join(pieces)
        except BodyAborted as aborted:
            outcome.set_result((taken, aborted.status))
            raise
        return Response(200)

    async with edge(handler, done=done) as server:
        async with wire(server) as client:
            await client.send(b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
            await asyncio.sleep(0.02)
            await client.send(b"def")
            await asyncio.sleep(0.02)
            if reset:
                one = client.writer.get_extra_info("socket")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
        # Without a reset the client may only have ended its side, and still read.
        expected = 0 if reset else 400
        assert await asyncio.wait_for(outcome, PATIENCE_SECONDS) == (b"abcdef", expected)
    assert [(path, status) for path, status, _ in done] == [("/x", expected or 499)]


async def test_a_body_that_ends_early_is_a_400() -> None:
    async with edge() as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
        client.writer.write_eof()
        assert (await client.answer()).status == 400
        assert await client.is_closed()


@pytest.mark.parametrize("wait_first", [False, True])
async def test_broken_chunks_are_a_400(wait_first: bool) -> None:  # noqa: FBT001
    async with edge() as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if wait_first:
            await asyncio.sleep(0.02)
        answer = await client.ask(b"5\nworld\r\n0\r\n\r\n" + GET)
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.is_closed()


async def test_a_body_has_one_reader_at_a_time() -> None:
    async def handler(request: Request) -> Response:
        first = asyncio.ensure_future(request.body.pieces())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await request.body.pieces()
        return Response(200, (), b"".join(await first))

    async with edge(handler) as server, wire(server) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
        await asyncio.sleep(0.02)
        assert (await client.ask(b"abc")).body == b"abc"


# Response bodies.


@pytest.mark.parametrize(
    "pieces",
    [(b"abc",), (b"abc", b"def"), (None, b"abc"), (b"abc", None, b"def", None, b"ghi"), (b"x" * 9_000_000, b"y" * 9_000_000), ()],
)  # fmt: skip
async def test_body_is_sent_and_closed_once(pieces: tuple[bytes | None, ...]) -> None:
    bodies: list[Pieces] = []

    async def handler(_: Request) -> Response:
        bodies.append(Pieces(*pieces))
        return Response(200, (), bodies[-1])

    async with edge(handler) as server, wire(server) as client:
        for _ in range(2):
            answer = await client.ask(GET)
            assert answer.body == b"".join(piece for piece in pieces if piece is not None)
        await asyncio.sleep(0.01)
        assert [body.closed for body in bodies] == [1, 1]


async def test_large_bytes_are_sent_whole() -> None:
    body = bytes(range(256)) * 40_000
    async with edge(answering(Response.frozen(200, (), body))) as server, wire(server) as client:
        await client.send(GET * 3)
        for _ in range(3):
            assert (await client.answer()).body == body


async def test_a_view_is_free_before_the_next_is_asked_for() -> None:
    """One buffer serves the whole body: had the transport kept a view, the bytes would be wrong."""

    class Recycled(Pieces):
        buffer = bytearray(300_000)

        def read_nowait(self) -> memoryview | None:
            number = len(self.pieces)
            self.pieces.append(None)
            self.buffer[:] = bytes([number]) * len(self.buffer)
            return memoryview(self.buffer)

    async with edge(answering(Response(200, (), Recycled(length=60 * 300_000)))) as server, wire(server, limit_bytes=1000) as client:
        await client.send(GET)
        await asyncio.sleep(0.05)
        answer = await client.answer()
        assert answer.body == b"".join(bytes([number]) * 300_000 for number in range(60))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"abc", OSError(5, "Input/output error")),
        (b"abc", None, OSError(5, "Input/output error")),
        (OSError(5, "Input/output error"),),
        (b"abc",),
        (b"abc", None),
        (b"x" * 101,),
        (b"x" * 5_000_000, OSError(5, "Input/output error")),
    ],
)
async def test_a_body_that_fails_or_is_short_cuts_the_connection(
    pieces: tuple[bytes | Exception | None, ...], caplog: pytest.LogCaptureFixture
) -> None:
    body = Pieces(*pieces, length=10_000_000 if len(pieces[0] if isinstance(pieces[0], bytes) else b"") > 1000 else 100)
    async with edge(answering(Response(200, (), body))) as server, wire(server) as client:
        await client.send(GET + GET)
        head, _, sent = (await client.rest()).partition(b"\r\n\r\n")
        assert head.count(b"HTTP/1.1") <= 1
        assert b"HTTP/1.1" not in sent
        assert len(sent) < body.length
    assert body.closed == 1
    assert "cut short" in caplog.text


async def test_a_client_that_leaves_mid_answer() -> None:
    bodies: list[Pieces] = []
    done: list[tuple[str, int, int]] = []

    async def handler(request: Request) -> Response:
        waits = [None, b"y" * 1000] if request.path == "/waits" else []
        bodies.append(Pieces(b"x" * 20_000_000, *waits, b"z" * 20_000_000))
        return Response(200, (), bodies[-1])

    async with edge(handler, done=done) as server:
        for path in (b"/", b"/waits"):
            async with wire(server, limit_bytes=1000) as client:
                await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
                await client.reader.readexactly(1000)
                client.writer.transport.abort()
    assert [body.closed for body in bodies] == [1, 1]
    assert [(path, status) for path, status, _ in done] == [("/", 200), ("/waits", 200)]
    assert all(sent_bytes < 40_000_000 for *_, sent_bytes in done)


async def test_a_client_that_leaves_while_the_handler_works() -> None:
    body = Pieces(b"abc")
    finished = asyncio.Event()

    async def handler(_: Request) -> Response:
        await asyncio.sleep(0.1)
        finished.set()
        return Response(200, (), body)

    async with edge(handler) as server:
        async with wire(server) as client:
            await client.send(GET)
            await asyncio.sleep(0.02)
            client.writer.transport.abort()
        await asyncio.wait_for(finished.wait(), PATIENCE_SECONDS)
        await asyncio.sleep(0.01)
        assert body.closed == 1


# Many connections.


async def test_two_thousand_idle_connections(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with edge() as server:
        sockets = []
        loop = asyncio.get_running_loop()
        for _ in range(2000):
            one = socket.socket()
            one.setblocking(False)
            await loop.sock_connect(one, ("127.0.0.1", server.port))
            sockets.append(one)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections < 2000:
                await asyncio.sleep(0.01)
        async with wire(server) as client:
            assert (await client.ask(GET)).status == 200
        for one in sockets:
            one.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.connections:
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_echo_over_many_connections_at_once() -> None:
    async def one(client: Wire, number: int) -> None:
        for _ in range(10):
            answer = await client.ask(put(b"%d" % number))
            assert answer.json()["body"] == str(number)

    async with edge(echo) as server:
        async with asyncio.TaskGroup() as group:

            async def connected(number: int) -> None:
                async with wire(server) as client:
                    await one(client, number)

            for number in range(50):
                group.create_task(connected(number))
