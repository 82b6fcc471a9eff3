"""The files of a run, read: what the settings exclude left out, each under a limit of time, none stopping others."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli.counting import counting
from holdfast.pin import settings as grammar
from holdfast.pin.files import FORMATS
from holdfast.pin.lint import Examined, examine
from holdfast.pin.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from holdfast.cli.source_tree import SourceTree
    from holdfast.pin.settings import Settings

SECONDS_PER_FILE: Final = 5.0
"""The largest real files take a tenth of that; what takes longer was made to."""


class _TooLong(BaseException):
    """Raised into a reader by the alarm; no `except Exception` of a reader may keep it."""


def read_settings(tree: SourceTree, given: Path | None) -> Settings:
    """Read .holdfast.yaml, or the file given in its place; raises click.UsageError when it cannot be."""
    path = given or tree.path(grammar.NAME)
    if given is None and not path.is_file():
        return grammar.Settings()
    try:
        return grammar.parse(path.read_bytes())
    except grammar.SettingsInvalid as error:
        msg = f"{path}: {error}"
        raise click.UsageError(msg) from None


def wanted(name: str) -> bool:
    """Whether a file in a folder may name images, as its path tells, or a rule asks for it."""
    return any(row.path.search(name) for row in FORMATS) or any(
        rule.paths is not None and rule.paths.search(name) for rule in RULES
    )


def examined(tree: SourceTree, given: Sequence[Path], settings: Settings) -> list[Examined]:
    """Read the files that were named and those in the folders that were named."""
    names = [name for name in tree.files(given, wanted) if not settings.excludes(name)]
    found = []
    with counting("reading files", len(names)) as advance:
        for name in names:
            found.append(_one(tree, name, settings))
            advance()
    return found


def examined_buffer(tree: SourceTree, name: str, content: bytes, settings: Settings) -> Examined:
    """Read what an editor has of a file."""
    with _alarm(SECONDS_PER_FILE):
        return examine(name, content, settings, tree.neighbour)


def _one(tree: SourceTree, name: str, settings: Settings) -> Examined:
    try:
        content = tree.read(name)
    except OSError as error:
        return Examined(name, None, f"{error.strerror or error}.")
    try:
        with _alarm(SECONDS_PER_FILE):
            return examine(name, content, settings, tree.neighbour)
    except _TooLong:
        return Examined(name, None, f"Reading it takes longer than {SECONDS_PER_FILE:g} seconds.")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Stop the block after some time; only the main thread can be told so, and readers run in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
