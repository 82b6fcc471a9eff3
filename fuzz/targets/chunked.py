"""A chunked body gives the same payload and the same end however it is cut, and never more than llhttp reads in it."""

from __future__ import annotations

import httptools

from holdfast.faces.framing import ChunkedDecoder, Refused

SEEDS = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n",
    b"0\r\n\r\n",
    b"1\r\nab\r\n",
)
WORDS = (
    b"\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"1 \r\n",
    b"\n",
    b";",
    b"0x1\r\n",
    b"+1\r\n",
    b"1_0\r\n",
    b"T: u\r\n",
)
COVERS = ("faces/framing.py",)
PARSERS = ("faces.framing.ChunkedDecoder",)


class _Oracle:
    """What llhttp makes of it."""

    def __init__(self) -> None:
        self.body = b""

    def on_body(self, data: bytes) -> None:
        """Hear a piece of the payload."""
        self.body += data


def check(data: bytes) -> None:
    """Decode it whole, byte by byte, and by llhttp."""
    whole, by_bytes = _decode([data]), _decode([data[place : place + 1] for place in range(len(data))])
    assert whole[0] == by_bytes[0]
    if whole[0] is None or whole[1] < 0:
        return
    assert by_bytes[1] in {whole[1], 0}
    oracle = _Oracle()
    parser = httptools.HttpRequestParser(oracle)
    parser.feed_data(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    parser.feed_data(data[: len(data) - whole[1]])
    assert oracle.body == whole[0]


def _decode(segments: list[bytes]) -> tuple[bytes | None, int]:
    """Return the payload, None when it is refused, and how many bytes are left over; -1 when it goes on."""
    decoder, pieces = ChunkedDecoder(), list[bytes]()
    for segment in segments:
        try:
            left = decoder.feed(segment, pieces)
        except Refused:
            return None, 0
        if left >= 0:
            return b"".join(pieces), left
    return b"".join(pieces), -1
