"""A slow twin of the whole evaluation, written from AWS's pages over the raw JSON, decides the same at random."""

# ruff: noqa: E501, PLR0911 - tables of samples, one row a line; the twin is one case a return
from __future__ import annotations

import base64
import datetime as dt
import fnmatch
import ipaddress
import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from holdfast.core import iam
from holdfast.core.iam import conditions, deciding, documents, patterns, whom
from holdfast.core.iam.documents import PolicyDocument, PolicyKind

HOME, AWAY = "111111111111", "222222222222"
ANN = f"arn:aws:iam::{HOME}:user/ann"
ROLE = f"arn:aws:iam::{HOME}:role/ci"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/ci/run"
APP = f"arn:aws:ecr:eu-west-1:{HOME}:repository/team/app"
UNKNOWN = object()


# --- the twin --------------------------------------------------------------------------------------------------------


def fill(text: str, context: dict[str, Any], *, on: bool) -> Any:
    """Return letters with whether each may be a wildcard; UNKNOWN when a variable has no value."""
    letters: list[tuple[str, bool]] = []
    place = 0
    while place < len(text):
        end = text.find("}", place)
        if not (on and text.startswith("${", place)) or end < 0:
            letters.append((text[place], True))
            place += 1
            continue
        inside, place = text[place + 2 : end], end + 1
        if inside in {"*", "?", "$"}:
            letters.append((inside, False))
            continue
        key, comma, default = inside.partition(",")
        value = context.get(key.strip().lower())
        if not isinstance(value, str):
            if not comma:
                return UNKNOWN
            value = default.strip()[1:-1]
        letters += [(letter, False) for letter in value]
    return letters


def regex(letters: list[tuple[str, bool]]) -> str:
    wild = {"*": ".*", "?": "."}
    return "".join(wild[one] if free and one in wild else re.escape(one) for one, free in letters)


def like(pattern: str, text: str, context: dict[str, Any], *, on: bool) -> object:
    letters = fill(pattern, context, on=on)
    return letters if letters is UNKNOWN else bool(re.fullmatch(regex(letters), text, re.DOTALL))


def when(text: str) -> float:
    if re.fullmatch(r"[0-9.]+", text):
        return float(text)
    return dt.datetime.fromisoformat(text).timestamp()


def arn_like(pattern: str, text: str, context: dict[str, Any], *, on: bool) -> object:
    wanted, given_ = pattern.split(":", 5), text.split(":", 5)
    if len(given_) < 6:
        return False
    found = [like(one, other, context, on=on) for one, other in zip(wanted, given_, strict=True)]
    return UNKNOWN if UNKNOWN in found else all(found)


def one_matches(operator: str, wanted: str, text: str, context: dict[str, Any], *, on: bool) -> object:
    """The positive sense of each operator."""
    name = operator.replace("Not", "")
    if name.startswith("String") and name != "StringLike":
        letters = fill(wanted, context, on=on)
        if letters is UNKNOWN:
            return UNKNOWN
        plain = "".join(one for one, _ in letters)
        return plain.lower() == text.lower() if name.endswith("IgnoreCase") else plain == text
    if name == "StringLike":
        return like(wanted, text, context, on=on)
    if name.startswith("Arn"):
        return arn_like(wanted, text, context, on=on)
    if name == "Bool":
        return wanted.lower() == text.lower()
    if name == "BinaryEquals":
        return base64.b64decode(wanted) == base64.b64decode(text)
    if name == "IpAddress":
        return ipaddress.ip_address(text) in ipaddress.ip_network(wanted)
    read = when if name.startswith("Date") else float
    left, right = read(text), read(wanted)
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[re.sub("^(Numeric|Date)", "", name)]


def condition_holds(
    written: str, key: str, wanted: list[str], context: dict[str, Any], *, allow: bool, on: bool
) -> bool:
    value = context.get(key.lower())
    if written == "Null":
        return any((value is None) == (one == "true") for one in wanted)
    form, _, rest = written.rpartition(":")
    operator = rest.removesuffix("IfExists")
    negated = "Not" in operator
    if value is None:
        if rest.endswith("IfExists") or form == "ForAllValues":
            return True
        return negated and not form
    values = [value] if isinstance(value, str) else list(value)
    table = [[one_matches(operator, one, each, context, on=on) for one in wanted] for each in values]
    if allow and negated and any(UNKNOWN in row for row in table):
        return False
    hits = [any(cell is True for cell in row) for row in table]
    if form == "ForAllValues":
        return all(hit != negated for hit in hits)
    if form == "ForAnyValue":
        return any(hit != negated for hit in hits)
    return not any(hits) if negated else any(hits)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass
