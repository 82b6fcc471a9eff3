"""Policy documents: read whole, understood whole, or refused.

This file alone decides what a document may say, by what it is attached to. Source: AWS IAM User Guide, "IAM JSON policy
elements reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import strict_json
from holdfast.core.iam.conditions import Condition, parse_conditions
from holdfast.core.iam.patterns import Pattern, lower
from holdfast.core.iam.refusal import PolicyInvalid, echo, expect
from holdfast.core.iam.whom import Principal, Standing, Whom, parse_whom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.iam.context import Context

__all__ = ["PolicyDocument", "PolicyInvalid", "PolicyKind", "Statement"]

MAX_DOCUMENT_CHARACTERS: Final = 10_240
"""Of the JSON text, and of all patterns together. AWS: 6,144 for a managed policy, 10,240 for one inside a role and for
a policy of a repository or registry."""

MAX_PATTERN_CHARACTERS: Final = 2_048
"""Of one action or resource. AWS: an ARN has at most 2,048."""

MAX_STATEMENTS: Final = 200

_WITH_VARIABLES: Final = "2012-10-17"
_VERSIONS: Final = (_WITH_VARIABLES, "2008-10-17")
_EFFECTS: Final = ("Allow", "Deny")
_DOCUMENT_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_SID: Final = re.compile(r"[A-Za-z0-9]*")
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_RESOURCE: Final = re.compile(r"arn(?::[^:]*){4}:.+", re.DOTALL)

_COMMON: Final = frozenset({"Sid", "Effect", "Action", "NotAction", "Condition"})
_RESOURCES: Final = frozenset({"Resource", "NotResource"})
_PRINCIPALS: Final = frozenset({"Principal", "NotPrincipal"})


class PolicyKind(Enum):
    """What a policy is attached to; the value is how AWS's sentences call it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    REPOSITORY = "repository policy"
    TRUST = "trust policy"
    GUARDRAIL = "service control policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"

    @property
    def elements(self) -> frozenset[str]:
        """The elements that a statement of this kind may have."""
        if self is PolicyKind.RESOURCE:
            return _COMMON | _RESOURCES | _PRINCIPALS
        if self in {PolicyKind.REPOSITORY, PolicyKind.TRUST}:
            return _COMMON | _PRINCIPALS
        return _COMMON | _RESOURCES

    @property
    def is_of_resource(self) -> bool:
        """Whether it belongs to a resource, and says whom it speaks of."""
        return self.elements >= _PRINCIPALS


