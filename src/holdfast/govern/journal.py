"""The journal of a flip: what was about to be done, and what became of it, written before and after each call.

This file alone decides the journal's form and how it is kept: JSON Lines, appended, each line synced before anything
else happens; one writer at a time. After a crash the last line may be torn: it was never synced, so that nothing had
been done on its strength, and it is cut off. Rules of flipping are `plan`'s and `flip`'s.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from holdfast.govern import documents
from holdfast.govern.documents import DocumentInvalid, Moment
from holdfast.govern.plan import Settings, Step  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1


class JournalBusy(Exception):
    """Another run is writing the journal."""


class Wrote(StrEnum):
    """What a line tells."""

    INTENT = "intent"
    """The call of the step is about to be made; `seen` is how it was before."""

    DONE = "done"
    """The step is read back as it must be. `changed` says whether a call of ours made it so."""

    GONE = "gone"
    """What the step is about is not there any more."""

    STOPPED = "stopped"
    """The step was not done, or not as it should be; `reason` says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line."""

    plan: str
    """The digest of the plan."""

    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened to a step. `undo` marks the lines of `holdfast undo`."""

    at: Moment
    wrote: Wrote
    step: Step
    by: str
    """The ARN of who did it."""

    seen: Settings | None = None
    changed: bool = False
    undo: bool = False
    reason: str = ""


_FORM = documents.Form("a journal", Head, {"journal": Head, "line": Line}, VERSION)


@dataclass(slots=True)
class StepState:
    """What a journal says of a step."""

    step: Step
    intended: bool = False
    """A call was about to be made, and nothing says what became of it."""

    changed: bool = False
    """It is as it is because of us: undoing takes it back."""

    done: bool = False
    gone: bool = False


@dataclass(slots=True)
class Told:
    """Everything that a journal says."""

    plan: str
    lines: list[Line] = field(default_factory=list)

    def states(self) -> dict[str, StepState]:
        """Return what it says of each step, in the order in which they were begun."""
        states: dict[str, StepState] = {}
        for line in self.lines:
            _apply(states.setdefault(line.step.id, StepState(line.step)), line)
        return states


def _apply(state: StepState, line: Line) -> None:
    if line.wrote is Wrote.INTENT:
        state.intended = not line.undo
    elif line.wrote is Wrote.DONE and not line.undo:
        state.done, state.gone = True, False
        state.changed = state.changed or line.changed
        state.intended = False
        state.step = line.step
    elif line.wrote is Wrote.DONE:
        state.done = state.changed = state.intended = False
    elif line.wrote is Wrote.GONE:
        state.gone, state.intended = True, False


def read_journal(content: bytes) -> Told:
    """Read a journal; a torn last line is passed over. Raises DocumentInvalid."""
    whole = content[: content.rfind(b"\n") + 1]
    lines = list(_FORM.read_all(whole.splitlines(keepends=True)))
    if not lines:
        raise DocumentInvalid("An empty file is no journal.")
    return Told(lines[0].plan, [one for one in lines if isinstance(one, Line)])


class Journal:
    """A journal that is open for writing. Raises JournalBusy, DocumentInvalid, OSError."""

    def __init__(self, path: Path, plan: str) -> None:
        """Open the journal of a plan, or begin it. Raises DocumentInvalid when it is another plan's."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = path.read_bytes()
            os.truncate(self._descriptor, content.rfind(b"\n") + 1)
            if b"\n" not in content:
                self._append(_FORM.write(Head(plan)))
                _sync_folder(path)
                content = path.read_bytes()
            self.told = _of_plan(read_journal(content), plan, path)
        except BlockingIOError:
            os.close(self._descriptor)
            msg = f"Another run is writing {path}."
            raise JournalBusy(msg) from None
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, line: Line) -> None:
        """Append a line; it is on the disk when this returns."""
        self._append(_FORM.write(line))
        self.told.lines.append(line)

    def _append(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fsync(self._descriptor)


def _of_plan(told: Told, plan: str, path: Path) -> Told:
    if told.plan != plan:
        raise DocumentInvalid(f"The journal {path} is of another plan ({told.plan}); name another journal.")
    return told


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
