"""Planted bugs: the table fits the source, and some of them are proved each time (all of them by `make planted`)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from torture.planted import BUGS, ROOT, Bug, NotPlanted, plant, prove

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("synchronous NORMAL", "no generation", "check, then act on a tag")
"""One of the disk, one of the collection, one of races: a few seconds each."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(ROOT / "src", tmp_path / "src")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_can_be_planted(copy: Path, bug: Bug) -> None:
    plant(bug, copy)
    assert bug.part or bug.tests


def test_a_bug_whose_text_is_gone_is_told(copy: Path) -> None:
    bug = Bug("no such", (("wiring.py", "text that is not there", ""),), "days")
    with pytest.raises(NotPlanted, match="stands 0 times"):
        plant(bug, copy)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in QUICK], ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    outcome = prove(bug)
    assert outcome.caught, outcome.said


def test_a_bug_that_breaks_the_program_instead_of_a_promise_is_not_caught() -> None:
    bug = Bug("nonsense", (("wiring.py", "class SteadyClock:\n", "no_such_name\n\n\nclass SteadyClock:\n"),), "days")
    assert not prove(bug).caught
