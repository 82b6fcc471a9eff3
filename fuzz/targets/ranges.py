"""A Range picks bytes inside the content or none, and a Content-Range is two numbers in order or RangeInvalid."""

from __future__ import annotations

from holdfast.core import ranges

SEEDS = (
    b"100\nbytes=0-9",
    b"100\nbytes=-5",
    b"0\nbytes=0-",
    b"7\nbytes=3-2",
    b"10\n0-9",
    b"10\n5-1",
    b"10\nbytes=0-1,3-4",
)
WORDS = (b"bytes=", b"bytes ", b"-", b",", b"0-", b"18446744073709551616", b"\xd9\xa1", b"1_0", b"/", b"*", b"+1", b" ")
COVERS = ("core/ranges.py",)
PARSERS = ("core.ranges.parse_span", "core.ranges.select")


def check(data: bytes) -> None:
    """Read a size, then a header that is tried as both."""
    size_text, _, rest = data.partition(b"\n")
    size = int(size_text) if size_text.isdigit() and len(size_text) < 19 else len(data)
    header = rest.decode("latin-1")
    try:
        picked = ranges.select(header, size)
        assert picked is None or 0 <= picked[0] < picked[1] <= size
    except ranges.RangeUnsatisfiable:
        pass
    try:
        first, last = ranges.parse_span(header)
    except ranges.RangeInvalid:
        return
    assert first >= 0
    assert last >= 0
    assert f"{first}-{last}" == header.strip() or header.strip().lstrip("0-").replace("-0", "-") or first == 0
