"""`holdfast recheck`, `evaluate` and `plan --suggest` on files: what drifted, what complies, what becomes a step."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from commands import Commands
from holdfast.core.mutability import TagMutability
from holdfast.govern.estate import Inventory, Template, write_inventory
from holdfast.govern.events import Head, History, Origin, write_history
from pasts import ACCOUNT, BEGIN, REGION, push, put_image, registry, repository

if TYPE_CHECKING:
    from pathlib import Path

HELD, MUTABLE = TagMutability.IMMUTABLE, TagMutability.MUTABLE


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(monkeypatch, capsys)


def saved(path: Path, *repositories: Any, **more: Any) -> str:
    inventory = Inventory(BEGIN, (registry(**more),), repositories)
    path.write_bytes(b"".join(write_inventory(inventory)))
    return str(path)


def flipped(name: str, mode: str, event: str = "PutImageTagMutability") -> dict[str, Any]:
    record = put_image()
    request = {"registryId": ACCOUNT, "repositoryName": name, "imageTagMutability": mode}
    return {**record, "eventName": event, "requestParameters": request, "responseElements": dict(request)}


def test_two_inventories_compared(holdfast: Commands, tmp_path: Path) -> None:
    root = Template("ROOT", ("REPLICATION",), HELD)
    before = saved(tmp_path / "inventory.jsonl", repository(mode=HELD), templates=(root,))
    assert holdfast("recheck", "--now", before).out == "Everything is as agreed.\n"
    now = saved(
        tmp_path / "now.jsonl",
        repository(mode=MUTABLE),
        repository(name="new"),
        templates=(Template("ROOT", ("REPLICATION",)),),
    )
    ran = holdfast("recheck", "--now", now)
    assert ran.code == 1
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        ["warning", "new-mutable"],
        ["warning", "template-weakened"],
        ["warning", "weakened"],
    ]
    told = [json.loads(line) for line in holdfast("recheck", "--now", now, "--json").out.splitlines()]
    assert {one["code"] for one in told} == {"new-mutable", "template-weakened", "weakened"}


def test_events_are_judged_as_they_come(holdfast: Commands, tmp_path: Path) -> None:
    saved(tmp_path / "inventory.jsonl", repository(mode=HELD))
    events = [
        flipped("team/app", "MUTABLE"),
        {"source": "aws.ecr", "detail-type": "AWS API Call via CloudTrail", "detail": flipped("team/app", "IMMUTABLE")},
        flipped("team/new", "MUTABLE", "CreateRepository"),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events) + "nonsense\n")
    ran = holdfast("recheck", "--events", "events.jsonl", "--json")
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert ("weakened", "team/app") in {(one["code"], one["name"]) for one in told}
    assert ("new-mutable", "team/new") in {(one["code"], one["name"]) for one in told}
    verdicts = [one["compliance"] for one in told if one["code"] == "compliance" and one["name"] == "team/app"]
    assert verdicts == ["NON_COMPLIANT", "COMPLIANT"][: len(verdicts)]
    assert (ran.code, "Not read: line 4" in ran.err) == (1, True)


def test_the_config_rule_by_the_command(holdfast: Commands, tmp_path: Path) -> None:
    item = {
        "configurationItemCaptureTime": "2026-11-23T12:00:00.000Z",
        "configurationItemStatus": "OK",
        "resourceType": "AWS::ECR::Repository",
        "resourceId": "team/app",
        "awsRegion": REGION,
        "awsAccountId": ACCOUNT,
        "configuration": {"ImageTagMutability": "IMMUTABLE"},
    }
    invoked = {"invokingEvent": json.dumps({"configurationItem": item}), "resultToken": "t"}
    (tmp_path / "i.json").write_text(json.dumps(invoked))
    ran = holdfast("evaluate", "i.json", "--json")
    assert (ran.code, ran.json()["Evaluations"][0]["ComplianceType"], ran.json()["ResultToken"]) == (
        0,
        "COMPLIANT",
        "t",
    )
    (tmp_path / "e.json").write_text(json.dumps({"Records": [flipped("team/app", "MUTABLE")]}))
    ran = holdfast("evaluate", "e.json")
    assert (ran.code, "NON_COMPLIANT" in ran.out) == (1, True)
    (tmp_path / "x.json").write_text('{"invokingEvent": "{}"}')
    assert holdfast("evaluate", "x.json").code == 2
    (tmp_path / "y.json").write_text("{}")
    assert holdfast("evaluate", "y.json").code == 2


def test_what_needs_work_is_left_or_gets_the_fewest_filters(holdfast: Commands, tmp_path: Path) -> None:
    saved(tmp_path / "inventory.jsonl", repository("v1.0.1", "v1.0.2", "latest"), repository("v1.0.1", name="quiet"))
    pushes = [push(1, "v1.0.1", 1), push(2, "latest", 1), push(3, "v1.0.2", 2), push(4, "latest", 2)]
    history = History(
        Head(BEGIN + timedelta(days=1), None, None, (Origin.CLOUDTRAIL,), ((ACCOUNT, REGION),)), tuple(pushes)
    )
    (tmp_path / "history.jsonl").write_bytes(b"".join(write_history(history)))
    plain = holdfast("plan", "--json").json()
    assert {one["name"]: one["read_back"]["mode"] for one in plain["steps"]} == {"quiet": "IMMUTABLE"}
    assert {one["name"]: one["why"][:10] for one in plain["left"]} == {"team/app": "needs work"}
    suggested = holdfast("plan", "--suggest", "--json").json()
    assert {one["name"]: one["read_back"] for one in suggested["steps"]} == {
        "quiet": {"mode": "IMMUTABLE", "filters": []},
        "team/app": {"mode": "IMMUTABLE_WITH_EXCLUSION", "filters": ["latest"]},
    }
    (tmp_path / "history.jsonl").unlink()
    unknown = holdfast("plan", "--suggest", "--json").json()
    assert unknown["steps"] == [], "without a history nothing is known to be ready"
    assert len(holdfast("plan", "--hold", "*", "--leave", "quiet", "--json").json()["steps"]) == 1
    assert holdfast("plan", "--keep", "x=a**b*c*").code == 2
    assert holdfast("plan", "--create", "x=IMMUTABLE").code == 2
