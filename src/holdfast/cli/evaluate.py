"""`holdfast evaluate`: the Config rule ecr-private-tag-immutability-enabled, for the body of a custom rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.output import Output
from holdfast.cli.teaching import TeachingCommand
from holdfast.govern import config_rule
from holdfast.govern.config_rule import Compliance, InvocationInvalid
from holdfast.govern.history import Gathered, read_bytes

if TYPE_CHECKING:
    from holdfast.govern.config_rule import Evaluation


@click.command(
    cls=TeachingCommand,
    short_help="Evaluate the Config rule of tag immutability on events.",
    sections={
        "Examples": (
            "holdfast evaluate invocation.json --json > evaluations.json",
            "aws configservice put-evaluations --cli-input-json file://evaluations.json",
        )
    },
)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@json_option
def evaluate(path: str, *, as_json: bool) -> int:
    """Judge what changed as ecr-private-tag-immutability-enabled does; `-` reads standard input.

    FILE holds what AWS Config hands to a custom rule, or events of CloudTrail or EventBridge. --json prints the
    parameters of PutEvaluations. Ends with 1 when a repository does not comply.
    """
    with click.open_file(path, "rb") as file:
        content: bytes = file.read()
    token, made = _read(content)
    last: dict[tuple[str, str, str], Evaluation] = {}
    for one in made:
        last[one.account, one.region, one.repository] = one
    document: dict[str, Any] = {
        "Evaluations": [one.document() for one in last.values()][-config_rule.MAX_IN_CALL :],
        "ResultToken": token,
    }
    rows = [(one.account, one.region, one.repository, str(one.compliance), one.annotation) for one in last.values()]
    columns = ("ACCOUNT", "REGION", "REPOSITORY", "COMPLIANCE", "WHY")
    Output(as_json=as_json).table(document, columns, rows, "Nothing of this rule's changed.")
    return Exit.FOUND if any(one.compliance is Compliance.NON_COMPLIANT for one in last.values()) else Exit.DONE


def _read(content: bytes) -> tuple[str, list[Evaluation]]:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if isinstance(document, dict) and "invokingEvent" in document:
        try:
            evaluation, token = config_rule.of_invocation(document)
        except InvocationInvalid as error:
            msg = f"This is no invocation of a rule: {error}."
            raise click.UsageError(msg) from None
        return token, [evaluation]
    gathered = Gathered()
    read_bytes(gathered, content, "input")
    if gathered.skipped and not gathered.events:
        msg = f"This is neither an invocation of a rule nor an event: {gathered.skipped[0].sentence}"
        raise click.UsageError(msg)
    return "", list(config_rule.of_events(sorted(gathered.events, key=lambda one: one.at)))
