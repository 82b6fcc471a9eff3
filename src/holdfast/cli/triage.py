"""`holdfast triage`: which repositories are ready to be made immutable, which need work, which are better left."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli.connection import json_option
from holdfast.cli.governing import history_of, history_option, inventory_option, read_inventory_file
from holdfast.cli.output import Output
from holdfast.cli.teaching import TeachingCommand
from holdfast.govern.documents import plain as document_of
from holdfast.govern.triage import Verdict, triage_all

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.govern.events import History
    from holdfast.govern.triage import Triage

_LONG_DAYS: Final = 31
"""A history of so many days has seen what runs once a month."""

_ORDER: Final = {Verdict.NEEDS_WORK: 0, Verdict.READY: 1, Verdict.LEAVE: 2}


@click.command(
    cls=TeachingCommand,
    short_help="Say which repositories are ready to hold their tags, and why others are not.",
    sections={"Examples": ("holdfast triage", "holdfast triage --verdict ready --json", "holdfast triage team/app")},
)
@click.argument("names", metavar="[REPO]...", nargs=-1)
@inventory_option
@history_option
@click.option(
    "--verdict", "verdicts", multiple=True, type=click.Choice([str(one) for one in Verdict]), help="Only these."
)
@json_option
def triage(
    names: tuple[str, ...],
    inventory_file: Path,
    history_file: Path | None,
    verdicts: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Judge each repository of an inventory by its history: ready, needs work, or leave; with the reasons.

    Without a history only what names and settings say is known, and that is told.
    """
    inventory = read_inventory_file(inventory_file)
    history = history_of(history_file)
    judged = triage_all(
        inventory,
        history.events if history else (),
        known=history.head.places if history and history.head.places else None,
    )
    days = _days(history) if history else None
    counts = Counter(one.verdict for one in judged)
    shown = [
        one
        for one in sorted(judged, key=lambda one: (_ORDER[one.verdict], one.account, one.region, one.repository))
        if (not names or one.repository in names) and (not verdicts or one.verdict in verdicts)
    ]
    out = Output(as_json=as_json)
    out.table(
        {
            "counts": {str(one): counts[one] for one in Verdict},
            "is_complete": inventory.is_complete,
            "has_history": history is not None,
            "history_days": days,
            "repositories": [document_of(one) for one in shown],
        },
        ("Verdict", "Account", "Region", "Repository", "Why"),
        [row for one in shown for row in _rows(one)],
        "No repository is in the inventory that was asked for.",
    )
    if not as_json:
        click.echo(", ".join(f"{counts[one]} {one}" for one in Verdict) + ".", err=True)
        if days is None:
            click.echo("No history was read: see holdfast history --help.", err=True)
        elif days < _LONG_DAYS:
            click.echo(f"The history covers {days} days: what runs once a month is not in it.", err=True)
        if not inventory.is_complete:
            click.echo("The inventory is not complete: what it could not read is not judged.", err=True)


def _days(history: History) -> int:
    """Return how many days the history covers, as far as it shows."""
    begin = history.head.since or min((one.at for one in history.events), default=history.head.gathered_at)
    return (history.head.gathered_at - begin).days


def _rows(one: Triage) -> list[tuple[str, str, str, str, str]]:
    first, *more = [reason.sentence for reason in one.reasons] or [""]
    head = (str(one.verdict), one.account, one.region, one.repository, first)
    return [head, *(("", "", "", "", sentence) for sentence in more)]
