"""JSON documents of the governance tool, written and read strictly: what has the wrong type is never taken for right.

This file alone knows how a record becomes JSON and comes back. It knows nothing of what records mean. Members that are
not known are passed over, so that a file of a newer minor version can be read; what is missing, of the wrong type or
out of range raises DocumentInvalid, which says where.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone; RFC 3339 in JSON."""

_WRITER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Peek:
    record: str


class DocumentInvalid(Exception):
    """JSON that is not the document that it should be; the message says where."""


def write(value: object) -> bytes:
    """Write a record as JSON, in one line without its end."""
    try:
        return _WRITER.encode(value)
    except UnicodeEncodeError:
        # Half of a pair of surrogates, which JSON from outside may hold, is no text: a question mark stands for it.
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode("utf-8", "replace")


def read(kind: type[T], content: bytes | str) -> T:
    """Read a record from JSON. Raises DocumentInvalid."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DocumentInvalid(str(error)) from None


def plain(value: object) -> Any:  # noqa: ANN401 - JSON may be anything
    """Return a record as dictionaries, lists, text and numbers, for a document that holds it."""
    return msgspec.to_builtins(value)


def convert(kind: type[T], value: object) -> T:
    """Make a record of dictionaries, lists, text and numbers. Raises DocumentInvalid."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DocumentInvalid(str(error)) from None


class Form:
    """The form of a file of JSON Lines: each line an object, whose member `record` says what it is."""

    def __init__(self, what: str, head: type, kinds: Mapping[str, type], version: int) -> None:
        """`what` names the file, such as "an inventory"; `head` is the kind of the first line, with its `version`."""
        self._what = what
        self._head = head
        self._kinds = dict(kinds)
        self._names = {kind: name for name, kind in kinds.items()}
        self._version = version

    def write(self, line: object) -> bytes:
        """Write one line, with its end."""
        return b'{"record":"%b",%b\n' % (self._names[type(line)].encode(), write(line)[1:])

    def read(self, content: bytes | str) -> Any:  # noqa: ANN401 - one of the kinds
        """Read one line. Raises DocumentInvalid."""
        name = read(_Peek, content).record
        kind = self._kinds.get(name)
        if kind is None:
            msg = f"'{name}' is no record of {self._what}; there are {', '.join(self._kinds)}"
            raise DocumentInvalid(msg)
        line: Any = read(kind, content)
        if kind is self._head and line.version != self._version:
            msg = f"{self._what} of version {line.version}; this program knows {self._version}"
            raise DocumentInvalid(msg)
        return line

    def read_all(self, lines: Iterable[bytes]) -> Iterator[Any]:
        """Read the lines of a file, one at a time. Raises DocumentInvalid, which says which line is wrong."""
        for number, content in enumerate(lines, 1):
            try:
                line = self.read(content)
            except DocumentInvalid as error:
                msg = f"line {number}: {error}"
                raise DocumentInvalid(msg) from None
            if (number == 1) != isinstance(line, self._head):
                msg = f"line {number}: {self._what} begins with one line of the record '{self._names[self._head]}'"
                raise DocumentInvalid(msg)
            yield line
