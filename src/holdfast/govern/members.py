"""Members of JSON objects that came from outside, taken only with the type that they must have.

Pure. Readers of events use it, so that a record of another form raises RecordInvalid and nothing else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MIN_YEAR: Final = 2006
_MAX_SECONDS: Final = 253_402_300_799
"""The end of the year 9999."""


class RecordInvalid(Exception):
    """A record that is not what its source promises; the message says what is wrong."""


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return an object. Raises RecordInvalid."""
    if not isinstance(value, dict):
        msg = f"{what} is no object"
        raise RecordInvalid(msg)
    return value


def part(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one where it is null or missing. Raises RecordInvalid."""
    value = record.get(name)
    return {} if value is None else mapping(value, name)


def parts(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a member that is a list of objects; none where it is null or missing. Raises RecordInvalid."""
    value = record.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        msg = f"{name} is no list"
        raise RecordInvalid(msg)
    return [mapping(one, name) for one in value]


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is text; half of a pair of surrogates, which JSON may hold, is none."""
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def text(record: dict[str, Any], name: str) -> str:
    """Return a member that must be text and not empty. Raises RecordInvalid."""
    value = record.get(name)
    if not is_text(value) or not value:
        msg = f"{name} is missing or no text"
        raise RecordInvalid(msg)
    return value


def maybe(record: dict[str, Any], name: str) -> str | None:
    """Return a member that is text; None where it is null, missing or empty. Raises RecordInvalid."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if not is_text(value):
        msg = f"{name} is no text"
        raise RecordInvalid(msg)
    return value


def moment(record: dict[str, Any], name: str) -> datetime:
    """Return a member that is a time: RFC 3339, or seconds since the epoch. Raises RecordInvalid."""
    value = record.get(name)
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            read = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_SECONDS:
            read = datetime.fromtimestamp(value, UTC)
        else:
            read = None
    except (ValueError, OverflowError):
        read = None
    if read is None or read.year < _MIN_YEAR:
        msg = f"{name} is missing or no time"
        raise RecordInvalid(msg)
    return read
