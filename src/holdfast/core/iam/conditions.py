"""Conditions: the operators, and whether what a statement demands of the request holds.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys". One operator is a row of `OPERATORS`: how the policy's value is read, and whether the operator is negated. A
negated operator holds exactly when its positive twin does not; so a key that is not there meets negated operators.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.core.iam.keys import why_unknown
from holdfast.core.iam.patterns import Pattern, lower
from holdfast.core.iam.refusal import PolicyInvalid, echo, expect

if TYPE_CHECKING:
    from holdfast.core.iam.context import Context

Matcher: TypeAlias = "Callable[[str, Context], bool | None]"
"""Whether one value of the request matches one value of the policy; None when a variable of the latter has none."""

MAX_VALUES: Final = 500
"""Of one key in one condition; a policy's length bounds it too."""

_ARN_PARTS: Final = 6
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_EPOCH: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")


class Quantifier(Enum):
    """How the values of a key that has several are looked at."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


# --- how values match ------------------------------------------------------------------------------------------------


def _string_equals(pattern: Pattern, _where: str) -> Matcher:
    def match(text: str, context: Context) -> bool | None:
        wanted = pattern.plain(context)
        return None if wanted is None else text == wanted

    return match


def _string_equals_any_case(pattern: Pattern, _where: str) -> Matcher:
    def match(text: str, context: Context) -> bool | None:
        wanted = pattern.plain(context)
        return None if wanted is None else text.casefold() == wanted.casefold()

    return match


def _string_like(pattern: Pattern, _where: str) -> Matcher:
    return pattern.matches


def _arn_like(pattern: Pattern, where: str) -> Matcher:
    """Match each of the six parts of an ARN by itself."""
    if pattern.text == "*":
        return lambda text, _context: text.count(":") >= _ARN_PARTS - 1
    wanted = pattern.split(":", _ARN_PARTS - 1)
    expect(len(wanted) == _ARN_PARTS, where, f"{echo(pattern.text)!r} must be an ARN of six parts, or *")

    def match(text: str, context: Context) -> bool | None:
        parts = text.split(":", _ARN_PARTS - 1)
        if len(parts) != _ARN_PARTS:
            return False
        matched = [one.matches(part, context) for one, part in zip(wanted, parts, strict=True)]
        return None if None in matched else all(matched)

    return match


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:  # pragma: no cover - the pattern lets nothing else through
        return None


def _moment(text: str) -> Decimal | None:
    """Return seconds since the epoch of an ISO 8601 date, or of such seconds."""
    if _EPOCH.fullmatch(text):
        return Decimal(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]*", r"\1", text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal(since.days * 86_400 + since.seconds) + Decimal(since.microseconds) / 1_000_000


def _ordered(
    read: Callable[[str], Decimal | None], meaning: str, compare: Callable[[Decimal, Decimal], bool]
) -> Callable[[Pattern, str], Matcher]:
    def compiled(pattern: Pattern, where: str) -> Matcher:
        wanted = read(pattern.text)
        if wanted is None:
            raise PolicyInvalid(where, f"{echo(pattern.text)!r} must be {meaning}")

        def match(text: str, _context: Context) -> bool:
            given = read(text)
            return given is not None and compare(given, wanted)

        return match

    return compiled


def _bool(pattern: Pattern, where: str) -> Matcher:
    wanted = pattern.text.lower()
    expect(wanted in {"true", "false"}, where, f"{echo(pattern.text)!r} must be true or false")
    return lambda text, _context: text.lower() == wanted


def _binary(pattern: Pattern, where: str) -> Matcher:
    wanted = _bytes(pattern.text)
    expect(wanted is not None, where, f"{echo(pattern.text)!r} must be base64")
    return lambda text, _context: _bytes(text) == wanted


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip_address(pattern: Pattern, where: str) -> Matcher:
    try:
        wanted = ipaddress.ip_network(pattern.text, strict=False)
    except ValueError:
        why = f"{echo(pattern.text)!r} must be an IP address or a range of them, such as 203.0.113.0/24"
        raise PolicyInvalid(where, why) from None

    def match(text: str, _context: Context) -> bool:
        try:
            given = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(given, ipaddress.IPv6Address) and given.ipv4_mapped is not None:
            given = given.ipv4_mapped  # what a socket that listens on both says of an IPv4 client
        return given.version == wanted.version and given in wanted

    return match


_A_NUMBER: Final = "a number"
_A_DATE: Final = "a date, such as 2026-11-01T00:00:00Z, or seconds since 1970"


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator. `with_variables`: whether its values may hold policy variables (string and ARN operators)."""

    compile: Callable[[Pattern, str], Matcher]
    negated: bool = False
    with_variables: bool = False