class Who:
    account: str
    names: set[str]


def named(principal: Any, who: Who) -> str:
    """'person', 'account' or 'no'."""
    if principal == "*" or "*" in listed(principal.get("AWS", [])):
        return "person"
    texts = listed(principal.get("AWS", []))
    if any(text in who.names for text in texts):
        return "person"
    return "account" if {who.account, f"arn:aws:iam::{who.account}:root"} & set(texts) else "no"


def standing(statement: dict[str, Any], who: Who) -> str:
    if "Principal" in statement:
        return named(statement["Principal"], who)
    if "NotPrincipal" in statement:
        return "no" if named(statement["NotPrincipal"], who) == "person" else "person"
    return "person"


def covers(statement: dict[str, Any], name: str, text: str, context: dict[str, Any], *, on: bool) -> bool:
    if name not in statement and f"Not{name}" not in statement:
        return True
    negated = f"Not{name}" in statement
    asked = text.lower() if name == "Action" else text
    found = [
        like(one.lower() if name == "Action" else one, asked, context, on=on and name == "Resource")
        for one in listed(statement[f"Not{name}" if negated else name])
    ]
    if negated and statement["Effect"] == "Allow" and UNKNOWN in found:
        return False
    return (True in found) != negated


def says(
    policies: list[dict[str, Any]], who: Who, action: str, resource: str, context: dict[str, Any]
) -> list[tuple[str, str]]:
    """(effect, standing) of every statement that speaks of the request."""
    found = []
    for policy in policies:
        on = policy.get("Version") == "2012-10-17"
        for statement in listed(policy["Statement"]):
            how = standing(statement, who)
            if how == "no" or not covers(statement, "Action", action, context, on=on):
                continue
            if not covers(statement, "Resource", resource, context, on=on):
                continue
            allow = statement["Effect"] == "Allow"
            if all(
                condition_holds(operator, key, [_text(one) for one in listed(wanted)], context, allow=allow, on=on)
                for operator, keys in statement.get("Condition", {}).items()
                for key, wanted in keys.items()
            ):
                found.append((statement["Effect"], how))
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def twin(layers: dict[str, Any], who: Who, action: str, resource: str, owner: str, context: dict[str, Any]) -> bool:
    def ask(policies: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return says(policies, who, action, resource, context)

    every = [*layers["identity"], *layers["resource"], *(layers["boundary"] or []), *(layers["session"] or [])]
    every += [policy for level in layers["guardrails"] for policy in level]
    if any(effect == "Deny" for effect, _ in ask(every)):
        return False
    if not all(ask(level) for level in layers["guardrails"]):
        return False
    own, theirs = bool(ask(layers["identity"])), {how for _, how in ask(layers["resource"])}
    if layers["must"]:
        enough = ("person" in theirs and owner == who.account) or (bool(theirs) and own)
    elif owner == who.account:
        enough = own or "person" in theirs
    else:
        enough = own and bool(theirs)
    return enough and all(ask(layers[one]) for one in ("boundary", "session") if layers[one] is not None)


# --- at random -------------------------------------------------------------------------------------------------------

KEYS: dict[str, list[Any]] = {
    "aws:username": ["ann", "team", "a*"],
    "aws:PrincipalTag/team": ["team", "ops"],
    "aws:SourceIp": ["10.1.2.3", "203.0.113.9", "2001:db8::1"],
    "aws:SecureTransport": ["true", "false"],
    "aws:CurrentTime": ["2026-11-01T00:00:00Z", "2026-06-01T12:30:00Z"],
    "aws:PrincipalArn": [ANN, ROLE],
    "aws:TagKeys": [("team", "env"), ("env",), ("secret", "team")],
    "x:number": ["5", "12.5"],
    "x:bytes": ["YQ==", "Yg=="],
}
OPERATORS: dict[str, tuple[list[str], list[str]]] = {
    "String": (["aws:username", "aws:PrincipalTag/team", "aws:TagKeys"], ["ann", "Ann", "te*", "?nn", "${aws:username}", "${aws:PrincipalTag/team, 'ops'}", "${*}", "env", "a${*}"]),
    "Arn": (["aws:PrincipalArn"], [ANN, "arn:aws:iam::*:user/*", f"arn:aws:iam::{HOME}:role/c?", "arn:aws:iam::${x:account}:user/ann", "arn:*:iam::*:*/${aws:username}"]),
    "Numeric": (["x:number"], ["5", "12.5", "7"]),
    "Date": (["aws:CurrentTime"], ["2026-11-01T00:00:00Z", "2026-08-01", "1780317000"]),
    "Bool": (["aws:SecureTransport"], ["true", "false"]),
    "Binary": (["x:bytes"], ["YQ==", "Yw=="]),
    "Ip": (["aws:SourceIp"], ["10.0.0.0/8", "203.0.113.9", "2001:db8::/32"]),
}  # fmt: skip


def family(operator: str) -> str:
    if operator.endswith("IpAddress"):
        return "Ip"
    return next(one for one in OPERATORS if operator.startswith(one))


@st.composite
def condition(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(sorted(conditions.OPERATORS)))
    keys, values = OPERATORS[family(operator)]
    if draw(st.integers(0, 5)) == 0:
        return {"Null": {draw(st.sampled_from(sorted(KEYS))): draw(st.sampled_from([True, False, "true"]))}}
    form = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]))
    suffix = draw(st.sampled_from(["", "", "IfExists"]))
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    return {f"{form}{operator}{suffix}": {draw(st.sampled_from(keys)): chosen}}


