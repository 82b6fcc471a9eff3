"""The bodies of requests and of answers through real sockets: whole, large, early, broken and abandoned."""

from __future__ import annotations

import asyncio

import pytest

from edge import (
    GET,
    PATIENCE_SECONDS,
    Pieces,
    answering,
    edge,
    event_loop_policy,  # noqa: F401  a fixture
    on_both_loops,
    put,
    quick,
    wire,
)
from holdfast.faces.http import BodyAborted, Request, RequestBody, Response

pytestmark = on_both_loops


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
                client.reset()
            else:
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


async def test_who_asks_for_much_at_once_is_woken_once() -> None:
    body = RequestBody(None, None)
    asked = asyncio.ensure_future(body.pieces(least_bytes=10))
    for _ in range(9):
        await asyncio.sleep(0)
        body.feed(b"x")
    await asyncio.sleep(0)
    assert not asked.done()
    body.feed(b"x")
    assert b"".join(await asked) == b"x" * 10
    body.feed(b"the rest")
    body.end()
    assert await body.pieces(least_bytes=10) == [b"the rest"]
    assert await body.pieces(least_bytes=10) == []


async def test_what_came_before_the_body_broke_off_is_handed_out_however_little() -> None:
    body = RequestBody(None, None)
    asked = asyncio.ensure_future(body.pieces(least_bytes=10))
    await asyncio.sleep(0)
    body.feed(b"little")
    body.abort(408, "too slow")
    assert await asked == [b"little"]
    with pytest.raises(BodyAborted):
        await body.pieces(least_bytes=10)


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"abc",),
        (b"abc", b"def"),
        (None, b"abc"),
        (b"abc", None, b"def", None, b"ghi"),
        (b"x" * 9_000_000, b"y" * 9_000_000),
    ],
)
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

    async with (
        edge(answering(Response(200, (), Recycled(length=60 * 300_000)))) as server,
        wire(server, limit_bytes=1000) as client,
    ):
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
