"""The matrix: what each client did, as a table for people, and as Markdown and JSON for keeping.

This file alone decides how results are shown. It knows no client and judges nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

REASON_CHARACTERS: Final = 120
NOT_REACHED: Final = "not reached"


@dataclass(slots=True)
class Row:
    """One client and one kind of thing that it pushed; a cell that no step filled says so."""

    client: str
    version: str
    pushed: str
    log_in: str = NOT_REACHED
    first_push: str = NOT_REACHED
    refused_exit: str = NOT_REACHED
    refused_reason: str = NOT_REACHED
    same_again: str = NOT_REACHED
    pulled: str = NOT_REACHED


@dataclass(slots=True)
class Report:
    """What a session found: one row for each client and kind, and who was left out and why."""

    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    """How many tests this run did not ask for."""

    def row(self, client: str, version: str, pushed: str) -> Row:
        """A new row, to be filled as the steps go by."""
        row = Row(client, version, pushed)
        self.rows.append(row)
        return row

    def text(self) -> str:
        """The matrix for a terminal, and who was left out."""
        lines = [" | ".join(cell.ljust(width) for cell, width in self._padded(cells)) for cells in self._cells()]
        return "\n".join([*lines, *self._left_out_lines("  ")])

    def markdown(self) -> str:
        """The matrix as a Markdown table, and who was left out."""
        head, *body = self._cells()
        lines = [head, ["---"] * len(head), *[[cell.replace("|", "\\|") for cell in cells] for cells in body]]
        table = ["| " + " | ".join(cells) + " |" for cells in lines]
        return "\n".join([*table, "", *self._left_out_lines("- ")]) + "\n"

    def write(self, folder: Path) -> None:
        """Write both forms into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "matrix.md").write_text(self.markdown())
        (folder / "matrix.json").write_text(json.dumps(asdict(self), indent=2) + "\n")

    def _left_out_lines(self, bullet: str) -> list[str]:
        if not self.left_out:
            return ["left out: nothing"]
        return ["left out:", *(f"{bullet}{name}: {reason}" for name, reason in self.left_out.items())]

    def _cells(self) -> list[list[str]]:
        names = [each.name for each in fields(Row)]
        body = [[str(getattr(row, name)) for name in names] for row in self.rows]
        return [[name.replace("_", " ") for name in names], *body]

    def _padded(self, cells: list[str]) -> list[tuple[str, int]]:
        widths = [max(len(row[column]) for row in self._cells()) for column in range(len(cells))]
        return list(zip(cells, widths, strict=True))


def shortened(printed: str, sentence: str) -> str:
    """The part of what a client printed that gives the reason: from ECR's sentence on, or else the end of it."""
    flat = " ".join(printed.split())
    start = flat.find(sentence[:20]) if sentence in flat else max(0, len(flat) - REASON_CHARACTERS)
    return flat[start : start + REASON_CHARACTERS]
