"""Power cuts on a simulated disk: what may be lost is lost, in every way that a file system allows.

A day of a registry is recorded, effect by effect, with the moments at which clients were answered. At any of them the
power may go. Then a file has what was synced, and of what was written since, any part: each write whole, not at all, or
torn at a sector. A folder has the names that were there when it was synced, and of the changes since, any. This is more
than ext4 or xfs would lose, and what POSIX allows. What a client was told must be there after it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from running import running, settings
from torture.inspect_data import inspect
from torture.model import Belief, State, Violation
from torture.seams import Disk
from torture.user import BLOBS, User, act, any_op, day, fresh

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from torture.inspect_data import Found
    from torture.part import Round

SECTOR = 512


@dataclass(frozen=True)
class Event:
    """An effect on the disk, or an answer to a client."""

    kind: str
    path: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class RecordingDisk(Disk):
    """Writes down what happens, in the order in which it was done."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._one_at_a_time = threading.RLock()

    @contextmanager
    def effect(self, kind: str, path: str, **facts: Any) -> Iterator[None]:
        """Be around an effect; no other is under way meanwhile, so that the order is the real one."""
        with self._one_at_a_time:
            yield
            self.events.append(Event(kind, path, facts))

    def note(self, kind: str, **facts: Any) -> None:
        """Write down what is no effect."""
        with self._one_at_a_time:
            self.events.append(Event(kind, facts=facts))


@dataclass
class _File:
    """A file: what is safe, and what was done since."""

    safe: bytes = b""
    since: list[Event] = field(default_factory=list)

    def synced(self) -> None:
        for event in self.since:
            self.safe = _done(self.safe, event, None)
        self.since = []

    def after_cut(self, chance: random.Random) -> bytes:
        content, keep = self.safe, chance.choice((0.0, 0.5, 0.9, 1.0))
        for event in self.since:
            if chance.random() < keep:
                content = _done(content, event, chance if chance.random() < 0.3 else None)
        return content


def _done(content: bytes, event: Event, torn: random.Random | None) -> bytes:
    if event.kind == "truncate":
        size = int(event.facts["size"])
        return content[:size].ljust(size, b"\0")
    at, new = int(event.facts["at"]), bytes(event.facts["content"])
    if torn is not None:
        new = new[: torn.randrange(0, len(new) + 1, SECTOR)]
    return content[:at].ljust(at, b"\0") + new + content[at + len(new) :]


