"""The history: what happened, gathered from many sources into one order, each event once.

This file alone decides how files are found and read, and which of two tellings of one event is kept. What a record
means is the business of `cloudtrail`, `eventbridge` and `ledger_events`. A record that cannot be read is counted and
named, and the rest goes on; a file is read within a limit, so that a small one cannot fill the memory.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from holdfast.govern import cloudtrail, eventbridge
from holdfast.govern.events import Event, Kind, Origin, Outcome, Skipped
from holdfast.govern.members import RecordInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from holdfast.client.aws import Caller

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Of one file, unpacked. CloudTrail writes files of some megabytes."""

LOOKUPS_PER_SECOND: Final = 2.0
"""Of LookupEvents in one account and region. Source: AWS CloudTrail API reference."""

_LOOKUP_PAGE: Final = 50
_SAME_SECONDS: Final = 120
"""Two sources may tell of one event at times that differ by this much."""

_GZIP: Final = b"\x1f\x8b"
_TRUST: Final = {Origin.LEDGER: 0, Origin.CLOUDTRAIL: 1, Origin.EVENTBRIDGE: 2, Origin.RESIDUE: 3}
"""Of two tellings of one event the one that tells more is kept."""


@dataclass(slots=True)
class Gathered:
    """What was read so far."""

    since: datetime | None = None
    until: datetime | None = None
    pulls: bool = False
    """Whether pulls are kept; there are very many."""

    events: list[Event] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    records: int = 0

    def take(self, events: Iterable[Event]) -> None:
        """Keep events that are wanted."""
        for one in events:
            if one.kind is Kind.PULL and not self.pulls:
                continue
            if (self.since is None or one.at >= self.since) and (self.until is None or one.at < self.until):
                self.events.append(one)

    def read(self, make: Callable[[object], tuple[Event, ...]], record: object, source: str, where: str) -> None:
        """Read one record; one that is invalid is counted and named."""
        self.records += 1
        try:
            self.take(make(record))
        except RecordInvalid as error:
            self.skip(source, where, str(error))

    def skip(self, source: str, where: str, sentence: str) -> None:
        """Remember what could not be read."""
        self.skipped.append(Skipped(source, where, sentence))


def files_below(path: Path) -> list[Path]:
    """List the files of a folder that may hold events, in order; a file is itself."""
    if path.is_file():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file() and _may_hold(one))


def _may_hold(path: Path) -> bool:
    # Digest files of CloudTrail lie in a folder of their own beside the records; they hold no events.
    return path.name.endswith((".json", ".json.gz", ".jsonl", ".jsonl.gz")) and "CloudTrail-Digest" not in path.parts


def read_bytes(gathered: Gathered, content: bytes, name: str) -> None:
    """Read a file of CloudTrail or EventBridge: one document, or JSON Lines; packed with gzip or not."""
    try:
        unpacked = _unpacked(content)
    except (OSError, EOFError, zlib.error) as error:
        gathered.skip(name, "the file", f"it cannot be unpacked: {error}")
        return
    if unpacked is None:
        gathered.skip(name, "the file", f"it has more than {MAX_FILE_BYTES} bytes")
        return
    try:
        document = json.loads(unpacked)
    except (ValueError, RecursionError):
        _read_lines(gathered, unpacked, name)
        return
    for number, record in enumerate(_records(document), 1):
        gathered.read(_of_any, record, name, f"record {number}")


def _unpacked(content: bytes) -> bytes | None:
    """Return the bytes of a file, unpacked if need be; None when they are too many."""
    if not content.startswith(_GZIP):
        return content if len(content) <= MAX_FILE_BYTES else None
    import io  # noqa: PLC0415 - beside its one use

    with gzip.open(io.BytesIO(content)) as packed:
        unpacked = packed.read(MAX_FILE_BYTES + 1)
    return unpacked if len(unpacked) <= MAX_FILE_BYTES else None


def _read_lines(gathered: Gathered, content: bytes, name: str) -> None:
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            gathered.records += 1
            gathered.skip(name, f"line {number}", f"it is no JSON: {error}")
            continue
        for record in _records(document):
            gathered.read(_of_any, record, name, f"line {number}")


