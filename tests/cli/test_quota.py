"""`holdfast quota` sets limits, shows them with what is used, and says who has how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images import image, push

if TYPE_CHECKING:
    from commands import Commands
    from running import Client


def test_a_quota_is_set_shown_and_taken_away(holdfast: Commands, client: Client, repository: str) -> None:
    push(client, repository, "v1", image())
    assert holdfast("quota", "set", repository, "--bytes", "10MiB", "--images", "7").out == (
        f"Of {repository}: images 7, bytes 10.5 MB.\n"
    )
    shown = holdfast("quota", "show", repository, "--json").json()
    assert shown["quotas"][0] == {"scope": "repository", "resource": "images", "most": 7, "used": 1}
    assert shown["quotas"][1]["most"] == 10 << 20
    assert "10.5 MB" in holdfast("quota", "show", repository).out
    holdfast("quota", "set", repository, "--bytes", "none", "--images", "none")
    assert {one["most"] for one in holdfast("quota", "show", repository, "--json").json()["quotas"]} == {None}
    assert "no limit" in holdfast("quota", "show").out


def test_a_push_beyond_a_quota_is_refused_by_a_rule(holdfast: Commands, repository: str) -> None:
    assert holdfast("repo", "create", repository).code == 0
    assert holdfast("quota", "set", "--repositories", "0").code == 0
    try:
        ran = holdfast("repo", "create", f"{repository}/more")
        assert ran.code == 4
        assert "at most 0 repositories" in ran.err
    finally:
        assert holdfast("quota", "set", "--repositories", "none").code == 0


def test_who_has_how_much(holdfast: Commands, client: Client, repository: str) -> None:
    push(client, repository, "v1", image(bytes(1_000_000)))
    found = holdfast("quota", "usage", "--json").json()["repositories"]
    mine = next(one for one in found if one["repository"] == repository)
    assert mine["images"] == 1
    assert mine["bytes"] > 1_000_000
    assert [one["bytes"] for one in found] == sorted((one["bytes"] for one in found), reverse=True)
    assert repository in holdfast("quota", "usage").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("set",),
        ("set", "a/b", "--each-repository", "--images", "1"),
        ("set", "a/b", "--repositories", "1"),
        ("set", "--bytes", "10 parsecs"),
        ("set", "--images", "10GB"),
        ("set", "--images", "-1"),
        ("set", "UPPER", "--images", "1"),
    ],
)
def test_wrong_usage_is_told(holdfast: Commands, arguments: tuple[str, ...]) -> None:
    ran = holdfast("quota", *arguments)
    assert (ran.code, ran.out) == (2, "")
