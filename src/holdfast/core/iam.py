"""Access policies in AWS's language: what a document says, and what a set of documents decides.

This file alone decides whether an action on a resource is allowed, and gives the reason in AWS's words. It knows
nothing of principals, repositories or where policies are kept. Rules: AWS IAM User Guide, "IAM JSON policy elements
reference" and "Policy evaluation logic": an explicit deny wins, then any allow, else the request is denied.

Fail closed: what a document says and this file cannot evaluate (conditions, policy variables) is refused when the
document is read, never skipped; a `Deny` that is half understood would allow. To come, each at its place: conditions
(`Statement.applies` and a context in `Question`), principals and resource policies (a `PolicyKind` with its elements,
and a second verdict in `decide`), service control policies (a verdict that must allow as well).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_DOCUMENT_CHARACTERS: Final = 10_240
"""Of the JSON text, and of all patterns together. AWS: 6,144 for a managed policy, 10,240 for one inside a role."""

MAX_PATTERN_CHARACTERS: Final = 2_048
"""Of one action or resource. AWS: an ARN has at most 2,048."""

MAX_STATEMENTS: Final = 200

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_EFFECTS: Final = ("Allow", "Deny")
_DOCUMENT_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_NOT_YET: Final = frozenset({"Condition"})
_SID: Final = re.compile(r"[A-Za-z0-9]*")
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_RESOURCE: Final = re.compile(r"arn(?::[^:]*){4}:.+", re.DOTALL)
_ECHO_CHARACTERS: Final = 64


class PolicyKind(Enum):
    """What a policy is attached to; the value is how AWS's sentences call it."""

    IDENTITY = "identity-based policy"

    @property
    def elements(self) -> frozenset[str]:
        """The elements that a statement of this kind may have."""
        return _STATEMENT_ELEMENTS[self]


_STATEMENT_ELEMENTS: Final[Mapping[PolicyKind, frozenset[str]]] = {
    PolicyKind.IDENTITY: frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"}),
}