def _records(document: object) -> list[Any]:
    """Return the records of a document: CloudTrail's files have them in `Records`, Lake's results in a list."""
    if isinstance(document, dict) and isinstance(document.get("Records"), list):
        return list(document["Records"])
    return list(document) if isinstance(document, list) else [document]


def _of_any(record: object) -> tuple[Event, ...]:
    """Read a record of CloudTrail or EventBridge, by the members that only one of them has."""
    if isinstance(record, dict) and isinstance(record.get("CloudTrailEvent"), str):
        record = _parsed(record["CloudTrailEvent"])
    if isinstance(record, dict) and "detail-type" in record:
        return eventbridge.events_of(record)
    return cloudtrail.events_of(record)


def _parsed(content: str) -> Any:  # noqa: ANN401 - JSON may be anything
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        msg = "CloudTrailEvent is no JSON"
        raise RecordInvalid(msg) from None


def look_up(gathered: Gathered, caller: Caller, name: str, told: Callable[[], None] | None = None) -> None:
    """Read what CloudTrail keeps by itself, 90 days, of one account and region.

    Raises APIError, APIUnreachable. Two calls of fifty events a second are all that AWS allows, and a question may
    name one operation or all: each is asked for by itself, so that pulls and descriptions, which are most of what is
    recorded, need not be read. `told` is called after each page; what was read stays read when a later one fails.
    """
    wanted: dict[str, Any] = {"MaxResults": _LOOKUP_PAGE}
    if gathered.since is not None:
        wanted["StartTime"] = gathered.since.timestamp()
    if gathered.until is not None:
        wanted["EndTime"] = gathered.until.timestamp()
    for operation in (*cloudtrail.CHANGES, *(cloudtrail.PULLS if gathered.pulls else ())):
        attributes = [{"AttributeKey": "EventName", "AttributeValue": operation}]
        for page in caller.pages("LookupEvents", "Events", LookupAttributes=attributes, **wanted):
            for record in page:
                event = record.get("EventId") if isinstance(record, dict) else None
                gathered.read(_of_any, record, name, f"event {event}")
            if told is not None:
                told()


def in_order(events: Iterable[Event]) -> list[Event]:
    """Order events by time, each once: what two sources tell of is told by the one that tells more."""
    ordered = sorted(events, key=lambda one: (one.at, _TRUST[one.origin], one.id or ""))
    seen: set[tuple[object, ...]] = set()
    kept: list[Event] = []
    told: dict[tuple[object, ...], list[Event]] = defaultdict(list)
    for one in ordered:
        if one.id is not None:
            # One record may hold several events, so its name alone does not tell them apart.
            name = (one.origin, one.id, one.kind, one.tag, one.digest)
            if name in seen:
                continue
            seen.add(name)
        kept.append(one)
        if one.kind in _TWICE_TOLD and one.outcome is Outcome.DONE:
            told[_what(one)].append(one)
    doubled = {id(one) for group in told.values() for one in _doubled(group)}
    return [one for one in kept if id(one) not in doubled]


_TWICE_TOLD: Final = frozenset({Kind.PUSH, Kind.DELETE})


def _what(event: Event) -> tuple[object, ...]:
    return (*event.key, event.kind, event.tag, event.digest)


def _doubled(group: list[Event]) -> Iterator[Event]:
    """Give the events of a group that a better source tells of too: each of its events answers for one of another."""
    near = timedelta(seconds=_SAME_SECONDS)
    best = sorted(group, key=lambda one: (_TRUST[one.origin], one.at))
    taken: dict[Origin, set[int]] = defaultdict(set)
    for one in best:
        for number, better in enumerate(best):
            if _TRUST[better.origin] >= _TRUST[one.origin]:
                break
            # A live tag shows when its image was pushed first, however often it was tagged since.
            is_near = one.origin is Origin.RESIDUE or abs(better.at - one.at) <= near
            if number not in taken[one.origin] and is_near:
                taken[one.origin].add(number)
                yield one
                break
