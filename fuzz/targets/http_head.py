"""A head reads the same whether or not another came before it, has one host and one length, or it is Refused."""

from __future__ import annotations

from holdfast.faces.framing import HeadReader, Refused, check_partial_head, is_authority
from holdfast.faces.limits import Limits

SEEDS = (
    b"GET /v2/ HTTP/1.1\r\nHost: localhost:5000\r\n\r\n",
    b"PUT /v2/a/manifests/v1?tag=b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\n\r\n",
    b"GET http://evil.test/v2/ HTTP/1.0\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
)
WORDS = (
    b"Content-Length: 1\r\n", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"\r\n ", b"\n", b"\r", b"Host: x\r\n", b"HTTP/1.1", b"HTTP/1.0", b"chunked, identity", b"+1", b"0x1",
    b"\x0b", b"\xa0",
    b"GET / HTTP/1.1\r\n", b"X-A: b\r\n",
)  # fmt: skip
COVERS = ("faces/framing.py",)
PARSERS = ("faces.framing.HeadReader", "faces.framing.check_partial_head", "faces.framing.is_authority")
_LIMITS = Limits()
_BEFORE = b"GET /before HTTP/1.1\r\nHost: h\r\n\r\n"


def check(data: bytes) -> None:
    """Read it alone, and after another on one connection."""
    try:
        check_partial_head(data, _LIMITS)
    except Refused as refused:
        assert 400 <= refused.status < 500
    head = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if b"\n" in head.replace(b"\r\n", b"") or len(head) > _LIMITS.header_bytes:
        return  # `check_partial_head` refuses it before it is read
    alone = _read(HeadReader(_LIMITS), head)
    reader = HeadReader(_LIMITS)
    reader.read(_BEFORE, "id")
    assert _read(reader, head) == alone
    again = HeadReader(_LIMITS)
    assert _read(again, head) == alone
    if alone is not None and again.keep_alive and not again.length and again.length is not None:
        assert _read(again, head) == alone


def _read(reader: HeadReader, head: bytes) -> tuple[object, ...] | None:
    try:
        request = reader.read(head, "id")
    except Refused as refused:
        assert 400 <= refused.status < 500
        return None
    assert request.path.startswith("/")
    assert request.path.isascii()
    assert is_authority(request.host)
    if "transfer-encoding" in request.headers:
        assert "content-length" not in request.headers
        assert reader.length is None
    return (
        request.method,
        request.path,
        request.query,
        request.host,
        reader.length,
        reader.keep_alive,
        request.headers,
    )
