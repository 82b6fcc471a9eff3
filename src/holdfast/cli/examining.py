"""The files of a run, read: what the settings exclude left out, each under a limit of time, none stopping others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import click

from holdfast.cli.counting import counting
from holdfast.cli.in_workers import Failed, InWorkers
from holdfast.pin import settings as grammar
from holdfast.pin.files import FORMATS
from holdfast.pin.lint import Examined, examine
from holdfast.pin.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from holdfast.cli.source_tree import SourceTree
    from holdfast.pin.settings import Settings

SECONDS_PER_FILE: Final = 5.0
"""The largest real files take a tenth of that; what takes longer was made to."""

Result = TypeVar("Result")


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
    return in_order(
        lambda number: _one(tree, names[number], settings),
        len(names),
        lambda number, failed: Examined(names[number], None, failed.reason),
        "reading files",
    )


def examined_buffer(tree: SourceTree, name: str, content: bytes, settings: Settings) -> Examined:
    """Read what an editor has of a file."""
    return in_order(
        lambda _number: examine(name, content, settings, tree.neighbour),
        1,
        lambda _number, failed: Examined(name, None, failed.reason),
        "reading",
    )[0]


def in_order(
    work: Callable[[int], Result], count: int, otherwise: Callable[[int, Failed], Result], what: str
) -> list[Result]:
    """Do work for each number in processes of their own, under a limit of time each; the results are in order."""
    found: dict[int, Result] = {}
    with InWorkers(work, count, seconds=SECONDS_PER_FILE) as workers, counting(what, count) as advance:
        for number, result in workers.results():
            found[number] = otherwise(number, result) if isinstance(result, Failed) else result
            advance()
    return [found[number] for number in range(count)]


def _one(tree: SourceTree, name: str, settings: Settings) -> Examined:
    try:
        content = tree.read(name)
    except OSError as error:
        return Examined(name, None, f"{error.strerror or error}.")
    return examine(name, content, settings, tree.neighbour)
