"""The files of a run, read: what the settings exclude left out, each under a limit of time, none stopping others."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

import click

from holdfast.cli.counting import counting
from holdfast.cli.in_workers import Failed, InWorkers
from holdfast.pin import settings as grammar
from holdfast.pin.files import FORMATS
from holdfast.pin.lint import Examined, examine, judge
from holdfast.pin.rules import RULES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from holdfast.cli.source_tree import SourceTree
    from holdfast.core.finding import Finding
    from holdfast.pin.settings import Settings

SECONDS_PER_FILE: Final = 5.0
"""The largest real files take a tenth of that; what takes longer was made to."""

Result = TypeVar("Result")

_PATHS: Final = tuple(
    dict.fromkeys((*(rule.paths for rule in RULES if rule.paths is not None), *(row.path for row in FORMATS)))
)
"""Each pattern once: several rules share one."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with every file."""

    tree: SourceTree
    settings: Settings
    today: dt.date | None = None
    """The day to judge them by, asking no registry; None leaves that to whoever asks."""

    keep: bool = False
    """Whether the bytes are kept of files that name no image too."""


@dataclass(frozen=True, slots=True)
class Done:
    """A file after its turn."""

    examined: Examined
    findings: list[Finding] = field(default_factory=list)


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
    return any(pattern.search(name) for pattern in _PATHS)


def examined(job: Job, given: Sequence[Path]) -> list[Done]:
    """Read, and judge, the files that were named and those in the folders that were named."""
    names = [name for name in job.tree.files(given, wanted) if not job.settings.excludes(name)]
    # The largest first, so that no worker is left alone with one at the end.
    by_size = sorted(names, key=lambda name: -_size(job.tree, name))
    done = in_order(
        lambda number: _light(job, _one(job, by_size[number])),
        len(by_size),
        lambda number, failed: _judged(job, Examined(by_size[number], None, failed.reason)),
        "reading files",
    )
    of = {one.examined.path: one for one in done}
    return [_whole(job, of[name]) for name in names]


def examined_buffer(job: Job, name: str, content: bytes) -> Done:
    """Read and judge what an editor has of a file."""
    [done] = in_order(
        lambda _number: _judged(job, examine(name, content, job.settings, job.tree.neighbour)),
        1,
        lambda _number, failed: _judged(job, Examined(name, None, failed.reason)),
        "reading",
    )
    return done


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


def _one(job: Job, name: str) -> Done:
    try:
        content = job.tree.read(name)
    except OSError as error:
        return _judged(job, Examined(name, None, f"{error.strerror or error}."))
    return _judged(job, examine(name, content, job.settings, job.tree.neighbour))


def _judged(job: Job, one: Examined) -> Done:
    return Done(one) if job.today is None else Done(one, judge(one, {}, job.settings, job.today))


def _light(job: Job, done: Done) -> Done:
    """Leave out what is not needed any more, or is read sooner than it comes through a pipe."""
    case = done.examined.case
    if case is None:
        return done
    mentions = () if job.today is not None else case.mentions
    return replace(done, examined=replace(done.examined, case=replace(case, data=b"", mentions=mentions)))


def _whole(job: Job, done: Done) -> Done:
    """Put the bytes back into a case that has mentions."""
    case = done.examined.case
    if case is None or not (case.mentions or job.keep):
        return done
    data = job.tree.read(case.path)
    return replace(done, examined=replace(done.examined, case=replace(case, data=data)))


def _size(tree: SourceTree, name: str) -> int:
    with suppress(OSError):
        return tree.path(name).stat().st_size
    return 0
