"""`holdfast repo`: what each command does, says, prints as JSON, and with which code it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import images

if TYPE_CHECKING:
    from commands import Commands
    from running import Client, RunningServer


def test_create_makes_an_immutable_repository(holdfast: Commands, repository: str, server: RunningServer) -> None:
    ran = holdfast("repo", "create", repository, "--json")
    assert ran.code == 0
    told = ran.json()
    assert told["created_at"].endswith("Z")
    assert {key: value for key, value in told.items() if key != "created_at"} == {
        "name": repository,
        "arn": f"arn:aws:ecr:eu-central-1:123456789012:repository/{repository}",
        "uri": f"{server.host}:{server.port}/{repository}",
        "mutability": "IMMUTABLE",
        "filters": [],
    }


def test_create_says_how_to_push(holdfast: Commands, repository: str, server: RunningServer) -> None:
    ran = holdfast("repo", "create", repository, "--mutability", "mutable_with_exclusion", "--exclude", "v*")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{repository} was made: MUTABLE_WITH_EXCLUSION (v*).",
        f"Push to it as {server.host}:{server.port}/{repository}:TAG",
    ]


def test_create_twice_could_not_finish(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository)
    ran = holdfast("repo", "create", repository)
    assert (ran.code, ran.out) == (3, "")
    assert f"The repository with name '{repository}' already exists in the registry" in ran.err
    assert "holdfast repo set" in ran.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--mutability", "IMMUTABLE", "--exclude", "v*"), "the mode with filters is IMMUTABLE_WITH_EXCLUSION"),
        (("--mutability", "MUTABLE_WITH_EXCLUSION"), "needs at least one --exclude"),
        (("--mutability", "IMMUTABLE_WITH_EXCLUSION", "--exclude", "a*b*c*"), "maximum of 2 wildcards"),
        (("--mutability", "SOMETIMES"), "'SOMETIMES' is not one of"),
    ],
)
def test_settings_that_cannot_be_are_usage(
    holdfast: Commands, repository: str, options: tuple[str, ...], sentence: str
) -> None:
    ran = holdfast("repo", "create", repository, *options)
    assert ran.code == 2
    assert sentence in ran.err
    assert holdfast("repo", "list", "--json").out.count(f'"{repository}"') == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Upper/Case", "lower-case letters"),
        ("x", "has 2 to 256 characters"),
        ("127.0.0.1:5000/demo/app", "goes into --endpoint, not before the name"),
        ("localhost/demo/app", "lower-case"),
    ],
)
def test_names_that_cannot_be_are_usage(holdfast: Commands, name: str, sentence: str) -> None:
    ran = holdfast("repo", "create", name)
    if name == "localhost/demo/app":  # a good name, if an odd one
        assert ran.code in {0, 3}
        return
    assert ran.code == 2
    assert sentence in ran.err


def test_list_as_table_and_as_json(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository, "--mutability", "IMMUTABLE_WITH_EXCLUSION", "--exclude", "dev-*")
    table = holdfast("repo", "list")
    assert table.code == 0
    lines = table.out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "MUTABILITY", "FILTERS", "SINCE"]
    row = next(line for line in lines if line.startswith(f"{repository} "))
    assert row.split()[1:3] == ["IMMUTABLE_WITH_EXCLUSION", "dev-*"]
    listed = holdfast("repo", "list", "--json").json()["repositories"]
    assert next(one for one in listed if one["name"] == repository)["filters"] == ["dev-*"]


def test_set_tells_before_and_after(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository)
    ran = holdfast("repo", "set", repository, "--mutability", "MUTABLE_WITH_EXCLUSION", "--exclude", "v*", "--json")
    assert ran.code == 0
    assert ran.json() == {
        "name": repository,
        "before": {"mutability": "IMMUTABLE", "filters": []},
        "after": {"mutability": "MUTABLE_WITH_EXCLUSION", "filters": ["v*"]},
    }
    again = holdfast("repo", "set", repository, "--mutability", "MUTABLE_WITH_EXCLUSION", "--exclude", "v*")
    assert "nothing changed" in again.out
    back = holdfast("repo", "set", repository, "--mutability", "IMMUTABLE")
    assert f"{repository} was MUTABLE_WITH_EXCLUSION (v*); it is IMMUTABLE from now on." in back.out


def test_set_of_what_is_not_there(holdfast: Commands, repository: str) -> None:
    ran = holdfast("repo", "set", repository, "--mutability", "IMMUTABLE", "--json")
    assert (ran.code, ran.out) == (3, "")
    failure = ran.failure()
    assert failure["code"] == "RepositoryNotFoundException"
    assert failure["exit"] == 3
    assert "holdfast repo list" in failure["next"]


def test_delete_needs_force_for_images(holdfast: Commands, repository: str, client: Client) -> None:
    holdfast("repo", "create", repository)
    assert images.push(client, repository, "v1", images.image()).status == 201
    refused = holdfast("repo", "delete", repository)
    assert refused.code == 4
    assert "cannot be deleted because it still contains images" in refused.err
    assert "--force" in refused.err
    ran = holdfast("repo", "delete", repository, "--force", "--json")
    assert (ran.code, ran.json()) == (0, {"name": repository, "deleted": True})
    assert holdfast("repo", "delete", repository).code == 3