OPERATORS: Final[Mapping[str, Operator]] = {
    "StringEquals": Operator(_string_equals, with_variables=True),
    "StringNotEquals": Operator(_string_equals, negated=True, with_variables=True),
    "StringEqualsIgnoreCase": Operator(_string_equals_any_case, with_variables=True),
    "StringNotEqualsIgnoreCase": Operator(_string_equals_any_case, negated=True, with_variables=True),
    "StringLike": Operator(_string_like, with_variables=True),
    "StringNotLike": Operator(_string_like, negated=True, with_variables=True),
    "NumericEquals": Operator(_ordered(_number, _A_NUMBER, Decimal.__eq__)),
    "NumericNotEquals": Operator(_ordered(_number, _A_NUMBER, Decimal.__eq__), negated=True),
    "NumericLessThan": Operator(_ordered(_number, _A_NUMBER, Decimal.__lt__)),
    "NumericLessThanEquals": Operator(_ordered(_number, _A_NUMBER, Decimal.__le__)),
    "NumericGreaterThan": Operator(_ordered(_number, _A_NUMBER, Decimal.__gt__)),
    "NumericGreaterThanEquals": Operator(_ordered(_number, _A_NUMBER, Decimal.__ge__)),
    "DateEquals": Operator(_ordered(_moment, _A_DATE, Decimal.__eq__)),
    "DateNotEquals": Operator(_ordered(_moment, _A_DATE, Decimal.__eq__), negated=True),
    "DateLessThan": Operator(_ordered(_moment, _A_DATE, Decimal.__lt__)),
    "DateLessThanEquals": Operator(_ordered(_moment, _A_DATE, Decimal.__le__)),
    "DateGreaterThan": Operator(_ordered(_moment, _A_DATE, Decimal.__gt__)),
    "DateGreaterThanEquals": Operator(_ordered(_moment, _A_DATE, Decimal.__ge__)),
    "Bool": Operator(_bool),
    "BinaryEquals": Operator(_binary),
    "IpAddress": Operator(_ip_address),
    "NotIpAddress": Operator(_ip_address, negated=True),
    "ArnEquals": Operator(_arn_like, with_variables=True),
    "ArnNotEquals": Operator(_arn_like, negated=True, with_variables=True),
    "ArnLike": Operator(_arn_like, with_variables=True),
    "ArnNotLike": Operator(_arn_like, negated=True, with_variables=True),
}
"""Every operator but Null, which asks whether a key is there."""

_NULL: Final = "Null"
_IF_EXISTS: Final = "IfExists"
_BY_LOWER: Final = {name.lower(): name for name in (*OPERATORS, _NULL)}


# --- conditions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator: what the request's values of it must be. Any of the policy's values will do."""

    operator: str
    key: str
    values: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    negated: bool
    if_exists: bool
    quantifier: Quantifier | None

    def holds(self, context: Context, *, allows: bool) -> bool:
        """Tell whether the condition holds; `allows` is whether its statement allows.

        A policy variable without a value matches nothing. In a statement that allows, a negated condition with such a
        value does not hold: not to know must never let anyone in.
        """
        value = context.get(self.key)
        if self.operator == _NULL:
            return ("true" if value is None else "false") in self.values
        if value is None:
            return self._holds_without()
        texts = (value,) if isinstance(value, str) else value
        matched = []
        for text in texts:
            found = [matcher(text, context) for matcher in self.matchers]
            if self.negated and allows and None in found:
                return False
            matched.append(any(found))
        if self.quantifier is Quantifier.ALL:
            return all(one is not self.negated for one in matched)
        if self.quantifier is Quantifier.ANY:
            return any(one is not self.negated for one in matched)
        return any(matched) is not self.negated

    def _holds_without(self) -> bool:
        if self.if_exists or self.quantifier is Quantifier.ALL:
            return True
        return self.negated and self.quantifier is None


def parse_conditions(described: object, path: str, *, variables: bool) -> tuple[Condition, ...]:
    """Read a Condition element: operator -> key -> value or values, all of which must hold. Raises PolicyInvalid."""
    if not isinstance(described, Mapping):
        raise PolicyInvalid(path, "must be an object of operators")
    conditions: list[Condition] = []
    for written, keys in described.items():
        where = f"{path}.{echo(written)}"
        name, quantifier, if_exists = _operator(written, where)
        if not isinstance(keys, Mapping):
            raise PolicyInvalid(where, "must be an object of condition keys")
        expect(len(keys) > 0, where, "must hold a condition key")
        for key, given in keys.items():
            at = f"{where}.{echo(key)}"
            why = why_unknown(lower(key)) if key.isascii() else "must be ASCII"
            expect(why is None, at, why or "")
            texts = tuple(_texts(given, at))
            if name == _NULL:
                texts = tuple(text.lower() for text in texts)
                expect(set(texts) <= {"true", "false"}, at, "must be true (the key is not there) or false")
                conditions.append(
                    Condition(name, lower(key), texts, (), negated=False, if_exists=False, quantifier=None)
                )
                continue
            operator = OPERATORS[name]
            patterns = [Pattern.parse(text, at, variables=variables and operator.with_variables) for text in texts]
            matchers = tuple(operator.compile(pattern, at) for pattern in patterns)
            conditions.append(Condition(name, lower(key), texts, matchers, operator.negated, if_exists, quantifier))
    return tuple(conditions)


def _operator(written: str, where: str) -> tuple[str, Quantifier | None, bool]:
    """Take an operator's name apart; AWS does not mind its case."""
    set_name, colon, name = written.rpartition(":")
    quantifier = next((one for one in Quantifier if one.value.lower() == set_name.lower()), None)
    expect(not colon or quantifier is not None, where, "must begin with ForAllValues: or ForAnyValue:, if with any")
    if_exists = name.lower().endswith(_IF_EXISTS.lower())
    known = _BY_LOWER.get((name[: -len(_IF_EXISTS)] if if_exists else name).lower())
    if known is None:
        raise PolicyInvalid(where, "is no condition operator")
    plain = quantifier is None and not if_exists
    expect(plain or known != _NULL, where, "asks whether a key is there; it goes with no IfExists and no set form")
    return known, quantifier, if_exists


def _texts(given: Any, where: str) -> list[str]:  # noqa: ANN401 - a value of JSON
    values = given if isinstance(given, list | tuple) else [given]
    expect(0 < len(values) <= MAX_VALUES, where, f"must hold 1 to {MAX_VALUES} values")
    texts = []
    for value in values:
        if isinstance(value, bool):
            texts.append("true" if value else "false")
        elif isinstance(value, str | int | float):
            texts.append(str(value))
        else:
            raise PolicyInvalid(where, "must be a string, a number, true or false, or a list of them")
    return texts
