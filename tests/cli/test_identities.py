"""`holdfast group`, `role`, `iam`, `login`, `org`, `guardrail` and `registry`."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from running import ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"n-{uuid.uuid4().hex[:12]}"


def written(folder: Path, statement: dict[str, Any]) -> str:
    file = folder / f"{uuid.uuid4().hex}.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    return str(file)


def test_a_group_gives_its_users_what_is_attached_to_it(holdfast: Commands, name: str, repository: str) -> None:
    nothing = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    assert holdfast("group", "create", name).code == 0
    assert holdfast("user", "create", name, "--read-only").code == 0
    assert holdfast("iam", "explain", f"user/{name}", "ecr:PutImage", repository).code == 1
    power = READ_ONLY.replace("ReadOnly", "PowerUser")
    assert holdfast("iam", "attach", f"group/{name}", power).code == 0
    assert holdfast("group", "add", name, name).code == 0
    told = holdfast("iam", "explain", f"user/{name}", "ecr:PutImage", repository, "--json")
    assert told.code == 0
    assert told.json()["statements"][0]["policy"] == f"{power} attached to arn:aws:iam::{ACCOUNT}:group/{name}"
    listed = next(one for one in holdfast("group", "list", "--json").json()["groups"] if one["name"] == name)
    assert (listed["users"], listed["attached_policies"]) == ([name], [power])
    assert holdfast("group", "remove", name, name).code == 0
    said = holdfast("iam", "explain", f"user/{name}", "ecr:PutImage", repository)
    assert said.code == 1
    assert "Denied: " in said.out
    assert "because no identity-based policy allows the ecr:PutImage action" in said.out
    assert nothing["Effect"] == "Allow"
    assert holdfast("group", "delete", name).code == 0
    assert holdfast("group", "delete", name).code == 3


def test_a_boundary_bounds_and_a_policy_in_use_stays(holdfast: Commands, name: str, tmp_path: Path) -> None:
    file = written(tmp_path, {"Effect": "Allow", "Action": "ecr:Describe*", "Resource": "*"})
    arn = holdfast("iam", "policy", "put", name, file, "--json").json()["arn"]
    holdfast("user", "create", name, "--administrator")
    assert holdfast("iam", "put", f"user/{name}", "--boundary", arn, "--tag", "team=a").code == 0
    said = holdfast("iam", "explain", f"user/{name}", "ecr:PutImage", "a/b")
    assert "because no permissions boundary allows the ecr:PutImage action" in said.out
    assert holdfast("iam", "explain", f"user/{name}", "ecr:DescribeImages", "a/b").code == 0
    assert holdfast("iam", "policy", "delete", arn).code == 4
    assert holdfast("iam", "put", f"user/{name}", "--boundary", "").code == 0
    assert holdfast("iam", "policy", "delete", arn).code == 0


def test_a_role_is_taken_on_with_a_key(holdfast: Commands, name: str, tmp_path: Path) -> None:
    trust = written(tmp_path, {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    may = written(tmp_path, {"Effect": "Allow", "Action": "ecr:DescribeRepositories", "Resource": "*"})
    arn = holdfast("role", "create", name, "--trust", trust, "--policy", may, "--json").json()["arn"]
    made = holdfast("login", "--role", arn, "--seconds", "900", "--json").json()
    as_role = {
        "AWS_ACCESS_KEY_ID": made["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": made["secret_access_key"],
        "AWS_SESSION_TOKEN": made["session_token"],
    }
    assert holdfast("repo", "list", **as_role).code == 0
    denied = holdfast("user", "list", **as_role)
    assert denied.code == 3
    assert f"assumed-role/{name}/holdfast is not authorized" in denied.err
    assert any(one["name"] == name for one in holdfast("role", "list", "--json").json()["roles"])
    assert holdfast("login", "--role", f"{arn}x").code == 3
    assert holdfast("role", "delete", name).code == 0
    assert holdfast("repo", "list", **as_role).code == 3


def test_guardrails_units_and_registries(holdfast: Commands, name: str, tmp_path: Path) -> None:
    account = "9" + str(uuid.uuid4().int)[:11]
    made = holdfast("registry", "create", account, "ap-south-1", "--json").json()
    assert made["host"].startswith(f"{account}.dkr.ecr.ap-south-1.")
    unit = holdfast("org", "unit", "create", name, "--json").json()["id"]
    assert holdfast("org", "move", account, unit).code == 0
    file = written(tmp_path, {"Effect": "Deny", "Action": "ecr:DeleteRepository", "Resource": "*"})
    assert holdfast("guardrail", "put", name, file).code == 0
    assert holdfast("guardrail", "attach", name, unit).code == 0
    tree = holdfast("org", "show").out
    assert f"{name} ({unit}): FullAWSAccess, {name}" in tree
    assert f"account {account}: FullAWSAccess" in tree
    assert holdfast("org", "unit", "delete", unit).code == 4
    assert holdfast("guardrail", "delete", name).code == 4
    assert holdfast("guardrail", "detach", name, unit).code == 0
    assert holdfast("guardrail", "delete", name).code == 0
    assert account in holdfast("registry", "list").out


def test_the_first_user_of_a_new_registry_is_made_as_the_hint_says(holdfast: Commands, name: str) -> None:
    account = "8" + str(uuid.uuid4().int)[:11]
    hint = holdfast("registry", "create", account, "eu-west-3").out
    _, _, command = hint.strip().partition("holdfast ")
    made = holdfast(*command.replace("NAME", name).split())
    assert made.code == 0, made.err
    assert f"arn:aws:iam::{account}:user/{name} was made" in made.out
    place = ("--account", account, "--region", "eu-west-3")
    assert f"holdfast user key create {name} --account {account} --region eu-west-3" in made.out
    key = holdfast("user", "key", "create", name, *place, "--json").json()
    theirs = {"AWS_ACCESS_KEY_ID": key["access_key_id"], "AWS_SECRET_ACCESS_KEY": key["secret_access_key"]}
    listed = holdfast("user", "list", "--json", "--region", "eu-west-3", **theirs)
    assert [one["name"] for one in listed.json()["users"]] == [name]
    assert holdfast("repo", "create", "first", "--region", "eu-west-3", **theirs).code == 0
    assert name not in holdfast("user", "list").out
    other = holdfast("user", "list", "--account", "123456789012", "--region", "eu-west-3", **theirs)
    assert other.code == 3, "only the managing account may name another"
    assert holdfast("user", "create", "second", "--administrator", *place).code == 0
    assert holdfast("user", "key", "create", "second", *place).code == 0
    assert holdfast("user", "key", "delete", key["access_key_id"], *place).code == 0
    assert holdfast("user", "delete", name, *place, "--yes").code == 0
    assert holdfast("user", "list", "--region", "eu-west-3", **theirs).code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("iam", "explain", "user/x", "ecr:PutImage", "--key", "novalue"),
        ("iam", "put", "user/x"),
        ("role", "create", "x"),
        ("login",),
    ],
)
def test_what_is_usage(holdfast: Commands, arguments: tuple[str, ...]) -> None:
    assert holdfast(*arguments).code == 2


def test_a_misspelt_key_is_no_policy(holdfast: Commands, name: str, tmp_path: Path) -> None:
    condition = {"StringNotEquals": {"ecr:imageTagMutabilty": "IMMUTABLE"}}
    statement = {"Effect": "Deny", "Action": "ecr:CreateRepository", "Resource": "*", "Condition": condition}
    ran = holdfast("guardrail", "put", name, written(tmp_path, statement))
    assert ran.code == 2
    assert "did you mean ecr:imageTagMutability?" in ran.err
