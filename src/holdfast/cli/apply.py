"""`holdfast apply`: make repositories and settings as a CloudFormation template has them, with the plan shown first."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, agreed, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.api import APIError, CallInvalid
from holdfast.govern import templates
from holdfast.govern.cloudformation import Surroundings, TemplateInvalid, resolve
from holdfast.govern.templates import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.govern.cloudformation import Resource
    from holdfast.govern.templates import Ask, Step

_LONG: Final = 60


@click.command(
    cls=TeachingCommand,
    short_help="Make what a CloudFormation template has.",
    sections={
        "Examples": (
            "holdfast apply registry.yaml",
            "holdfast apply registry.yaml --parameter Team=blue --yes",
            "holdfast apply registry.yaml --check --json",
        ),
        "Types": dict.fromkeys(templates.KINDS, ""),
    },
)
@click.argument("template", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--parameter", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the template.")
@click.option("--stack-name", metavar="NAME", help="What AWS::StackName is; the file's name without one.")
@click.option("--check", is_flag=True, help="Show the plan and change nothing; end with 1 when something would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def apply(
    at: Connection,
    out: Output,
    template: Path,
    given: Sequence[str],
    stack_name: str | None,
    *,
    check: bool,
    yes: bool,
) -> int:
    """Make and update what a CloudFormation template has of AWS::ECR; `-` reads it from standard input.

    It works on Holdfast and on Amazon ECR. The plan comes first. A property that the template does not name stays as it
    is, nothing is deleted, and what AWS would have to replace is refused before anything is changed. Afterwards
    everything is read again.
    """
    text = sys.stdin.read() if str(template) == "-" else template.read_text("utf-8")
    ask = _asker(at)
    resources = _resources(at, text, stack_name or _stack_name(template), _parameters(given))
    steps = _planned(resources, ask)
    for call in (call for step in steps for call in step.calls):
        at.api.check(call.operation, **call.parameters)
    if not out.as_json or check:
        _tell(out, steps, applied=False)
    replaced = [step for step in steps if step.action is Action.REPLACE]
    changing = [step for step in steps if step.action is not Action.SAME]
    if check:
        return Exit.FOUND if changing else Exit.DONE
    if replaced:
        names = ", ".join(f"{step.logical_id} ({step.name})" for step in replaced)
        click.echo(f"holdfast: replacing would delete what is there, and is not done: {plain(names)}.", err=True)
        return Exit.REFUSED
    if changing and not agreed(f"Make these changes at {at.endpoint}?", yes=yes):
        out.result({"plan": [_told(step) for step in steps], "applied": False}, "Nothing was changed.")
        return Exit.UNFINISHED
    _make(at, changing)
    _verify(resources, ask)
    if out.as_json:
        _tell(out, steps, applied=True)
    else:
        out.result({}, f"{len(changing)} of {len(steps)} resources changed; all are now as the template has them.")
    return Exit.DONE


def _parameters(given: Sequence[str]) -> dict[str, str]:
    values = {}
    for one in given:
        name, mark, value = one.partition("=")
        if not mark or not name:
            msg = f"{one!r} is not of the form NAME=VALUE."
            raise click.BadParameter(msg, param_hint="--parameter")
        values[name] = value
    return values


def _stack_name(template: Path) -> str:
    return "stdin" if str(template) == "-" else template.name.partition(".")[0]


def _resources(at: Connection, text: str, stack_name: str, given: dict[str, str]) -> list[Resource]:
    account_id = at.api.ecr("get_registry_scanning_configuration")["registryId"]
    around = Surroundings(account_id, at.api.region, stack_name, given)
    try:
        return resolve(text, around, templates.attributes(around))
    except TemplateInvalid as error:
        raise click.UsageError(str(error)) from None


def _planned(resources: Sequence[Resource], ask: Ask) -> list[Step]:
    try:
        return templates.plan(resources, ask)
    except TemplateInvalid as error:
        raise click.UsageError(str(error)) from None


def _asker(at: Connection) -> Ask:
    def ask(operation: str, absent: str | None, **parameters: Any) -> Any:  # noqa: ANN401 - shapes of the model
        try:
            return at.api.ecr(operation, **parameters)
        except APIError as error:
            if error.code == absent:
                return None
            raise
        except CallInvalid as error:
            raise click.UsageError(str(error)) from None

    return ask


def _make(at: Connection, steps: Sequence[Step]) -> None:
    for done, step in enumerate(steps):
        for call in step.calls:
            try:
                at.api.ecr(call.operation, **call.parameters)
            except APIError as error:
                told = f"{done} of {len(steps)} resources were changed; {step.logical_id} ({step.name}) was refused"
                msg = f"{told}: {error.code}: {error.message}"
                raise Unfinished(msg, "Mend the template and apply it again: what is done stays done.") from None


def _verify(resources: Sequence[Resource], ask: Ask) -> None:
    """Read everything again. Raises Unfinished when something is not as it was set."""
    wrong = [step for step in templates.plan(resources, ask) if step.action is not Action.SAME]
    if wrong:
        told = "; ".join(f"{step.logical_id}: {', '.join(one.property for one in step.changes)}" for step in wrong)
        msg = f"Every call was taken, and still this is not as the template has it: {told}"
        raise Unfinished(msg, "Somebody else may be changing it; apply the template again.")


def _tell(out: Output, steps: Sequence[Step], *, applied: bool) -> None:
    document = {"plan": [_told(step) for step in steps], "applied": applied}
    rows = []
    for step in steps:
        changes = step.changes or (None,)
        for number, change in enumerate(changes):
            first = (
                (str(step.action), step.logical_id, step.type.rpartition("::")[2], step.name)
                if not number
                else ("",) * 4
            )
            rows.append((*first, _said(change, new=step.action is Action.CREATE) if change else ""))
    out.table(document, ("ACTION", "RESOURCE", "TYPE", "NAME", "CHANGES"), rows, "")


def _told(step: Step) -> dict[str, Any]:
    return {
        "resource": step.logical_id,
        "type": step.type,
        "name": step.name,
        "action": str(step.action),
        "changes": [{"property": one.property, "before": one.before, "after": one.after} for one in step.changes],
        "calls": [{"operation": one.operation, "parameters": one.parameters} for one in step.calls],
    }


def _said(change: templates.Change, *, new: bool) -> str:
    after = _short(change.after)
    return f"{change.property}: {after}" if new else f"{change.property}: {_short(change.before)} -> {after}"


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    if value is None:
        return "none"
    if isinstance(value, dict) and set(value) == {"mode", "filters"}:
        filters = ", ".join(one["filter"] for one in value["filters"])
        return f"{value['mode']} ({filters})" if filters else str(value["mode"])
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."
