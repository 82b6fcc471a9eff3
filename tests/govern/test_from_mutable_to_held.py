"""From mutable to held, end to end: the run behind docs/tutorial-from-mutable-to-held.md, whose output is this one's.

`make tutorial` writes the page anew. What differs from run to run (times, ports, keys, digests of plans) is written as
one fixed value; everything else on the page must be what the commands say now.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import Commands, Ran, environment
from holdfast.govern.estate import read_inventory
from holdfast.govern.events import Event, Kind, Origin, read_history
from holdfast.govern.simulate import Result, Rules, simulate
from json_api import refusal
from scenario import (
    CLEAN,
    EDGE,
    EXTERNAL_ID,
    GOVERNANCE,
    HOTFIX,
    OLD,
    SIGNATURES,
    SIGNED,
    WEB,
    World,
    build,
    tag,
    world,
)

if TYPE_CHECKING:
    import pytest

    from holdfast.core.mutability import MutabilitySettings

PAGE = Path(__file__).parent.parent.parent / "docs" / "tutorial-from-mutable-to-held.md"
TEXT = Path(__file__).parent / "tutorial.md"
WRITE = "HOLDFAST_WRITE_TUTORIAL"
_STEP = re.compile(r"^\{\{ (?P<command>.+?)(?: \| (?P<show>-?\d+))?(?: => (?P<code>\d))? \}\}$", re.MULTILINE)
_PROGRESS = re.compile(r" done, \d+ of \d+$")
"""Places are read side by side, and end in any order."""

_FIXED = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:5000"),
    (re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "2026-11-23T12:00:00Z"),
    (re.compile(r"20\d\d-\d\d-\d\d"), "2026-11-23"),
    (re.compile(r"\b\d+\.\d+ ?s\b|\b\d+ seconds\b"), "2 s"),
    (re.compile(r"127\.0\.0\.1[^ ]*\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+"), "holdfast.example+1f2e3d4c+Aexample"),
)


class Tutorial:
    """The page as it is written: a text with commands in it, each followed by what it said."""

    def __init__(self, holdfast: Commands, variables: dict[str, str]) -> None:
        self._holdfast = holdfast
        self.variables = variables
        self.ran: dict[str, Ran] = {}

    def render(self, text: str) -> str:
        """Run every command of a text, and return the text with what they said."""
        return _STEP.sub(self._step, text)

    def _step(self, found: re.Match[str]) -> str:
        command = found["command"]
        given = command.replace("http://127.0.0.1:5000", self._holdfast.environment["HOLDFAST_ENDPOINT"])
        for name, value in self.variables.items():
            given = given.replace(f"${name}", value)
        ran = self._holdfast(*shlex.split(given)[1:])
        assert ran.code == int(found["code"] or 0), f"{given}\n{ran.out}\n{ran.err}"
        self.ran[command] = ran
        lines = [line for line in self.fixed(ran.out + ran.err).splitlines() if not _PROGRESS.search(line)]
        shown = int(found["show"] or 40)
        if len(lines) > abs(shown):
            more = f"... ({len(lines) - abs(shown)} more lines)"
            lines = [*lines[:shown], more] if shown > 0 else [more, *lines[shown:]]
        ended = [f"(exit code {ran.code})"] if ran.code else []
        return "\n".join(["```console", f"$ {command}", *(line.rstrip() for line in lines), *ended, "```"])

    def fixed(self, said: str) -> str:
        """Write what differs from run to run as one value."""
        for name, value in self.variables.items():
            said = said.replace(value, f"${name}")
        for pattern, value in _FIXED:
            said = pattern.sub(value, said)
        return said


def test_the_tutorial_is_what_happens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with world(tmp_path / "server") as found:
        variables = {**environment(found.made.server.url), "AWS_ENDPOINT_URL_ORGANIZATIONS": found.organization}
        holdfast = Commands(monkeypatch, capsys, variables)
        key = holdfast("ledger", "key").out.strip()
        tutorial = Tutorial(holdfast, {"KEY": key})
        before, after = TEXT.read_text("utf-8").split("<!-- the plan is approved -->\n")
        page = tutorial.render(before)
        plan = json.loads(Path("plan.json").read_text())
        tutorial.variables["APPROVED"] = plan["digest"]
        page = (page + tutorial.render(after)).replace(plan["digest"][:19], "$APPROVED")
        _everything_is_as_planned(found, plan)
        passed, refused = _pushed_again(found)
        page = tutorial.fixed(page).replace("@PASSED@", str(passed)).replace("@REFUSED@", str(refused))
    if os.environ.get(WRITE):
        PAGE.write_text(page, "utf-8")
    assert page == PAGE.read_text("utf-8"), "the page is not what happens: make tutorial, and look at the difference"


def _everything_is_as_planned(found: World, plan: dict[str, Any]) -> None:
    """Every step is read back once more, past the tool."""
    for step in plan["steps"]:
        ecr = found.pipeline(step["account"], step["region"], WEB)
        told = ecr.describe_repositories(repositoryNames=[step["name"]])["repositories"][0]
        filters = [one["filter"] for one in told.get("imageTagMutabilityExclusionFilters", [])]
        assert (told["imageTagMutability"], sorted(filters)) == (
            step["read_back"]["mode"],
            sorted(step["read_back"]["filters"]),
        )
    assert len(plan["steps"]) == len(found.places) * (len(CLEAN) + len((WEB, EDGE, SIGNED, HOTFIX, OLD)))


def _pushed_again(found: World) -> tuple[int, int]:
    """Push to every tag of every repository another image, and a new tag too; each ends as it was simulated."""
    with Path("history.jsonl").open("rb") as file:
        history = read_history(file)
    with Path("after.jsonl").open("rb") as file:
        now = read_inventory(file)
    past: dict[tuple[str, str, str], list[Event]] = {}
    for event in history.events:
        past.setdefault(event.key, []).append(event)
    passed = refused = 0
    for repository in now.repositories:
        events = past.get(repository.key, [])
        tags = {event.tag for event in events if event.kind is Kind.PUSH and event.tag}
        for name in sorted([*tags, "9.9.9"]):
            grown = (SIGNATURES.index(name), 8, 9, 10) if name in SIGNATURES else ()
            pushed = build(repository.name, 1_000, *grown)
            wished = _simulated(repository.key, events, repository.settings, name, pushed.digest)
            if wished is Result.REFUSED:
                ecr = found.pipeline(*repository.key)
                given = {"repositoryName": repository.name, "imageManifest": pushed.manifest.decode(), "imageTag": name}
                assert refusal(ecr.put_image, **given).code == "ImageTagAlreadyExistsException"
                refused += 1
            else:
                tag(found, repository.key, name, pushed)
                passed += 1
    return passed, refused


def _simulated(
    key: tuple[str, str, str], events: list[Event], settings: MutabilitySettings, name: str, digest: str
) -> Result:
    """Return what the simulation says of one more push. The past was free, and the switch keeps what tags name."""
    bound = {event.tag: event.digest for event in events if event.kind is Kind.PUSH and event.tag}
    base = [
        Event(datetime.now(UTC), *key, Kind.PUSH, Origin.LEDGER, tag=one, digest=named) for one, named in bound.items()
    ]
    push = Event(datetime.now(UTC), *key, Kind.PUSH, Origin.LEDGER, tag=name, digest=digest)
    said = simulate(key, [*base, push], settings, Rules.HOLDFAST)
    return Result.REFUSED if any(one.event is push for one in said.refused) else Result.PASSES


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text and the scenario speak of the same roles."""
    monkeypatch.delenv(WRITE, raising=False)
    text = TEXT.read_text("utf-8")
    assert f"--role {GOVERNANCE} --external-id {EXTERNAL_ID}" in text
    assert len(_STEP.findall(text)) >= 15
