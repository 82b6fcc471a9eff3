"""The guard's kit: every policy stops what it must, no statement of it is idle, and a weakened one is found."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.validate import ParamValidator

from holdfast.client.api import session_of
from holdfast.core.iam import PolicyInvalid
from holdfast.govern import guard, guard_files
from holdfast.govern.guard import Options, OptionsInvalid, Where

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands import Commands

ORGANIZATION = "o-a1b2c3d4e5"
EVERY = [
    Options(vending_role=vending, organization_id=organization, hold_lifecycle=lifecycle, modes=modes)
    for vending, organization, lifecycle, modes in itertools.product(
        (None, "platform/vending"),
        (None, ORGANIZATION),
        (False, True),
        (("IMMUTABLE",), ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION")),
    )
]
FULL = Options(organization_id=ORGANIZATION, hold_lifecycle=True, modes=("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"))


def tried(documents: dict[Where, dict[str, Any]], options: Options) -> bool:
    """Return whether all requests are decided as they must, and nothing else is wrong."""
    files = {guard.FILES[where]: guard.written(document) for where, document in documents.items()}
    trials, wrong = guard_files.try_kit(files, options)
    return not wrong and all(trial.holds for trial in trials)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_every_kit_holds(options: Options) -> None:
    assert tried(guard.policies(options), options)


def weakenings(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the policy without one statement, without one action, and without one condition."""
    for place, statement in enumerate(document["Statement"]):
        gone = copy.deepcopy(document)
        del gone["Statement"][place]
        if gone["Statement"]:
            yield f"without {statement['Sid']}", gone
        for action in statement["Action"]:
            fewer = copy.deepcopy(document)
            fewer["Statement"][place]["Action"] = [one for one in statement["Action"] if one != action] or ["s3:X"]
            yield f"{statement['Sid']} without {action}", fewer
        for operator in statement["Condition"]:
            looser = copy.deepcopy(document)
            del looser["Statement"][place]["Condition"][operator]
            yield f"{statement['Sid']} without {operator}", looser


@pytest.mark.parametrize("where", list(Where))
def test_nothing_in_a_policy_is_idle(where: Where) -> None:
    whole = guard.policies(FULL)
    unseen = [said for said, weak in weakenings(whole[where]) if tried({**whole, where: weak}, FULL)]
    covered = {f"HoldTheRoles without {action}" for action in guard.ROLE_ACTIONS}
    settings = {f"HoldTemplates without {one}" for one in guard.SETTINGS_ACTIONS}
    outside = {f"HoldFromOutside without {one}" for one in guard.SETTINGS_ACTIONS + guard.IMAGE_ACTIONS}
    assert set(unseen) <= covered | settings | outside, "lists of alike actions are tried by one of them"


def test_on_aws_only_what_aws_has() -> None:
    operations = set(session_of().get_service_model("ecr").operation_names)
    for where in (Where.SERVICE_CONTROL, Where.RESOURCE_CONTROL):
        text = guard.written(guard.policies(FULL)[where])
        named = {one for one in json.loads(text)["Statement"] for one in one["Action"]}
        assert {one.removeprefix("ecr:") for one in named if one.startswith("ecr:")} <= operations
        assert guard.faults(where, text) == []
        ours = guard.faults(
            where, text.replace("aws:PrincipalIsAWSService", "x").replace("aws:Principal", "ecr:imageTagMutability")
        )
        assert "ecr:imageTagMutability" in ours[0]


def test_long_names_still_fit_and_a_long_policy_is_a_fault() -> None:
    options = Options(governance_role="g" * 64, auto_flip_role="f" * 64, admin_role="a" * 64, vending_role="v" * 64)
    text = guard.written(guard.policies(options)[Where.SERVICE_CONTROL])
    assert guard.faults(Where.SERVICE_CONTROL, text) == []
    assert "5120" in guard.faults(Where.SERVICE_CONTROL, text + " " * 5_120)[0]


def test_a_condition_that_aws_does_not_have_denies_every_creation_there() -> None:
    """Why the kit has none: the key is never in a request to AWS."""
    proposed = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny",
            "Action": "ecr:CreateRepository",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"ecr:imageTagMutability": "IMMUTABLE"}},
        },
    }
    trials = guard.try_policies({Where.SERVICE_CONTROL: guard.parse(Where.SERVICE_CONTROL, proposed)}, Options())
    creations = [
        one
        for one in trials
        if one.request.action == "ecr:CreateRepository" and one.request.where is Where.SERVICE_CONTROL
    ]
    assert creations
    assert not any(trial.passed for trial in creations)


