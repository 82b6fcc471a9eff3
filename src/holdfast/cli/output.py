"""What commands say: tables and sentences for people, one JSON document for programs.

The result goes to standard output, everything else to standard error. What came from a server is printed without its
control characters: a sentence must not move a terminal's cursor.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.cli.exits import Failure

_SHORT_HEX: Final = 12
_PIPED_WIDTH: Final = 10_000
_GAP: Final = 2


class Output:
    """Where a command's result goes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: dict[str, Any], *sentences: str) -> None:
        """Tell the result: as JSON, or in sentences."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))
            return
        for sentence in sentences:
            click.echo(plain(sentence))

    def table(self, document: dict[str, Any], columns: Sequence[str], rows: Iterable[Sequence[str]], none: str) -> None:
        """Tell the result: as JSON, or as a table; `none` is the sentence for a table without rows."""
        if self.as_json:
            self.result(document)
            return
        written = list(rows)
        if not written:
            self.result(document, none)
            return
        cells = [columns, *([plain(cell) for cell in row] for row in written)]
        terminal = sys.stdout.isatty()
        console = Console(file=sys.stdout, highlight=False, width=None if terminal else _PIPED_WIDTH)
        lines = _in_columns(cells, console.width)
        if lines is not None:
            click.secho(lines[0], bold=True)
            click.echo("\n".join(lines[1:]))
            return
        table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells[1:]:
            table.add_row(*map(Text, row))
        with console.capture() as captured:
            console.print(table)
        for line in captured.get().splitlines():
            click.echo(line.rstrip())


def _in_columns(cells: Sequence[Sequence[str]], width: int) -> list[str] | None:
    """Write cells below each other; None where that takes more than so many columns, or a cell more than one line.

    Rich, which folds them then, takes half a millisecond a row.
    """
    if any("\n" in cell or "\t" in cell for row in cells for cell in row):
        return None
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > width:
        return None
    gap = " " * _GAP
    return [
        gap.join(set_cell_size(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def tell_failure(failure: Failure, *, as_json: bool) -> None:
    """Tell on standard error what went wrong and what to do."""
    if as_json:
        click.echo(json.dumps(failure.document()), err=True)
        return
    click.echo(f"holdfast: {plain(failure.message)}", err=True)
    if failure.next:
        click.echo(f"  {failure.next}", err=True)


def plain(text: str) -> str:
    """Return text with its control characters made visible, line ends and tabs apart."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\x{ord(one):02x}" for one in text)


def moment(value: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, to the second."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(microseconds: int) -> str:
    """Write a time, given in microseconds since the epoch, as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short_digest(digest: str) -> str:
    """Return enough of a digest to tell it from others: `sha256:` and 12 digits."""
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm}:{digits[:_SHORT_HEX]}"


def short_arn(arn: str | None) -> str:
    """Return the name in an ARN: `user/ci` of `arn:aws:iam::123456789012:user/ci`."""
    return (arn or "").rpartition(":")[2]


def size(count: int) -> str:
    """Write a number of bytes for people, by thousands."""
    if count < 1_000:  # noqa: PLR2004 - the next unit
        return f"{count} B"
    value, unit = count / 1_000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1_000:  # noqa: PLR2004 - the next unit
            break
        value, unit = value / 1_000, larger
    return f"{value:.1f} {unit}"


def agreed(question: str, *, yes: bool) -> bool:
    """Ask a person at a terminal; a program that runs the command has decided already."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return click.confirm(plain(question), err=True)
