"""Bytes that are taken mean the same to Python's own parser, however deep or odd; all else is a StrictJSONError."""

from __future__ import annotations

import json

from holdfast.core.strict_json import MAX_DEPTH, StrictJSONError, parse

SEEDS = (
    b'{"a":[1,2.5,-3e2,true,false,null,"x\\u00e9\\n"],"b":{"c":{}}}',
    b"[" * 70 + b"]" * 70,
    b'{"a":1,"a":2}',
    b'"\\ud83d\\ude00"',
    b"1e999",
    b"\xef\xbb\xbf{}",
)
WORDS = (
    b'{"a":',
    b'"\\ud800"',
    b'"\\u0000"',
    b"1E400",
    b"-0",
    b"Infinity",
    b"NaN",
    b"[[[[[[[[",
    b"]]]]",
    b"0123",
    b'"a":1,',
)
COVERS = ("core/strict_json.py",)
PARSERS = ("core.strict_json.parse",)


def check(data: bytes) -> None:
    """Read it twice."""
    try:
        value = parse(data)
    except StrictJSONError:
        return
    assert value == json.loads(data.decode("utf-8"))
    written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert parse(written) == value
    assert _depth(value) <= MAX_DEPTH


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