@pytest.mark.parametrize(
    "given",
    [
        {"governance_role": "*"},
        {"governance_role": "arn:aws:iam::1:role/x"},
        {"vending_role": "holdfast-governance"},
        {"request_tag": "a b"},
        {"organization_id": "r-1"},
        {"partition": "moon"},
        {"modes": ("MUTABLE",)},
        {"modes": ("WHAT",)},
        {"nonsense": 1},
    ],
    ids=str,
)
def test_options_that_no_kit_can_be_made_of(given: dict[str, Any]) -> None:
    with pytest.raises(OptionsInvalid):
        Options.read(given)


# --- the files -------------------------------------------------------------------------------------------------------


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's YAML; the functions stay as pairs of their tag and their value."""


def _function(loader: Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {f"Fn::{suffix}": loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {f"Fn::{suffix}": loader.construct_sequence(node, deep=True)}


Loader.add_multi_constructor("!", _function)


def test_the_automatic_flip_never_takes_filters_away() -> None:
    account = yaml.load(guard_files.kit(FULL, "eu-central-1")["cloudformation/account.yaml"], Loader)  # noqa: S506
    document = account["Resources"]["HoldRepository"]["Properties"]["Content"]
    steps = {step["name"]: step for step in document["mainSteps"]}
    assert [step["name"] for step in document["mainSteps"]] == ["Read", "Choose", "Flip", "Verify"]
    assert steps["Choose"]["inputs"] == {
        "Choices": [{"NextStep": "Flip", "Variable": "{{ Read.Mode }}", "StringEquals": "MUTABLE"}],
        "Default": "Verify",
    }
    model = session_of().get_service_model("ecr")
    for step in ("Read", "Flip", "Verify"):
        inputs = {name: value for name, value in steps[step]["inputs"].items() if name[0].islower()}
        shape = model.operation_model(steps[step]["inputs"]["Api"]).input_shape
        named = json.loads(json.dumps(inputs).replace("{{ RepositoryName }}", "team/app"))
        assert not ParamValidator().validate(named, shape).has_errors()
    pattern = account["Resources"]["FlipWhatIsCreated"]["Properties"]["EventPattern"]["detail"]
    assert pattern["responseElements"] == {"repository": {"imageTagMutability": ["MUTABLE"]}}


def test_the_creation_template_is_one_that_ecr_takes() -> None:
    made = json.loads(guard_files.kit(FULL, "eu-central-1")["aws/creation-template.json"])
    shape = session_of().get_service_model("ecr").operation_model("CreateRepositoryCreationTemplate").input_shape
    assert not ParamValidator().validate(made, shape).has_errors()
    assert set(made["appliedFor"]) == set(shape.members["appliedFor"].member.enum)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_no_placeholder_is_left(options: Options) -> None:
    for path, text in guard_files.kit(options, "eu-central-1").items():
        assert "%%" not in text, path


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    from commands import Commands as Made  # noqa: PLC0415 - the fixture shadows the name

    return Made(monkeypatch, capsys)


def test_write_then_test_then_weaken(holdfast: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    wrote = holdfast(
        "guard", "write", str(folder), "--organization", ORGANIZATION, "--vending-role", "vending", "--json"
    )
    assert wrote.code == 0
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(wrote.json()["files"])
    again = holdfast("guard", "write", str(folder))
    assert (again.code, "nothing was written" in again.err) == (3, True)
    tested = holdfast("guard", "test", str(folder))
    assert tested.code == 0
    assert "AWS has no condition key for tag mutability" in tested.out
    file = folder / guard.FILES[Where.SERVICE_CONTROL]
    file.write_text(file.read_text().replace('"ecr:BatchDeleteImage",', ""))
    weak = holdfast("guard", "test", str(folder))
    assert weak.code == 1
    assert any(line.startswith("WRONG") and "BatchDeleteImage" in line for line in weak.out.splitlines())
    file.write_text("{")
    broken = holdfast("guard", "test", str(folder), "--json")
    assert (broken.code, broken.json()["holds"]) == (1, False)
    file.unlink()
    assert holdfast("guard", "test", str(folder), "--json").json()["faults"] == [
        f"{guard.FILES[Where.SERVICE_CONTROL]}: is missing"
    ]


def test_usage(holdfast: Commands, tmp_path: Path) -> None:
    assert holdfast("guard", "write", str(tmp_path / "kit"), "--governance-role", "a*").code == 2
    assert not (tmp_path / "kit").exists()
    assert holdfast("guard", "test", str(tmp_path)).code == 3
    (tmp_path / guard_files.OPTIONS_FILE).write_text("[]")
    assert holdfast("guard", "test", str(tmp_path)).code == 2


def test_a_guardrail_is_one() -> None:
    with pytest.raises(PolicyInvalid):
        guard.parse(Where.GUARDRAIL, {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*"}]})
