"""The report as a Markdown page, with the plots beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.report.tables import Table, all_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.report.result import Result

INTRODUCTION = """# Measured speed

Made by `python -m bench`; only the section "Reading" is written by people, and kept. All servers ran on the same
machine in the same run, in interleaved rounds, with the same bytes. Holdfast runs with authentication (HTTP Basic),
durable writes (fsync of file and folder, SQLite FULL), and its ledger signed and published before a tag's answer; the
peers run as shipped, without authentication and without fsync of blob data, and with access logs off. A goal that was
missed is shown as MISSED with the distance.
"""
READING = "## Reading"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _draw(table: Table) -> str:
    lines = [f"## {table.title}", ""]
    if table.note:
        lines += [table.note, ""]
    lines += [_row(table.header), "|" + "---|" * len(table.header), *(_row(row) for row in table.rows), ""]
    return "\n".join(lines)


def reading_of(page: str) -> str:
    """Return what people wrote into a page about its figures; empty when there is no such section."""
    _, heading, rest = page.partition(f"{READING}\n")
    return f"{heading}{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if heading else ""


def to_markdown(result: Result, plots: Sequence[Path], reading: str = "") -> str:
    """The whole page; plots are named relative to it, so they must lie in the same folder."""
    parts = [INTRODUCTION]
    parts += [f"![{plot.stem}]({plot.name})\n" for plot in plots]
    parts += [reading] if reading else []
    parts += [_draw(table) for table in all_tables(result)]
    return "\n".join(parts)
