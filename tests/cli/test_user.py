"""`holdfast user` and `holdfast settings`."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING

import pytest

import images
from holdfast.core import iam
from running import ACCOUNT, REGION

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import RunningServer


@pytest.fixture
def name() -> str:
    """A user's name that no other test uses."""
    return f"u-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize(
    ("option", "policy"),
    [("--administrator", iam.ADMINISTRATOR), ("--power-user", iam.POWER_USER), ("--read-only", iam.READ_ONLY)],
)
def test_create_from_a_preset(holdfast: Commands, name: str, option: str, policy: object) -> None:
    ran = holdfast("user", "create", name, option, "--json")
    assert ran.code == 0
    assert ran.json() == {"name": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "policies": [policy]}
    row = next(line for line in holdfast("user", "list").out.splitlines() if line.startswith(name))
    assert row.split()[1] == option.removeprefix("--")


def test_a_key_opens_what_the_policy_allows_and_no_more(
    holdfast: Commands, name: str, repository: str, server: RunningServer, tmp_path: Path
) -> None:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    statements = [
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": ["ecr:*"], "Resource": arn},
    ]
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert holdfast("user", "create", name, "--policy", str(policy)).code == 0
    made = holdfast("user", "key", "create", name, "--json").json()
    assert sorted(made) == ["access_key_id", "name", "secret_access_key"]
    as_user = {"AWS_ACCESS_KEY_ID": made["access_key_id"], "AWS_SECRET_ACCESS_KEY": made["secret_access_key"]}

    assert holdfast("repo", "create", repository, **as_user).code == 0
    denied = holdfast("repo", "create", f"{repository}-other", **as_user)
    assert denied.code == 3
    assert "is not authorized to perform: ecr:CreateRepository" in denied.err
    assert "Ask an administrator" in denied.err
    with contextlib.closing(server.client(made["access_key_id"], made["secret_access_key"])) as pusher:
        assert images.push(pusher, repository, "v1", images.image()).status == 201

    listed = next(one for one in holdfast("user", "list", "--json").json()["users"] if one["name"] == name)
    assert listed["access_key_ids"] == [made["access_key_id"]]
    assert made["secret_access_key"] not in json.dumps(listed)
    assert "1 policy" in holdfast("user", "list").out

    gone = holdfast("user", "key", "delete", made["access_key_id"], "--json")
    assert gone.json() == {"access_key_id": made["access_key_id"], "deleted": True}
    shut = holdfast("repo", "list", **as_user)
    assert shut.code == 3
    assert "Check AWS_ACCESS_KEY_ID" in shut.err
    assert made["secret_access_key"] not in shut.err


def test_the_secret_is_shown_as_commands_to_copy(holdfast: Commands, name: str) -> None:
    holdfast("user", "create", name, "--read-only")
    lines = holdfast("user", "key", "create", name).out.splitlines()
    assert lines[1].startswith("  export AWS_ACCESS_KEY_ID=AKIA")
    assert lines[2].startswith("  export AWS_SECRET_ACCESS_KEY=")


def test_our_own_variables_come_first(holdfast: Commands, name: str) -> None:
    holdfast("user", "create", name, "--administrator")
    made = holdfast("user", "key", "create", name, "--json").json()
    ours = {
        "HOLDFAST_ACCESS_KEY_ID": made["access_key_id"],
        "HOLDFAST_SECRET_ACCESS_KEY": made["secret_access_key"],
        "AWS_SECRET_ACCESS_KEY": "wrong-on-purpose",
    }
    assert holdfast("repo", "list", **ours).code == 0
    half = holdfast("repo", "list", HOLDFAST_ACCESS_KEY_ID="AKIAONLYONE")
    assert half.code == 2
    assert "go together" in half.err


def test_delete_a_user(holdfast: Commands, name: str) -> None:
    holdfast("user", "create", name, "--read-only")
    twice = holdfast("user", "create", name, "--read-only")
    assert twice.code == 3
    assert "holdfast user list" in twice.err
    ran = holdfast("user", "delete", name, "--json")
    assert (ran.code, ran.json()) == (0, {"name": name, "deleted": True})
    assert holdfast("user", "delete", name).code == 3
    assert holdfast("user", "key", "create", name).code == 3
    assert holdfast("user", "key", "delete", "AKIANOTTHERE").code == 3


@pytest.mark.parametrize("options", [(), ("--administrator", "--policy", "FILE")])
def test_a_user_may_what_is_said_once(holdfast: Commands, name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(iam.READ_ONLY))
    ran = holdfast("user", "create", name, *(str(policy) if one == "FILE" else one for one in options))
    assert ran.code == 2
    assert "Say what the user may do" in ran.err


@pytest.mark.parametrize("text", ["{", '{"Version": "2012-10-17", "Statement": []}', "[]", "\udcff"])
def test_a_policy_that_is_none_is_usage(holdfast: Commands, name: str, text: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = holdfast("user", "create", name, "--policy", str(policy))
    assert ran.code == 2
    assert "is no policy" in ran.err


def test_settings_are_told_and_changed(holdfast: Commands) -> None:
    before = holdfast("settings", "--json").json()
    assert before == {
        "registry_id": ACCOUNT,
        "refusal_style": "denied",
        "deleted_tags": "held",
        "lifecycle_held_tags": "keep",
    }
    try:
        ran = holdfast("settings", "set", "--refusal-style", "ecr", "--json")
        assert (ran.code, ran.json()) == (0, {**before, "refusal_style": "ecr"})
        table = holdfast("settings").out
        assert "Amazon ECR does, 400 TAG_INVALID" in table
        assert "waits for its digest" in table
    finally:
        holdfast("settings", "set", "--refusal-style", "denied", "--deleted-tags", "held")


@pytest.mark.parametrize(
    "arguments",
    [
        ("settings", "set"),
        ("settings", "set", "--refusal-style", "loud"),
        ("settings", "--json", "set", "--refusal-style", "ecr"),
    ],
)
def test_settings_named_wrongly_are_usage(holdfast: Commands, arguments: tuple[str, ...]) -> None:
    assert holdfast(*arguments).code == 2
    assert holdfast("settings", "--json").json()["refusal_style"] == "denied"
