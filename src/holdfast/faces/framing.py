"""Where a request begins and ends: strict reading of heads and of chunked bodies, bytes in, values out.

This file alone decides which heads and framings are refused, and with which status. llhttp (by `httptools`, the parser
of Node.js) reads the head; what it lets through and a registry should not is refused here. It must not know sockets,
deadlines or what the requests are for.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import httptools

from holdfast.faces.http import NO_BODY, Request

if TYPE_CHECKING:
    from holdfast.faces.limits import Limits

_ONCE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-range",
        "content-type",
        "host",
        "range",
        "transfer-encoding",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-target",
    }
)
"""Fields that decide something: two of them mean that two readers may decide differently, so they are refused."""

_METHODS: Final = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_TLS_HANDSHAKE_RECORD: Final = b"\x16"
_REQUEST_LINE_REST_BYTES: Final = 32  # method, spaces and version beside the target
_VERSION_BYTES: Final = 9  # SP HTTP/1.1
_HTTP11: Final = b" HTTP/1.1\r\n"
_HTTP10: Final = b" HTTP/1.0\r\n"
_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})

_LENGTH_DIGITS_MAX: Final = 18  # below 2**63 whatever the digits; the largest thing stored is far smaller
_HOST_NAME: Final = re.compile(r"(?!.{254})[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_AUTHORITY: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LAST_LABEL_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_ABSOLUTE: Final = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?]*)(?P<rest>.*)")
_PORT_MAX: Final = 65535


class Refused(Exception):
    """The bytes are no request this edge takes; `status` is 4xx and `reason` is safe to send back."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@lru_cache(maxsize=1024)  # clients of one registry use a handful of hosts; a flood of others only costs the check