ACTIONS = ["*", "ecr:*", "ecr:Put*", "ECR:putimage", "ecr:Get*", "ecr:?utImage", "sts:*"]
RESOURCES = ["*", APP, "arn:aws:ecr:*:*:repository/${aws:username}/*", f"arn:aws:ecr:*:{HOME}:repository/t*", f"{APP}?", "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team, 'none'}/*"]  # fmt: skip
PRINCIPALS = ["*", {"AWS": "*"}, {"AWS": HOME}, {"AWS": [f"arn:aws:iam::{AWAY}:root"]}, {"AWS": [ANN, AWAY]}, {"AWS": ROLE}, {"AWS": SESSION}]  # fmt: skip


@st.composite
def policy(draw: st.DrawFn, kind: PolicyKind) -> dict[str, Any]:
    statements = []
    for _ in range(draw(st.integers(1, 2))):
        effect = draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))
        statement: dict[str, Any] = {"Effect": effect}
        statement[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(
            st.sampled_from(ACTIONS) | st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2)
        )
        if "Resource" in kind.elements:
            statement[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(st.sampled_from(RESOURCES))
        if kind.is_of_resource:
            name = "NotPrincipal" if effect == "Deny" and draw(st.booleans()) else "Principal"
            statement[name] = draw(st.sampled_from(PRINCIPALS))
        if draw(st.booleans()):
            merged: dict[str, Any] = {}
            for one in draw(st.lists(condition(), min_size=1, max_size=2)):
                merged.update(one)
            statement["Condition"] = merged
        statements.append(statement)
    return {"Version": draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"])), "Statement": statements}


CONTEXTS = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in KEYS.items()})
WHO = st.sampled_from([Who(HOME, {ANN}), Who(HOME, {ROLE, SESSION}), Who(AWAY, {f"arn:aws:iam::{AWAY}:user/bob"})])
LAYERS = st.fixed_dictionaries(
    {
        "identity": st.lists(policy(PolicyKind.IDENTITY), max_size=2),
        "resource": st.lists(policy(PolicyKind.RESOURCE) | policy(PolicyKind.REPOSITORY), max_size=2),
        "guardrails": st.lists(st.lists(policy(PolicyKind.GUARDRAIL), min_size=1, max_size=2), max_size=2),
        "boundary": st.none() | st.none() | st.lists(policy(PolicyKind.BOUNDARY), max_size=1),
        "session": st.none() | st.none() | st.lists(policy(PolicyKind.SESSION), max_size=1),
        "must": st.sampled_from([False, False, False, True]),
    }
)


