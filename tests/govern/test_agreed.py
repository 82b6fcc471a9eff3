"""What is less protected than was agreed, and the Config rule on changes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.api import session_of
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern import config_rule
from holdfast.govern.agreed import Agreed, Drifted, compare, judge_event, weaker
from holdfast.govern.config_rule import Compliance, InvocationInvalid
from holdfast.govern.estate import Failure, Inventory, RegistryRecord, RepositoryRecord, Template
from holdfast.govern.events import Actor, Event, Kind, Origin, Outcome
from holdfast.govern.plan import Settings, Wish, make_plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT, REGION = "111122223333", "eu-central-1"
MUTABLE, HELD = Settings(TagMutability.MUTABLE), Settings(TagMutability.IMMUTABLE)
LATEST = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("latest",))
WIDE = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("latest", "v*"))
ROOT = Template("ROOT", ("REPLICATION",), TagMutability.IMMUTABLE)


def estate(templates: tuple[Template, ...] = (ROOT,), **found: Settings) -> Inventory:
    records = tuple(
        RepositoryRecord(ACCOUNT, REGION, name, f"arn/{name}", name, mode=one.mode, filters=one.filters)
        for name, one in found.items()
    )
    return Inventory(NOW, (RegistryRecord(ACCOUNT, REGION, templates=templates),), records)


def drifted(before: Inventory, now: Inventory, *plans: Any) -> dict[str, str]:
    return {one.name: str(one.what) for one in compare(Agreed.of(before, plans), now)}


def test_what_drifts_and_what_does_not() -> None:
    before = estate(a=HELD, b=LATEST, c=MUTABLE, d=HELD, e=LATEST, f=MUTABLE)
    now = estate(a=MUTABLE, b=WIDE, c=MUTABLE, d=HELD, e=HELD, new=MUTABLE, other=HELD)
    assert drifted(before, now) == {"a": "weakened", "b": "weakened", "e": "strengthened", "new": "new-mutable"}
    assert drifted(before, before) == {}
    assert drifted(estate(a=HELD), estate()) == {"a": "deleted"}


def test_templates() -> None:
    weak = Template("ROOT", ("REPLICATION",), TagMutability.MUTABLE)
    extra = Template("team", ("CREATE_ON_PUSH",), TagMutability.MUTABLE)
    assert drifted(estate(), estate((weak, extra))) == {"ROOT": "template-weakened", "team": "template-weakened"}
    assert drifted(estate(), estate(())) == {"ROOT": "template-gone"}
    assert drifted(estate((weak,)), estate((weak,))) == {}


def test_a_plan_is_agreed_too() -> None:
    before = estate(a=MUTABLE, b=MUTABLE)
    wishes = {(ACCOUNT, REGION, name): Wish(HELD.rule) for name in "ab"}
    plan = make_plan(before, wishes, now=NOW)
    assert drifted(before, before, plan) == {"a": "not-flipped", "b": "not-flipped"}
    assert drifted(before, estate(a=HELD, b=HELD), plan) == {}
    assert drifted(before, estate(a=HELD, b=LATEST), plan) == {"b": "weakened"}


def test_of_what_could_not_be_read_nothing_is_said() -> None:
    before = estate(a=HELD)
    unread = replace(
        estate(()), registries=(), failures=(Failure(ACCOUNT, "*", "sts:AssumeRole", "AccessDenied", "no"),)
    )
    assert drifted(before, unread) == {}


ANY = st.builds(
    lambda mode, filters: MutabilitySettings(mode, tuple(filters) if mode.takes_filters else ()),
    st.sampled_from(list(TagMutability)),
    st.lists(st.sampled_from(["latest", "v1", "dev"]), min_size=1, unique=True),
)


@given(now=ANY, agreed=ANY, tag=st.sampled_from(["latest", "v1", "dev", "else"]))
def test_weaker_is_told_whenever_a_tag_is_let_go(now: MutabilitySettings, agreed: MutabilitySettings, tag: str) -> None:
    assert not weaker(agreed, agreed)
    if agreed.judge(tag).held and not now.judge(tag).held:
        assert weaker(now, agreed)


def event(kind: Kind, name: str = "a", mode: TagMutability | None = None, **more: Any) -> Event:
    return Event(NOW, ACCOUNT, REGION, name, kind, Origin.CLOUDTRAIL, mode=mode, actor=Actor(pipeline="ci"), **more)


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (event(Kind.SET_MUTABILITY, mode=TagMutability.MUTABLE), Drifted.WEAKENED),
        (event(Kind.SET_MUTABILITY, mode=TagMutability.IMMUTABLE), None),
        (event(Kind.SET_MUTABILITY, mode=TagMutability.MUTABLE, outcome=Outcome.REFUSED), None),
        (event(Kind.CREATE, "new"), Drifted.NEW_MUTABLE),
        (event(Kind.CREATE, "new", TagMutability.IMMUTABLE), None),
        (event(Kind.DROP), Drifted.DELETED),
        (event(Kind.DROP, "unknown"), None),
        (event(Kind.SET_TEMPLATE, "ROOT", TagMutability.MUTABLE), Drifted.TEMPLATE_WEAKENED),
        (event(Kind.SET_TEMPLATE, "ROOT"), Drifted.TEMPLATE_GONE),
        (event(Kind.SET_TEMPLATE, "team", TagMutability.IMMUTABLE), None),
        (event(Kind.PUSH), None),
    ],
    ids=lambda one: str(getattr(one, "kind", one)),
)
def test_events(happened: Event, expected: Drifted | None) -> None:
    found = judge_event(Agreed.of(estate(a=HELD)), happened)
    assert (found.what if found else None) is expected
    assert found is None or found.by == "ci"


# --- the Config rule -------------------------------------------------------------------------------------------------


def invocation(configuration: Any, status: str = "OK", **more: Any) -> dict[str, Any]:
    item = {
        "configurationItemCaptureTime": "2026-11-23T12:00:00.000Z",
        "configurationItemStatus": status,
        "resourceType": "AWS::ECR::Repository",
        "resourceId": "team/app",
        "resourceName": "team/app",
        "awsRegion": REGION,
        "awsAccountId": ACCOUNT,
        "configuration": configuration,
    }
    told = {"configurationItem": item, "messageType": "ConfigurationItemChangeNotification"}
    return {"invokingEvent": json.dumps(told), "resultToken": "token", "eventLeftScope": False, **more}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (invocation({"ImageTagMutability": "IMMUTABLE"}), Compliance.COMPLIANT),
        (invocation({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}), Compliance.NON_COMPLIANT),
        (invocation(json.dumps({"ImageTagMutability": "MUTABLE"})), Compliance.NON_COMPLIANT),
        (invocation({}), Compliance.INSUFFICIENT_DATA),
        (invocation(None, "ResourceDeleted"), Compliance.NOT_APPLICABLE),
        (invocation({"ImageTagMutability": "MUTABLE"}, eventLeftScope=True), Compliance.NOT_APPLICABLE),
    ],
)
def test_what_config_hands_to_a_rule(given: dict[str, Any], expected: Compliance) -> None:
    evaluation, token = config_rule.of_invocation(given)
    assert (evaluation.compliance, token) == (expected, "token")
    shape = session_of().get_service_model("config").operation_model("PutEvaluations").input_shape
    document = {"Evaluations": [evaluation.document()], "ResultToken": token}
    report = ParamValidator().validate(document, shape)
    assert not report.has_errors(), report.generate_report()


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JSON | JSON.map(lambda one: {"invokingEvent": json.dumps(one)}))
def test_what_is_no_invocation_is_refused(given: Any) -> None:
    with pytest.raises(InvocationInvalid):
        config_rule.of_invocation(given)


def test_events_make_evaluations_in_any_form() -> None:
    made = [
        config_rule.of_event(one)
        for one in (
            event(Kind.CREATE),
            event(Kind.SET_MUTABILITY, mode=TagMutability.IMMUTABLE),
            event(Kind.DROP),
            event(Kind.PUSH),
            event(Kind.SET_MUTABILITY, mode=TagMutability.IMMUTABLE, outcome=Outcome.REFUSED),
        )
    ]
    assert [one.compliance if one else None for one in made] == [
        Compliance.NON_COMPLIANT,
        Compliance.COMPLIANT,
        Compliance.NOT_APPLICABLE,
        None,
        None,
    ]
