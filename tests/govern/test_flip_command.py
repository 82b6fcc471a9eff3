"""`holdfast plan`, `flip` and `undo` against Holdfast's own ECR API: two accounts, two regions, what goes wrong."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from commands import PROGRAM, Commands, Ran, environment, process_environment
from estates import EVERYTHING, FAR, MANAGEMENT, READER, Estate, estate
from running import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "210987654321"
PLACES = [(account, region) for account in (MANAGEMENT, OTHER) for region in (REGION, FAR)]
NAMES = ("team/app", "team/web", "base")
ENTER = ("--role", READER, "--external-id", "agreed")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    accounts = dict.fromkeys((MANAGEMENT, OTHER), (REGION, FAR))
    with estate(tmp_path_factory.mktemp("estate"), accounts) as made:
        yield made


@pytest.fixture
def fresh(shared: Estate) -> Estate:
    """Every repository is there and MUTABLE."""
    for place in PLACES:
        with contextlib.closing(shared.ecr(*place)) as ecr:
            there = {one["repositoryName"] for one in ecr.describe_repositories()["repositories"]}
            for name in NAMES:
                if name not in there:
                    ecr.create_repository(repositoryName=name)
                ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
            for name in there - set(NAMES):
                ecr.delete_repository(repositoryName=name, force=True)
    return shared


@pytest.fixture
def holdfast(fresh: Estate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Commands(monkeypatch, capsys, environment(fresh.server.url))


def modes(made: Estate) -> dict[str, int]:
    counts: dict[str, int] = {}
    for place in PLACES:
        with contextlib.closing(made.ecr(*place)) as ecr:
            for one in ecr.describe_repositories()["repositories"]:
                filters = [each["filter"] for each in one.get("imageTagMutabilityExclusionFilters", [])]
                told = " ".join([one["imageTagMutability"], *filters])
                counts[told] = counts.get(told, 0) + 1
    return counts


def planned(holdfast: Commands, folder: Path, *more: str) -> tuple[Any, str]:
    inventory, plan = str(folder / "inventory.jsonl"), str(folder / "plan.json")
    accounts = [word for account in (MANAGEMENT, OTHER) for word in ("--account", account)]
    read = holdfast("inventory", *accounts, *ENTER, "--out", inventory, "--no-images")
    assert read.code == 0, read.err
    made = holdfast("plan", "--inventory", inventory, "--out", plan, "--hold", "*", "--json", *more)
    assert made.code == 0, made.err
    return made.json(), plan


def test_waves_from_plan_to_undo(holdfast: Commands, fresh: Estate, tmp_path: Path) -> None:
    plan, path = planned(holdfast, tmp_path, "--pilot", f"{MANAGEMENT}/*/base", "--keep", "team/web=latest,cache-*")
    assert [(step["wave"], step["name"]) for step in plan["steps"][:2]] == [(1, "base"), (1, "base")]
    dry = holdfast("flip", path, *ENTER, "--all-waves", "--dry-run")
    assert (dry.code, dry.out.count("aws ecr put-image-tag-mutability")) == (0, 12)
    exact = holdfast("flip", path, *ENTER, "--all-waves", "--dry-run", "--json").json()
    assert exact["calls"][0]["parameters"] == {
        "registryId": MANAGEMENT,
        "repositoryName": "base",
        "imageTagMutability": "IMMUTABLE",
    }
    assert modes(fresh) == {"MUTABLE": 12}
    pilot = holdfast("flip", path, *ENTER, "--expect", plan["digest"])
    assert (pilot.code, modes(fresh)) == (0, {"MUTABLE": 10, "IMMUTABLE": 2}), pilot.err
    assert "Left: waves 2" in pilot.out
    rest = holdfast("flip", path, *ENTER)
    expected = {"IMMUTABLE": 8, "IMMUTABLE_WITH_EXCLUSION latest cache-*": 4}
    assert (rest.code, modes(fresh)) == (0, expected)
    again = holdfast("flip", path, *ENTER, "--all-waves", "--json").json()
    assert (again["changed"], again["already"]) == (0, 12)
    journal = f"{path}.journal"
    assert holdfast("undo", journal, *ENTER, "--dry-run").out.count("--image-tag-mutability MUTABLE") == 12
    undone = holdfast("undo", journal, *ENTER)
    assert (undone.code, modes(fresh)) == (0, {"MUTABLE": 12})
    assert holdfast("undo", journal, *ENTER, "--json").json()["changed"] == 0


def test_what_pipelines_need_is_made_before_and_stays(holdfast: Commands, fresh: Estate, tmp_path: Path) -> None:
    cache = f"{OTHER}/{FAR}/team/app-cache=MUTABLE"
    _, path = planned(holdfast, tmp_path, "--only", "team/app", "--create", cache)
    assert holdfast("flip", path, *ENTER).code == 0
    with contextlib.closing(fresh.ecr(OTHER, FAR)) as ecr:
        assert ecr.describe_repositories(repositoryNames=["team/app-cache"])["repositories"]
    assert holdfast("flip", path, *ENTER).code == 0
    undone = holdfast("undo", f"{path}.journal", *ENTER)
    assert (undone.code, "stays: delete it by hand" in undone.err) == (3, True)


def test_a_setting_that_somebody_changed_stops_everything_before_it_begins(
    holdfast: Commands, fresh: Estate, tmp_path: Path
) -> None:
    _, path = planned(holdfast, tmp_path)
    with contextlib.closing(fresh.ecr(OTHER, FAR)) as ecr:
        ecr.put_image_tag_mutability(
            repositoryName="team/web",
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "edge"}],
        )
    ran = holdfast("flip", path, *ENTER, "--all-waves")
    assert (ran.code, "Surprise" in ran.err, "nothing was changed" in ran.err) == (3, True, True)
    assert modes(fresh)["MUTABLE"] == 11
    went_on = holdfast("flip", path, *ENTER, "--all-waves", "--keep-going")
    assert went_on.code == 3
    assert modes(fresh) == {"IMMUTABLE": 11, "IMMUTABLE_WITH_EXCLUSION edge": 1}, "somebody's filters are still there"


def test_a_repository_deleted_half_way_is_told_and_the_rest_is_done(
    holdfast: Commands, fresh: Estate, tmp_path: Path
) -> None:
    _, path = planned(holdfast, tmp_path)
    with contextlib.closing(fresh.ecr(OTHER, REGION)) as ecr:
        ecr.delete_repository(repositoryName="base", force=True)
    ran = holdfast("flip", path, *ENTER, "--all-waves", "--json")
    told = ran.json()
    assert (ran.code, told["changed"]) == (3, 11)
    assert [(one["code"], one["name"]) for one in told["troubles"]] == [("Gone", "base")]
    assert modes(fresh) == {"IMMUTABLE": 11}


def test_an_account_that_lets_nobody_in_stops_it_before_anything_is_changed(
    holdfast: Commands, fresh: Estate, tmp_path: Path
) -> None:
    _, path = planned(holdfast, tmp_path)
    with contextlib.closing(fresh.server.aws("holdfast")) as ours:
        ours.delete_role(name=READER, registryId=OTHER)
        try:
            ran = holdfast("flip", path, *ENTER, "--all-waves")
            assert (ran.code, "AccessDenied" in ran.err) == (3, True)
            assert modes(fresh) == {"MUTABLE": 12}
            went_on = holdfast("flip", path, *ENTER, "--all-waves", "--keep-going", "--json")
            assert (went_on.code, modes(fresh)) == (3, {"IMMUTABLE": 6, "MUTABLE": 6})
            assert len(went_on.json()["troubles"]) == 6
        finally:
            trust = {
                "Effect": "Allow",
                "Principal": {"AWS": MANAGEMENT},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "agreed"}},
            }
            ours.create_role(
                name=READER,
                trustPolicy=json.dumps({"Version": "2012-10-17", "Statement": trust}),
                policies=[json.dumps(EVERYTHING)],
                registryId=OTHER,
            )


def test_a_rule_that_forbids_it_is_told_as_one(holdfast: Commands, fresh: Estate, tmp_path: Path) -> None:
    _, path = planned(holdfast, tmp_path)
    stop = {"Effect": "Deny", "Action": "ecr:PutImageTagMutability", "Resource": "*"}
    with contextlib.closing(fresh.server.aws("holdfast")) as ours:
        ours.put_guardrail(name="frozen", document=json.dumps({"Version": "2012-10-17", "Statement": stop}))
        ours.attach_guardrail(name="frozen", targetId=OTHER)
        try:
            ran = holdfast("flip", path, *ENTER, "--all-waves", "--json")
        finally:
            ours.detach_guardrail(name="frozen", targetId=OTHER)
            ours.delete_guardrail(name="frozen")
    told = ran.json()
    assert (ran.code, told["troubles"][0]["refused_by_rule"]) == (4, True)
    assert told["changed"] + len(told["troubles"]) + len(told["untried"]) == 12
    assert modes(fresh) == {"IMMUTABLE": told["changed"], "MUTABLE": 12 - told["changed"]}
    assert holdfast("flip", path, *ENTER, "--all-waves").code == 0, "the same command goes on"
    assert modes(fresh) == {"IMMUTABLE": 12}


def test_wrong_credentials_and_wrong_plans(holdfast: Commands, tmp_path: Path) -> None:
    plan, path = planned(holdfast, tmp_path)
    wrong = holdfast("flip", path, *ENTER, "--dry-run", AWS_SECRET_ACCESS_KEY="wrong")
    assert wrong.code == 3
    assert "signature" in wrong.err.lower()
    assert holdfast("flip", path, *ENTER, "--expect", "sha256:" + "0" * 64).code == 4
    assert holdfast("flip", path, *ENTER, "--wave", "9").code == 2
    text = (tmp_path / "plan.json").read_text()
    (tmp_path / "plan.json").write_text(text.replace('"team/app"', '"team/abb"', 1))
    changed = holdfast("flip", path, *ENTER)
    assert (changed.code, "changed after it was made" in changed.err) == (3, True)
    assert plan["digest"].startswith("sha256:")


def test_killed_half_way_and_run_again(holdfast: Commands, fresh: Estate, tmp_path: Path) -> None:
    _, path = planned(holdfast, tmp_path)
    journal = tmp_path / "plan.json.journal"
    variables = {**process_environment(fresh.server.url), "HOLDFAST_ENDPOINT": fresh.server.url}
    with subprocess.Popen(
        [*PROGRAM, "flip", path, *ENTER, "--all-waves"], env=variables, stderr=subprocess.PIPE
    ) as run:
        end = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < end:
            if journal.is_file() and journal.read_bytes().count(b"\n") >= 8:
                run.send_signal(signal.SIGKILL)
                break
    assert run.returncode == -signal.SIGKILL, "it was quicker than the test"
    done = modes(fresh).get("IMMUTABLE", 0)
    assert 3 <= done < 12
    ran = holdfast("flip", path, *ENTER, "--all-waves", "--json")
    told = ran.json()
    assert (ran.code, told["changed"] + told["already"], modes(fresh)) == (0, 12, {"IMMUTABLE": 12})
    undone: Ran = holdfast("undo", str(journal), *ENTER)
    assert (undone.code, modes(fresh)) == (0, {"MUTABLE": 12}), "what the killed run did is taken back too"


def test_a_flipped_repository_reads_compliant_within_seconds(holdfast: Commands, fresh: Estate, tmp_path: Path) -> None:
    """`recheck --interval` sees what is weakened, and that it complies as soon as it is made immutable again."""
    with contextlib.closing(fresh.ecr(MANAGEMENT, REGION)) as ecr:
        ecr.put_image_tag_mutability(repositoryName="base", imageTagMutability="IMMUTABLE")
        inventory = str(tmp_path / "inventory.jsonl")
        assert holdfast("inventory", "--region", REGION, "--no-images", "--out", inventory).code == 0
        ecr.put_image_tag_mutability(repositoryName="base", imageTagMutability="MUTABLE")
        variables = {**process_environment(fresh.server.url), "HOLDFAST_ENDPOINT": fresh.server.url}
        command = [*PROGRAM, "recheck", "--inventory", inventory, "--region", REGION, "--interval", "0.3", "--json"]
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as run:
            watchdog = threading.Timer(60, run.kill)
            watchdog.start()
            try:
                assert run.stdout is not None
                seen = json.loads(run.stdout.readline())
                assert (seen["code"], seen["name"], seen["gravity"]) == ("weakened", "base", "warning")
                begun = time.monotonic()
                ecr.put_image_tag_mutability(repositoryName="base", imageTagMutability="IMMUTABLE")
                told = json.loads(run.stdout.readline())
                assert (told["code"], told["name"], told["compliance"]) == ("compliance", "base", "COMPLIANT")
                assert time.monotonic() - begun < 30
            finally:
                watchdog.cancel()
                run.kill()
