"""How long work in stages goes on: a bar a stage on a terminal, a line a stage when piped; always on standard error."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from holdfast.cli.output import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IN_BYTES = frozenset({"blobs", "files"})
"""Stages that count bytes."""


@contextlib.contextmanager
def staged() -> Iterator[Callable[[str, int, int], None]]:
    """Show stages for as long as the block runs; what is yielded is told: the stage, how far it is, how much it is."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield watch


def _lines() -> Callable[[str, int, int], None]:
    told: set[str] = set()

    def watch(stage: str, done: int, total: int) -> None:
        if done >= total and stage not in told:
            told.add(stage)
            click.echo(f"  {stage}: {size(total) if stage in _IN_BYTES else total}", err=True)

    return watch
