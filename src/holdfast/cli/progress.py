"""How a transfer goes on: a bar a blob on a terminal, a line a blob when piped; always on standard error."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from holdfast.cli.output import short_digest, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.client.transfer import Watcher
    from holdfast.core.digest import Digest

_LINE_BYTES: Final = 64 * 1024 * 1024
"""Piped, a long blob says how far it is this often."""


class Lines:
    """A line for each blob that is done, and now and then one for a long one."""

    def __init__(self) -> None:
        self._name = ""
        self._size_bytes = 0
        self._told = 0

    def begin(self, digest: Digest, size_bytes: int) -> None:
        """Remember what is next."""
        self._name, self._size_bytes, self._told = short_digest(str(digest)), size_bytes, 0

    def advance(self, done_bytes: int) -> None:
        """Tell how far it is, if it is long since that was told."""
        if done_bytes - self._told >= _LINE_BYTES and done_bytes < self._size_bytes:
            self._told = done_bytes
            click.echo(f"  {self._name}  {size(done_bytes)} of {size(self._size_bytes)}", err=True)

    def end(self, outcome: str) -> None:
        """Tell that it is done."""
        click.echo(f"  {self._name}  {size(self._size_bytes)}  {outcome}", err=True)


class Bars:
    """A bar for each blob."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._size_bytes = 0

    def begin(self, digest: Digest, size_bytes: int) -> None:
        """Start a bar."""
        self._size_bytes = size_bytes
        self._task = self._progress.add_task(short_digest(str(digest)), total=size_bytes, outcome="")

    def advance(self, done_bytes: int) -> None:
        """Move it."""
        if self._task is not None:
            self._progress.update(self._task, completed=done_bytes)

    def end(self, outcome: str) -> None:
        """Fill it."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._size_bytes, outcome=outcome)


@contextlib.contextmanager
def watching() -> Iterator[Watcher]:
    """Show a transfer for as long as the block runs."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[outcome]}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        yield Bars(progress)
