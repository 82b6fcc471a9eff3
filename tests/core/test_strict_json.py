"""Strict JSON: what two parsers could read differently is refused, everything else is read as Python reads it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.strict_json import MAX_DEPTH, StrictJSONError, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON.filter(lambda value: "\ud800" not in repr(value)))
def test_what_a_serializer_writes_is_read_back(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{}", {}),
        (b' \t\r\n[1, 2.5, true, null, "a"]\n', [1, 2.5, True, None, "a"]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('"é😀"'.encode(), "é😀"),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b"9223372036854775808", 2**63),
        (b"1e5", 100_000.0),
        (b'{"A":1,"a":2}', {"A": 1, "a": 2}),
    ],
)
def test_plain_documents_are_read(content: bytes, expected: object) -> None:
    assert parse(content) == expected


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1"),
        (b" ", "line 1"),
        (b"{", "line 1"),
        (b'{"a":1', "line 1"),
        (b"{}{}", "Extra data"),
        (b"{} x", "Extra data"),
        (b"[1,]", "line 1"),
        (b'{"a":1,}', "line 1"),
        (b"{'a':1}", "line 1"),
        (b"{a:1}", "line 1"),
        (b"// comment\n{}", "line 1"),
        (b"01", "Extra data"),
        (b"+1", "line 1"),
        (b".5", "line 1"),
        (b"0x10", "Extra data"),
        (b'"\n"', "control character"),
        (b'"\0"', "control character"),
        (b'"\\x41"', "escape"),
        (b'"\\u12"', "escape"),
        (b"\x0b{}", "line 1"),
        (b"\xc2\xa0{}", "line 1"),
        (b'{"a":1,"a":1}', "'a' stands twice"),
        (b'{"a":1,"\\u0061":2}', "'a' stands twice"),
        (b'[{"x":{"b":[],"b":{}}}]', "'b' stands twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"1e999", "out of range"),
        (b"[-1e999]", "out of range"),
        (b"1." + b"0" * 5_000, "out of range"),
        (b"9" * 5_000, "number"),
        (b"-" + b"9" * 40, "number"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        ("{}".encode("utf-16"), "not UTF-8"),
        ("{}".encode("utf-16-le"), "line 1"),
        ("{}".encode("utf-32"), "not UTF-8"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\xc0\xae"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xf4\x90\x80\x80"', "not UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'[[{"a":["\\ud83d"]}]]', "surrogate"),
    ],
)
def test_what_parsers_read_differently_is_refused_and_told(content: bytes, told: str) -> None:
    with pytest.raises(StrictJSONError, match=told):
        parse(content)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_ends_at_the_limit(opening: bytes, closing: bytes) -> None:
    levels = opening.count(b"[") + opening.count(b"{")
    parse(opening * (MAX_DEPTH // levels) + b"1" + closing * (MAX_DEPTH // levels))
    with pytest.raises(StrictJSONError, match="nested deeper than 64 levels"):
        parse(opening * (MAX_DEPTH // levels + 1) + b"1" + closing * (MAX_DEPTH // levels + 1))


@pytest.mark.parametrize("depth", [65, 1_000, 100_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"annotations":', b"}"), (b"[", b"")])
def test_a_depth_bomb_is_refused_without_harm(depth: int, opening: bytes, closing: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(StrictJSONError):
        parse(opening * depth + b"1" + closing * depth)
    assert time.thread_time() - began < 1


def test_a_wide_document_is_read_in_linear_time() -> None:
    content = json.dumps({f"key-{number}": [number] * 3 for number in range(20_000)}).encode()
    began = time.thread_time()
    assert len(parse(content)) == 20_000
    assert time.thread_time() - began < 2


@given(st.binary(max_size=40) | st.text('{}[]",:0123456789.eE-+\\ualse trun\n\ud800', max_size=30).map(
    lambda text: text.encode("utf-8", "surrogatepass")
))  # fmt: skip
def test_a_parser_raises_only_its_own_error_and_accepts_nothing_that_json_refuses(content: bytes) -> None:
    with contextlib.suppress(StrictJSONError):
        assert parse(content) == json.loads(content)
