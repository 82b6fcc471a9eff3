"""Byte ranges: what a client asks for (`Range`) and what it says it sends (`Content-Range` of an upload).

Sources: RFC 9110 section 14; OCI distribution specification, "Pushing a blob in chunks" (`<start>-<end>`, no unit).
"""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = "[0-9]{1,19}"
_RANGE: Final = re.compile(rf"bytes=[ \t]*(?:({_DIGITS})-({_DIGITS})?|-({_DIGITS}))[ \t]*", re.ASCII)
_SPAN: Final = re.compile(rf"({_DIGITS})-({_DIGITS})", re.ASCII)


class RangeInvalid(ValueError):
    """A range that is malformed."""


class RangeUnsatisfiable(ValueError):
    """A range that names no byte of the content."""


def select(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Turn a Range header into the bytes [start, end) of content of this size; None for: send the whole.

    Several ranges in one header, and units other than bytes, are ignored, as RFC 9110 allows: no registry client asks
    for them, and answering them has been a way to exhaust servers. A range that ends before it begins is not ignored
    but unsatisfiable, as the OCI conformance tests want it. Raises RangeUnsatisfiable.
    """
    found = _RANGE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), size_bytes)
        if length == 0:
            raise RangeUnsatisfiable(header)
        return size_bytes - length, size_bytes
    start = int(first)
    end = size_bytes if last is None else min(int(last) + 1, size_bytes)
    if start >= end:
        raise RangeUnsatisfiable(header)
    return start, end


def parse_span(header: str) -> tuple[int, int]:
    """Read the Content-Range of an upload: its first and last byte. Raises RangeInvalid."""
    found = _SPAN.fullmatch(header)
    if found is None:
        msg = "The Content-Range of a chunk is <first byte>-<last byte>, two decimal numbers."
        raise RangeInvalid(msg)
    return int(found[1]), int(found[2])
