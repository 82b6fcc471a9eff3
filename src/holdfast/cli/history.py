"""`holdfast history`: what happened to tags and repositories, gathered from what tells of it, into one file."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast.audit.folder import Folder
from holdfast.cli.connection import Connection
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.governing import HISTORY, READ_FILE, WRITTEN_FILE, Reach, reaching, read_inventory_file
from holdfast.cli.ledger_source import checkpoint_of, live_client, policy_options, trusted
from holdfast.cli.output import Output, moment, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.client.pacing import Pace
from holdfast.core.ledger_audit import Auditor
from holdfast.core.signed_note import NoteInvalid
from holdfast.core.tlog_policy import PolicyUnmet
from holdfast.govern import ledger_events, places
from holdfast.govern.events import Head, History, Origin, write_history
from holdfast.govern.failing import failure_of
from holdfast.govern.history import LOOKUPS_PER_SECOND, Gathered, files_below, in_order, look_up, read_bytes
from holdfast.govern.members import RecordInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.core.entry import Entry
    from holdfast.core.ledger_audit import Fetch
    from holdfast.core.tlog_policy import Policy
    from holdfast.govern.places import Place

_S3: Final = "s3://"
_TOLD: Final = 20
_LINE_SECONDS: Final = 10.0
_LOOKUPS_AT_ONCE: Final = 16


@click.command(
    cls=TeachingCommand,
    short_help="Gather what happened to tags: CloudTrail, EventBridge, a ledger.",
    sections={
        "Examples": (
            "holdfast history --lookup --organization --role audit-read --days 90",
            "holdfast history --from s3://trail-bucket/AWSLogs/ --days 30",
            "holdfast history --from ./trail-files --from events.jsonl",
            "holdfast history --ledger http://127.0.0.1:5000 --key VKEY",
        )
    },
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="PATH",
    help="A file or folder of CloudTrail's or EventBridge's records, packed or not, or s3://BUCKET/PREFIX.",
)
@click.option(
    "--lookup", is_flag=True, help="Ask CloudTrail for what it keeps by itself: 90 days, 100 events a second."
)
@click.option("--ledger", metavar="FOLDER|URL", help="A Holdfast server's ledger, or a folder of one; needs --key.")
@policy_options
@click.option(
    "--inventory",
    "inventory_file",
    type=READ_FILE,
    help="What live tags of this inventory show of the past: a lower bound.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Only what happened in the last N days.")
@click.option("--pulls", is_flag=True, help="Keep pulls too; there are very many.")
@click.option("--out", "path", type=WRITTEN_FILE, default=Path(HISTORY), show_default=True, help="The file to write.")
@reaching
def history(  # noqa: PLR0913 - one argument an option
    reach: Reach,
    out: Output,
    *,
    sources: tuple[str, ...],
    lookup: bool,
    ledger: str | None,
    keys: tuple[str, ...],
    policy: Path | None,
    inventory_file: Path | None,
    days: int | None,
    pulls: bool,
    path: Path,
) -> None:
    """Gather what happened to tags and repositories, and who did it, into one file in the order of time.

    Several sources may be given; what two of them tell of is kept once. A record that cannot be read is named and the
    rest goes on; the command ends with 3 then.
    """
    if not (sources or lookup or ledger or inventory_file):
        msg = "Name at least one source: --from, --lookup, --ledger or --inventory."
        raise click.UsageError(msg)
    now = datetime.now(UTC)
    gathered = Gathered(since=now - timedelta(days=days) if days else None, pulls=pulls)
    asked: tuple[tuple[str, str], ...] = ()
    for source in sources:
        _read_source(gathered, reach, source)
    if lookup:
        asked = _look_up(gathered, reach)
    if ledger is not None:
        _read_ledger(gathered, ledger, reach.profile, trusted(policy, keys))
    if inventory_file is not None:
        gathered.take(ledger_events.residue_of(read_inventory_file(inventory_file).repositories))
    events = in_order(gathered.events)
    origins = tuple(sorted({one.origin for one in events}, key=list(Origin).index))
    head = Head(now, gathered.since, None, origins, asked)
    draft = path.with_name(f"{path.name}.part")
    with draft.open("wb") as file:
        file.writelines(write_history(History(head, tuple(events), tuple(gathered.skipped))))
    draft.replace(path)
    _tell(out, path, gathered, History(head, tuple(events), tuple(gathered.skipped)))


def _read_source(gathered: Gathered, reach: Reach, source: str) -> None:
    if source.startswith(_S3):
        bucket, _, prefix = source.removeprefix(_S3).partition("/")
        for name, content in reach.aws().objects(bucket, prefix):
            if "CloudTrail-Digest" not in name and not name.endswith("/"):
                read_bytes(gathered, content, f"{_S3}{bucket}/{name}")
        return
    found = files_below(Path(source)) if Path(source).exists() else []
    if not found:
        msg = f"There is nothing to read at {source}."
        raise click.UsageError(msg)
    for one in found:
        try:
            read_bytes(gathered, one.read_bytes(), str(one))
        except OSError as error:
            gathered.skip(str(one), "the file", error.strerror or str(error))


def _look_up(gathered: Gathered, reach: Reach) -> tuple[tuple[str, str], ...]:
    found = places.find(reach.aws(), reach.where)
    for failed in found.failures:
        gathered.skip(f"{failed.account}/{failed.region}", failed.what, f"{failed.code}. {failed.sentence}")

    def read(place: Place) -> Gathered:
        own = Gathered(gathered.since, gathered.until, gathered.pulls)
        last = [time.monotonic()]

        def tell() -> None:
            if time.monotonic() - last[0] >= _LINE_SECONDS:
                last[0] = time.monotonic()
                click.echo(f"  {place}: {own.records} records so far", err=True)

        try:
            with contextlib.closing(
                place.aws.caller("cloudtrail", place.region, pace=Pace(LOOKUPS_PER_SECOND))
            ) as caller:
                look_up(own, caller, f"CloudTrail of {place}", tell)
        except (APIError, APIUnreachable, CallInvalid) as error:
            told = failure_of(place.account, place.region, "cloudtrail:LookupEvents", error)
            own.skip(f"CloudTrail of {place}", "LookupEvents", f"{told.code}. {told.sentence}")
        return own

    asked = []
    with ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "lookup") as pool:
        for place, own in zip(found.places, pool.map(read, found.places), strict=True):
            gathered.events += own.events
            gathered.skipped += own.skipped
            gathered.records += own.records
            if not own.skipped:
                asked.append((place.account, place.region))
            click.echo(f"  {place}: {len(own.events)} events", err=True)
    return tuple(asked)


def _read_ledger(gathered: Gathered, ledger: str, profile: str | None, policy: Policy) -> None:
    """Read a ledger as an auditor: what does not verify is no history."""

    def told(index: int, entry: Entry) -> None:
        gathered.records += 1
        try:
            gathered.take(ledger_events.events_of(index, entry))
        except RecordInvalid as error:
            gathered.skip(ledger, f"entry {index}", str(error))

    with _fetching(ledger, profile) as fetch:
        try:
            checkpoint = policy.judge(checkpoint_of(fetch)).checkpoint
        except (NoteInvalid, PolicyUnmet) as error:
            raise Unfinished(f"The ledger is not believed: {error}.", "Check --key or --policy.") from None
        examined = Auditor(fetch, told=told).follow(checkpoint)
    for finding in examined.all_findings:
        gathered.skip(ledger, finding.code, finding.message)


@contextlib.contextmanager
def _fetching(ledger: str, profile: str | None) -> Iterator[Fetch]:
    if not ledger.startswith(("http://", "https://")):
        if not Path(ledger).is_dir():
            msg = f"{ledger} is neither a folder nor an address."
            raise click.UsageError(msg)
        yield Folder(Path(ledger)).fetch
        return
    with Connection(ledger, None, profile) as at, live_client(at) as client:
        yield client.fetch


def _tell(out: Output, path: Path, gathered: Gathered, history: History) -> None:
    events = history.events
    kinds: dict[str, int] = {}
    for one in events:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    first, last = (events[0].at, events[-1].at) if events else (None, None)
    document = {
        "file": str(path),
        "records": gathered.records,
        "events": len(events),
        "kinds": dict(sorted(kinds.items())),
        "origins": [str(one) for one in history.head.origins],
        "first": moment(first),
        "last": moment(last),
        "skipped": [{"source": one.source, "where": one.where, "why": one.sentence} for one in history.skipped],
    }
    span = f", from {moment(first)} to {moment(last)}" if events else ""
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    sentences = [f"{len(events)} events in {path}{span}" + (f": {counted}." if counted else ".")]
    if set(history.head.origins) == {Origin.RESIDUE}:
        sentences.append("All of them are what live tags show: a lower bound. Tags that moved are not seen.")
    out.result(document, *sentences)
    if not history.skipped:
        return
    if not out.as_json:
        click.echo(f"Part done: {len(history.skipped)} records could not be read:", err=True)
        for skipped in history.skipped[:_TOLD]:
            click.echo(plain(f"  {skipped.source}, {skipped.where}: {skipped.sentence}"), err=True)
        if len(history.skipped) > _TOLD:
            click.echo(f"  and {len(history.skipped) - _TOLD} more, which are in the file.", err=True)
    click.get_current_context().exit(Exit.UNFINISHED)
