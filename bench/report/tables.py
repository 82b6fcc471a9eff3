"""The tables of a report as plain text cells, before they are drawn; the terminal and Markdown draw the same ones."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.profiles import FULL

if TYPE_CHECKING:
    from bench.goals import Judgement
    from bench.report.result import Result
    from bench.schedule import CaseResult, Outcome

THOUSAND = 1000
TENTHS_BELOW = 100
HUNDREDTHS_BELOW = 10
DISTURBED_CORES = 0.25
"""Above this much work of others, a run's absolute numbers say little."""


@dataclass(frozen=True)
class Table:
    """A title, what a reader needs to know, a header row and rows. Columns after the first are numbers."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]


def number(value: float) -> str:
    """A number with about three digits; a dash when there is none."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 10 * THOUSAND:
        return f"{value / THOUSAND:.1f}k"
    if abs(value) >= TENTHS_BELOW:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= HUNDREDTHS_BELOW else f"{value:.2f}"


def ratio(value: float) -> str:
    """A ratio as people say it."""
    return "-" if math.isnan(value) else f"{number(value)}x"


def _value(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if outcome.error:
        return "ERROR"
    spread = outcome.spread_percent
    text = number(outcome.median("value"))
    return text if len(outcome.samples) < 2 or math.isnan(spread) else f"{text} ±{spread:.0f}%"


def verdicts(judgements: list[Judgement], unit: str) -> str:
    """All judgements of a case in one cell."""
    return "; ".join(f"{item.goal.text(unit)}: {item.verdict}" for item in judgements)


def speed(result: Result) -> Table:
    """Medians of all servers, and how many times better the first one is than each of the others."""
    names, subject = result.server_names, result.subject
    header = ["case", "unit", *names, *(f"vs {peer}" for peer in names[1:]), "goals"]
    rows = []
    for case in result.cases:
        unit = str(case.case.unit)
        values = [_value(case.outcomes.get(name)) for name in names]
        ratios = [ratio(case.advantage(subject, peer)) for peer in names[1:]]
        rows.append([case.title, unit, *values, *ratios, verdicts(case.judgements(subject, names), unit)])
    note = f"Medians of {result.profile.rounds} interleaved rounds, ± half the range; a ratio above 1 means {subject}"
    return Table("Speed", f"{note} is ahead.", header, rows)


def goals(result: Result) -> Table:
    """Every goal with its judgement."""
    rows: list[list[str]] = []
    for case in result.cases:
        unit = str(case.case.unit)
        rows.extend(
            [case.title, item.goal.text(unit), item.verdict, item.explanation]
            for item in case.judgements(result.subject, result.server_names)
        )
    counts = {verdict: sum(row[2] == verdict for row in rows) for verdict in ("met", "MISSED", "not judged")}
    note = f"{counts['met']} met, {counts['MISSED']} missed, {counts['not judged']} not judged, of {len(rows)}."
    if result.profile != FULL:
        note += " This run's sizes differ from the full profile, for which the goals are set."
    return Table(f"Goals of {result.subject}", note, ["case", "goal", "verdict", "by how much"], rows)


def _cost_cell(case: CaseResult, name: str) -> str:
    outcome = case.outcomes.get(name)
    if outcome is None or outcome.error or not outcome.samples:
        return ""
    if case.case.unit in {"GB/s", "s"} and not case.case.restarts:
        return f"{number(outcome.median('cpu_s_per_gb'))} s/GB"
    return f"{number(outcome.median('cpu_us_per_operation'))} µs"


def cost(result: Result) -> Table:
    """CPU of the server per request or per GB, and latencies."""
    names = result.server_names
    header = ["case", *(f"{name} CPU" for name in names), *(f"{name} p50/p99 ms" for name in names)]
    header += [f"{result.subject} cores", "generator cores", "other cores"]
    rows = []
    for case in result.cases:
        if case.case.restarts or case.case.unit == "MiB":
            continue
        latencies = [f"{number(case.median(name, 'p50_ms'))} / {number(case.median(name, 'p99_ms'))}" for name in names]
        cores = [number(case.median(result.subject, f"{who}_cores")) for who in ("server", "generator", "other")]
        rows.append([case.title, *(_cost_cell(case, name) for name in names), *latencies, *cores])
    note = "Server CPU per operation or per 10^9 payload bytes. 'cores': how many the server, the generator and "
    note += f"everything else kept busy while {result.subject} was measured; others' work disturbs a run."
    return Table("Cost and latency", note, header, rows)


def memory(result: Result) -> Table:
    """Peaks of anonymous and of resident memory."""
    names = result.server_names
    header = ["case", *(f"{name} anonymous" for name in names), *(f"{name} resident" for name in names)]
    rows = []
    for case in result.cases:
        if case.case.restarts:
            continue
        cells = [number(case.median(name, metric)) for metric in ("anonymous_mib", "resident_mib") for name in names]
        rows.append([case.title, *cells])
    note = "Highest during the case, MiB, all processes added up. Resident counts mapped files, anonymous does not."
    return Table("Memory", note, header, rows)


def errors(result: Result) -> Table:
    """What failed, and which servers are missing and why."""
    rows = [["(server)", name, reason] for name, reason in result.missing.items()]
    for case in result.cases:
        rows.extend([case.title, name, outcome.error] for name, outcome in case.outcomes.items() if outcome.error)
    return Table("Errors and absences", "A failed case has no number.", ["case", "server", "reason"], rows)


def setting(result: Result) -> Table:
    """Machine, date, versions and sizes."""
    machine = result.machine
    rows = [
        ["date", machine.date],
        ["machine", f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB"],
        ["system", f"{machine.system}, kernel {machine.kernel}, Python {machine.python}"],
        ["file system under the data", machine.filesystem],
        ["load average when it began", f"{machine.load_before:.2f}"],
        ["command", result.command],
    ]
    rows += [[f"server {server.name}", f"{server.title}: {server.version}"] for server in result.servers]
    others = [case.median(result.subject, "other_cores") for case in result.cases]
    known = [value for value in others if not math.isnan(value)]
    if known:
        middle = statistics.median(known)
        doubt = ": DISTURBED, trust the ratios and CPU columns only" if middle > DISTURBED_CORES else ""
        rows.append(["others' work meanwhile", f"{middle:.2f} cores{doubt}"])
    profile = ", ".join(f"{name}={value}" for name, value in vars(result.profile).items())
    rows.append(["profile", profile])
    rows.append(["took", f"{result.took_seconds:.0f} s"])
    return Table("What was measured, and where", "", ["", ""], rows)


def all_tables(result: Result) -> list[Table]:
    """Every table that has rows, in reading order."""
    tables = [setting(result), speed(result), goals(result), cost(result), memory(result), errors(result)]
    return [table for table in tables if table.rows]