def is_authority(text: str) -> bool:
    """Tell whether `text` is `host[:port]`: a DNS name, an IPv4 address or `[IPv6]`, and a port from 1 to 65535.

    Underscores are allowed in names (Docker Compose services have them). A name whose last label is a number must be
    an IPv4 address, as in the WHATWG URL rules: no client agrees with another on what `1.2.3` is.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return False
    name, port = match["name"], match["port"]
    if port is not None and not 1 <= int(port) <= _PORT_MAX:
        return False
    try:
        if name.startswith("["):
            ipaddress.IPv6Address(name[1:-1])
        elif _LAST_LABEL_NUMERIC.fullmatch(name):
            ipaddress.IPv4Address(name)
        else:
            return _HOST_NAME.fullmatch(name) is not None
    except ValueError:
        return False
    return True


def check_partial_head(data: bytes, limits: Limits) -> None:
    """Refuse early what has no end yet and cannot become a request; a client need not wait for its deadline."""
    if data.startswith(_TLS_HANDSHAKE_RECORD):
        raise Refused(400, "this port speaks plain HTTP, not TLS")
    if not data[:1].isalpha() and data != b"\r":
        raise Refused(400, "not an HTTP/1.1 request")
    if data.count(b"\n") != data.count(b"\r\n"):
        raise Refused(400, "lines must end with CR LF")
    if b"\n" not in data and len(data) > limits.target_bytes + _REQUEST_LINE_REST_BYTES:
        raise Refused(414, f"the request target is longer than {limits.target_bytes} bytes")
    if len(data) > limits.header_bytes:
        raise Refused(431, f"the request line and headers are larger than {limits.header_bytes} bytes")


class HeadReader:
    """Reads the heads of one connection's requests, one at a time, each given whole.

    After `read`, `length`, `keep_alive` and `expects_continue` say how the connection goes on from that head. `peer`
    and `scheme` are the connection's, for the requests.
    """

    __slots__ = (
        "_fields", "_headers", "_limits", "_parser", "_tail", "_target", "expects_continue", "keep_alive", "length",
        "peer", "scheme",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self.peer = ""
        self.scheme = "http"
        self.length: int | None = 0
        """Bytes of the body that follows; None when it is chunked."""
        self.keep_alive = False
        self.expects_continue = False
        self._limits = limits
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._tail = b""
        self._target = b""
        self._parser = httptools.HttpRequestParser(self)

    def on_url(self, target: bytes) -> None:
        """Hear the target; llhttp calls this."""
        self._target = target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Hear one field; llhttp calls this."""
        self._fields.append((name, value))

    def release(self) -> None:
        """Let go of the parser, which holds on to this object; nothing can be read after."""
        del self._parser

    def read(self, head: bytes, request_id: str) -> Request:
        """Read one head, from the method's first byte to the empty line included; raises only `Refused`."""
        line_end = head.find(b"\r\n")
        tail = head[max(0, line_end - _VERSION_BYTES) :]
        # A client sends the same fields with every request of a pull. What equals the last request's, byte for byte
        # from the version on, has been read and checked; llhttp is given the request line alone.
        known = tail == self._tail
        if not known:
            self._tail = b""
            self._fields = []
        self._feed(head[: line_end + 2] + b"\r\n" if known else head)
        method_sent = self._parser.get_method()
        target = self._target
        if len(method_sent) + len(target) + _VERSION_BYTES + 1 != line_end:
            raise Refused(400, "the request line must be METHOD SP target SP HTTP/1.1")
        if len(target) > self._limits.target_bytes:
            raise Refused(414, f"the request target is longer than {self._limits.target_bytes} bytes")
        if not known:
            self._read_fields(tail)
        method = _METHODS.get(method_sent) or _other_method(method_sent)
        path, _, query = target.decode("latin-1").partition("?")
        if path[:1] != "/" or b"#" in target or not target.isascii():
            path, _, query = _origin_form(target).partition("?")
        headers = self._headers
        fields, host = self._fields, headers["host"]
        return Request(method, path, query, headers, NO_BODY, fields, host, self.peer, self.scheme, request_id)

    def _feed(self, head: bytes) -> None:
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # `Upgrade` is never followed: the request is answered as the HTTP/1.1 it also is (RFC 9110, 7.8).
            pass
        except httptools.HttpParserError as error:
            raise Refused(400, f"not an HTTP/1.1 request: {error}") from None

    def _read_fields(self, tail: bytes) -> None:
        """Take in the version and the fields that llhttp found, and decide what they say of body and connection."""
        fields = self._fields
        http11 = tail.startswith(_HTTP11)
        if not http11 and not tail.startswith(_HTTP10):
            raise Refused(400, "the request line must be METHOD SP target SP HTTP/1.1")
        if tail.count(b"\r\n") != len(fields) + 2:  # our reading and llhttp's must agree: one line per field
            raise Refused(400, "not an HTTP/1.1 request: malformed header lines")
        if len(fields) > self._limits.header_fields:
            raise Refused(431, f"more than {self._limits.header_fields} header fields")
        headers = self._headers = _join_fields(fields)
        if not is_authority(headers.get("host", "")):
            raise Refused(400, "exactly one valid Host header is needed")
        length = self.length = _body_length(headers, http11=http11)
        self.keep_alive = http11 and not _asks_to_close(headers.get("connection"))
        self.expects_continue = http11 and _expects_continue(headers.get("expect"), length)
        if length == 0 and "content-length" not in headers and "upgrade" not in headers:
            self._tail = tail
        else:  # llhttp waits for a body, which never reaches it: bodies are framed here
            self._parser = httptools.HttpRequestParser(self)


def _join_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name_sent, value_sent in fields:
        name = name_sent.decode("latin-1").lower()  # llhttp lets only token characters through, all ASCII
        value = value_sent.decode("latin-1").strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise Refused(400, f"the {name} header is repeated")
        else:
            headers[name] += ", " + value
    return headers


def _asks_to_close(connection: str | None) -> bool:
    return connection is not None and "close" in [option.strip() for option in connection.lower().split(",")]


def _expects_continue(expect: str | None, length: int | None) -> bool:
    if expect is not None and expect.lower() != "100-continue":
        raise Refused(417, "the only expectation known is 100-continue")
    return expect is not None and length != 0