@dataclass
class _Tree:
    """The files and names of a disk up to some moment."""

    names: dict[str, _File] = field(default_factory=dict)
    """As the running system sees them."""
    safe: dict[str, _File] = field(default_factory=dict)
    since: list[tuple[str, str, _File | None]] = field(default_factory=list)
    """Changes of names that were not synced: (folder, name, what it names then)."""

    @classmethod
    def of(cls, root: Path) -> _Tree:
        """Take what lies there as safe."""
        files = {str(one): _File(one.read_bytes()) for one in root.rglob("*") if one.is_file()}
        return cls(dict(files), dict(files))

    def apply(self, event: Event) -> None:
        path = event.path
        match event.kind:
            case "create":
                self._name(path, _File())
            case "write" | "truncate":
                if path in self.names:
                    self.names[path].since.append(event)
            case "sync" if path in self.names:
                self.names[path].synced()
                if "holdfast.db" in path:  # SQLite syncs the folder with a new log, below the seam
                    self._sync_folder(os.path.dirname(path), only="holdfast.db")
            case "sync":
                self._sync_folder(path)
            case "link":
                self._name(path, self.names[event.facts["source"]])
            case "unlink":
                self._name(path, None)
            case "rename":
                moved = self.names[event.facts["source"]]
                self._name(event.facts["source"], None)
                self._name(path, moved)

    def _name(self, path: str, file: _File | None) -> None:
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        self.since.append((os.path.dirname(path), path, file))

    def _sync_folder(self, folder: str, only: str = "") -> None:
        kept = []
        for where, path, file in self.since:
            if os.path.normpath(where) == os.path.normpath(folder) and os.path.basename(path).startswith(only):
                _set(self.safe, path, file)
            else:
                kept.append((where, path, file))
        self.since = kept

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what the disk may hold when it comes up again."""
        names, keep = dict(self.safe), chance.choice((0.0, 0.5, 0.9, 1.0))
        for _, path, file in self.since:
            if chance.random() < keep:
                _set(names, path, file)
        contents: dict[int, bytes] = {}
        for file in names.values():
            if id(file) not in contents:
                contents[id(file)] = file.after_cut(chance)
        return {path: contents[id(file)] for path, file in names.items() if not path.endswith("-shm")}


def _set(names: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file


# --- a day, and its cuts ---------------------------------------------------------------------------------------------


def cuts(given: Round) -> None:
    """Record a day, then cut the power at many moments of it, in several ways each."""
    with given.fresh() as data:
        disk = RecordingDisk()
        wanted = settings(data)
        with running(wanted):
            pass
        tree = _Tree.of(data)
        _record(given, data, disk)
        moments = _moments(given, disk.events)
        belief, done = fresh(), 0
        for moment in moments:
            for event in disk.events[done:moment]:
                tree.apply(event)
                _learn(belief, event)
            done = moment
            given.tally.kills += 1
            with given.fresh("cut") as after:
                _write(tree.after_cut(given.chance), data, after)
                _compare(inspect(after, with_fsck=given.chance.random() < 0.1), belief, disk.events[:moment])
        given.tally.runs += 1
        given.tally.operations += len(disk.events)


def _moments(given: Round, events: list[Event]) -> list[int]:
    """Choose when to cut: at any time, and as often when a client was just told something, which must be there then."""
    told, answered = ([at + 1 for at, one in enumerate(events) if one.kind == kind] for kind in ("told", "answered"))
    return sorted(
        given.chance.choice(given.chance.choice((range(len(events)), told, answered)))
        for _ in range(given.size(70, 600))
    )


def _record(given: Round, data: Path, disk: RecordingDisk) -> None:
    ahead = [0]

    def leases() -> int:
        return 1_800_000_000_000_000 + ahead[0] * 3_600_000_000

    belief = fresh()
    with disk.installed(), running(settings(data), lease_clock=leases) as up:
        # The model knows the collections that it asks for; the one of the start is over before the day begins.
        asyncio.run_coroutine_threadsafe(up.holdfast.collected_once.wait(), up.loop).result(30)
        user = User(up.host, up.port, on_progress=lambda upload, size: disk.note("told", upload=upload, size=size))
        ops = [*day(given.chance), *(any_op(given.chance) for _ in range(given.size(20, 200)))]
        for op in ops:
            disk.note("asked", op=op)
            if op.kind == "pass_time":
                ahead[0] += op.hours
                belief.certain(op, ())
            elif not act(user, belief, op):
                msg = f"{op} was not answered on a disk that works"
                raise Violation(msg)
            disk.note("answered", op=op)
        user.close()
        disk.note("end")


def _learn(belief: Belief, event: Event) -> None:
    """Between the question and the answer an operation may have taken place or not; then it has."""
    if event.kind == "asked":
        belief.unknown(event.facts["op"])
    elif event.kind == "answered":
        belief.states = belief.states[-1:]


def _write(files: dict[str, bytes], data: Path, after: Path) -> None:
    (after / "uploads").mkdir(parents=True)
    for path, content in files.items():
        if not path.endswith("/lock"):
            target = after / Path(path).relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _compare(found: Found, belief: Belief, events: list[Event]) -> None:
    """Hold what a disk has against every state that is possible; blobs may be there that nobody was told of yet."""
    reasons = [reason for state in belief.states if (reason := _differs(found, state)) is None]
    if not reasons:
        told = "; or ".join(str(_differs(found, state)) for state in belief.states)
        asked = [str(event.facts["op"]) for event in events if event.kind == "answered"]
        msg = f"after {events[-1].kind} of {os.path.basename(events[-1].path)}, answered {asked[-3:]}: {told}"
        raise Violation(msg)
    _compare_uploads(found, events)


def _differs(found: Found, state: State) -> str | None:
    tags = {(name, tag): digest for name, one in state.repositories.items() for tag, digest in one.tags.items()}
    manifests = {(name, digest) for name, one in state.repositories.items() for digest in one.manifests}
    modes = {name: one.mode for name, one in state.repositories.items()}
    links = {(name, digest) for name, one in state.repositories.items() for digest in one.blobs}
    if found.modes != modes:
        return f"repositories are {found.modes}, not {modes}"
    if found.tags != tags:
        return f"tags are {found.tags}, not {tags}"
    if found.manifests != manifests:
        return f"manifests are {found.manifests}, not {manifests}"
    if found.links != links:
        return f"blobs are {found.links}, not {links}"
    return None


def _compare_uploads(found: Found, events: list[Event]) -> None:
    """Hold what sessions have against what PATCH told, until the session came to its end."""
    told: dict[str, int] = {}
    for event in events:
        if event.kind == "told":
            told[event.facts["upload"]] = event.facts["size"]
        elif event.kind == "unlink":
            told.pop(os.path.basename(event.path), None)
    for upload, size in told.items():
        content = found.uploads.get(upload, b"")[:size]
        if len(content) < size or not any(blob.startswith(content) for blob in BLOBS.values()):
            msg = f"an upload was told to have {size} bytes, and they are not there"
            raise Violation(msg)
