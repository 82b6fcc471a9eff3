"""All that a run found out, before it is shown."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.machine import Machine
    from bench.profiles import Profile
    from bench.schedule import CaseResult
    from bench.servers.server import Server

METRICS = (
    "value",
    "p50_ms",
    "p99_ms",
    "cpu_seconds",
    "cpu_us_per_operation",
    "cpu_s_per_gb",
    "anonymous_mib",
    "resident_mib",
    "server_cores",
    "generator_cores",
    "other_cores",
)
"""The numbers of a sample that JSON keeps, per round and as medians."""


@dataclass(frozen=True)
class Result:
    """A whole run. The first server is the one under test; goals and ratios are its own."""

    machine: Machine
    profile: Profile
    command: str
    servers: list[Server]
    missing: dict[str, str]
    """Servers that were wanted but could not be had, with the reason."""
    cases: list[CaseResult]
    took_seconds: float

    @property
    def server_names(self) -> list[str]:
        """In the order they took part."""
        return [server.name for server in self.servers]

    @property
    def subject(self) -> str:
        """The server under test."""
        return self.servers[0].name

    @property
    def failed(self) -> bool:
        """Whether any case ended in an error."""
        return any(outcome.error for case in self.cases for outcome in case.outcomes.values())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _case(case: CaseResult, result: Result) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    for name, outcome in case.outcomes.items():
        servers[name] = {
            "error": outcome.error or None,
            "median": {metric: _known(outcome.median(metric)) for metric in METRICS},
            "rounds": [{metric: _known(sample.metric(metric)) for metric in METRICS} for sample in outcome.samples],
        }
    goals = [
        {
            "goal": item.goal.text(str(case.case.unit)),
            "verdict": item.verdict,
            "measured": _known(item.measured),
            "explanation": item.explanation,
        }
        for item in case.judgements(result.subject, result.server_names)
    ]
    return {
        "name": case.case.name,
        "group": case.case.group,
        "title": case.title,
        "unit": str(case.case.unit),
        "advantage": {name: _known(case.advantage(result.subject, name)) for name in result.server_names[1:]},
        "servers": servers,
        "goals": goals,
    }


def to_json(result: Result) -> str:
    """The whole result; numbers that were not measured are null."""
    document = {
        "machine": dataclasses.asdict(result.machine),
        "profile": dataclasses.asdict(result.profile),
        "command": result.command,
        "subject": result.subject,
        "servers": {server.name: {"title": server.title, "version": server.version} for server in result.servers},
        "missing": result.missing,
        "took_seconds": round(result.took_seconds, 1),
        "cases": [_case(case, result) for case in result.cases],
    }
    return json.dumps(document, indent=1) + "\n"