def _other_method(method: bytes) -> str:
    """Name a method that is not one of a registry's: its face refuses it, two kinds are refused here."""
    if method in _REFUSED_METHODS:
        raise Refused(405, f"{method.decode('ascii')} is not allowed")
    return method.decode("ascii")


def _origin_form(target: bytes) -> str:
    """Reduce a target that is not a plain path to its path and query."""
    text = target.decode("latin-1")
    if not text.isascii() or "#" in text:
        raise Refused(400, "the request target must be ASCII and have no fragment")
    match = _ABSOLUTE.fullmatch(text)
    if match is None or not is_authority(match["authority"]):
        raise Refused(400, "the request target must begin with '/'")
    rest = match["rest"]
    return rest if rest.startswith("/") else "/" + rest


def _body_length(headers: dict[str, str], *, http11: bool) -> int | None:
    """Return the body's length in bytes, None when it is chunked; anything two readers may differ on is refused."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise Refused(400, "both Content-Length and Transfer-Encoding")
        if coding.lower() != "chunked" or not http11:
            raise Refused(400, "the only transfer coding taken is chunked, in HTTP/1.1")
        return None
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX:
        raise Refused(400, "Content-Length must be a number of bytes")
    return int(length)


_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*+"'
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;%b(?:=(?:%b|%b))?)*+\r\n" % (_TOKEN, _TOKEN, _QUOTED))
_TRAILER_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_LINE_BYTES_MAX: Final = 256  # a size line; Go's net/http takes 4,096, nobody sends more than a signature
_TRAILERS_BYTES_MAX: Final = 8192  # half of what a head may have
_OVERHEAD_BYTES_MAX: Final = 16384  # as Go's net/http since CVE-2023-39326: extensions must not outweigh the data
_LINE_ALLOWANCE_BYTES: Final = 16  # the same fix: a size line of this length is free


class ChunkedDecoder:
    """Takes the chunked framing off one body, strictly (RFC 9112, 7.1): CRLF only, no spaces around sizes.

    llhttp is not used for bodies because `httptools` cannot say where in its input a message ended, and the next
    request may follow in the same segment. A test compares the two on random bodies.
    """

    __slots__ = ("_held", "_in_trailers", "_left", "_line_end_due", "_overhead", "_trailers_bytes")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0
        self._line_end_due = False
        self._in_trailers = False
        self._overhead = 0
        self._trailers_bytes = 0

    def feed(self, data: bytes, pieces: list[bytes]) -> int:
        """Add the payload in `data` to `pieces`; return how many bytes at the end of `data` belong to what follows.

        -1 while the body goes on. Raises `Refused` on broken framing. Extensions and trailers are checked for form
        and forgotten.
        """
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._line_end_due = not self._left
                continue
            line_max = 2 if self._line_end_due else _LINE_BYTES_MAX if not self._in_trailers else _TRAILERS_BYTES_MAX
            end = data.find(b"\n", at, at + line_max) + 1
            if not end:
                if len(data) - at >= line_max:
                    raise Refused(400, "malformed chunked body: a line is too long")
                self._held = data[at:]
                break
            if self._take_line(data[at:end]):
                return len(data) - end
            at = end
        return -1

    def _take_line(self, line: bytes) -> bool:
        """Take one line of framing; True when it is the body's last."""
        if self._line_end_due:
            if line != b"\r\n":
                raise Refused(400, "malformed chunked body: a chunk is longer than its size")
            self._line_end_due = False
        elif self._in_trailers:
            if line == b"\r\n":
                return True
            self._trailers_bytes += len(line)
            if self._trailers_bytes > _TRAILERS_BYTES_MAX or not _TRAILER_LINE.fullmatch(line):
                raise Refused(400, "malformed chunked body: bad trailers")
        else:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise Refused(400, "malformed chunked body: bad chunk size")
            self._left = int(match[1], 16)
            self._in_trailers = not self._left
            self._overhead = max(0, self._overhead + len(line) - _LINE_ALLOWANCE_BYTES - 2 * self._left)
            if self._overhead > _OVERHEAD_BYTES_MAX:
                raise Refused(400, "malformed chunked body: more framing than data")
        return False
