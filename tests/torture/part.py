"""What the parts of the battery have in common: a seed, a folder, a size, and what is counted."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NotHere(Exception):
    """This machine cannot do it; says why."""


@dataclass
class Tally:
    """What was done."""

    runs: int = 0
    operations: int = 0
    kills: int = 0
    """Processes killed, disks cut off, effects that failed: the harm that was done."""


@dataclass
class Round:
    """One round of a part: everything in it follows from the seed, but for the order of real threads."""

    seed: int
    folder: Path
    long: bool
    tally: Tally = field(default_factory=Tally)
    alive: Callable[[], object] = lambda: None
    """Called by a part of many long steps at each of them: a round that shows no sign of life counts as stuck."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - reproducible, not secret

    def size(self, short: int, long: int) -> int:
        """Return how much of something to do."""
        return long if self.long else short

    @contextmanager
    def fresh(self, name: str = "data") -> Iterator[Path]:
        """Yield a folder that is not there yet, and remove it in the end."""
        self.alive()
        made = Path(tempfile.mkdtemp(prefix=name, dir=self.folder))
        try:
            yield made / name
        finally:
            shutil.rmtree(made, ignore_errors=True)


@dataclass(frozen=True)
class Part:
    """A part of the battery."""

    name: str
    shows: str
    run: Callable[[Round], None]


def memory_folder() -> Path | None:
    """Return a folder in memory, where a kill -9 is as real and a sync costs nothing; None when there is none."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made in it
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else None
