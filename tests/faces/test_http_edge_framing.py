"""Heads and chunked bodies without a socket: what is refused, what is taken, and that no split changes either."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.faces.framing import ChunkedDecoder, HeadReader, Refused, check_partial_head, is_authority
from holdfast.faces.http import Request
from holdfast.faces.limits import Limits

LIMITS = Limits()


def read(head: bytes) -> tuple[Request, HeadReader]:
    reader = HeadReader(LIMITS)
    return reader.read(head, "id"), reader


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join((line, *(fields or (b"Host: h",)))) + b"\r\n\r\n"


def put(*fields: bytes) -> bytes:
    return request(b"PUT / HTTP/1.1", b"Host: h", *fields)


REFUSED_HEADS = {
    # request line
    "two spaces before the target": (400, request(b"GET  / HTTP/1.1")),
    "two spaces after the target": (400, request(b"GET /  HTTP/1.1")),
    "space in the target": (400, request(b"GET /a b HTTP/1.1")),
    "tab for a space": (400, request(b"GET\t/ HTTP/1.1")),
    "space after the version": (400, request(b"GET / HTTP/1.1 ")),
    "lower-case method": (400, request(b"get / HTTP/1.1")),
    "unknown method": (400, request(b"FETCH / HTTP/1.1")),
    "lower-case version": (400, request(b"GET / http/1.1")),
    "HTTP/0.9": (400, request(b"GET /")),
    "HTTP/1.2": (400, request(b"GET / HTTP/1.2")),
    "HTTP/2.0": (400, request(b"GET / HTTP/2.0")),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\n"),
    "RTSP": (400, request(b"GET / RTSP/1.0")),
    "ICE": (400, request(b"SOURCE / ICE/1.0")),
    "CONNECT": (405, request(b"CONNECT h:80 HTTP/1.1")),
    "CONNECT with a path": (405, request(b"CONNECT / HTTP/1.1")),
    "TRACE": (405, request(b"TRACE / HTTP/1.1")),
    "no slash": (400, request(b"GET a HTTP/1.1")),
    "asterisk": (400, request(b"OPTIONS * HTTP/1.1")),
    "fragment": (400, request(b"GET /a#b HTTP/1.1")),
    "fragment in the query": (400, request(b"GET /a?b#c HTTP/1.1")),
    "raw high byte": (400, request(b"GET /\xff HTTP/1.1")),
    "raw high byte in the query": (400, request(b"GET /?\xe9 HTTP/1.1")),
    "NUL in the target": (400, request(b"GET /\0 HTTP/1.1")),
    "bare LF in the target": (400, request(b"GET /\n HTTP/1.1")),
    "DEL in the target": (400, request(b"GET /\x7f HTTP/1.1")),
    "target too long": (414, request(b"GET /" + b"a" * 8192 + b" HTTP/1.1")),
    "absolute without an authority": (400, request(b"GET http:///x HTTP/1.1")),
    "absolute with user information": (400, request(b"GET http://u:p@h/x HTTP/1.1")),
    "absolute with a bad port": (400, request(b"GET http://h:0/x HTTP/1.1")),
    "absolute of another scheme": (400, request(b"GET ftp://h/x HTTP/1.1")),
    # Host
    "no Host": (400, request(b"GET / HTTP/1.1", b"A: b")),
    "no Host in HTTP/1.0": (400, request(b"GET / HTTP/1.0", b"A: b")),
    "no fields": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, request(b"GET / HTTP/1.1", b"Host: h", b"Host: h")),
    "two Hosts, other case": (400, request(b"GET / HTTP/1.1", b"Host: h", b"HOST: i")),
    "empty Host": (400, request(b"GET / HTTP/1.1", b"Host:")),
    "Host with a path": (400, request(b"GET / HTTP/1.1", b"Host: x/y?z#")),
    "Host with user information": (400, request(b"GET / HTTP/1.1", b"Host: x@y")),
    "Host with a port too large": (400, request(b"GET / HTTP/1.1", b"Host: x:99999")),
    "Host list": (400, request(b"GET / HTTP/1.1", b"Host: a, b")),
    # fields
    "folded field": (400, request(b"GET / HTTP/1.1", b"Host: h", b"A: b", b" c")),
    "field that begins with a space": (400, request(b"GET / HTTP/1.1", b" Host: h")),
    "space before the colon": (400, request(b"GET / HTTP/1.1", b"Host : h")),
    "no colon": (400, request(b"GET / HTTP/1.1", b"Host: h", b"abc")),
    "empty name": (400, request(b"GET / HTTP/1.1", b"Host: h", b": x")),
    "bad name": (400, request(b"GET / HTTP/1.1", b"Host: h", b"a(b: x")),
    "high byte in a name": (400, request(b"GET / HTTP/1.1", b"Host: h", b"\xe9: x")),
    "NUL in a value": (400, request(b"GET / HTTP/1.1", b"Host: h", b"a: x\0y")),
    "control in a value": (400, request(b"GET / HTTP/1.1", b"Host: h", b"a: x\x01y")),
    "bare CR in a value": (400, request(b"GET / HTTP/1.1", b"Host: h", b"a: x\ry")),
    "bare LF in a value": (400, request(b"GET / HTTP/1.1", b"Host: h", b"a: x\ny: z")),
    "bare LF after the request line": (400, b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
    "too many fields": (431, request(b"GET / HTTP/1.1", b"Host: h", *[b"a: b"] * 100)),
    **{
        f"two of {name.decode()}": (400, request(b"GET / HTTP/1.1", b"Host: h", name + b": 1", name + b": 1"))
        for name in (
            b"Content-Length",
            b"Content-Type",
            b"Content-Range",
            b"Authorization",
            b"Range",
            b"Transfer-Encoding",
            b"X-Amz-Target",
            b"X-Amz-Date",
            b"X-Amz-Content-SHA256",
        )
    },
    # framing
    "length and coding": (400, put(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    "coding and length": (400, put(b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    "length and other coding": (400, put(b"Content-Length: 5", b"Transfer-Encoding: x")),
    **{
        f"coding {value!r}": (400, put(b"Transfer-Encoding: " + value))
        for value in (b"", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked",
                      b"chunked;a=b", b"identity", b"\x0bchunked", b"chunked,", b'"chunked"')
    },
    "coding in HTTP/1.0": (400, request(b"PUT / HTTP/1.0", b"Host: h", b"Transfer-Encoding: chunked")),
    **{
        f"length {value!r}": (400, put(b"Content-Length: " + value))
        for value in (b"", b"+5", b"-5", b"5, 5", b"0x5", b"5 5", b"5.0", b"1_0", b"\xb2", b"9" * 19,
                      b"9" * 400, b"five")
    },
    "another expectation": (417, put(b"Content-Length: 5", b"Expect: cake")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_HEADS)
def test_head_is_refused(name: str) -> None:
    status, head = REFUSED_HEADS[name]
    with pytest.raises(Refused) as refused:
        read(head)
    assert refused.value.status == status
    assert "\n" not in refused.value.reason


TAKEN_HEADS = {
    "plain": (request(), ("GET", "/", "")),
    "raw path": (request(b"GET /v2/%2e%2e%2f/%00%zz//a/./.. HTTP/1.1"), ("GET", "/v2/%2e%2e%2f/%00%zz//a/./..", "")),
    "query": (request(b"GET /a?b=c?d&%41 HTTP/1.1"), ("GET", "/a", "b=c?d&%41")),
    "two slashes": (request(b"GET //evil.test/v2/ HTTP/1.1"), ("GET", "//evil.test/v2/", "")),
    "absolute": (request(b"GET http://evil.test/v2/x?y HTTP/1.1"), ("GET", "/v2/x", "y")),
    "absolute, other case and port": (request(b"GET HTTPS://evil.test:5000/v2/ HTTP/1.1"), ("GET", "/v2/", "")),
    "absolute without a path": (request(b"GET http://evil.test?y HTTP/1.1"), ("GET", "/", "y")),
    "a method the handler refuses": (request(b"PROPFIND / HTTP/1.1"), ("PROPFIND", "/", "")),
    "HTTP/1.0": (request(b"GET / HTTP/1.0"), ("GET", "/", "")),
    "longest target": (request(b"GET /" + b"a" * 8191 + b" HTTP/1.1"), ("GET", "/" + "a" * 8191, "")),
    "upgrade is ignored": (
        request(b"GET / HTTP/1.1", b"Host: h", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"),
        ("GET", "/", ""),
    ),
}


@pytest.mark.parametrize("name", TAKEN_HEADS)
def test_head_is_taken(name: str) -> None:
    head, expected = TAKEN_HEADS[name]
    taken, _ = read(head)
    assert (taken.method, taken.path, taken.query) == expected
    assert taken.host == "h"


def test_fields_are_lower_case_stripped_and_joined() -> None:
    taken, _ = read(
        request(b"GET / HTTP/1.1", b"HOST: h:1", b"Accept: a", b"X:\t b \t", b"accept: c", b"E:", b"U: \xe9")
    )
    assert taken.headers == {"host": "h:1", "accept": "a, c", "x": "b", "e": "", "u": "\xe9"}
    assert [name for name, _ in taken.raw_headers] == [b"HOST", b"Accept", b"X", b"accept", b"E", b"U"]


def test_a_field_that_llhttp_lost_is_missed() -> None:
    """Were one line hidden from us, as in a bug of the parser, the head is refused rather than half read."""

    class Forgetful:
        def feed_data(self, _: bytes) -> None:
            reader.on_url(b"/")
            reader.on_header(b"Host", b"h")

        def get_method(self) -> bytes:
            return b"GET"

    reader = HeadReader(LIMITS)
    cast("Any", reader)._parser = Forgetful()
    assert reader.read(request(), "id").path == "/"
    with pytest.raises(Refused):
        reader.read(request(b"GET / HTTP/1.1", b"Host: h", b"Content-Length: 5"), "id")


@pytest.mark.parametrize(
    ("fields", "keep_alive"),
    [
        ((), True),
        ((b"Connection: keep-alive",), True),
        ((b"Connection: close",), False),
        ((b"Connection: foo, CLOSE",), False),
        ((b"Connection: keep-alive", b"Connection: close"), False),
        ((b"Connection: closed",), True),
    ],
)
def test_connection_is_kept_unless_told(fields: tuple[bytes, ...], keep_alive: bool) -> None:  # noqa: FBT001
    _, reader = read(request(b"GET / HTTP/1.1", b"Host: h", *fields))
    assert reader.keep_alive is keep_alive
    _, reader = read(request(b"GET / HTTP/1.0", b"Host: h", *fields))
    assert not reader.keep_alive


@pytest.mark.parametrize(
    ("fields", "length", "expects"),
    [
        ((), 0, False),
        ((b"Content-Length: 0",), 0, False),
        ((b"Content-Length: 7 ",), 7, False),
        ((b"Content-Length: 007",), 7, False),
        ((b"Transfer-Encoding: Chunked",), None, False),
        ((b"Content-Length: 7", b"Expect: 100-Continue"), 7, True),
        ((b"Transfer-Encoding: chunked", b"Expect: 100-continue"), None, True),
        ((b"Expect: 100-continue",), 0, False),
    ],
)
def test_body_framing(fields: tuple[bytes, ...], length: int | None, expects: bool) -> None:  # noqa: FBT001
    _, reader = read(put(*fields))
    assert reader.length == length
    assert reader.expects_continue is expects


AUTHORITIES = {
    True: [
        "h", "h:1", "h:65535", "localhost:5000", "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "my_registry:5000",
        "127.0.0.1", "127.0.0.1:5000", "[::1]", "[::1]:5000", "[::ffff:1.2.3.4]:80", "h.", "a-b.c", "xn--e1afmkfd.test",
        "H", "1a", "a.1b", "_a",
    ],
    False: [
        "", ":", ":80", "h:", "h:0", "h:65536", "h:99999", "h:+1", "h:1a", "h:-1", "x/y", "x?y", "x#y", "u@h", "h h",
        " h", "h\t", "h\n", "a,b", "a;b", "[::1", "::1", "[::1]x", "[]", "[g::]", "[fe80::1%25eth0]", "[1.2.3.4]",
        "1.2.3", "256.1.1.1", "1.2.3.4.5", "0x7f.1", "1", "a..b", ".a", "..", "-a", "a" * 64, "a." * 127 + "aa",
        "\u0430", "h\u0660", "h:\u0661", "a\\b", "a%2fb",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("text", "valid"), [(text, valid) for valid, texts in AUTHORITIES.items() for text in texts])
def test_authority(text: str, valid: bool) -> None:  # noqa: FBT001
    assert is_authority(text) is valid


_TOKENS = st.text("abcXYZ-_09", min_size=1, max_size=12).filter(lambda name: name.lower() not in {"host", "expect"})
_VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
_HEADS = st.builds(
    lambda method, target, fields: request(
        f"{method} {target} HTTP/1.1".encode(), b"Host: h", *(f"X-{name}: {value}".encode() for name, value in fields)
    ),
    st.sampled_from(["GET", "HEAD", "DELETE"]),
    st.text("/abc%2e?=&-.~", max_size=30).map(lambda text: "/" + text),
    st.lists(st.tuples(_TOKENS, _VALUES), max_size=6),
)


@settings(deadline=None)
@given(st.lists(st.tuples(_HEADS, st.integers(1, 3)), min_size=1, max_size=5))
def test_a_head_reads_the_same_whatever_came_before_it(heads: list[tuple[bytes, int]]) -> None:
    """The fields of an equal tail are not read again: that must not show."""
    reader = HeadReader(LIMITS)
    for head, times in heads:
        for _ in range(times):
            fresh, fresh_reader = read(head)
            taken = reader.read(head, "id")
            for name in Request.__slots__:
                assert getattr(taken, name) == getattr(fresh, name)
            assert (reader.length, reader.keep_alive) == (fresh_reader.length, fresh_reader.keep_alive)


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(junk: bytes, as_tail: bool) -> None:  # noqa: FBT001
    head = (b"GET / HTTP/1.1\r\nHost: h\r\n" if as_tail else b"") + junk + b"\r\n\r\n"
    try:
        taken, _ = read(head)
    except Refused as refused:
        assert 400 <= refused.status < 500  # noqa: PT017  either outcome is right
    else:
        assert taken.path.startswith("/")
        assert taken.path.isascii()
        assert is_authority(taken.host)
    try:
        check_partial_head(junk, LIMITS)
    except Refused as refused:
        assert 400 <= refused.status < 500  # noqa: PT017  as above


# Chunked bodies.


def decode(*segments: bytes) -> tuple[bytes, int]:
    """Decode in these segments; the payload, and how many bytes of the last one were left over (-1: unfinished)."""
    decoder, rest = ChunkedDecoder(), -1
    pieces: list[bytes] = []
    for segment in segments:
        assert rest == -1
        rest = decoder.feed(segment, pieces)
    return b"".join(pieces), rest


BROKEN_CHUNKS = {
    "no size": b"\r\n",
    "not hexadecimal": b"g\r\n",
    "sign": b"+5\r\nhello\r\n",
    "minus": b"-5\r\nhello\r\n",
    "0x": b"0x5\r\nhello\r\n",
    "space before": b" 5\r\nhello\r\n",
    "space after": b"5 \r\nhello\r\n",
    "tab after": b"5\t\r\nhello\r\n",
    "underscore": b"1_0\r\n",
    "too large": b"1" + b"0" * 15 + b"\r\n",
    "much too large": b"f" * 300 + b"\r\n",
    "bare LF after the size": b"5\nhello\r\n",
    "bare CR after the size": b"5\rhello\r\n",
    "bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "longer than its size": b"5\r\nhellos\r\n",
    "shorter than its size": b"6\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a=\nb\r\nhello\r\n",
    "NUL in an extension": b"5;a=\0\r\nhello\r\n",
    "long extension": b"5;" + b"a" * 300 + b"\r\nhello\r\n",
    "trailer without a colon": b"0\r\nabc\r\n\r\n",
    "trailer folded": b"0\r\na: b\r\n c\r\n\r\n",
    "trailer with a bare LF": b"0\r\na: b\n\r\n",
    "endless trailers": b"0\r\n" + b"a: b\r\n" * 5000,
    "one endless trailer": b"0\r\na: " + b"b" * 9000,
    "more extensions than data": b"".join(b"1;%b\r\nx\r\n" % (b"a" * 200) for _ in range(200)),
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_broken_chunks_are_refused(name: str, step: int) -> None:
    raw = BROKEN_CHUNKS[name]
    with pytest.raises(Refused) as refused:
        decode(*(raw[at : at + step] for at in range(0, len(raw), step)))
    assert refused.value.status == 400


def test_chunks_with_extensions_and_trailers() -> None:
    body, rest = decode(b'5;a="b"\r\nhello\r\n0a;x\r\n, world!!!\r\n000\r\nDigest: x\r\nA:\r\n\r\nGET /')
    assert body == b"hello, world!!!"
    assert rest == len(b"GET /")


_PAYLOADS = st.lists(st.binary(min_size=1, max_size=60), max_size=6)


@settings(deadline=None)
@given(_PAYLOADS, st.binary(max_size=10), st.lists(st.integers(0, 500), max_size=8), st.booleans())
def test_any_split_of_a_chunked_body_decodes_alike(
    payloads: list[bytes],
    following: bytes,
    cuts: list[int],
    upper: bool,  # noqa: FBT001
) -> None:
    chunks = [(b"%X" if upper else b"%x") % len(data) + b";e\r\n" + data + b"\r\n" for data in payloads]
    raw = b"".join(chunks) + b"0\r\nt: u\r\n\r\n"
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    segments = [raw[a:b] for a, b in pairwise(edges)]
    segments[-1] += following
    assert decode(*segments) == (b"".join(payloads), len(following))


class Oracle:
    """What llhttp makes of a chunked body."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"5", b"0", b"a", b"\r\n", b"\r", b"\n", b"hello", b";x=y", b" ", b"A: b", b"g", b"1\r\nz\r\n"]
        ),
        max_size=12,
    ).map(b"".join)
)
def test_what_we_take_llhttp_takes_alike(raw: bytes) -> None:
    """The slow twin: we may be stricter, never more lenient, and the payload is the same."""
    decoder = ChunkedDecoder()
    pieces: list[bytes] = []
    try:
        rest = decoder.feed(raw, pieces)
    except Refused:
        return
    if rest < 0:
        return  # llhttp judges a line before its end, we after it
    oracle = Oracle()
    parser = httptools.HttpRequestParser(oracle)
    parser.feed_data(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    parser.feed_data(raw[: len(raw) - rest])
    assert oracle.complete
    assert oracle.body == b"".join(pieces)
