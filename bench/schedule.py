"""Runs cases on servers in interleaved rounds (A B C A B C ...) and keeps what came of each.

An error never stops the run and never becomes a number: it is kept beside the samples and shown in the report.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.goals import Goal, Judgement, at_least, at_most, judge
from bench.measure import Sample, costed
from bench.seed import seed_reads

if TYPE_CHECKING:
    from bench.cases.context import Bench, Case
    from bench.servers.server import Server

READ_GROUPS = {"manifest reads", "blob reads", "lists and start"}
"""Groups whose cases ask for the seeded content."""
Tell = Callable[[str], None]


@dataclass
class Outcome:
    """All rounds of one case on one server."""

    samples: list[Sample] = field(default_factory=list)
    error: str = ""

    def median(self, metric: str) -> float:
        """Median over the rounds; not-a-number without samples, after an error, or where it was not measured."""
        if self.error or not self.samples:
            return math.nan
        return statistics.median(sample.metric(metric) for sample in self.samples)

    @property
    def spread_percent(self) -> float:
        """Half the distance between the best and the worst round, in percent of the median."""
        values = [sample.value for sample in self.samples]
        middle = self.median("value")
        return (max(values) - min(values)) / 2 / middle * 100 if values and middle else math.nan


@dataclass
class CaseResult:
    """One case on all servers that took part."""

    case: Case
    title: str
    outcomes: dict[str, Outcome]

    def median(self, server: str, metric: str = "value") -> float:
        """A server's median, or not-a-number."""
        outcome = self.outcomes.get(server)
        return outcome.median(metric) if outcome else math.nan

    def advantage(self, server: str, peer: str) -> float:
        """How many times better ``server`` is than ``peer`` by the case's value; above 1 it is ahead."""
        own, other = self.median(server), self.median(peer)
        if math.isnan(own) or math.isnan(other) or not own or not other:
            return math.nan
        return own / other if self.case.unit.more_is_better else other / own

    def judgements(self, subject: str, servers: list[str]) -> list[Judgement]:
        """Every goal of the case held against the subject; with zot in the run, being ahead of it is one more."""
        goals: list[Goal] = list(self.case.goals)
        if "zot" in servers and not self.case.unit.more_is_better:
            goals.append(at_most(1.0, of="zot"))
        elif "zot" in servers:
            goals.append(at_least(1.0, of="zot"))
        return [
            judge(goal, self.median(subject, goal.metric), self.median(goal.peer, goal.metric) if goal.peer else None)
            for goal in goals
        ]


@dataclass
class Schedule:
    """Cases to run, the servers they run on, how often, and whom to tell."""

    bench: Bench
    servers: list[Server]
    cases: list[Case]
    tell: Tell

    def run(self) -> list[CaseResult]:
        """Seed, then every case in turn."""
        unseeded = self._seed() if any(case.group in READ_GROUPS for case in self.cases) else {}
        results: list[CaseResult] = []
        for number, case in enumerate(self.cases, 1):
            result = self._run_case(case, unseeded if case.group in READ_GROUPS else {})
            results.append(result)
            self.tell(f"[{number}/{len(self.cases)}] {_line(result)}")
        return results

    def _seed(self) -> dict[str, str]:
        failed: dict[str, str] = {}
        for server in self.servers:
            self.tell(f"seeding {server.name}")
            try:
                seed_reads(server, self.bench.content, self.bench.payload)
            except _FAULTS as error:
                failed[server.name] = f"seeding failed: {error}"
        return failed

    def _run_case(self, case: Case, unseeded: dict[str, str]) -> CaseResult:
        taking_part = [server for server in self.servers if case.admits(server)]
        outcomes = {server.name: Outcome(error=unseeded.get(server.name, "")) for server in taking_part}
        result = CaseResult(case, case.title_for(self.bench.profile), outcomes)
        for server in taking_part:
            self._guarded(outcomes[server.name], partial(self._prepare, case, server))
        for _ in range(self.bench.profile.rounds):
            for server in taking_part:
                outcome = outcomes[server.name]
                self._guarded(outcome, partial(self._sample, case, server, outcome))
        for server in taking_part:
            self._guarded(outcomes[server.name], partial(_restore, case, server))
        return result

    def _prepare(self, case: Case, server: Server) -> None:
        if server.owned:
            server.owned.revive()
        if case.fresh and server.owned:
            server.owned.wipe()
        if case.tls and server.owned:
            server.owned.restart(tls=True)
        if case.prepare:
            case.prepare(self.bench, server)

    def _sample(self, case: Case, server: Server, outcome: Outcome) -> None:
        if case.writes:
            os.sync()
        if case.restarts:
            load = case.run(self.bench, server)
            outcome.samples.append(Sample(load.seconds, load))
            return
        load, cost = costed(server, lambda: case.run(self.bench, server))
        outcome.samples.append(case.sample(load, cost))

    @staticmethod
    def _guarded(outcome: Outcome, act: Callable[[], None]) -> None:
        if outcome.error:
            return
        try:
            act()
        except _FAULTS as error:
            outcome.error = f"{type(error).__name__}: {error}"[:600]


_FAULTS = (BenchError, OSError, subprocess.SubprocessError, ValueError, KeyError)
"""What a case may fail with; anything else is a fault of the harness itself and ends it."""


def _restore(case: Case, server: Server) -> None:
    """Undo what the case changed in how the server runs."""
    if server.owned and case.tls:
        server.owned.restart()


def _line(result: CaseResult) -> str:
    """One line of progress."""
    parts = []
    for name, outcome in result.outcomes.items():
        text = f"ERROR {outcome.error[:100]}" if outcome.error else f"{outcome.median('value'):.4g}"
        parts.append(f"{name} {text}")
    return f"{result.title}: {', '.join(parts)} {result.case.unit}"
