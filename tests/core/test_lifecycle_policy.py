"""The language of lifecycle policies: what it takes, and each refusal in ECR's own words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import ParameterInvalid
from holdfast.core.lifecycle_policy import ActionType, CountType, StorageClass, TagStatus, parse

UNREADABLE = "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy."
NO_SCHEMA = "instance failed to match exactly one schema (matched 0 out of 4)"
STANDARD_ONLY = (
    "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN support the STANDARD storage class only."
)
EXPIRE = {"type": "expire"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def rule(priority: Any = 1, action: Any = EXPIRE, **selection: Any) -> dict[str, Any]:
    chosen = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3} | selection
    return {
        "rulePriority": priority,
        "selection": {name: value for name, value in chosen.items() if value is not None},
        "action": action,
    }


def since(kind: str, days: int = 10, **selection: Any) -> dict[str, Any]:
    return rule(countType=kind, countUnit="days", countNumber=days, **selection)


def why(document: Any) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(ParameterInvalid) as caught:
        parse(text)
    assert caught.value.message.startswith(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy "
    )
    return caught.value.why


def told(*rules: Any) -> str:
    sentence = why({"rules": list(rules)})
    assert sentence.startswith("Lifecycle policy validation failure: ")
    return sentence.removeprefix("Lifecycle policy validation failure: ")


def test_a_policy_is_read_whole_and_its_rules_are_put_in_order() -> None:
    read = parse(
        json.dumps(
            {
                "rules": [
                    rule(20) | {"description": "the rest"},
                    since("sinceImagePulled", tagStatus="tagged", tagPatternList=["v*", "*-rc"]) | {"action": ARCHIVE},
                    since("sinceImageTransitioned", 90, storageClass="archive") | {"rulePriority": 7},
                ]
            }
        )
    )
    first, second, third = read.rules
    assert (first.priority, first.patterns, first.action) == (1, ("v*", "*-rc"), ActionType.TRANSITION)
    assert (second.storage_class, second.count_type) == (StorageClass.ARCHIVE, CountType.SINCE_TRANSITIONED)
    assert (third.description, third.tag_status, third.count) == ("the rest", TagStatus.ANY, 3)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "1", '"rules"', '{"rules":[],"rules":[]}', json.dumps({"rules": [rule()]})[:-1], "\ud800"],
)
def test_what_is_no_json_object_is_unreadable(text: str) -> None:
    assert why(text) == UNREADABLE


def test_an_archive_without_its_target_is_unreadable_as_on_aws() -> None:
    assert why({"rules": [since("sinceImagePulled") | {"action": {"type": "transition"}}]}) == UNREADABLE


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([rule() | {"more": 1}], 'object instance has properties which are not allowed by the schema: (["more"])'),
        ([rule(tagged=1)], 'object instance has properties which are not allowed by the schema: (["tagged"])'),
        ([{"selection": {}}], 'object has missing required properties (["action","rulePriority"])'),
        ([rule(countNumber=None)], 'object has missing required properties (["countNumber"])'),
        ([rule(action={})], 'object has missing required properties (["type"])'),
        ([7], 'instance type (integer) does not match any allowed primitive type (allowed: ["object"])'),
        ([rule("1")], 'instance type (string) does not match any allowed primitive type (allowed: ["integer"])'),
        (
            [rule(priority=True)],
            'instance type (boolean) does not match any allowed primitive type (allowed: ["integer"])',
        ),
        ([rule(0)], "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
        ([rule(countNumber=0)], "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
        (
            [rule(tagStatus="all")],
            'instance value ("all") not found in enum (possible values: ["tagged","untagged","any"])',
        ),
        (
            [rule(action={"type": "delete"})],
            'instance value ("delete") not found in enum (possible values: ["expire","transition"])',
        ),
        ([rule(countType="newest")], NO_SCHEMA),
        ([rule(countUnit="days")], NO_SCHEMA),
        ([rule(countType="sinceImagePushed")], NO_SCHEMA),
        ([since("sinceImagePushed") | rule(countType="sinceImagePushed", countUnit="weeks")], NO_SCHEMA),
        ([since("sinceImageTransitioned", 90)], NO_SCHEMA),
        ([rule(storageClass="archive")], STANDARD_ONLY),
        ([since("sinceImagePushed", storageClass="archive")], STANDARD_ONLY),
        (
            [since("sinceImageTransitioned", 89, storageClass="archive")],
            "numeric instance is lower than the required minimum (minimum: 90, found: 89)",
        ),
        ([since("sinceImagePulled")], "SINCE_IMAGE_PULLED supports the TRANSITION action only."),
        ([rule(tagStatus="tagged")], "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."),
        (
            [rule(tagStatus="tagged", tagPrefixList=["a"], tagPatternList=["a*"])],
            "If policy has a tagged rule, it must specify only one of tagPrefixList or tagPatternList",
        ),
        ([rule(tagStatus="untagged", tagPrefixList=["a"])], "Cannot specify tagPrefixList with tagStatus untagged"),
        (
            [rule(tagStatus="tagged", tagPatternList=["*a*b*c*d*"])],
            "Invalid tag pattern provided. Total number of * must not exceed 4",
        ),
        ([rule(1), rule(1, tagStatus="untagged")], "Duplicate priority in multiple rules"),
        (
            [rule(1, tagStatus="untagged"), rule(2, tagStatus="untagged")],
            "Only one rule can select Untagged images per storage class",
        ),
        ([rule(1), rule(2)], "Only one rule can specify tagStatus=ANY"),
        (
            [rule(1), rule(2, tagStatus="untagged")],
            "Rule for tagStatus=ANY must have the lowest priority per storage class",
        ),
        (
            [rule(number, tagStatus="tagged", tagPatternList=["v*"]) for number in (1, 2)],
            "Rules of one storage class must select unique sets of tags",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_each_refusal_has_its_sentence(rules: list[Any], sentence: str) -> None:
    assert told(*rules) == sentence


def test_a_policy_has_one_to_fifty_rules() -> None:
    assert why({}).endswith('object has missing required properties (["rules"])')
    assert told() == "array is too short: must have at least 1 elements but instance has 0 elements"
    many = [rule(number + 1, tagStatus="tagged", tagPrefixList=[f"v{number}"]) for number in range(51)]
    assert told(*many) == "array is too long: must have at most 50 elements but instance has 51 elements"
    assert len(parse(json.dumps({"rules": many[:50]})).rules) == 50


def test_the_rules_of_each_storage_class_stand_alone() -> None:
    """An `any` of the archive is no rival of the `any` of the standard class."""
    archived = since("sinceImageTransitioned", 365, storageClass="archive") | {"rulePriority": 1}
    assert len(parse(json.dumps({"rules": [archived, rule(2)]})).rules) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 100) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rules", "rulePriority", "selection", "action", "tagStatus", "countType", "type", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.text(max_size=60) | values.map(json.dumps) | values.map(lambda value: json.dumps({"rules": [value]})))
def test_the_parser_raises_its_own_error_and_no_other(text: str) -> None:
    with contextlib.suppress(ParameterInvalid):
        parse(text)
