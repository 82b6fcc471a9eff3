"""`holdfast flip` and `holdfast undo`: a plan applied wave by wave, with a journal, and taken back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.governing import READ_FILE, WRITTEN_FILE, Reach, reaching
from holdfast.cli.output import Output, agreed, plain, short_digest
from holdfast.cli.plan import read_plan
from holdfast.cli.teaching import TeachingCommand
from holdfast.govern.callers import Callers
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.flip import Flipper, Outcome, Trouble, counted
from holdfast.govern.journal import Journal, JournalBusy, Told, read_journal
from holdfast.govern.plan import Meets, reversal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.govern.plan import Plan, Step

Teller = Callable[["Step", str], None]


@click.command(
    cls=TeachingCommand,
    short_help="Apply a plan, wave by wave, and read back.",
    sections={
        "Examples": (
            "holdfast flip plan.json --dry-run                 every call, exactly; nothing is changed",
            "holdfast flip plan.json --expect sha256:4e1f...   the next wave of the plan that was approved",
            "holdfast flip plan.json --all-waves",
        )
    },
)
@click.argument("path", metavar="PLAN", type=READ_FILE)
@click.option("--wave", "waves", multiple=True, type=click.IntRange(0), metavar="N", help="These waves; else the next.")
@click.option("--all-waves", is_flag=True, help="All waves, one after the other.")
@click.option("--expect", metavar="DIGEST", help="The digest that was approved; another plan is refused.")
@click.option("--journal", "journal_path", type=WRITTEN_FILE, metavar="FILE", help="[default: PLAN.journal]")
@click.option("--dry-run", is_flag=True, help="Read everything and show the calls; change nothing.")
@click.option("--keep-going", is_flag=True, help="Leave out what is not as the plan has it, and go on with the rest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reaching
def flip(  # noqa: PLR0913 - a command is given its options
    reach: Reach,
    out: Output,
    *,
    path: Path,
    waves: Sequence[int],
    all_waves: bool,
    expect: str | None,
    journal_path: Path | None,
    dry_run: bool,
    keep_going: bool,
    yes: bool,
) -> int:
    """Apply a plan: the next wave of it, unless waves are named.

    Everything is read before anything is changed: a repository that is not as the plan saw it, an account that cannot
    be entered, a right that is missing stops it there. Then each step is written into the journal, made, and read back.
    A step that is right already is left alone, so that the same command goes on after any end. `holdfast undo` takes it
    back. Ends with 3 when something is left to do, with 4 when a rule forbids it.
    """
    made = read_plan(path)
    if expect is not None and not (len(expect) > len("sha256:") and made.digest.startswith(expect)):
        click.echo(f"holdfast: {path} is {made.digest}, not the plan that was approved.", err=True)
        return Exit.REFUSED
    journal_path = journal_path or path.with_name(f"{path.name}.journal")
    steps = _chosen(made, waves, journal_path, all_waves=all_waves)
    with Callers(reach.aws(), reach.where, [step.place for step in steps]) as callers:
        survey = _flipper(callers, None).survey(steps)
        blocking = [one for one in survey.troubles if one.code != "Gone"]
        if dry_run or (blocking and not keep_going):
            _tell_calls(out, made, survey)
            if dry_run and not survey.troubles:
                return Exit.DONE
            if not dry_run:
                click.echo("holdfast: nothing was changed. --keep-going leaves out what is not as planned.", err=True)
            return _exit(survey)
        changing = sum(verdict.meets is Meets.CHANGE for _, verdict in survey.judged)
        if changing and not agreed(f"Change {changing} of {len(steps)} settings?", yes=yes):
            out.result({"changed": 0}, "Nothing was changed.")
            return Exit.UNFINISHED
        with _journal(journal_path, made.digest) as journal:
            told = _teller(out, len(steps))
            outcome = _flipper(callers, journal, told, keep_going=keep_going).apply(steps)
        _tell(out, made, outcome, journal_path)
        return _exit(outcome)


@click.command(
    cls=TeachingCommand,
    short_help="Take back what a flip changed.",
    sections={"Examples": ("holdfast undo plan.json.journal --dry-run", "holdfast undo plan.json.journal")},
)
@click.argument("path", metavar="JOURNAL", type=READ_FILE)
@click.option("--dry-run", is_flag=True, help="Show the calls; change nothing.")
@click.option("--keep-going", is_flag=True, help="Leave out what somebody changed since, and go on with the rest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reaching
def undo(reach: Reach, out: Output, *, path: Path, dry_run: bool, keep_going: bool, yes: bool) -> int:
    """Take back what a journal says was changed, the last first; what was right before stays as it is.

    A setting that somebody changed since stops it. Repositories that the flip made stay: they may hold images.
    """
    try:
        told = read_journal(path.read_bytes())
    except DocumentInvalid as error:
        msg = f"{path} is no journal of a flip: {error}"
        raise Unfinished(msg) from None
    states = [one for one in told.states().values() if one.changed or one.intended]
    with Callers(reach.aws(), reach.where, [one.step.place for one in states]) as callers:
        if dry_run:
            back = [reversal(one.step) for one in reversed(states) if one.step.precondition is not None]
            survey = _flipper(callers, None).survey(back)
            _tell_calls(out, None, survey)
            return _exit(survey) if survey.troubles else Exit.DONE
        if states and not agreed(f"Take back {len(states)} changes?", yes=yes):
            out.result({"changed": 0}, "Nothing was changed.")
            return Exit.UNFINISHED
        with _journal(path, told.plan) as journal:
            outcome = _flipper(callers, journal, _teller(out, len(states)), keep_going=keep_going).undo(states)
        _tell(out, None, outcome, path)
        return _exit(outcome)


def _chosen(made: Plan, waves: Sequence[int], journal: Path, *, all_waves: bool) -> list[Step]:
    """Return the steps that are meant: of the waves named, of all, or of the first that is not done."""
    if waves and all_waves:
        msg = "--wave names some waves and --all-waves means all: give one of them."
        raise click.UsageError(msg)
    unknown = set(waves) - set(made.waves)
    if unknown:
        msg = f"The plan has no wave {min(unknown)}; it has {', '.join(map(str, made.waves)) or 'none'}."
        raise click.UsageError(msg)
    if all_waves:
        return list(made.steps)
    wanted = set(waves) or set(_next(made, journal))
    return [step for step in made.steps if step.wave in wanted]


def _next(made: Plan, journal: Path) -> list[int]:
    done = {name for name, state in _told(journal).states().items() if state.done or state.gone}
    left = [step.wave for step in made.steps if step.id not in done]
    return [min(left)] if left else made.waves[-1:]


def _told(journal: Path) -> Told:
    if not journal.is_file():
        return Told("")
    try:
        return read_journal(journal.read_bytes())
    except DocumentInvalid as error:
        msg = f"{journal} is no journal of a flip: {error}"
        raise Unfinished(msg, "Name another file with --journal.") from None


def _journal(path: Path, digest: str) -> Journal:
    try:
        return Journal(path, digest)
    except (DocumentInvalid, JournalBusy) as error:
        raise Unfinished(str(error), "Nothing was changed.") from None


def _flipper(
    callers: Callers, journal: Journal | None, told: Teller | None = None, *, keep_going: bool = False
) -> Flipper:
    return Flipper(
        callers,
        journal,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        told=told or (lambda _step, _what: None),
        keep_going=keep_going,
    )


def _teller(out: Output, steps: int) -> Teller:
    """Return what tells of each step as it ends: a line each; a program reads the document at the end."""
    done = 0

    def tell(step: Step, what: str) -> None:
        nonlocal done
        done += 1
        click.echo(plain(f"[{done}/{steps}] {step.account}/{step.region} {step.name}: {what}"), err=True)

    return (lambda _step, _what: None) if out.as_json and not sys.stderr.isatty() else tell


def _exit(outcome: Outcome) -> int:
    if outcome.is_whole:
        return Exit.DONE
    blocking = [one for one in outcome.troubles if one.code != "Gone"]
    return Exit.REFUSED if blocking and all(one.refused for one in blocking) else Exit.UNFINISHED


def _tell_calls(out: Output, made: Plan | None, survey: Outcome) -> None:
    calls = [step for step, verdict in survey.judged if verdict.meets is Meets.CHANGE]
    document: dict[str, Any] = {
        "plan": made.digest if made is not None else None,
        "changed": 0,
        "calls": [
            {
                "step": step.id,
                "account": step.account,
                "region": step.region,
                "operation": step.call.operation,
                "parameters": step.call.parameters,
                "read_back": {"mode": str(step.read_back.mode), "filters": list(step.read_back.filters)},
            }
            for step in calls
        ],
        "already": [step.id for step, verdict in survey.judged if verdict.meets is Meets.ALREADY],
        "troubles": [_trouble(one) for one in survey.troubles],
    }
    if out.as_json:
        out.result(document)
        return
    for step in calls:
        click.echo(plain(f"{step.call.command} --region {step.region}"))
    already = len(document["already"])
    click.echo(f"{len(calls)} calls; {already} settings are as planned already; {len(survey.troubles)} are in the way.")
    _tell_troubles(survey)


def _tell(out: Output, made: Plan | None, outcome: Outcome, journal: Path) -> None:
    counts = counted(outcome)
    document = {
        "plan": made.digest if made is not None else None,
        "journal": str(journal),
        **counts,
        "troubles": [_trouble(one) for one in outcome.troubles],
        "untried": [step.told for step in outcome.untried],
    }
    if out.as_json:
        out.result(document)
        return
    _tell_troubles(outcome)
    told = f"{counts['changed']} changed and read back, {counts['already']} were right already"
    if not outcome.is_whole:
        told += f", {len(outcome.troubles)} not done, {len(outcome.untried)} not tried"
    click.echo(f"{told}. Journal: {journal}")
    if made is not None and outcome.is_whole:
        done = {step.wave for step in (*outcome.changed, *outcome.already)}
        left = [wave for wave in made.waves if done and wave > max(done)]
        click.echo(
            f"Left: waves {', '.join(map(str, left))} of {short_digest(made.digest)}." if left else "The plan is done."
        )


def _tell_troubles(outcome: Outcome) -> None:
    for one in outcome.troubles:
        where = f"{one.step.account}/{one.step.region} {one.step.name}"
        click.echo(plain(f"NOT DONE {where}: {one.code}: {one.sentence}"), err=True)


def _trouble(one: Trouble) -> dict[str, Any]:
    return {
        "step": one.step.id,
        "account": one.step.account,
        "region": one.step.region,
        "name": one.step.name,
        "code": one.code,
        "message": one.sentence,
        "refused_by_rule": one.refused,
    }
