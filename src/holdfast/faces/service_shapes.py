"""The types of a service model, each able to read a JSON value, check it, and render a result.

This file alone decides what a wrong JSON type and a broken constraint are called. It knows neither files nor
operations (see `service_model`). Two kinds of refusal, as AWS's servers have them: a value of the wrong JSON
type ends the reading at once (SerializationError); a broken constraint is noted, reading goes on, and the
first in the model's order is reported (Violation).

Sentences: those of Java bean validation as ECR is known to send them. For an element of a list ECR names the
list and gives all constraints of its elements ("Member must satisfy constraint: [...]"). Below a list, and
inside a structure, the path is dotted with elements counted from one ("tags.1.member.key",
"encryptionConfiguration.kmsKey"), as AWS's other services of the same make do.
"""

# ruff: noqa: D102 - each `read` and `render` keeps the promise written at Shape

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import re2

_WITHOUT_MEMBER: Final = frozenset({"RepositoryName", "RegistryId"})
"""Shapes whose sentences ECR begins with a bare "must" (recorded 2018-2024 for both), without "Member"."""

_RANGES: Final = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_NAMES: Final = {"integer": "an Integer", "long": "a Long", "float": "a Float", "double": "a Double"}


class SerializationError(Exception):
    """The body cannot become the operation's input. Texts for wrong types are AWS's where known."""

    code: Final = "SerializationException"
    status: Final = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Violation(NamedTuple):
    """One broken constraint: where, and why in AWS's words."""

    path: str
    why: str


