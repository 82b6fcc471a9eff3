"""The table of faults: every row names tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from torture.parts import PARTS

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "faults.md"


def rows() -> list[list[str]]:
    """Read the rows of the table that name tests."""
    lines = TABLE.read_text("utf-8").partition("## Not shown yet")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [0-9]", line)]
    assert all(len(row) == 5 for row in cells)
    return cells


def named() -> list[str]:
    return sorted({name for row in rows() for name in re.findall(r"`([^`]+)`", row[4])})


def test_every_row_names_a_test() -> None:
    assert [row[0] for row in rows()] == [str(number + 1) for number in range(len(rows()))]
    assert all(re.search(r"`[^`]+`", row[4]) for row in rows())
    assert len(rows()) > 25


@pytest.mark.parametrize("name", named())
def test_every_test_that_is_named_exists(name: str) -> None:
    part = re.fullmatch(r"torture\[([a-z0-9-]+)\]", name)
    if part is not None:
        assert part[1] in {one.name for one in PARTS}
        return
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert function in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
