"""`holdfast fsck`: derive everything anew from the bytes on the disk, and tell what does not fit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import care
from holdfast.care import MEANINGS
from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.output import Output, size
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.care import Finding, Report

DATA_OPTION = click.option(
    "--data",
    envvar="HOLDFAST_DATA",
    default="./holdfast-data",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The data directory of the server.  [HOLDFAST_DATA]",
)


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast fsck --data /srv/holdfast",
            "holdfast fsck --data /srv/holdfast --repair",
            "holdfast fsck --data /srv/holdfast --fast --json",
        )
    },
)
@DATA_OPTION
@click.option("--fast", is_flag=True, help="Look at the size of each blob's file; do not read it.")
@click.option("--repair", is_flag=True, help="Do what is provably safe, and say what was done.")
@json_option
def fsck(data: Path, *, fast: bool, repair: bool, as_json: bool) -> int:
    """Check everything that a stopped server keeps.

    Every blob's file is hashed, every manifest parsed again and held against the database, what each tag names is
    replayed from the record. Findings end with code 1. What a crash leaves behind, and the server sweeps by itself,
    is told and is no finding. While the server runs: holdfast scrub.
    """
    out = Output(as_json=as_json)
    with staged() as watch:
        report = care.fsck(data, deep=not fast, repair=repair, watch=watch)
    out.result(_document(report), *_sentences(report, fast=fast))
    return Exit.DONE if report.is_sound else Exit.FOUND


def _document(report: Report) -> dict[str, Any]:
    return {
        "sound": report.is_sound,
        "examined": report.counts,
        "findings": [_told(one) for one in report.findings],
        "leftovers": [_told(one) for one in report.leftovers],
        "untold": report.untold,
        "repaired": report.repaired,
    }


def _told(one: Finding) -> dict[str, str]:
    return {
        "problem": one.problem,
        "subject": one.subject,
        "detail": one.detail,
        "meaning": MEANINGS[one.problem].sentence,
        "advice": MEANINGS[one.problem].advice,
    }


def _sentences(report: Report, *, fast: bool) -> list[str]:
    counts = report.counts
    lines = [f"Repaired: {deed}." for deed in report.repaired]
    for problem, found in _by_problem(report.findings).items():
        meaning = MEANINGS[found[0].problem]
        lines.append(f"{problem}: {meaning.sentence} {meaning.advice}".rstrip())
        lines += [f"  {one.subject}  {one.detail}".rstrip() for one in found]
    if report.untold:
        lines.append(f"... and {report.untold} more.")
    if report.leftovers:
        kinds = Counter(one.problem.value for one in report.leftovers)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        lines.append(f"Left behind, harmless: {told}. (--json names them.)")
    if counts:
        hashed = "sizes only" if fast else f"{size(counts['hashed_bytes'])} hashed"
        lines.append(
            f"Examined {counts['blobs']} blobs ({hashed}), {counts['manifests']} manifests, {counts['tags']} tags "
            f"and {counts['entries']} entries of the record."
        )
    lines.append("Everything fits." if report.is_sound else f"{len(report.findings) + report.untold} findings.")
    return lines


def _by_problem(findings: list[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for one in findings:
        grouped.setdefault(one.problem.value, []).append(one)
    return grouped
