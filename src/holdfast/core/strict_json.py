"""JSON as two parsers cannot disagree about it.

Python's parser takes duplicate keys (the last wins), NaN, byte-order marks and lone surrogates; other parsers decide
otherwise, and a document that two programs read differently is an attack (OCI GHSA-qq97-vm5h-rrhg and kin).
This file alone decides what we accept as JSON from outside. It raises StrictJSONError and nothing else.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 64
"""Nesting of arrays and objects. No manifest or API request in the field passes ten."""

_MAX_NUMBER_CHARACTERS: Final = 32
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class StrictJSONError(ValueError):
    """Not JSON, or JSON that parsers read differently; the text says what and roughly where."""


def parse(content: bytes, *, max_depth: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - JSON is any of six types
    """Parse UTF-8 JSON strictly."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"not UTF-8 at byte {error.start}"
        raise StrictJSONError(msg) from None
    if text.startswith("\ufeff"):
        msg = "a byte-order mark is not allowed"
        raise StrictJSONError(msg)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        msg = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise StrictJSONError(msg) from None
    except RecursionError:
        msg = f"nested deeper than {max_depth} levels"
        raise StrictJSONError(msg) from None
    _check_depth_and_strings(value, max_depth, check_strings="\\u" in text)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                msg = f"the key {key[:64]!r} stands twice in one object"
                raise StrictJSONError(msg)
            seen.add(key)
    return result


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        msg = f"a number of {len(text)} characters"
        raise StrictJSONError(msg)
    return int(text)


def _real(text: str) -> float:
    value = float(text) if len(text) <= _MAX_NUMBER_CHARACTERS else float("inf")
    if value in (float("inf"), float("-inf")):
        msg = f"the number {text[:_MAX_NUMBER_CHARACTERS]} is out of range"
        raise StrictJSONError(msg)
    return value


def _constant(text: str) -> NoReturn:
    msg = f"{text} is not JSON"
    raise StrictJSONError(msg)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)


def _check_depth_and_strings(value: object, max_depth: int, *, check_strings: bool) -> None:
    """Walk level by level, without recursion."""
    level: list[object] = [value]
    for _ in range(max_depth + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                if check_strings:
                    below.extend(item.keys())
            elif isinstance(item, list):
                below.extend(item)
            elif check_strings and isinstance(item, str) and _SURROGATE.search(item):
                msg = "a string holds half of a surrogate pair"
                raise StrictJSONError(msg)
        if not below:
            return
        level = below
    msg = f"nested deeper than {max_depth} levels"
    raise StrictJSONError(msg)
