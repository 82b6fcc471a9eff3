"""`holdfast tags`, `tag` and `forget`: what tags name, who tried what, and how names go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import images
from running import ACCOUNT

if TYPE_CHECKING:
    from commands import Commands
    from running import Client

ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@pytest.fixture
def held(holdfast: Commands, repository: str, client: Client) -> tuple[images.Image, images.Image]:
    """An immutable repository with `dev-*` free: v1 and dev-1 name the first image; the second was refused at v1."""
    holdfast("repo", "create", repository, "--mutability", "IMMUTABLE_WITH_EXCLUSION", "--exclude", "dev-*")
    first, second = images.image(), images.image()
    assert images.push(client, repository, "v1", first).status == 201
    assert images.push(client, repository, "dev-1", first).status == 201
    assert images.push(client, repository, "v1", second).status == 409
    return first, second


def test_tags_tell_what_holds_and_why(
    holdfast: Commands, repository: str, held: tuple[images.Image, images.Image]
) -> None:
    told = holdfast("tags", repository, "--json").json()
    assert {key: told[key] for key in ("repository", "mutability", "filters")} == {
        "repository": repository,
        "mutability": "IMMUTABLE_WITH_EXCLUSION",
        "filters": ["dev-*"],
    }
    assert [{key: value for key, value in one.items() if key != "since"} for one in told["tags"]] == [
        {
            "tag": "dev-1",
            "digest": held[0].digest,
            "by": ADMINISTRATOR,
            "held": False,
            "reason": "the repository is IMMUTABLE_WITH_EXCLUSION and the filter 'dev-*' matches the tag",
        },
        {
            "tag": "v1",
            "digest": held[0].digest,
            "by": ADMINISTRATOR,
            "held": True,
            "reason": "the repository is IMMUTABLE_WITH_EXCLUSION and no filter matches the tag",
        },
    ]
    table = holdfast("tags", repository)
    assert table.code == 0
    header, dev, v1 = table.out.splitlines()
    assert header.split() == ["TAG", "DIGEST", "SINCE", "BY", "HOLDS", "WHY"]
    assert dev.split()[0] == "dev-1"
    assert dev.split()[4] == "free"
    assert v1.split()[:2] == ["v1", held[0].digest[:19]]
    assert v1.split()[3:5] == ["user/administrator", "held"]
    only = holdfast("tags", repository, "--tag", "v1", "--json").json()["tags"]
    assert [one["tag"] for one in only] == ["v1"]


def test_tags_of_an_empty_repository(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository)
    assert holdfast("tags", repository).out == f"{repository} has no tags yet.\n"
    assert holdfast("tags", repository, "--json").json()["tags"] == []


def test_history_tells_intervals_and_refusals(
    holdfast: Commands, repository: str, client: Client, held: tuple[images.Image, images.Image]
) -> None:
    first, second = held
    assert images.put(client, repository, "dev-1", second).status == 201
    assert client("DELETE", f"/v2/{repository}/manifests/dev-1").status == 202
    told = holdfast("tags", repository, "--history", "--json").json()
    assert [(one["tag"], one["digest"], one["how"], one["ended_by"]) for one in told["bindings"]] == [
        ("dev-1", second.digest, "deleted", ADMINISTRATOR),
        ("dev-1", first.digest, "moved", ADMINISTRATOR),
        ("v1", first.digest, None, None),
    ]
    assert told["bindings"][1]["until"] == told["bindings"][0]["from"]
    (refused,) = told["refused"]
    assert {key: value for key, value in refused.items() if key != "at"} == {
        "tag": "v1",
        "by": ADMINISTRATOR,
        "pushed": second.digest,
        "stays": first.digest,
        "rule": "held",
        "reason": "the repository is IMMUTABLE_WITH_EXCLUSION and no filter matches the tag",
        "through": "oci",
    }
    table = holdfast("tags", repository, "--history").out
    assert "moved to another digest by user/administrator" in table
    assert "it stands" in table
    assert "Refused attempts: 1" in table
    of_one = holdfast("tags", repository, "--history", "--tag", "dev-1", "--json").json()
    assert (of_one["tag"], len(of_one["bindings"]), of_one["refused"]) == ("dev-1", 2, [])


def test_history_outlives_the_repository(holdfast: Commands, repository: str, client: Client) -> None:
    holdfast("repo", "create", repository)
    assert images.push(client, repository, "v1", images.image()).status == 201
    holdfast("repo", "delete", repository, "--force")
    ran = holdfast("tags", repository, "--history", "--json")
    assert [one["how"] for one in ran.json()["bindings"]] == ["deleted"]
    assert holdfast("tags", repository).code == 3


def test_tags_of_no_repository(holdfast: Commands, repository: str) -> None:
    for options in ((), ("--history",)):
        ran = holdfast("tags", repository, *options)
        assert (ran.code, ran.out) == (3, "")
        assert "does not exist in the registry" in ran.err


def test_a_refused_image_gets_a_name_of_its_own(
    holdfast: Commands, repository: str, client: Client, held: tuple[images.Image, images.Image]
) -> None:
    second = held[1]
    ran = holdfast("tag", f"{repository}@{second.digest}", "v2", "v2.0", "--json")
    assert ran.code == 0
    bound = [{"tag": name, "outcome": "bound", "message": None} for name in ("v2", "v2.0")]
    assert ran.json() == {"repository": repository, "digest": second.digest, "tags": bound}
    assert images.digest_of(client, repository, "v2") == second.digest
    again = holdfast("tag", f"{repository}:v2", "v2.0", "stable")
    assert again.code == 0
    assert again.out.splitlines() == [
        f"{repository}:v2.0 names {second.digest} already.",
        f"{repository}:stable names {second.digest}.",
    ]


def test_a_held_tag_refuses_with_the_servers_sentence(
    holdfast: Commands, repository: str, client: Client, held: tuple[images.Image, images.Image]
) -> None:
    first, second = held
    ran = holdfast("tag", f"{repository}@{second.digest}", "v1", "v2")
    assert ran.code == 4
    assert ran.out.splitlines() == [f"{repository}:v2 names {second.digest}."]
    sentence = f"The image tag 'v1' already exists in the '{repository}' repository and cannot be overwritten"
    assert ran.err.startswith(f"holdfast: {sentence}")
    assert first.digest in ran.err
    assert images.digest_of(client, repository, "v1") == first.digest
    told = holdfast("tag", f"{repository}@{second.digest}", "v1", "--json")
    assert told.code == 4
    assert told.json()["tags"][0]["outcome"] == "refused"


def test_tag_of_what_is_not_there(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository)
    ran = holdfast("tag", f"{repository}@sha256:{'0' * 64}", "v1")
    assert ran.code == 3
    assert f"holdfast tags {repository}" in ran.err


@pytest.mark.parametrize("image", ["demo/app", "demo/app@v1", "demo/app@sha256:12", "h:5000/demo/app:v1", "DEMO:v1"])
def test_images_named_wrongly_are_usage(holdfast: Commands, image: str) -> None:
    assert holdfast("tag", image, "v2").code == 2


@pytest.mark.parametrize("tag", ["-x", "a b", "x" * 129, ""])
def test_tags_that_cannot_be_are_usage(holdfast: Commands, repository: str, tag: str) -> None:
    assert holdfast("tag", f"{repository}:v1", "--", tag).code == 2


def test_a_name_that_waits_is_forgotten(
    holdfast: Commands, repository: str, client: Client, held: tuple[images.Image, images.Image]
) -> None:
    second = held[1]
    assert client("DELETE", f"/v2/{repository}/manifests/v1").status == 202
    assert images.put(client, repository, "v1", second).status == 409
    ran = holdfast("forget", f"{repository}:v1", "--json")
    assert (ran.code, ran.json()) == (0, {"repository": repository, "tag": "v1", "forgotten": True})
    assert images.put(client, repository, "v1", second).status == 201
    nothing = holdfast("forget", f"{repository}:v1")
    assert nothing.code == 3
    assert "waits for its digest" in nothing.err
