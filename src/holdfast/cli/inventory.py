"""`holdfast inventory`: every repository of many accounts and regions, into one file."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.governing import INVENTORY, WRITTEN_FILE, Reach, reaching
from holdfast.cli.output import Output, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.govern import aggregator, places
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.documents import plain as document_of
from holdfast.govern.estate import Failure, RegistryRecord, RepositoryRecord
from holdfast.govern.estate_file import EstateFile, kept
from holdfast.govern.inventory import Outcome, Wish, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.govern.inventory import Watcher
    from holdfast.govern.places import Place

_LINE_SECONDS: Final = 5.0
"""Piped, a place that takes long says how far it is this often."""

_TOLD: Final = 20
"""So many failures are told one by one; all are in the file."""


@click.command(
    cls=TeachingCommand,
    short_help="List every repository of many accounts and regions, and how each is set.",
    sections={
        "Examples": (
            "holdfast inventory --profile audit --region eu-central-1",
            "holdfast inventory --organization --role audit-read --out estate.jsonl",
            "holdfast inventory --endpoint-url http://127.0.0.1:5000",
        )
    },
)
@click.option("--out", "path", type=WRITTEN_FILE, default=Path(INVENTORY), show_default=True, help="The file to write.")
@click.option("--resume", is_flag=True, help="Go on with the file of a run before: read what is missing in it.")
@click.option("--aggregator", "aggregator_name", metavar="NAME", help="Ask this aggregator of AWS Config instead.")
@click.option("--images/--no-images", default=True, help="Images and tags, a call a repository.  [default: images]")
@click.option(
    "--policies/--no-policies",
    default=True,
    help="Policies and resource tags, three calls a repository.  [default: policies]",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 32),
    default=8,
    show_default=True,
    help="Accounts and regions that are read at the same time.",
)
@reaching
def inventory(
    reach: Reach,
    out: Output,
    *,
    path: Path,
    resume: bool,
    aggregator_name: str | None,
    images: bool,
    policies: bool,
    at_once: int,
) -> None:
    """List every private repository of an account, or of an organization, in every region.

    Of each: how its tags are held, its policies, images, live tags, and what no tag reaches. Nothing is changed.

    What cannot be read is named and the rest goes on; the command ends with 3 then, and --resume reads what is missing.
    """
    if resume and aggregator_name is not None:
        msg = "An aggregator answers in one go: there is nothing to --resume."
        raise click.UsageError(msg)
    before = _before(path) if resume else None
    aws = reach.aws(connections=at_once * 4)
    begun = datetime.now(UTC)
    stop = threading.Event()
    summary = Summary()
    if aggregator_name is not None:
        aws.identity()  # credentials that are no good must not cost the file of a run before
        with EstateFile(path, begun) as file:
            sink = _Both(file, summary)
            aggregator.read(aws, aggregator_name, reach.where, sink)
            file.finish(datetime.now(UTC))
        _tell(out, path, summary, Outcome(summary.repositories, 0, len(summary.failures), 0, 0), begun)
        return
    found = places.find(aws, reach.where)
    with EstateFile(path, begun, before) as file, _watching(len(found.places)) as watcher:
        sink = _Both(file, summary)
        for one in found.failures:
            sink.add(one)
        wish = Wish(images, policies, at_once)
        try:
            outcome = _interruptible(lambda: take(found.places, sink, wish, watcher, done=file.done, stop=stop), stop)
        except KeyboardInterrupt:
            message = f"Stopped. {file.repositories} repositories are in {path}."
            raise Unfinished(message, "Go on with the same command and --resume.") from None
        file.finish(datetime.now(UTC))
    summary.kept = len(file.done)
    _tell(out, path, summary, outcome, begun)


def _before(path: Path) -> Any:  # noqa: ANN401 - what was kept
    try:
        return kept(path)
    except DocumentInvalid as error:
        raise click.UsageError(f"{error}; without --resume it is written anew.") from None


@dataclass
class Summary:
    """What is told of an inventory when it is done."""

    registries: int = 0
    repositories: int = 0
    kept: int = 0
    modes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        """Count a record."""
        if isinstance(record, RegistryRecord):
            self.registries += 1
            self.modes.setdefault((record.account, record.region), Counter())
        elif isinstance(record, RepositoryRecord):
            self.repositories += 1
            self.modes.setdefault((record.account, record.region), Counter())[record.mode] += 1
        else:
            self.failures.append(record)


class _Both:
    """Writes a record and counts it."""

    def __init__(self, file: EstateFile, summary: Summary) -> None:
        self._file, self._summary = file, summary
        self._lock = threading.Lock()

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        self._file.add(record)
        with self._lock:
            self._summary.add(record)


def _interruptible(work: Any, stop: threading.Event) -> Outcome:  # noqa: ANN401 - a call without arguments
    """Run in a thread, so that Ctrl-C is heard: what is under way is finished, nothing more is begun."""
    result: list[Outcome] = []
    broken: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            broken.append(error)

    thread = threading.Thread(target=run, name="inventory")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
    except KeyboardInterrupt:
        stop.set()
        thread.join()
        raise
    if broken:
        raise broken[0]
    return result[0]


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell(out: Output, path: Path, summary: Summary, outcome: Outcome, begun: datetime) -> None:
    seconds = (datetime.now(UTC) - begun).total_seconds()
    modes = ("MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION", "IMMUTABLE")
    rows = sorted(summary.modes.items())
    document = {
        "file": str(path),
        "registries": summary.registries,
        "repositories": summary.repositories + summary.kept,
        "kept_from_before": summary.kept,
        "deleted_meanwhile": outcome.gone,
        "calls": outcome.calls,
        "throttled_calls": outcome.throttled,
        "seconds": round(seconds, 3),
        "places": [
            {"account": account, "region": region, **{mode: counts[mode] for mode in modes}}
            for (account, region), counts in rows
        ],
        "failures": [document_of(one) for one in summary.failures],
    }
    out.table(
        document,
        ("Account", "Region", "All", "Mutable", "Mutable but", "Immutable but", "Immutable"),
        [
            (account, region, str(sum(counts.values())), *(str(counts[mode]) for mode in modes))
            for (account, region), counts in rows
        ],
        "No registry was read.",
    )
    say = _sayer(out)
    say(f"{summary.repositories + summary.kept} repositories in {path}, {outcome.calls} calls, {seconds:.1f} s.")
    if outcome.gone:
        say(f"{outcome.gone} were deleted while the inventory was taken; they are left out.")
    if not summary.failures:
        return
    say(f"Part done: {len(summary.failures)} things could not be read:")
    for one in summary.failures[:_TOLD]:
        where = f"{one.account}/{one.region}" + (f" {one.repository}" if one.repository else "")
        say(f"  {where}  {one.what}: {one.code}. {one.sentence}")
    if len(summary.failures) > _TOLD:
        say(f"  and {len(summary.failures) - _TOLD} more, which are in the file.")
    click.get_current_context().exit(Exit.UNFINISHED)


def _sayer(out: Output) -> Any:  # noqa: ANN401 - a function of a sentence
    return lambda sentence: click.echo(plain(sentence), err=True) if not out.as_json else None


class _Lines:
    """A line for each place that is done, and now and then one for all."""

    def __init__(self, places_count: int) -> None:
        self._places = places_count
        self._ended = self._known = self._read = 0
        self._told = time.monotonic()
        self._lock = threading.Lock()

    def begin(self, place: Place) -> None:
        """Nothing is told."""

    def listed(self, place: Place, repositories: int) -> None:
        """Count what is known."""
        del place
        with self._lock:
            self._known += repositories

    def read(self, place: Place, repositories: int) -> None:
        """Tell how far it is, if that was told long ago."""
        del place
        with self._lock:
            self._read += repositories
            if time.monotonic() - self._told < _LINE_SECONDS:
                return
            self._told = time.monotonic()
            click.echo(f"  {self._read} of {self._known} repositories that are known so far", err=True)

    def end(self, place: Place) -> None:
        """Tell that it is done."""
        with self._lock:
            self._ended += 1
            click.echo(f"  {place} done, {self._ended} of {self._places}", err=True)


class _Bars:
    """One bar for all repositories, its name how many places are done."""

    def __init__(self, progress: Progress, places_count: int) -> None:
        self._progress, self._places = progress, places_count
        self._ended = self._known = 0
        self._lock = threading.Lock()
        self._task: TaskID = progress.add_task(self._name, total=None)

    @property
    def _name(self) -> str:
        return f"{self._ended} of {self._places} places"

    def begin(self, place: Place) -> None:
        """Nothing is shown."""

    def listed(self, place: Place, repositories: int) -> None:
        """Lengthen it."""
        del place
        with self._lock:
            self._known += repositories
            self._progress.update(self._task, total=self._known)

    def read(self, place: Place, repositories: int) -> None:
        """Move it."""
        del place
        self._progress.advance(self._task, repositories)

    def end(self, place: Place) -> None:
        """Name it anew."""
        del place
        with self._lock:
            self._ended += 1
            self._progress.update(self._task, description=self._name)


@contextlib.contextmanager
def _watching(places_count: int) -> Iterator[Watcher]:
    if not sys.stderr.isatty():
        yield _Lines(places_count)
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        yield _Bars(progress, places_count)
