"""CloudFormation templates, read: functions, conditions, and that what is not understood is refused by name."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.govern.cloudformation import Resource, Surroundings, TemplateInvalid, resolve
from holdfast.govern.templates import attributes

AROUND = Surroundings("123456789012", "eu-central-1", "registry", {})


def read(text: str, **parameters: str) -> list[Resource]:
    around = Surroundings(AROUND.account_id, AROUND.region, AROUND.stack_name, parameters)
    return resolve(text, around, attributes(around))


def value_of(expression: str, more: str = "", **parameters: str) -> Any:
    text = f"""
Resources:
  R: {{Type: "AWS::ECR::Repository", Properties: {{RepositoryName: r/r}}}}
  S:
    Type: T
    Properties:
      P: {expression}
{more}"""
    return next(one for one in read(text, **parameters) if one.logical_id == "S").properties.get("P", "absent")


PARAMETERS = """
Parameters:
  Team: {Type: String, Default: blue}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
"""
CONDITIONS = """
Conditions:
  IsBlue: !Equals [!Ref Team, blue]
  IsRed: !Not [!Condition IsBlue]
"""
MAPPINGS = """
Mappings:
  M: {eu-central-1: {Zone: z}}
"""
STATEMENT = {"Version": "2012-10-17", "Condition": {"StringEquals": {"a": "b"}}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        ("!Ref AWS::AccountId", "123456789012"),
        ("!Ref AWS::Region", "eu-central-1"),
        ("!Ref AWS::StackName", "registry"),
        ("!Ref AWS::NoValue", "absent"),
        ("!Ref Team", "blue"),
        ("!Ref Names", ["a", "b"]),
        ("!Ref R", "r/r"),
        ("!GetAtt R.Arn", "arn:aws:ecr:eu-central-1:123456789012:repository/r/r"),
        ("{Fn::GetAtt: [R, Arn]}", "arn:aws:ecr:eu-central-1:123456789012:repository/r/r"),
        ("!Sub '${Team}/${AWS::Region}-${R}-${!Team}'", "blue/eu-central-1-r/r-${Team}"),
        ("!Sub ['${x}/${R.Arn}', {x: !Ref Team}]", "blue/arn:aws:ecr:eu-central-1:123456789012:repository/r/r"),
        ("!Join ['/', [a, !Ref Team]]", "a/blue"),
        ("!Select [1, !Split ['-', 'a-b-c']]", "b"),
        ("!FindInMap [M, !Ref AWS::Region, Zone]", "z"),
        ("!If [IsBlue, yes-blue, other]", "yes-blue"),
        ("!If [IsRed, red, !Ref AWS::NoValue]", "absent"),
        ("[1, !Ref AWS::NoValue, 2]", [1, 2]),
        ("{Fn::ToJsonString: {a: !Ref Team}}", '{"a": "blue"}'),
        ("2012-10-17", "2012-10-17"),
        ("{Version: 2012-10-17, Condition: {StringEquals: {a: b}}}", STATEMENT),
        ("{Condition: {StringEquals: {a: b}}}", {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)
def test_functions(expression: str, value: Any) -> None:
    assert value_of(expression, PARAMETERS + CONDITIONS + MAPPINGS) == value


def test_parameters_that_are_given_come_before_defaults() -> None:
    assert value_of("!Ref Team", PARAMETERS, Team="red") == "red"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "mapping"),
        ("[]", "mapping"),
        ("Resources: {}", "no Resources"),
        ("Transform: AWS::Serverless-2016-10-31\nResources: {R: {Type: T}}", "Transform"),
        ("Resources: {R: {Type: T, Properties: {P: !Base64 x}}}", "Fn::Base64"),
        ("Resources: {R: {Type: T, Properties: {P: !ImportValue x}}}", "Fn::ImportValue"),
        ("Resources: {R: {Type: T, Properties: {P: !Ref X}}}", "X is neither"),
        ("Resources: {R: {Type: T, Properties: {P: !GetAtt X.Arn}}}", "no resource X"),
        ("Resources: {R: {Type: T}, S: {Type: T, Properties: {P: !Ref R}}}", "not known before"),
        ("Resources: {R: {Type: T, CreationPolicy: {}}}", "CreationPolicy"),
        ("Resources: {R: {}}", "no Type"),
        ("Resources: {R: {Type: T, DependsOn: X}}", "depends on X"),
        ("Resources: {R: {Type: T, DependsOn: S}, S: {Type: T, DependsOn: R}}", "R -> S -> R"),
        ("Resources: {R: {Type: T, Condition: C}}", "no condition C"),
        ("Parameters: {P: {Type: String}}\nResources: {R: {Type: T}}", "--parameter P=VALUE"),
        ("Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: x}}\nResources: {R: {Type: T}}", "SSM"),
        ("Parameters: {P: {Type: String, Default: x, AllowedValues: [a]}}\nResources: {R: {Type: T}}", "one of a"),
        ("Resources: {R: {Type: T}, R: {Type: T}}", "stands twice"),
        ("Resources: {R: &a {Type: T}, S: *a}", "aliases"),
        ("Resources: {R: {Type: T, Properties: {P: !!python/object:os.system x}}}", "neither YAML"),
        ("Resources: {R: {Type: T, Properties: {P: !If [A, 1]}}}", "list of 3"),
        ("Conditions: {C: x}\nResources: {R: {Type: T, Condition: C}}", "a condition is needed"),
        ("Conditions: {C: !Condition C}\nResources: {R: {Type: T, Condition: C}}", "deeper"),
    ],
)
def test_what_is_not_understood_is_named(text: str, named: str) -> None:
    with pytest.raises(TemplateInvalid, match=named.replace("*", r"\*")):
        read(text)


def test_json_is_yaml_and_order_follows_needs() -> None:
    document = {
        "Resources": {
            "Policy": {"Type": "AWS::ECR::RegistryPolicy", "Properties": {"PolicyText": {"x": {"Ref": "Late"}}}},
            "Late": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "late"}},
            "First": {"Type": "AWS::ECR::Repository", "DependsOn": ["Policy"], "Properties": {"RepositoryName": "a"}},
        }
    }
    assert [one.logical_id for one in read(json.dumps(document))] == ["Late", "Policy", "First"]


_LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["R", "C", "${R}"])
_WORDS = ("Ref", "Fn::Sub", "Fn::If", "Fn::Join", "Fn::GetAtt", "Condition", "Properties", "Type")
_KEYS = st.sampled_from(_WORDS) | st.text(max_size=3)
_TREE = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12
)


@given(_TREE, _TREE)
def test_any_document_gives_resources_or_the_one_error(properties: Any, condition: Any) -> None:
    document = {
        "Conditions": {"C": condition},
        "Resources": {"R": {"Type": "AWS::ECR::Repository", "Condition": "C", "Properties": properties}},
    }
    for text in (json.dumps(document), yaml.safe_dump(document)):
        with contextlib.suppress(TemplateInvalid):
            read(text)


@given(st.text(max_size=60))
def test_any_text_gives_resources_or_the_one_error(text: str) -> None:
    with contextlib.suppress(TemplateInvalid):
        read(text)