def ours(
    layers: dict[str, Any], who: Who, action: str, resource: str, owner: str, context: dict[str, Any]
) -> iam.Decision:
    def read(policies: list[dict[str, Any]], kind: PolicyKind) -> tuple[iam.Policy, ...]:
        found = []
        for place, one in enumerate(policies):
            as_kind = kind
            if kind is PolicyKind.RESOURCE and not any("Resource" in key for s in one["Statement"] for key in s):
                as_kind = PolicyKind.REPOSITORY
            found.append(iam.Policy(f"{kind.value} {place}", PolicyDocument.parse(one, as_kind)))
        return tuple(found)

    asked = iam.Question(
        action, resource, iam.Principal(who.account, frozenset(who.names)), owner, iam.Context(context)
    )
    return iam.decide(
        asked,
        iam.Layers(
            identity=read(layers["identity"], PolicyKind.IDENTITY),
            resource=read(layers["resource"], PolicyKind.RESOURCE),
            guardrails=tuple(read(level, PolicyKind.GUARDRAIL) for level in layers["guardrails"]),
            boundary=None if layers["boundary"] is None else read(layers["boundary"], PolicyKind.BOUNDARY),
            session=None if layers["session"] is None else read(layers["session"], PolicyKind.SESSION),
            resource_must_allow=layers["must"],
        ),
    )


CASES = (
    LAYERS,
    WHO,
    st.sampled_from(["ecr:PutImage", "ecr:GetDownloadUrlForLayer", "sts:AssumeRole"]),
    st.sampled_from([APP, f"{APP}2", "*"]),
    st.sampled_from([HOME, AWAY]),
    CONTEXTS,
)


def compare(layers: Any, who: Any, action: Any, resource: Any, owner: Any, context: Any) -> None:
    decision = ours(layers, who, action, resource, owner, context)
    lowered = {key.lower(): value for key, value in context.items()}
    assert decision.allowed == twin(layers, who, action, resource, owner, lowered)
    assert all(one.allows == decision.allowed for one in decision.statements)
    assert decision.reason


@settings(max_examples=150)
@given(*CASES)
def test_the_twin_decides_the_same(layers: Any, who: Any, action: Any, resource: Any, owner: Any, context: Any) -> None:
    compare(layers, who, action, resource, owner, context)


# --- planted wrongs: the twin must be able to find them --------------------------------------------------------------


def _no_deny(question: Any, layers: Any) -> Any:
    decision = RIGHT["decide"](question, layers)
    return iam.Decision(True, "planted") if "explicit deny" in decision.reason else decision  # noqa: FBT003 - planted


def _any_level(question: Any, layers: Any) -> Any:
    flat = tuple(policy for level in layers.guardrails for policy in level)
    wrong = iam.Layers(layers.identity, layers.resource, (flat,) if flat else (), layers.boundary, layers.session, layers.resource_must_allow)  # fmt: skip
    return RIGHT["decide"](question, wrong)


RIGHT: dict[str, Any] = {"decide": iam.decide}


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (iam, "decide", _no_deny),
        (iam, "decide", _any_level),
        (conditions.Condition, "_holds_without", lambda self: self.if_exists),
        (whom.Whom, "standing", lambda *_: whom.Standing.PERSON),
        (deciding, "_lacking", lambda _question, identity, *_, **__: None if identity.allowing else identity),
        (
            documents.Patterns,
            "cover",
            lambda self, text, context, **_: any(p.matches(text, context) for p in self.patterns),
        ),
        (patterns.Pattern, "matches", lambda self, text, _context: fnmatch.fnmatchcase(text, self.text)),
    ],
    ids=["deny forgotten", "levels mixed", "absent keys", "anyone", "one side", "Not forgotten", "no variables"],
)
def test_a_planted_wrong_is_found(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any) -> None:
    monkeypatch.setattr(owner, name, wrong)

    @settings(max_examples=2_000, database=None, print_blob=False, phases=[Phase.generate], derandomize=True)
    @given(*CASES)
    def find(layers: Any, who: Any, action: Any, resource: Any, owner: Any, context: Any) -> None:
        compare(layers, who, action, resource, owner, context)

    with pytest.raises(AssertionError):
        find()