def _token(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def _cannot_convert(value: object, wanted: str) -> SerializationError:
    if isinstance(value, dict):
        return SerializationError("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SerializationError("Start of list found where not expected")
    return SerializationError(f"{_token(value)} can not be converted to {wanted}")


class NotRenderable(TypeError):
    """A result is not what the model says: a bug of whoever made it.

    Its place is put together on the way out, so that what is as it should be, thousands of times a page, costs no text.
    """

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.why = why
        """A sentence about `{place}`."""
        self.place = place

    def below(self, container: str) -> NotRenderable:
        """Say the same of a place inside another: a member's name, or `[3]`."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        return NotRenderable(self.why, f"{container}{joint}{self.place}")

    def __str__(self) -> str:
        return self.why.replace("{place}", self.place or "the result")


def _not_renderable(value: object, wanted: str) -> NotRenderable:
    return NotRenderable(f"{{place}} is {type(value).__name__}, the model says {wanted}")


@dataclass(slots=True)
class Shape:
    """Base of all types. `least` and `most` bound length or value; None is no bound."""

    name: str
    least: float | None = None
    most: float | None = None

    def read(self, value: Any, path: str, found: list[Violation]) -> Any:
        """Return the Python form of a JSON value; note broken constraints in `found`."""
        raise NotImplementedError

    def render(self, value: Any) -> Any:
        """Return the JSON form of a result. TypeError is a bug of the caller."""
        raise NotImplementedError

    def constraints(self) -> list[str]:
        """All constraints of this type, in AWS's order and words."""
        return self._length_constraints()

    def _length_constraints(self) -> list[str]:
        texts = []
        if self.most is not None:
            texts.append(f"Member must have length less than or equal to {self.most}")
        if self.least is not None:
            texts.append(f"Member must have length greater than or equal to {self.least}")
        return texts

    def _check_length(self, length: int, path: str, found: list[Violation]) -> None:
        member = "must" if self.name in _WITHOUT_MEMBER else "Member must"
        if self.least is not None and length < self.least:
            found.append(Violation(path, f"{member} have length greater than or equal to {self.least}"))
        if self.most is not None and length > self.most:
            found.append(Violation(path, f"{member} have length less than or equal to {self.most}"))


@dataclass(slots=True)
class StringShape(Shape):
    """A string; its length is counted in characters (code points)."""

    pattern: re2._Regexp | None = None
    enum: tuple[str, ...] = ()

    def read(self, value: Any, path: str, found: list[Violation]) -> str:
        if not isinstance(value, str):
            raise _cannot_convert(value, "a String")
        before = len(found)
        self._check_length(len(value), path, found)
        if self.enum and value not in self.enum:
            found.append(Violation(path, self._enum_constraint()))
        # A text of the wrong length is not matched: the cost of a match is bounded by the length.
        if self.pattern is not None and len(found) == before and not self.pattern.fullmatch(value):
            found.append(Violation(path, self._pattern_constraint(self.pattern.pattern)))
        return value

    def render(self, value: Any) -> str:
        if not isinstance(value, str):
            raise _not_renderable(value, "a string")
        if self.enum and value not in self.enum:
            raise NotRenderable(f"{{place}} is {value!r}, the model says one of {', '.join(self.enum)}")
        return value

    def constraints(self) -> list[str]:
        texts = self._length_constraints()
        if self.pattern is not None:
            texts.append(f"Member must satisfy regular expression pattern: {self.pattern.pattern}")
        if self.enum:
            texts.append(self._enum_constraint())
        return texts

    def _pattern_constraint(self, pattern: str) -> str:
        if self.name in _WITHOUT_MEMBER:
            return f"must satisfy regular expression '{pattern}'"
        return f"Member must satisfy regular expression pattern: {pattern}"

    def _enum_constraint(self) -> str:
        return f"Member must satisfy enum value set: [{', '.join(self.enum)}]"


@dataclass(slots=True)
class NumberShape(Shape):
    """integer (32 bits), long (64), float or double, by `kind`. A fraction is no integer, nor is true."""

    kind: str = "integer"

    def read(self, value: Any, path: str, found: list[Violation]) -> float:
        number = self._number(value)
        if number is None:
            raise _cannot_convert(value, _NAMES[self.kind])
        if self.least is not None and number < self.least:
            found.append(Violation(path, f"Member must have value greater than or equal to {self.least}"))
        if self.most is not None and number > self.most:
            found.append(Violation(path, f"Member must have value less than or equal to {self.most}"))
        return number

    def render(self, value: Any) -> float:
        number = self._number(value)
        if number is None:
            raise _not_renderable(value, _NAMES[self.kind])
        return number

    def constraints(self) -> list[str]:
        texts = []
        if self.most is not None:
            texts.append(f"Member must have value less than or equal to {self.most}")
        if self.least is not None:
            texts.append(f"Member must have value greater than or equal to {self.least}")
        return texts

    def _number(self, value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):  # a tuple: twice as quick as a union
            return None
        if self.kind not in _RANGES:
            return float(value) if abs(value) < 2**1000 and math.isfinite(value) else None
        low, high = _RANGES[self.kind]
        return value if isinstance(value, int) and low <= value <= high else None


@dataclass(slots=True)
class BooleanShape(Shape):
    """True or false, never a string or a number."""

    def read(self, value: Any, path: str, found: list[Violation]) -> bool:
        del path, found
        if not isinstance(value, bool):
            raise _cannot_convert(value, "a Boolean")
        return value

    def render(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise _not_renderable(value, "a boolean")
        return value


@dataclass(slots=True)
class TimestampShape(Shape):
    """Seconds since the epoch; a fraction is allowed. Rendered with milliseconds, as AWS does."""

    def read(self, value: Any, path: str, found: list[Violation]) -> float:
        del path, found
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53:
            raise _cannot_convert(value, "a Timestamp")
        return value

    def render(self, value: Any) -> float:
        if type(value) is float and math.isfinite(value):
            return round(value, 3)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise NotRenderable("{place} is a time without a zone")
            value = value.timestamp()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _not_renderable(value, "a time")
        return round(value, 3)


@dataclass(slots=True)
class BlobShape(Shape):
    """Bytes, base64 in JSON."""

    def read(self, value: Any, path: str, found: list[Violation]) -> bytes:
        if not isinstance(value, str):
            raise _cannot_convert(value, "a Blob")
        try:
            return self.decode(value, path, found)
        except ValueError:
            raise SerializationError("A blob is not valid base64") from None

    def decode(self, encoded: str | memoryview, path: str, found: list[Violation]) -> bytes:
        """Decode strictly: whole groups of four, no foreign characters, unused bits zero; ValueError else."""
        content = binascii.a2b_base64(encoded, strict_mode=True)
        used = len(content) % 3
        if len(encoded) != (len(content) + 2) // 3 * 4:
            raise ValueError("too much padding")
        if used and base64.b64encode(content[-used:]) != _tail(encoded):
            raise ValueError("the unused bits are not zero")
        self._check_length(len(content), path, found)
        return content

    def render(self, value: Any) -> str:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise _not_renderable(value, "bytes")
        return binascii.b2a_base64(value, newline=False).decode("ascii")


def _tail(encoded: str | memoryview) -> bytes:
    tail = encoded[-4:]
    return tail.encode() if isinstance(tail, str) else bytes(tail)


@dataclass(slots=True)
class ListShape(Shape):
    """A list of one type."""

    member: Shape = field(default_factory=lambda: _UNSET)

    def read(self, value: Any, path: str, found: list[Violation]) -> list[Any]:
        if not isinstance(value, list):
            raise SerializationError("Expected list or null")
        self._check_length(len(value), path, found)
        member = self.member
        inside: list[Violation] = []
        result = []
        for position, item in enumerate(value, 1):
            if item is None:
                inside.append(Violation("", ""))
            else:
                result.append(member.read(item, f"{path}.{position}.member", inside))
        if inside:
            if isinstance(member, StructureShape | ListShape | MapShape) and inside[0].path:
                found.extend(inside)
            else:
                texts = member.constraints() if inside[0].path else ["Member must not be null"]
                found.append(Violation(path, f"Member must satisfy constraint: [{', '.join(texts)}]"))
        return result

    def render(self, value: Any) -> list[Any]:
        if isinstance(value, str | bytes) or not isinstance(value, list | Sequence):
            raise _not_renderable(value, "a list")
        member = self.member
        if type(member) is StringShape and not member.enum:
            for item in value:
                if type(item) is not str:
                    break
            else:
                return list(value)  # as StringShape would say, without a call for each
        rendered: list[Any] = []
        try:
            for item in value:
                rendered.append(member.render(item))  # noqa: PERF401 - where it ends tells which is wrong
        except NotRenderable as error:
            raise error.below(f"[{len(rendered)}]") from None
        return rendered


@dataclass(slots=True)
class MapShape(Shape):
    """Strings to one type."""

    key: Shape = field(default_factory=lambda: _UNSET)
    value: Shape = field(default_factory=lambda: _UNSET)

    def read(self, value: Any, path: str, found: list[Violation]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise SerializationError("Expected map or null")
        self._check_length(len(value), path, found)
        result: dict[str, Any] = {}
        bad_keys: list[Violation] = []
        for key, item in value.items():
            self.key.read(key, path, bad_keys)
            if item is None:
                found.append(Violation(path, "Map value must satisfy constraint: [Member must not be null]"))
            else:
                result[key] = self.value.read(item, f"{path}.{_shown(key)}.member", found)
        if bad_keys:
            texts = ", ".join(self.key.constraints())
            found.append(Violation(path, f"Map keys must satisfy constraint: [{texts}]"))
        return result

    def render(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _not_renderable(value, "a map")
        rendered: dict[str, Any] = {}
        for key, item in value.items():
            try:
                rendered[self.key.render(key)] = self.value.render(item)
            except NotRenderable as error:
                raise error.below(str(key)) from None
        return rendered


@dataclass(slots=True)
class StructureShape(Shape):
    """Named members. Reading ignores names that the model lacks, as AWS does; rendering refuses them."""

    members: dict[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def read(self, value: Any, path: str, found: list[Violation]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise SerializationError(
                "Start of list found where not expected" if isinstance(value, list) else "Expected null"
            )
        prefix = f"{path}." if path else ""
        result: dict[str, Any] = {}
        for name, shape in self.members.items():
            item = value.get(name)
            if item is not None:
                result[name] = shape.read(item, prefix + name, found)
            elif name in self.required:
                found.append(Violation(prefix + name, "Member must not be null"))
        return result

    def render(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict | Mapping):  # the cheaper question first: pages have thousands of these
            raise _not_renderable(value, "a structure")
        result: dict[str, Any] = {}
        members = self.members
        name = ""
        try:
            for name, item in value.items():
                shape = members.get(name, _UNKNOWN)
                if type(item) is str and type(shape) is StringShape and (not shape.enum or item in shape.enum):
                    result[name] = item  # as StringShape would say, without a call for each
                elif item is not None or shape is _UNKNOWN:
                    result[name] = shape.render(item)
        except NotRenderable as error:
            raise error.below(name) from None
        for name in self.required:
            if name not in result:
                raise NotRenderable("{place} is missing, the model requires it", name)
        return result


class _Unknown(Shape):
    """A member that the model does not have."""

    def render(self, value: Any) -> Any:
        del value
        raise NotRenderable("the model has no {place}")


_UNSET: Final[Shape] = Shape("")
_UNKNOWN: Final[Shape] = _Unknown("")


def _shown(key: str) -> str:
    """Shorten a stranger's key, and make it printable ASCII, before it stands in a path."""
    return ascii(key[:64])[1:-1]
