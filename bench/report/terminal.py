"""The report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.report.tables import Table, all_tables

if TYPE_CHECKING:
    from bench.report.result import Result

PIPED_WIDTH = 220
COLOURS = {"met": "green", "MISSED": "bold red", "ERROR": "bold red", "not judged": "yellow"}


def _cell(text: str) -> str:
    shown = escape(text)
    for word, colour in COLOURS.items():
        shown = shown.replace(word, f"[{colour}]{word}[/]")
    return shown


def _draw(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, caption=table.note or None, title_justify="left", caption_justify="left")
    texts = {"case", "goal", "goals", "verdict", "by how much", "reason", "server", ""}
    for name in table.header:
        drawn.add_column(escape(name), justify="left" if name in texts else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_cell(cell) for cell in row))
    return drawn


def render(result: Result) -> None:
    """Print all tables."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    for table in all_tables(result):
        console.print(_draw(table))
        console.print()
