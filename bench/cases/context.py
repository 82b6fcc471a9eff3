"""What a case function is given, and what a row of the case table says."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bench.load.job import Load
from bench.measure import GIGABYTE, Cost, Sample
from bench.servers.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from bench.goals import Goal
    from bench.payload import Payload
    from bench.profiles import Profile
    from bench.seed import Content


class Unit(StrEnum):
    """What a case's value counts."""

    PER_SECOND = "op/s"
    GIGABYTES_PER_SECOND = "GB/s"
    MILLISECONDS = "ms"
    """The median latency of one operation."""
    SECONDS = "s"
    """Wall time of the whole."""
    MEBIBYTES = "MiB"
    """Anonymous memory."""

    @property
    def more_is_better(self) -> bool:
        """Whether a higher value is the better one."""
        return self in {Unit.PER_SECOND, Unit.GIGABYTES_PER_SECOND}


@dataclass
class Bench:
    """All that the cases of one run share."""

    profile: Profile
    payload: Payload
    content: Content
    scratch: Path
    """A folder for scripts and pulled images."""
    processes: int
    """Processes of the load generator."""
    verified: set[tuple[str, str]] = field(default_factory=set)
    """(server, what) whose answers were already checked byte for byte."""


CaseRun = Callable[[Bench, Server], Load]
CasePrepare = Callable[[Bench, Server], None]


@dataclass(frozen=True)
class Case:
    """One row: a name, what it is called in the report, its unit, its function and the goals it answers.

    ``title`` may name fields of the profile in braces. ``prepare`` runs once per server before the rounds and is not
    measured. ``fresh`` empties the server's store first (bounds the disk). ``static`` admits a server of plain files.
    ``tls`` restarts the servers with TLS around the case. ``restarts`` says the function restarts the server, so
    that only a server of the harness's own can take part and its CPU is not read.
    """

    name: str
    group: str
    title: str
    unit: Unit
    run: CaseRun
    goals: tuple[Goal, ...] = ()
    prepare: CasePrepare | None = None
    fresh: bool = False
    static: bool = False
    tls: bool = False
    restarts: bool = False
    writes: bool = False
    """Waits for the disk to be idle before each run, so that no server pays for another's unwritten pages."""

    def title_for(self, profile: Profile) -> str:
        """The title with this run's sizes."""
        return self.title.format(**dataclasses.asdict(profile))

    def admits(self, server: Server) -> bool:
        """Whether this server can take part."""
        if server.static and not self.static:
            return False
        return server.owned is not None or not (self.tls or self.restarts)

    def sample(self, load: Load, cost: Cost) -> Sample:
        """The load and its cost, with the value in this case's unit."""
        seconds = load.seconds or math.nan
        values = {
            Unit.PER_SECOND: load.operations / seconds,
            Unit.GIGABYTES_PER_SECOND: load.body_bytes / GIGABYTE / seconds,
            Unit.MILLISECONDS: load.p50_ms,
            Unit.SECONDS: seconds,
            Unit.MEBIBYTES: cost.anonymous_mib,
        }
        return Sample(values[self.unit], load, **vars(cost))
