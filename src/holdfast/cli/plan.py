"""`holdfast plan`: an ordered plan of what becomes immutable, for people to review and for `holdfast flip`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.governing import WRITTEN_FILE, history_of, history_option, inventory_option, read_inventory_file
from holdfast.cli.output import Output, short_digest
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import MutabilitySettings, TagMutability, parse_settings
from holdfast.govern import plan as plans
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.documents import plain as document_of
from holdfast.govern.plan import Creation, Waves
from holdfast.govern.triage import triage_all
from holdfast.govern.wishes import Said, wishes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.govern.plan import Plan

PLAN: Final = "plan.json"
_PARTS: Final = 3


@click.command(
    cls=TeachingCommand,
    short_help="Plan which repositories become immutable, in waves.",
    sections={
        "Examples": (
            "holdfast plan --suggest --pilot 'sandbox/*'",
            "holdfast plan --keep 'team/web=latest,cache-*' --leave 'cache/*'",
            "holdfast plan --create 111122223333/eu-central-1/team/web-cache=MUTABLE",
        ),
        "Patterns": {
            "NAME": "the repository's name; `*` is any text",
            "ACCOUNT/REGION/NAME": "the same in one place, or with `*` in some",
        },
    },
)
@inventory_option
@history_option
@click.option("--out", "path", type=WRITTEN_FILE, default=Path(PLAN), show_default=True, help="The file to write.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Plan these repositories only.")
@click.option("--hold", multiple=True, metavar="PATTERN", help="Make these IMMUTABLE whatever the past shows.")
@click.option("--suggest", is_flag=True, help="Give what needs work the fewest filters that keep its pointers moving.")
@click.option("--leave", multiple=True, metavar="PATTERN", help="Leave these as they are.")
@click.option(
    "--keep", multiple=True, metavar="PATTERN=FILTER,...", help="Keep tags movable there that these filters match."
)
@click.option("--create", multiple=True, metavar="ACCOUNT/REGION/NAME=MODE", help="Make this repository before.")
@click.option("--pilot", "--wave", "waves", multiple=True, metavar="PATTERN", help="Wave 1, then wave 2, and so on.")
@click.option("--templates/--no-templates", default=True, help="Mend creation templates too.  [default: templates]")
@click.option("--drop-filters", is_flag=True, help="Let exclusion filters go that somebody set and nobody asked for.")
@json_option
def plan(  # noqa: PLR0913 - a command is given its options
    *,
    inventory_file: Path,
    history_file: Path | None,
    path: Path,
    only: Sequence[str],
    hold: Sequence[str],
    leave: Sequence[str],
    keep: Sequence[str],
    create: Sequence[str],
    waves: Sequence[str],
    suggest: bool,
    templates: bool,
    drop_filters: bool,
    as_json: bool,
) -> int:
    """Plan the switch: every step with what was seen, the exact call, and what must be read back.

    What `holdfast triage` finds ready becomes IMMUTABLE; what needs work is left, with its reasons, unless --suggest,
    --keep or --hold say otherwise. Without a history nothing is known to be ready.

    What is as wished already becomes no step, and neither does what would lose exclusion filters that somebody set.
    The plan's digest is what one approves: `holdfast flip` takes no plan that was changed after it was made.
    """
    read = read_inventory_file(inventory_file)
    history = history_of(history_file)
    judged = triage_all(
        read,
        history.events if history else (),
        known=history.head.places if history and history.head.places else None,
    )
    said = Said(only, leave, hold, _kept(keep), suggest)
    made = plans.make_plan(
        read,
        wishes_of(zip(read.repositories, judged, strict=True), said),
        now=datetime.now(UTC),
        waves=Waves(tuple(waves)),
        creations=[_creation(one) for one in create],
        templates=templates,
        drop_filters=drop_filters,
    )
    path.write_text(plans.write_plan(made), "utf-8")
    _tell(Output(as_json=as_json), path, made)
    if not read.is_complete:
        click.echo(f"The inventory is not complete ({len(read.failures)} failures): the plan is not either.", err=True)
        return Exit.UNFINISHED
    return Exit.DONE


def read_plan(path: Path) -> Plan:
    """Read a plan's file; a person is told what is wrong with it."""
    try:
        return plans.read_plan(path.read_bytes())
    except DocumentInvalid as error:
        msg = f"{path} is no plan that may be applied: {error}"
        raise Unfinished(msg, "Make one with: holdfast plan") from None


def _kept(given: Sequence[str]) -> list[tuple[str, MutabilitySettings]]:
    kept = []
    for one in given:
        pattern, mark, filters = one.rpartition("=")
        try:
            settings = parse_settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, filters.split(",") if mark else None)
        except ParameterInvalid as error:
            raise click.BadParameter(f"{one!r}: {error.message}", param_hint="--keep") from None
        kept.append((pattern, settings))
    return kept


def _creation(given: str) -> Creation:
    name, mark, mode = given.rpartition("=")
    parts = name.split("/", _PARTS - 1)
    try:
        settings = parse_settings(mode or "IMMUTABLE", None)
    except ParameterInvalid as error:
        raise click.BadParameter(f"{given!r}: {error.message}", param_hint="--create") from None
    if not mark or len(parts) != _PARTS:
        msg = f"{given!r} is not of the form ACCOUNT/REGION/NAME=MODE."
        raise click.BadParameter(msg, param_hint="--create")
    account, region, repository = parts
    return Creation(account, region, repository, settings)


def _tell(out: Output, path: Path, made: Plan) -> None:
    if out.as_json:
        out.result({"file": str(path), **document_of(made)})
        return
    rows = [
        (
            str(step.wave),
            step.account,
            step.region,
            step.name,
            str(step.precondition or "-"),
            str(step.read_back),
            step.why,
        )
        for step in made.steps
    ]
    out.table({}, ("WAVE", "ACCOUNT", "REGION", "NAME", "NOW", "THEN", "WHY"), rows, "Nothing is to be done.")
    left = [(one.account, one.region, one.name, one.why) for one in made.left]
    if left:
        click.echo()
        out.table({}, ("LEFT", "", "", "WHY"), left, "")
    sizes = ", ".join(f"wave {wave}: {sum(step.wave == wave for step in made.steps)}" for wave in made.waves)
    click.echo(f"\n{len(made.steps)} steps ({sizes or 'none'}) in {path}, {short_digest(made.digest)}.")
    click.echo(f"Look at the calls with: holdfast flip {path} --dry-run")
