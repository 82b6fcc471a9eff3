"""Plots as SVG: how many times better each server is than a peer, on a log scale. Needs matplotlib, for this only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.report.result import Result
    from bench.schedule import CaseResult

BAR_INCHES = 0.42
COLOURS = ("#1f5fa8", "#9aa5b1", "#c98a2b", "#6b9e5b", "#8a5fa0")
PEERS_TO_PLOT = ("d3", "d2")


def _cpu_advantage(case: CaseResult, server: str, peer: str) -> float:
    own, other = case.median(server, "cpu_us_per_operation"), case.median(peer, "cpu_us_per_operation")
    if case.case.unit in {"GB/s", "s"}:
        own, other = case.median(server, "cpu_s_per_gb"), case.median(peer, "cpu_s_per_gb")
    return other / own if own and other and not math.isnan(own) and not math.isnan(other) else math.nan


def _speed_advantage(case: CaseResult, server: str, peer: str) -> float:
    return case.advantage(server, peer)


def _plot(
    result: Result, peer: str, title: str, advantage: Callable[[CaseResult, str, str], float], target: Path
) -> bool:
    """Draw one figure; False when there is nothing to draw."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  only needed, and only installed, where plots are wanted
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        message = "matplotlib is not installed, so no plots (pip install -r bench/requirements.txt)"
        raise UnavailableError(message) from error
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8})
    shown = [name for name in result.server_names if name != peer]
    cases = [case for case in result.cases if not math.isnan(advantage(case, result.subject, peer))]
    if not cases or not shown:
        return False
    figure = Figure(figsize=(9, 1.2 + BAR_INCHES * len(cases)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(shown)
    for index, name in enumerate(shown):
        values = [advantage(case, name, peer) for case in cases]
        places = [place + index * height - 0.4 + height / 2 for place in range(len(cases))]
        known = [(place, value) for place, value in zip(places, values, strict=True) if not math.isnan(value)]
        if not known:
            continue
        # On a log axis a bar starts at 1 (equal to the peer): right of it is better, left of it is worse.
        widths = [value - 1 for _, value in known]
        bars = axes.barh(
            [place for place, _ in known], widths, left=1, height=height, label=name, color=COLOURS[index % 5]
        )
        axes.bar_label(bars, [f"{value:.3g}x" for _, value in known], padding=2, fontsize=6)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [case.title for case in cases])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_title(f"{title} (log scale; {peer} = 1, right is better)")
    axes.legend(loc="lower right")
    axes.margins(x=0.12, y=0.01)
    axes.xaxis.set_major_formatter("{x:g}x")
    figure.savefig(target, format="svg", metadata={"Date": None})
    return True


def write_plots(result: Result, folder: Path, stem: str) -> list[Path]:
    """Speed and server CPU, relative to distribution 3 (2 where 3 is absent); the files written."""
    peer = next((name for name in PEERS_TO_PLOT if name in result.server_names[1:]), None)
    if peer is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    figures = (("speed", "Speed", _speed_advantage), ("cpu", "Server CPU per request or byte", _cpu_advantage))
    written: list[Path] = []
    for name, title, advantage in figures:
        target = folder / f"{stem}-{name}.svg"
        if _plot(result, peer, f"{title} against {peer}", advantage, target):
            written.append(target)
    return written
