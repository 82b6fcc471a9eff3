"""Goals and their judgement. A goal is a row beside its case; a missed one is always shown, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["met", "MISSED", "not judged"]

METRIC_NAMES: dict[str, str] = {
    "value": "",
    "p99_ms": "p99 ms",
    "cpu_us_per_operation": "CPU per operation",
    "cpu_s_per_gb": "CPU s/GB",
    "cpu_seconds": "server CPU",
    "anonymous_mib": "peak anonymous MiB",
}
"""The numbers a goal may judge, and how the report calls them (the case's own value has no extra name)."""


@dataclass(frozen=True)
class Goal:
    """``metric`` of the server under test, divided by that of ``peer`` if one is named, against ``bound``."""

    bound: float
    at_least: bool
    metric: str
    peer: str | None

    def text(self, unit: str) -> str:
        """As a person writes it: ``>= 8x d3``, ``p99 ms <= 3``."""
        sign = ">=" if self.at_least else "<="
        name = METRIC_NAMES[self.metric]
        against = f"{self.bound:.3g}x {self.peer}" if self.peer else f"{self.bound:g}{'' if name else f' {unit}'}"
        return f"{name} {sign} {against}".strip()


def at_least(bound: float, *, of: str | None = None, metric: str = "value") -> Goal:
    """The measure, or its ratio to a peer's, must reach the bound."""
    return Goal(bound, at_least=True, metric=metric, peer=of)


def at_most(bound: float, *, of: str | None = None, metric: str = "value") -> Goal:
    """The measure, or its ratio to a peer's, must stay within the bound."""
    return Goal(bound, at_least=False, metric=metric, peer=of)


@dataclass(frozen=True)
class Judgement:
    """A goal held against what was measured."""

    goal: Goal
    verdict: Verdict
    measured: float
    """The measure or ratio that was judged; not-a-number when there is none."""
    explanation: str


def judge(goal: Goal, own: float, peer: float | None) -> Judgement:
    """Hold one goal against the medians; ``peer`` is None when that server has no number in this run."""
    if math.isnan(own):
        return Judgement(goal, "not judged", math.nan, "the server under test has no number here")
    if goal.peer and (peer is None or math.isnan(peer) or peer == 0):
        return Judgement(goal, "not judged", math.nan, f"{goal.peer} has no number in this run")
    measured = own / peer if goal.peer and peer else own
    met = measured >= goal.bound if goal.at_least else measured <= goal.bound
    suffix = "x" if goal.peer else ""
    gap = abs(measured - goal.bound) / goal.bound * 100
    if met:
        side = "above" if goal.at_least else "below"
        return Judgement(goal, "met", measured, f"{measured:.3g}{suffix}, {gap:.0f}% {side} the goal")
    side = "short of" if goal.at_least else "over"
    return Judgement(goal, "MISSED", measured, f"{measured:.3g}{suffix}, {gap:.0f}% {side} the goal")
