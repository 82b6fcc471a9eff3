"""Inventory, history, triage, simulate against a server; then the flip, and what was said comes true."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from commands import Commands, environment
from estates import FAR, MANAGEMENT, Estate, estate, put_layers
from images import image
from json_api import refusal
from running import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNATURE = f"sha256-{'a' * 64}.sig"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with estate(tmp_path_factory.mktemp("estate"), {MANAGEMENT: (REGION, FAR)}) as made:
        yield made


@pytest.fixture(scope="module")
def pushed(server: Estate) -> Estate:
    """A repository whose build re-uses `latest`, one that is clean, one with a tag deleted and pushed again."""
    with contextlib.closing(server.ecr(MANAGEMENT, REGION)) as ecr:
        for name in ("team/moving", "team/clean", "team/around", "team/quiet"):
            ecr.create_repository(repositoryName=name)
    for build in range(3):
        one = image()
        server.push(MANAGEMENT, REGION, "team/moving", f"1.0.{build}", one)
        server.push(MANAGEMENT, REGION, "team/moving", "latest", one)
        server.push(MANAGEMENT, REGION, "team/clean", f"1.0.{build}")
    server.push(MANAGEMENT, REGION, "team/around", "1.0.0")
    with contextlib.closing(server.ecr(MANAGEMENT, REGION)) as ecr:
        ecr.batch_delete_image(repositoryName="team/around", imageIds=[{"imageTag": "1.0.0"}])
    server.push(MANAGEMENT, REGION, "team/around", "1.0.0")
    return server


@pytest.fixture
def holdfast(
    pushed: Estate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(monkeypatch, capsys, environment(pushed.server.url))


def told(holdfast: Commands, *arguments: str, code: int = 0) -> Any:
    ran = holdfast(*arguments, "--json")
    assert ran.code == code, ran.err
    return ran.json()


def gather(holdfast: Commands, server: Estate) -> None:
    key = told(holdfast, "ledger", "status")["keys"][-1]
    assert told(holdfast, "inventory")["repositories"] == 4
    found = told(holdfast, "history", "--ledger", server.server.url, "--key", key)
    assert found["origins"] == ["ledger"]
    assert found["skipped"] == []


def test_what_is_found_out_comes_true(holdfast: Commands, pushed: Estate) -> None:
    gather(holdfast, pushed)
    judged = {one["repository"]: one for one in told(holdfast, "triage")["repositories"]}
    assert {name: one["verdict"] for name, one in judged.items()} == {
        "team/moving": "needs work",
        "team/clean": "ready",
        "team/around": "needs work",
        "team/quiet": "ready",
    }
    assert judged["team/moving"]["keep"] == ["latest"]
    assert {one["code"] for one in judged["team/around"]["reasons"]} >= {"delete-then-push"}
    said = {one["repository"]: one for one in told(holdfast, "simulate", "--rules", "holdfast", code=1)["repositories"]}
    assert {name: one["refused"] for name, one in said.items()} == {
        "team/moving": 2,
        "team/clean": 0,
        "team/around": 1,
        "team/quiet": 0,
    }
    assert not any(one["is_lower_bound"] for one in said.values())
    assert "fails at 'latest'" in said["team/moving"]["next_build"]
    assert said["team/clean"]["next_build"].startswith("The next build goes through")
    # The rule of Amazon ECR lets a deleted name be taken.
    assert told(holdfast, "simulate", "team/around")["repositories"][0]["refused"] == 0
    # Now the flip, and the same builds again.
    with contextlib.closing(pushed.ecr(MANAGEMENT, REGION)) as ecr:
        for name in judged:
            ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
        again = image()
        put_layers(ecr, "team/moving", again)
        manifest = again.manifest.decode()
        refused = refusal(ecr.put_image, repositoryName="team/moving", imageManifest=manifest, imageTag="latest")
        assert refused.code == "ImageTagAlreadyExistsException"
    for name in ("team/moving", "team/clean", "team/quiet"):
        pushed.push(MANAGEMENT, REGION, name, "2.0.0")
    # With what was suggested the pointer goes on to move, and nothing else does.
    suggested = told(holdfast, "simulate", "team/moving", "--suggest")["repositories"][0]
    assert suggested["filters"] == ["latest"]
    assert (suggested["refused"], suggested["suggested"]["live"], suggested["suggested"]["movable"]) == (
        0,
        4,
        ["latest"],
    )
    with contextlib.closing(pushed.ecr(MANAGEMENT, REGION)) as ecr:
        ecr.put_image_tag_mutability(
            repositoryName="team/moving",
            imageTagMutability=suggested["mode"],
            imageTagMutabilityExclusionFilters=[
                {"filterType": "WILDCARD", "filter": one} for one in suggested["filters"]
            ],
        )
    pushed.push(MANAGEMENT, REGION, "team/moving", "latest")


def test_people_read_sentences(holdfast: Commands, pushed: Estate) -> None:
    gather(holdfast, pushed)
    ran = holdfast("triage", "team/moving", "team/clean")
    assert ran.code == 0
    assert "latest came to name another image" in ran.out
    assert "needs work" in ran.err
    assert "The history covers 0 days" in ran.err
    ran = holdfast("simulate", "team/clean")
    assert ran.code == 0
    assert "The next build goes through" in ran.out
    for wrong in (("simulate", "--mode", "IMMUTABLE_WITH_EXCLUSION"), ("simulate", "--suggest", "--exclude", "a")):
        assert holdfast(*wrong).code == 2
    assert holdfast("history").code == 2
    assert holdfast("triage", "--inventory", "nothing-here").code == 2


def test_files_that_are_something_else_are_refused(holdfast: Commands, tmp_path: Path) -> None:
    (tmp_path / "inventory.jsonl").write_text(json.dumps({"record": "history", "gathered_at": "2026-03-01T08:00:00Z"}))
    ran = holdfast("triage")
    assert ran.code == 2
    assert "inventory.jsonl is no inventory: line 1" in ran.err
