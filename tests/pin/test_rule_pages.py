"""Every rule has a page, and both its examples are run: the bad one is found, the good one is not."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.pin.knowledge import Child, Known
from holdfast.pin.lint import examine, judge
from holdfast.pin.rules import RULES
from holdfast.pin.settings import Settings

PAGES = Path(__file__).parent.parent.parent / "docs" / "rules"
TODAY = dt.date(2026, 11, 23)
EXAMPLE = re.compile(r"`([^`\n]+)`\n\n```\w+(?: repeat=(\d+))?\n(.*?)```", re.DOTALL)
IDS = [rule.id for rule in RULES]


def section(page: str, name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def examples(page: str, name: str) -> dict[str, bytes]:
    """Return the files of a section."""
    found = EXAMPLE.findall(section(page, name))
    return {path: (text * int(repeat or 1)).encode() for path, repeat, text in found}


def knowledge(page: str) -> dict[str, Known]:
    found = re.search(r"```json\n(.*?)```", section(page, "Answers"), re.DOTALL)
    told = json.loads(found[1]) if found else {}
    return {
        name: Known(
            one["digest"],
            children=tuple(Child(*pair) for pair in one.get("children", {}).items()),
            platform=one.get("platform", ""),
        )
        for name, one in told.items()
    }


def found_in(files: dict[str, bytes], told: dict[str, Known]) -> set[str]:
    findings = []
    for path, content in files.items():
        examined = examine(path, content, Settings(), files.get)
        if examined.case is not None:
            examined = replace(examined, case=replace(examined.case, platform="linux/arm64"))
        findings += judge(examined, told, Settings(), TODAY)
    return {one.rule for one in findings if one.counts}


@pytest.mark.parametrize("rule", IDS)
def test_the_examples_of_a_page_are_true(rule: str) -> None:
    page = (PAGES / f"{rule}.md").read_text("utf-8")
    assert page.startswith(f"# {rule}: ")
    assert len(page.splitlines()) <= 90, "one page"
    bad, good = examples(page, "Bad"), examples(page, "Good")
    assert bad
    assert good
    assert rule in found_in(bad, knowledge(page))
    assert rule not in found_in(good, knowledge(page))


def test_there_is_no_page_without_a_rule() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(IDS)