class PolicyInvalid(Exception):
    """A document that is not a policy, or says what cannot be evaluated here.

    `path` names the place ("Statement[0].Effect"), "" for the document as a whole; `why` is the rest of the sentence.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path or 'The policy'}: {why}")


class Wildcard:
    """One pattern: `*` is any run of characters, none included; `?` is any one; all others are themselves.

    Matching takes one step a character of the text, whatever the pattern: bit n of a number tells whether the first n
    letters of the pattern can have been used up, and all places advance at once.
    """

    __slots__ = ("_any", "_end", "_literal", "_prefix", "_stays", "_steps", "text")

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._literal: Final = not set(text) & {"*", "?"}
        self._prefix: Final = re.split(r"[*?]", text, maxsplit=1)[0]
        steps: dict[str, int] = {}
        place = self._any = self._stays = 0
        for character in text:
            if character == "*":
                self._stays |= 1 << place
                continue
            if character == "?":
                self._any |= 1 << place
            else:
                steps[character] = steps.get(character, 0) | 1 << place
            place += 1
        self._steps: Final = steps
        self._end: Final = place

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        if self._literal:
            return text == self.text
        if not text.startswith(self._prefix):
            return False
        places = 1
        for character in text:
            moving = places & (self._steps.get(character, 0) | self._any)
            places = moving << 1 | places & self._stays
            if not places:
                return False
        return bool(places >> self._end & 1)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may this action be done to this resource? Conditions will add the request's context here."""

    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Patterns:
    """Action or NotAction, Resource or NotResource: patterns, any of which must match, or with `negated` none."""

    patterns: tuple[Wildcard, ...]
    negated: bool

    def cover(self, text: str) -> bool:
        """Tell whether the element covers this name."""
        return any(pattern.matches(text) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `place` counts from zero within its document."""

    place: int
    sid: str | None
    allows: bool
    actions: Patterns
    resources: Patterns

    def applies(self, question: Question) -> bool:
        """Tell whether the statement speaks of this. Action names have no case, resources do."""
        return self.actions.cover(_lower(question.action)) and self.resources.cover(question.resource)


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
        _expect(isinstance(document, Mapping), "", "must be a JSON object")
        for name in document:
            _expect(name in _DOCUMENT_ELEMENTS, _echo(name), "is not an element of a policy")
        version = document.get("Version", _VERSIONS[-1])
        _expect(version in _VERSIONS, "Version", f"must be {' or '.join(_VERSIONS)}")
        _expect(isinstance(document.get("Id", ""), str), "Id", "must be a string")
        _expect("Statement" in document, "Statement", "is missing")
        listed = document["Statement"]
        if isinstance(listed, Mapping):
            listed = [listed]
        _expect(isinstance(listed, list | tuple), "Statement", "must be an object or a list of objects")
        _expect(0 < len(listed) <= MAX_STATEMENTS, "Statement", f"must hold 1 to {MAX_STATEMENTS} statements")
        statements = tuple(_statement(place, each, kind, version) for place, each in enumerate(listed))
        _check_whole(statements)
        return cls(kind, version, statements)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `statements` are those that decided: the denying ones, the allowing ones, or none."""

    allowed: bool
    reason: str
    statements: tuple[Statement, ...] = ()


def decide(policies: Iterable[PolicyDocument], action: str, resource: str) -> Decision:
    """Decide over all identity-based policies of one principal: explicit deny, then allow, else deny."""
    kind = PolicyKind.IDENTITY
    allowing, denying = _verdict(policies, Question(action, resource))
    if denying:
        return Decision(False, f"with an explicit deny in an {kind.value}", denying)  # noqa: FBT003 - the answer's name is in the type
    if allowing:
        return Decision(True, f"because an {kind.value} allows the {action} action", allowing)  # noqa: FBT003
    return Decision(False, f"because no {kind.value} allows the {action} action")  # noqa: FBT003


def denial_message(principal_arn: str, action: str, resource: str, decision: Decision) -> str:
    """Say in AWS's words who may not do what to which, and why. Tools match the beginning."""
    return f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource} {decision.reason}"


def _verdict(
    policies: Iterable[PolicyDocument], question: Question
) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """Collect the statements that allow, and those that deny."""
    speaking = [each for policy in policies for each in policy.statements if each.applies(question)]
    return tuple(each for each in speaking if each.allows), tuple(each for each in speaking if not each.allows)


# --- reading ---------------------------------------------------------------------------------------------------------


