"""Events: what happened to tags and repositories, in one form wherever it was read.

Pure. This file alone decides the normal form of an event and of a history's file: JSON Lines, each line an object
whose member `record` says what it is: first `history`, then `event` and `skipped` in any order, and at last `end`.
Readers for each source are elsewhere (`history`); rules over events judge elsewhere (`triage`, `simulate`).

A member that a source does not tell is None. Sources differ in what they tell: EventBridge names no identity, the
residue of DescribeImages no tag that moved; `origin` says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import TagMutability  # noqa: TC001 - read at run time
from holdfast.govern.documents import DocumentInvalid, Form, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 1


class Kind(StrEnum):
    """What was done, or tried."""

    PUSH = "push"
    PULL = "pull"
    DELETE = "delete"
    """Of a tag, or of an image with its tags; by whoever asked for it."""

    EXPIRE = "expire"
    """Of an image, by a lifecycle policy."""

    CREATE = "create"
    """Of a repository."""

    DROP = "drop"
    """Of a repository, with everything in it."""

    SET_MUTABILITY = "set-mutability"
    SET_TEMPLATE = "set-template"
    """A creation template made, changed or deleted; `repository` is its prefix."""

    SET_PULL_THROUGH = "set-pull-through"
    SET_REPLICATION = "set-replication"
    SET_SCANNING = "set-scanning"
    SET_LIFECYCLE = "set-lifecycle"
    SET_POLICY = "set-policy"


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"


class Origin(StrEnum):
    """Where an event was read."""

    CLOUDTRAIL = "cloudtrail"
    EVENTBRIDGE = "eventbridge"
    LEDGER = "ledger"
    RESIDUE = "residue"
    """What DescribeImages shows of the past: a lower bound. Moves that left nothing behind are not seen."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as far as the source says."""

    arn: str | None = None
    """As the source has it, such as arn:aws:sts::111122223333:assumed-role/ci-build/run-4711."""

    account: str | None = None
    name: str | None = None
    """The user, or the role without its session: what a policy can name."""

    session: str | None = None
    """The role session, which is often one run of a pipeline."""

    pipeline: str | None = None
    """The pipeline, where it can be derived; runs of one pipeline share it."""

    service: str | None = None
    """The AWS service that did it by itself, such as ecr.amazonaws.com."""

    @property
    def label(self) -> str:
        """One word for tables: the pipeline, else the name, else the service."""
        return self.pipeline or self.name or self.service or self.arn or "unknown"


NOBODY: Final = Actor()
"""The source does not say who."""


@dataclass(frozen=True, slots=True)
class Event:
    """One act, or one attempt that was refused."""

    at: Moment
    account: str
    region: str
    repository: str
    """"" for acts on the registry itself."""

    kind: Kind
    origin: Origin
    outcome: Outcome = Outcome.DONE
    tag: str | None = None
    """None with a push: by digest alone, as the parts of an index are pushed."""

    digest: str | None = None
    previous: str | None = None
    """What the tag named before, where the source says so."""

    media_type: str | None = None
    """Of the manifest."""

    mode: TagMutability | None = None
    """What was set, for `set-mutability`, `create` and `set-template`."""

    filters: tuple[str, ...] = ()
    actor: Actor = NOBODY
    source: str | None = None
    """The address that it came from, or the service that called."""

    user_agent: str | None = None
    error: str | None = None
    """The error's code, for what was refused."""

    id: str | None = None
    """The source's own name of the event: the same event read twice has it twice."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Account, region and repository."""
        return self.account, self.region, self.repository


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that could not be read; the rest was."""

    source: str
    """The file, or the call."""

    where: str
    """Such as `line 12` or `record 3`."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a history's file."""

    gathered_at: Moment
    since: Moment | None = None
    """Events before this were not asked for; None: whatever the sources have."""

    until: Moment | None = None
    origins: tuple[Origin, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    """Accounts and regions that were asked for all that happened; where no event is of, nothing happened."""

    version: int = VERSION


@dataclass(frozen=True, slots=True)
class End:
    """The last line: how many lines of each kind there are."""

    events: int
    skipped: int


Line = Head | Event | Skipped | End


@dataclass(frozen=True, slots=True)
class History:
    """All events that were gathered, in the order of time."""

    head: Head
    events: tuple[Event, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    is_finished: bool = True
    """False: the file was cut off."""


_FORM: Final = Form("a history", Head, {"history": Head, "event": Event, "skipped": Skipped, "end": End}, VERSION)


def write_line(line: Line) -> bytes:
    """Write one line of a history's file, with its end."""
    return _FORM.write(line)


def read_line(content: bytes | str) -> Line:
    """Read one line of a history's file. Raises DocumentInvalid."""
    line: Line = _FORM.read(content)
    return line


def read_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """Read the lines of a history's file, one at a time. Raises DocumentInvalid, which says which line is wrong."""
    return _FORM.read_all(lines)


def read_history(lines: Iterable[bytes]) -> History:
    """Read a whole history into memory. Raises DocumentInvalid; a file that was cut off is not finished."""
    found: dict[type, list[Any]] = {Head: [], Event: [], Skipped: [], End: []}
    for line in read_lines(lines):
        found[type(line)].append(line)
    if not found[Head]:
        msg = "an empty file is no history"
        raise DocumentInvalid(msg)
    for end in found[End]:
        told, there = (end.events, end.skipped), (len(found[Event]), len(found[Skipped]))
        if told != there:
            msg = f"the last line tells of {told} events and skipped records, and there are {there}"
            raise DocumentInvalid(msg)
    return History(found[Head][0], tuple(found[Event]), tuple(found[Skipped]), is_finished=bool(found[End]))


def write_history(history: History) -> Iterator[bytes]:
    """Write a history as the lines of a file."""
    yield write_line(history.head)
    for event in history.events:
        yield write_line(event)
    for skipped in history.skipped:
        yield write_line(skipped)
    if history.is_finished:
        yield write_line(End(len(history.events), len(history.skipped)))
