"""`holdfast lifecycle` and `holdfast orphans`: what they tell, to people and programs, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from images import image, push, push_parts, put

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import Client

POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "the last one is enough",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["v*"],
                "countType": "imageCountMoreThan",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        }
    ]
}


def test_a_policy_is_previewed_set_shown_run_and_deleted(
    holdfast: Commands, client: Client, repository: str, tmp_path: Path
) -> None:
    old, new = image(), image()
    push(client, repository, "v1", old)
    push(client, repository, "v2", new)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY))
    assert "has no lifecycle policy" in holdfast("lifecycle", "show", repository).out
    told = holdfast("lifecycle", "preview", repository, "--file", str(file), "--json").json()
    assert (told["expire"], told["archive"], told["keep"]) == (1, 0, 1)
    assert [(one["digest"], one["rule"]) for one in told["images"]] == [(old.digest, 1)]
    assert "1 would be expired" in holdfast("lifecycle", "preview", repository, "--file", str(file), "--all").out
    assert holdfast("lifecycle", "run", repository).code == 3
    assert holdfast("lifecycle", "set", repository, str(file)).code == 0
    shown = holdfast("lifecycle", "show", repository)
    assert "the last one is enough" in shown.out
    assert "It did not run yet." in shown.out
    ran = holdfast("lifecycle", "run", repository, "--yes", "--json").json()
    assert (ran["status"], ran["examined"], ran["expired"]) == ("COMPLETE", 2, 1)
    assert holdfast("lifecycle", "show", repository, "--json").json()["last_evaluated_at"]
    assert holdfast("lifecycle", "delete", repository, "--yes").code == 0


def test_what_is_no_policy_is_wrong_usage(holdfast: Commands, client: Client, repository: str, tmp_path: Path) -> None:
    push(client, repository, "v1", image())
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"rules": []}))
    ran = holdfast("lifecycle", "set", repository, str(file))
    assert ran.code == 2
    assert "array is too short" in ran.err


def test_orphans_are_found_in_one_repository_and_in_all(holdfast: Commands, client: Client, repository: str) -> None:
    push(client, repository, "v1", image())
    assert holdfast("orphans", repository).code == 0
    stray = image()
    push_parts(client, repository, stray)
    put(client, repository, stray.digest, stray)
    ran = holdfast("orphans", repository)
    assert ran.code == 1
    assert "1 of 2 images are orphans" in ran.out
    told = holdfast("orphans", repository, "--json").json()
    assert [one["digest"] for one in told["orphan_images"]] == [stray.digest]
    everywhere = holdfast("orphans", "--json")
    assert everywhere.code == 1
    counts = {one["repository"]: one["orphans"] for one in everywhere.json()["repositories"]}
    assert counts[repository] == 1
