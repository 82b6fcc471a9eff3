"""The edge under any bytes in any segments: the same requests, or a refusal; never a 5xx, never an exception.

The transport is a simulator that polices its caller, so that the segments are exactly those that were drawn.
"""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import echo, quick
from holdfast.faces.connection import Connection
from holdfast.faces.server import Edge, render_plain


class Transport(asyncio.Transport):
    """Takes `room` bytes at once and the rest at the next turn of the loop; asserts that it is used as it may be."""

    def __init__(self, protocol: asyncio.Protocol, room: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.loop = asyncio.get_running_loop()
        self.room = room
        self.wire = b""
        self.held = b""
        self.reading = True
        self.closing = False
        self.ended = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (0, 0)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 4) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return len(self.held)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        assert not self.held, "wrote more while paused"
        assert len(data) > 0
        if self.closing:
            return
        data = bytes(data)
        self.wire += data[: self.room]
        self.held = data[self.room :]
        if self.held:
            self.protocol.pause_writing()
            self.loop.call_soon(self.drain)

    def drain(self) -> None:
        self.wire += self.held
        self.held = b""
        self.protocol.resume_writing()
        if self.closing and not self.held:
            self.protocol.connection_lost(None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.held:
                self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        assert self.reading
        assert not self.closing
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        assert not self.closing
        self.reading = True


class Heard(logging.Handler):
    """Everything that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


async def converse(segments: list[bytes], room: int, high_water: int) -> tuple[list[tuple[int, Any]], bool]:
    """Play the segments to a connection; the answers in order, and whether the server ended the connection."""
    edge = Edge(echo, quick(body_high_water_bytes=high_water), None, render_plain)
    connection = Connection(edge)
    transport = Transport(connection, room)
    connection.connection_made(transport)
    for segment in segments:
        for _ in range(200):
            if transport.reading or transport.closing:
                break
            await asyncio.sleep(0)
        assert transport.reading or transport.closing, "nobody resumes reading"
        if transport.closing:
            break
        connection.data_received(segment)
    for _ in range(20):
        await asyncio.sleep(0)
    ended = transport.closing or transport.ended
    if not transport.closing:
        if not connection.eof_received():
            transport.close()
        for _ in range(20):
            await asyncio.sleep(0)
    assert not edge.connections, "the connection is still there"
    assert not edge.tasks, "a handler is still waiting"
    return parse_answers(transport.wire), ended


def parse_answers(wire: bytes) -> list[tuple[int, Any]]:
    """Split what was sent into answers; whatever does not parse is an error of the edge."""
    answers = []
    while wire:
        head, _, wire = wire.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("ascii").split("\r\n")
        status = int(status_line.split(" ")[1])
        if status == 100:
            continue
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers["content-length"])
        body, wire = wire[:size], wire[size:]
        assert len(body) == size
        answers.append((status, json.loads(body) if status == 200 else None))
    return answers


def play(segments: list[bytes], room: int = 1 << 30, high_water: int = 1 << 20) -> tuple[list[tuple[int, Any]], bool]:
    heard = Heard()
    logging.getLogger().addHandler(heard)
    try:
        outcome = asyncio.run(converse(segments, room, high_water))
    finally:
        logging.getLogger().removeHandler(heard)
    assert not heard.messages, heard.messages
    return outcome


def cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Cut into segments at these places."""
    places = sorted({0, len(raw), *(place % len(raw) for place in cuts)}) if raw else [0]
    return [raw[a:b] for a, b in pairwise(places)]


_NAMES = st.text("abcXYZ-_09", min_size=1, max_size=10).map(lambda name: "X-" + name)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
_TARGETS = st.text("/abc%2e?=&-.~:", max_size=30).map(lambda text: "/" + text)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A valid request with no body, a counted one or a chunked one."""
    fields = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=3))]
    fields.insert(draw(st.integers(0, len(fields))), "Host: h:5000")
    body = b""
    kind = draw(st.sampled_from(["none", "counted", "chunked"]))
    if kind == "counted":
        body = draw(st.binary(max_size=3000))
        fields.append(f"Content-Length: {len(body)}")
    elif kind == "chunked":
        chunks = draw(st.lists(st.binary(min_size=1, max_size=500), max_size=5))
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        fields.append("Transfer-Encoding: chunked")
    if kind != "none" and draw(st.booleans()):
        fields.append("Expect: 100-continue")
    method = "GET" if kind == "none" else "PUT"
    head = "\r\n".join([f"{method} {draw(_TARGETS)} HTTP/1.1", *fields])
    return head.encode() + b"\r\n\r\n" + body


@given(
    st.lists(requests(), min_size=1, max_size=4),
    st.lists(st.integers(0, 1 << 16), max_size=12),
    st.sampled_from([1, 7, 100, 1 << 30]),
    st.sampled_from([0, 100, 1 << 20]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_segments_make_the_same_requests(asked: list[bytes], cuts: list[int], room: int, high_water: int) -> None:
    expected = [answer for one in asked for answer in play([one])[0]]
    assert [status for status, _ in expected] == [200] * len(asked)
    answers, ended = play(cut(b"".join(asked), cuts), room, high_water)
    assert answers == expected
    assert not ended


@given(requests(), requests())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_byte_by_byte(first: bytes, second: bytes) -> None:
    raw = first + second
    assert play([raw[at : at + 1] for at in range(len(raw))]) == play([raw])


_BITS = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff", b"\x16\x03\x01", b"\r\n\r\n"),
        *(b"HTTP/1.1", b"HTTP/1.0", b"GET /", b"PUT / HTTP/1.1\r\n", b"Host: h\r\n", b"Connection: close\r\n"),
        *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n"),
        *(b"5\r\nhello\r\n", b"0\r\n\r\n"),
    ]
)


@given(
    st.lists(st.one_of(_BITS, requests(), st.binary(max_size=30)), max_size=12).map(b"".join),
    st.lists(st.integers(0, 1 << 16), max_size=6),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_answered_or_refused(raw: bytes, cuts: list[int]) -> None:
    answers, _ = play(cut(raw, cuts))
    assert all(status == 200 or 400 <= status < 500 for status, _ in answers), answers
    # Nothing is answered after a refusal.
    assert all(status == 200 for status, _ in answers[:-1])


@given(requests(), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_to_a_request_is_answered_or_refused(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    gone = data.draw(st.integers(0, 4))
    damaged = raw[:at] + data.draw(st.one_of(_BITS, st.binary(max_size=3))) + raw[at + gone :]
    answers, _ = play([damaged, b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n"])
    assert all(status == 200 or 400 <= status < 500 for status, _ in answers), answers
    assert all(status == 200 for status, _ in answers[:-1])