def _expect(condition: bool, path: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise PolicyInvalid(path, why)


def _object(text: str | bytes) -> Mapping[str, Any]:
    _expect(len(text) <= MAX_DOCUMENT_CHARACTERS, "", f"is longer than {MAX_DOCUMENT_CHARACTERS} characters")
    try:
        content = text if isinstance(text, bytes) else text.encode()
        parsed: Any = strict_json.parse(content)
    except (strict_json.StrictJSONError, UnicodeEncodeError) as error:
        raise PolicyInvalid("", f"is not acceptable JSON: {error}") from None
    _expect(isinstance(parsed, dict), "", "must be a JSON object")
    return dict(parsed)


def _statement(place: int, described: object, kind: PolicyKind, version: str) -> Statement:
    path = f"Statement[{place}]"
    if not isinstance(described, Mapping):
        raise PolicyInvalid(path, "must be an object")
    for name in described:
        _expect(name not in _NOT_YET, f"{path}.{_echo(name)}", "is not supported yet")
        _expect(name in kind.elements, f"{path}.{_echo(name)}", f"is not an element of an {kind.value}")
    effect = described.get("Effect")
    _expect(isinstance(effect, str) and effect in _EFFECTS, f"{path}.Effect", f"must be {' or '.join(_EFFECTS)}")
    sid = described.get("Sid")
    if sid is not None:
        _expect(isinstance(sid, str) and bool(_SID.fullmatch(sid)), f"{path}.Sid", "must be ASCII letters and digits")
    return Statement(
        place=place,
        sid=sid,
        allows=effect == "Allow",
        actions=_actions(described, path),
        resources=_resources(described, path, version),
    )


def _actions(described: Mapping[str, Any], path: str) -> Patterns:
    name, where, texts = _either(described, path, "Action")
    for text in texts:
        known = text == "*" or _ACTION.fullmatch(text)
        _expect(bool(known), where, f"{_echo(text)!r} must be * or a service and an action, such as ecr:PutImage")
    return Patterns(tuple(Wildcard(_lower(text)) for text in texts), negated=name == "NotAction")


def _resources(described: Mapping[str, Any], path: str, version: str) -> Patterns:
    name, where, texts = _either(described, path, "Resource")
    for text in texts:
        known = text == "*" or _RESOURCE.fullmatch(text)
        _expect(bool(known), where, f"{_echo(text)!r} must be * or an ARN (arn:partition:service:region:account:what)")
        variable = version != "2008-10-17" and "${" in text
        _expect(not variable, where, f"{_echo(text)!r} holds a policy variable, which is not supported yet")
    return Patterns(tuple(Wildcard(text) for text in texts), negated=name == "NotResource")


def _either(described: Mapping[str, Any], path: str, name: str) -> tuple[str, str, Sequence[str]]:
    """Read X or NotX, of which exactly one must stand: a string or a list of strings, neither empty."""
    present = [each for each in (name, f"Not{name}") if each in described]
    _expect(len(present) == 1, path, f"must have exactly one of {name} and Not{name}")
    where = f"{path}.{present[0]}"
    value = described[present[0]]
    texts = [value] if isinstance(value, str) else value
    _expect(isinstance(texts, list | tuple), where, "must be a string or a list of strings")
    _expect(len(texts) > 0, where, "must not be empty")
    for text in texts:
        _expect(isinstance(text, str), where, "must be a string or a list of strings")
        _expect(0 < len(text) <= MAX_PATTERN_CHARACTERS, where, f"must have 1 to {MAX_PATTERN_CHARACTERS} characters")
    return present[0], where, texts


def _check_whole(statements: Sequence[Statement]) -> None:
    seen: set[str] = set()
    characters = 0
    for each in statements:
        if each.sid:
            _expect(each.sid not in seen, f"Statement[{each.place}].Sid", f"{each.sid!r} stands twice in the policy")
            seen.add(each.sid)
        characters += sum(len(one.text) for part in (each.actions, each.resources) for one in part.patterns)
    _expect(characters <= MAX_DOCUMENT_CHARACTERS, "", f"is longer than {MAX_DOCUMENT_CHARACTERS} characters")


def _lower(action: str) -> str:
    """ASCII only: lower-casing other letters can make ASCII of them (the Kelvin sign)."""
    return action.lower() if action.isascii() else action


def _echo(text: object) -> str:
    """Shorten what stands in the document, and make it printable ASCII, before it stands in a sentence."""
    return ascii(str(text)[:_ECHO_CHARACTERS])[1:-1]


# --- ready-made documents --------------------------------------------------------------------------------------------

_READ_ACTIONS: Final = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
]
_PUSH_ACTIONS: Final = [
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]

ADMINISTRATOR: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:*", "holdfast:*", "*"], "Resource": "*"}],
}
"""Everything, present and to come."""

POWER_USER: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": [*_READ_ACTIONS, *_PUSH_ACTIONS], "Resource": "*"}],
}
"""Pull and push, no deleting and no settings: as AmazonEC2ContainerRegistryPowerUser."""

READ_ONLY: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": list(_READ_ACTIONS), "Resource": "*"}],
}
"""Pull and look: as AmazonEC2ContainerRegistryReadOnly."""