@dataclass(frozen=True, slots=True)
class Patterns:
    """Action or NotAction, Resource or NotResource: patterns, any of which must match, or with `negated` none."""

    patterns: tuple[Pattern, ...]
    negated: bool

    def cover(self, text: str, context: Context, *, allows: bool) -> bool:
        """Tell whether the element covers this name; `allows` is whether its statement allows.

        A policy variable without a value matches nothing; in a statement that allows, a negated element that holds one
        covers nothing either.
        """
        found = [pattern.matches(text, context) for pattern in self.patterns]
        if self.negated and allows and None in found:
            return False
        return any(found) is not self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `place` counts from zero; `resources` and `whom` are None where the kind has no such element."""

    place: int
    sid: str | None
    allows: bool
    actions: Patterns
    resources: Patterns | None
    whom: Whom | None
    conditions: tuple[Condition, ...]

    def standing(self, principal: Principal) -> Standing:
        """Tell how the statement names the principal: one that is attached to it means it in person."""
        return Standing.PERSON if self.whom is None else self.whom.standing(principal)

    def speaks_of(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether the statement speaks of this. Action names have no case, resources do."""
        return (
            self.actions.cover(lower(action), context, allows=self.allows)
            and (self.resources is None or self.resources.cover(resource, context, allows=self.allows))
            and all(one.holds(context, allows=self.allows) for one in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy that was read whole and understood whole."""

    kind: PolicyKind
    version: str
    statements: tuple[Statement, ...]

    @classmethod
    def parse(cls, document: str | bytes | Mapping[str, Any], kind: PolicyKind = PolicyKind.IDENTITY) -> PolicyDocument:
        """Read a document from JSON text or from the object it holds; PolicyInvalid is the only error."""
        if isinstance(document, str | bytes):
            document = _object(document)
        expect(isinstance(document, Mapping), "", "must be a JSON object")
        for name in document:
            expect(name in _DOCUMENT_ELEMENTS, echo(name), "is not an element of a policy")
        version = document.get("Version", _VERSIONS[-1])
        expect(version in _VERSIONS, "Version", f"must be {' or '.join(_VERSIONS)}")
        expect(isinstance(document.get("Id", ""), str), "Id", "must be a string")
        expect("Statement" in document, "Statement", "is missing")
        listed = document["Statement"]
        if isinstance(listed, Mapping):
            listed = [listed]
        expect(isinstance(listed, list | tuple), "Statement", "must be an object or a list of objects")
        expect(0 < len(listed) <= MAX_STATEMENTS, "Statement", f"must hold 1 to {MAX_STATEMENTS} statements")
        statements = tuple(_statement(place, each, kind, version) for place, each in enumerate(listed))
        _check_whole(statements, kind)
        return cls(kind, version, statements)


# --- reading ---------------------------------------------------------------------------------------------------------


def _object(text: str | bytes) -> Mapping[str, Any]:
    expect(len(text) <= MAX_DOCUMENT_CHARACTERS, "", f"is longer than {MAX_DOCUMENT_CHARACTERS} characters")
    try:
        content = text if isinstance(text, bytes) else text.encode()
        parsed: Any = strict_json.parse(content)
    except (strict_json.StrictJSONError, UnicodeEncodeError) as error:
        raise PolicyInvalid("", f"is not acceptable JSON: {error}") from None
    expect(isinstance(parsed, dict), "", "must be a JSON object")
    return dict(parsed)


def _statement(place: int, described: object, kind: PolicyKind, version: str) -> Statement:
    path = f"Statement[{place}]"
    if not isinstance(described, Mapping):
        raise PolicyInvalid(path, "must be an object")
    article = "an" if kind is PolicyKind.IDENTITY else "a"
    for name in described:
        expect(name in kind.elements, f"{path}.{echo(name)}", f"is not an element of {article} {kind.value}")
    effect = described.get("Effect")
    expect(isinstance(effect, str) and effect in _EFFECTS, f"{path}.Effect", f"must be {' or '.join(_EFFECTS)}")
    allows = effect == "Allow"
    sid = described.get("Sid")
    if sid is not None:
        why = "must be a string" if kind.is_of_resource else "must be ASCII letters and digits"
        expect(isinstance(sid, str) and (kind.is_of_resource or bool(_SID.fullmatch(sid))), f"{path}.Sid", why)
    variables = version == _WITH_VARIABLES
    return Statement(
        place=place,
        sid=sid,
        allows=allows,
        actions=_actions(described, path),
        resources=_resources(described, path, variables=variables) if kind.elements >= _RESOURCES else None,
        whom=parse_whom(described, path, allows=allows) if kind.is_of_resource else None,
        conditions=parse_conditions(described.get("Condition", {}), f"{path}.Condition", variables=variables),
    )


def _actions(described: Mapping[str, Any], path: str) -> Patterns:
    name, where, texts = _either(described, path, "Action")
    for text in texts:
        known = text == "*" or _ACTION.fullmatch(text)
        expect(bool(known), where, f"{echo(text)!r} must be * or a service and an action, such as ecr:PutImage")
    patterns = tuple(Pattern.parse(lower(text), where, variables=False) for text in texts)
    return Patterns(patterns, negated=name == "NotAction")


def _resources(described: Mapping[str, Any], path: str, *, variables: bool) -> Patterns:
    name, where, texts = _either(described, path, "Resource")
    for text in texts:
        known = text == "*" or _RESOURCE.fullmatch(text)
        expect(bool(known), where, f"{echo(text)!r} must be * or an ARN (arn:partition:service:region:account:what)")
    patterns = tuple(Pattern.parse(text, where, variables=variables) for text in texts)
    return Patterns(patterns, negated=name == "NotResource")


def _either(described: Mapping[str, Any], path: str, name: str) -> tuple[str, str, Sequence[str]]:
    """Read X or NotX, of which exactly one must stand: a string or a list of strings, neither empty."""
    present = [each for each in (name, f"Not{name}") if each in described]
    expect(len(present) == 1, path, f"must have exactly one of {name} and Not{name}")
    where = f"{path}.{present[0]}"
    value = described[present[0]]
    texts = [value] if isinstance(value, str) else value
    expect(isinstance(texts, list | tuple), where, "must be a string or a list of strings")
    expect(len(texts) > 0, where, "must not be empty")
    for text in texts:
        expect(isinstance(text, str), where, "must be a string or a list of strings")
        expect(0 < len(text) <= MAX_PATTERN_CHARACTERS, where, f"must have 1 to {MAX_PATTERN_CHARACTERS} characters")
    return present[0], where, texts


def _check_whole(statements: Sequence[Statement], kind: PolicyKind) -> None:
    seen: set[str] = set()
    characters = 0
    for each in statements:
        if each.sid and not kind.is_of_resource:  # ECR takes repository policies that name two statements alike
            expect(each.sid not in seen, f"Statement[{each.place}].Sid", f"{each.sid!r} stands twice in the policy")
            seen.add(each.sid)
        listed = [each.actions, *([each.resources] if each.resources is not None else [])]
        characters += sum(len(one.text) for part in listed for one in part.patterns)
        characters += sum(len(value) for condition in each.conditions for value in condition.values)
    expect(characters <= MAX_DOCUMENT_CHARACTERS, "", f"is longer than {MAX_DOCUMENT_CHARACTERS} characters")
