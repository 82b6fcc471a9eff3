"""Policies: a slow twin decides the same at random; what is not understood is refused; matching never backtracks."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import iam
from holdfast.core.iam import Decision, PolicyDocument, PolicyInvalid, denial_message
from holdfast.core.iam.patterns import Wildcard

USER = "arn:aws:iam::123456789012:user/ann"
APP = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> PolicyDocument:
    return PolicyDocument.parse({"Version": version, "Statement": list(statements)})


def decide(policies: list[PolicyDocument], action: str, resource: str) -> Decision:
    named = tuple(iam.Policy(f"policy {place}", one) for place, one in enumerate(policies))
    return iam.decide(iam.Question(action, resource), iam.Layers(identity=named))


def allow(action: object = "*", resource: object = "*", **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: object = "*", resource: object = "*", **more: object) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


# --- deciding -------------------------------------------------------------------------------------------------------


def test_nothing_allows_by_default() -> None:
    decision = decide([], "ecr:PutImage", APP)
    assert not decision.allowed
    assert decision.statements == ()
    assert decision.reason == "because no identity-based policy allows the ecr:PutImage action"
    assert denial_message(USER, "ecr:PutImage", APP, decision) == (
        f"User: {USER} is not authorized to perform: ecr:PutImage on resource: {APP} "
        "because no identity-based policy allows the ecr:PutImage action"
    )


def test_an_explicit_deny_wins_in_any_order_and_any_document() -> None:
    one, two = policy(allow(Sid="yes")), policy(deny("ecr:Put*", Sid="no"))
    both = PolicyDocument.parse({"Statement": [deny("ecr:Put*", Sid="no"), allow()]})
    for policies in ([one, two], [two, one], [both]):
        decision = decide(policies, "ecr:PutImage", APP)
        assert not decision.allowed
        assert decision.reason == "with an explicit deny in an identity-based policy"
        assert [statement.sid for statement in decision.statements] == ["no"]
        assert decide(policies, "ecr:ListImages", APP).allowed


def test_an_allow_tells_which_statement_allows() -> None:
    decision = decide([policy(allow("ecr:Get*"), allow("ecr:PutImage", Sid="push"))], "ecr:PutImage", APP)
    assert decision.allowed
    assert [(each.place, each.sid) for each in decision.statements] == [(1, "push")]


def test_actions_have_no_case_and_resources_do() -> None:
    policies = [policy(allow("ECR:putimage", APP))]
    assert decide(policies, "ecr:PutImage", APP).allowed
    assert not decide(policies, "ecr:PutImage", APP.upper()).allowed
    kelvin = "ecr:List\u212aeys"
    assert not decide([policy(allow("ecr:ListKeys"))], kelvin, APP).allowed


def test_not_action_and_not_resource() -> None:
    all_but_delete = [policy({"Effect": "Allow", "NotAction": ["ecr:*Delete*", "iam:*"], "Resource": "*"})]
    assert decide(all_but_delete, "ecr:PutImage", APP).allowed
    assert not decide(all_but_delete, "ecr:BatchDeleteImage", APP).allowed
    guarded = [policy(allow(), {"Effect": "Deny", "Action": "*", "NotResource": [APP]})]
    assert decide(guarded, "ecr:PutImage", APP).allowed
    assert not decide(guarded, "ecr:PutImage", APP + "2").allowed


def test_the_ready_made_documents() -> None:
    def may(document: dict[str, Any], action: str) -> bool:
        return decide([PolicyDocument.parse(document), PolicyDocument.parse(json.dumps(document))], action, APP).allowed

    assert may(iam.ADMINISTRATOR, "ecr:DeleteRepository")
    assert may(iam.ADMINISTRATOR, "holdfast:CreatePrincipal")
    for action in ("ecr:PutImage", "ecr:GetAuthorizationToken", "ecr:BatchGetImage"):
        assert may(iam.POWER_USER, action)
    for action in ("ecr:BatchDeleteImage", "ecr:CreateRepository", "ecr:PutImageTagMutability", "holdfast:X"):
        assert not may(iam.POWER_USER, action)
        assert not may(iam.READ_ONLY, action)
    assert may(iam.READ_ONLY, "ecr:BatchGetImage")
    assert not may(iam.READ_ONLY, "ecr:PutImage")
    assert not may(iam.READ_ONLY, "ecr:InitiateLayerUpload")


# --- reading --------------------------------------------------------------------------------------------------------

GOOD = allow("ecr:PutImage", APP)


@pytest.mark.parametrize(
    ("document", "path", "why"),
    [
        ([], "", "must be a JSON object"),
        ({}, "Statement", "is missing"),
        ({"Statement": []}, "Statement", "must hold 1 to"),
        ({"Statement": "x"}, "Statement", "must be an object or a list"),
        ({"Statement": [1]}, "Statement[0]", "must be an object"),
        ({"Statement": [GOOD] * 1_000}, "Statement", "must hold 1 to"),
        ({"Statement": GOOD, "Version": "2020-01-01"}, "Version", "must be 2012-10-17 or 2008-10-17"),
        ({"Statement": GOOD, "Version": 1}, "Version", "must be"),
        ({"Statement": GOOD, "Version": None}, "Version", "must be"),
        ({"Statement": GOOD, "Id": 5}, "Id", "must be a string"),
        ({"Statement": GOOD, "statement": GOOD}, "statement", "is not an element"),
        ({"Statement": {**GOOD, "Effect": "allow"}}, "Statement[0].Effect", "must be Allow or Deny"),
        ({"Statement": {**GOOD, "Effect": ["Allow"]}}, "Statement[0].Effect", "must be Allow or Deny"),
        ({"Statement": {"Action": "*", "Resource": "*"}}, "Statement[0].Effect", "must be Allow or Deny"),
        ({"Statement": [GOOD, {**GOOD, "Condition": []}]}, "Statement[1].Condition", "must be an object"),
        ({"Statement": {**GOOD, "Principal": "*"}}, "Statement[0].Principal", "is not an element of an identity"),
        ({"Statement": {**GOOD, "NotPrincipal": "*"}}, "Statement[0].NotPrincipal", "is not an element"),
        ({"Statement": {**GOOD, "action": "*"}}, "Statement[0].action", "is not an element"),
        ({"Statement": {**GOOD, "Sid": "a b"}}, "Statement[0].Sid", "must be ASCII letters and digits"),
        ({"Statement": {**GOOD, "Sid": "a\n"}}, "Statement[0].Sid", "must be ASCII letters and digits"),
        ({"Statement": {**GOOD, "Sid": 1}}, "Statement[0].Sid", "must be ASCII letters and digits"),
        ({"Statement": [{**GOOD, "Sid": "a"}] * 2}, "Statement[1].Sid", "stands twice"),
        ({"Statement": {**GOOD, "NotAction": "*"}}, "Statement[0]", "exactly one of Action and NotAction"),
        ({"Statement": {**GOOD, "NotResource": "*"}}, "Statement[0]", "exactly one of Resource and NotResource"),
        ({"Statement": {"Effect": "Allow", "Resource": "*"}}, "Statement[0]", "exactly one of Action"),
        ({"Statement": {"Effect": "Allow", "Action": "*"}}, "Statement[0]", "exactly one of Resource"),
        ({"Statement": allow([])}, "Statement[0].Action", "must not be empty"),
        ({"Statement": allow("")}, "Statement[0].Action", "must have 1 to"),
        ({"Statement": allow(None)}, "Statement[0].Action", "must be a string or a list"),
        ({"Statement": allow({"a": 1})}, "Statement[0].Action", "must be a string or a list"),
        ({"Statement": allow(["*", 1])}, "Statement[0].Action", "must be a string or a list"),
        ({"Statement": allow("PutImage")}, "Statement[0].Action", "'PutImage' must be * or a service"),
        ({"Statement": allow("*:*")}, "Statement[0].Action", "must be * or a service"),
        ({"Statement": allow("ecr:")}, "Statement[0].Action", "must be * or a service"),
        ({"Statement": allow("ecr:Put Image")}, "Statement[0].Action", "must be * or a service"),
        ({"Statement": allow("ecr:PutImage\n")}, "Statement[0].Action", "must be * or a service"),
        ({"Statement": allow("ecr:\u212a")}, "Statement[0].Action", "must be * or a service"),
        ({"Statement": allow(resource=[])}, "Statement[0].Resource", "must not be empty"),
        ({"Statement": allow(resource="team/app")}, "Statement[0].Resource", "must be * or an ARN"),
        ({"Statement": allow(resource="arn:aws:ecr:*")}, "Statement[0].Resource", "must be * or an ARN"),
        ({"Statement": allow(resource=APP + "x" * 2_048)}, "Statement[0].Resource", "must have 1 to"),
        ({"Statement": allow(resource=[APP + str(n) for n in range(500)])}, "", "is longer than"),
        (
            {"Version": "2012-10-17", "Statement": deny(resource="arn:aws:ecr:::repository/${aws:username/*")},
            "Statement[0].Resource",
            "holds a policy variable that does not end",
        ),
    ],
)
def test_what_is_not_a_policy_is_refused_by_its_place(document: Any, path: str, why: str) -> None:
    for form in (document, json.dumps(document)):
        if len(json.dumps(document)) > iam.MAX_DOCUMENT_CHARACTERS and isinstance(form, str):
            path, why = "", "is longer than"
        with pytest.raises(PolicyInvalid) as caught:
            PolicyDocument.parse(form)
        assert caught.value.path == path
        assert why in caught.value.why
        assert str(caught.value) == f"{path or 'The policy'}: {caught.value.why}"


@pytest.mark.parametrize(
    "text",
    ["", "x", "1", "null", '{"Statement":1,"Statement":2}', '{"a":NaN}', '"\\ud800"', "\ud800", " " * 20_000, b"\xff"],
)
def test_texts_that_are_not_strict_json(text: str | bytes) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        PolicyDocument.parse(text)
    assert caught.value.path == ""


def test_the_old_version_is_the_default_and_has_no_variables() -> None:
    name = "arn:aws:ecr:::repository/${aws:username}"
    document = PolicyDocument.parse({"Statement": allow(resource=name)})
    assert document.version == "2008-10-17"
    assert decide([document], "ecr:PutImage", name).allowed


def test_a_single_statement_an_id_and_a_tuple_are_fine() -> None:
    document = PolicyDocument.parse({"Id": "x", "Statement": {**GOOD, "Sid": ""}})
    assert document.statements[0].sid == ""
    assert PolicyDocument.parse({"Statement": (GOOD, allow(("ecr:A", "ecr:B")))}).statements[1].place == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["*", "Allow", "ecr:*", APP, "2012-10-17", "", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "NotAction", "Sid", "Condition", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_garbage_is_a_policy_or_policy_invalid(document: Any) -> None:
    for form in (document, json.dumps(document)):
        with contextlib.suppress(PolicyInvalid):
            decide([PolicyDocument.parse(form)], "ecr:PutImage", APP)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_text_is_a_policy_or_policy_invalid(text: bytes | str) -> None:
    with contextlib.suppress(PolicyInvalid):
        PolicyDocument.parse(text)


# --- the slow twin --------------------------------------------------------------------------------------------------


def slow_match(pattern: str, text: str) -> bool:
    """Match by the definition, one character at a time, trying everything."""

    @functools.cache
    def match(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(text)
        if pattern[at] == "*":
            return any(match(at + 1, later) for later in range(place, len(text) + 1))
        return place < len(text) and pattern[at] in ("?", text[place]) and match(at + 1, place + 1)

    return match(0, 0)


@given(st.text("ab*?", max_size=8), st.text("ab*", max_size=8))
def test_wildcards_match_as_the_twin_does(pattern: str, text: str) -> None:
    assert Wildcard(pattern).matches(text) == slow_match(pattern, text)


def slow_decision(documents: list[dict[str, Any]], action: str, resource: str) -> bool:
    def covers(statement: dict[str, Any], name: str, text: str, *, fold: bool) -> bool:
        negated = f"Not{name}" in statement
        patterns = statement[f"Not{name}" if negated else name]
        patterns = [patterns] if isinstance(patterns, str) else patterns
        hits = [slow_match(each.lower(), text.lower()) if fold else slow_match(each, text) for each in patterns]
        return any(hits) != negated

    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if covers(statement, "Action", action, fold=True) and covers(statement, "Resource", resource, fold=False)
    }
    return effects == {"Allow"}


def _one_or_more(texts: list[str]) -> st.SearchStrategy[str | list[str]]:
    return st.sampled_from(texts) | st.lists(st.sampled_from(texts), min_size=1, max_size=3)


_ACTIONS = _one_or_more(
    ["*", "ecr:*", "ecr:Put*", "ECR:putimage", "ecr:?utImage", "ecr:Get*n", "holdfast:*", "ecr:*I*"]
)
_RESOURCES = _one_or_more(["*", APP, APP[:-3] + "*", APP[:-1] + "?", "arn:aws:ecr:*:*:repository/*", "arn:*:*:*:*:*2"])
_STATEMENTS = st.builds(
    lambda effect, not_action, actions, not_resource, resources: {
        "Effect": effect,
        "NotAction" if not_action else "Action": actions,
        "NotResource" if not_resource else "Resource": resources,
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.booleans(),
    _ACTIONS,
    st.booleans(),
    _RESOURCES,
)
_DOCUMENTS = st.lists(st.lists(_STATEMENTS, min_size=1, max_size=3).map(lambda each: {"Statement": each}), max_size=3)


@given(
    _DOCUMENTS,
    st.sampled_from(["ecr:PutImage", "ecr:GetAuthorizationToken", "holdfast:X", "ecr:ListImages"]),
    st.sampled_from([APP, APP + "2", "*", "arn:aws:ecr:eu-west-1:123456789012:repository/other"]),
)
def test_decisions_are_the_twins(documents: list[dict[str, Any]], action: str, resource: str) -> None:
    decision = decide([PolicyDocument.parse(each) for each in documents], action, resource)
    assert decision.allowed == slow_decision(documents, action, resource)
    assert all(statement.allows == decision.allowed for statement in decision.statements)


class CountingText(str):
    """A text that counts how many of its characters were looked at one by one."""

    __slots__ = ("looked_at",)
    looked_at: int

    def __iter__(self) -> Any:
        for character in str(self):
            self.looked_at += 1
            yield character


@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "a*" * 200 + "?b", "*?" * 300 + "b", "*" * 2_000 + "b"])
def test_matching_looks_at_each_character_once(pattern: str) -> None:
    text = CountingText("a" * 2_000)
    text.looked_at = 0
    assert not Wildcard(pattern).matches(text)
    assert text.looked_at <= len(text)
