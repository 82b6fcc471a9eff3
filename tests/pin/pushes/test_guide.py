"""The guide's pipelines are true: what stands before is found, what comes after is not."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from holdfast.pin.lint import examine, judge
from holdfast.pin.settings import Settings

GUIDE = (Path(__file__).parent.parent.parent.parent / "docs" / "retire-latest.md").read_text("utf-8")
PAIR = re.compile(r"Before, in `([^`]+)`[^\n]*:\n\n```\w+\n(.*?)```.*?After[^\n]*:\n\n```\w+\n(.*?)```", re.DOTALL)
SECTIONS = PAIR.findall(GUIDE)


def found(path: str, text: str) -> list[str]:
    examined = examine(path, text.encode(), Settings(), lambda _: None)
    return [one.rule for one in judge(examined, {}, Settings(), dt.date(2026, 11, 23)) if one.rule == "push-reused-tag"]


def test_there_is_a_section_for_each_system() -> None:
    assert len(SECTIONS) == 10


@pytest.mark.parametrize(("path", "before", "after"), SECTIONS, ids=[row[0] for row in SECTIONS])
def test_before_is_found_and_after_is_not(path: str, before: str, after: str) -> None:
    assert found(path, before)
    assert not found(path, after)
