"""Byte ranges: RFC 9110 for reads, the specification's `first-last` for chunks, against a slow twin."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.ranges import RangeInvalid, RangeUnsatisfiable, parse_span, select

WHOLE = None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=0-8", (0, 9)),
        ("bytes=3-5", (3, 6)),
        ("bytes=9-9", (9, 10)),
        ("bytes=0-", (0, 10)),
        ("bytes=9-", (9, 10)),
        ("bytes=5-99", (5, 10)),
        ("bytes=0-9999999999999999999", (0, 10)),
        ("bytes=-1", (9, 10)),
        ("bytes=-10", (0, 10)),
        ("bytes=-11", (0, 10)),
        ("bytes=-9999999999999999999", (0, 10)),
        ("bytes=000-003", (0, 4)),
        ("bytes= 0-5", (0, 6)),
        ("bytes=\t0-5 ", (0, 6)),
    ],
)
def test_a_range_picks_its_bytes(header: str, expected: tuple[int, int]) -> None:
    assert select(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=99-", "bytes=5-4", "bytes=9-0", "bytes=-0"])
def test_a_range_without_a_byte_is_unsatisfiable(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        select(header, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=1-2"])
def test_nothing_can_be_picked_of_nothing(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        select(header, 0)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-b",
        "bytes=0x0-0x5",
        "bytes=+0-5",
        "bytes=0--5",
        "bytes=--5",
        "bytes=1.0-2.0",
        "bytes=1_0-2_0",
        "bytes=\u0663-\u0664",
        "bytes=0-5,7-9",
        "bytes=0-,0-,0-",
        "bytes=0-" + "0" * 20,
        "bytes=" + "9" * 5_000 + "-",
        "items=0-5",
        "bytes 0-5",
        "bytes:0-5",
        "bytes=0-5\n",
        "bytes=0-5;x",
        "bytes=0-" + ",1-" * 10_000,
    ],
)
def test_what_is_no_single_range_of_bytes_means_the_whole(header: str) -> None:
    assert select(header, 10) is WHOLE


@pytest.mark.parametrize("header", ["bytes=1 0-20", "bytes=0-1 0", "by tes=0-5", "bytes=0- 5", "bytes =0-5"])
def test_a_space_inside_a_range_is_not_read_as_nothing(header: str) -> None:
    assert select(header, 100) is WHOLE


def _picked(first: int | None, last: int | None, size: int) -> list[int]:
    """Pick the bytes by the definition: those whose position is named."""
    if first is None:
        return list(range(size))[-last:] if last else []
    return [position for position in range(size) if position >= first and (last is None or position <= last)]


@given(st.none() | st.integers(0, 20), st.none() | st.integers(0, 20), st.integers(0, 15))
def test_selecting_agrees_with_a_slow_twin(first: int | None, last: int | None, size: int) -> None:
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None and last is None:
        assert select(header, size) is None
        return
    picked = _picked(first, last, size)
    try:
        found = select(header, size)
    except RangeUnsatisfiable:
        assert picked == []
    else:
        assert found is not None
        assert list(range(*found)) == picked


@given(st.text("bytes=-0123456789, \u0663", max_size=30) | st.text(max_size=30), st.integers(0, 100))
def test_a_range_is_inside_the_content_whatever_the_header(header: str, size: int) -> None:
    with contextlib.suppress(RangeUnsatisfiable):
        found = select(header, size)
        assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("header", "expected"), [("0-9", (0, 9)), ("5-5", (5, 5)), ("9-2", (9, 2)), ("007-010", (7, 10))]
)
def test_the_span_of_a_chunk_is_two_numbers(header: str, expected: tuple[int, int]) -> None:
    assert parse_span(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "0-",
        "-5",
        "-1-5",
        "a-b",
        "0-b",
        "bytes 0-4/*",
        "bytes=0-4",
        "bytes 0-4",
        "0-4/5",
        "0-4,5-9",
        "0 - 4",
        "0-4\n",
        "+0-4",
        "0x0-4",
        "1_0-2_0",
        "\u0663-\u0664",
        "0-99999999999999999999",
        "9" * 5_000 + "-1",
    ],
)
def test_any_other_span_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_span(header)


@given(st.text("0123456789- \u0663", max_size=12) | st.text(max_size=20))
def test_a_parser_of_spans_raises_only_its_own_error(header: str) -> None:
    with contextlib.suppress(RangeInvalid):
        first, last = parse_span(header)
        assert header.isascii()
        assert [first, last] == [int(part) for part in header.split("-")]
