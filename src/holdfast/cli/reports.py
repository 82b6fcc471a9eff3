"""How findings leave a command: the five formats, and the code that the process ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from holdfast.cli.exits import Exit
from holdfast.cli.output import plain
from holdfast.core import finding_text, github_annotations, junit, sarif
from holdfast.core.finding import Severity

if TYPE_CHECKING:
    from holdfast.core.finding import Report

F = TypeVar("F", bound=Callable[..., Any])

FORMATS: Final[dict[str, Callable[[Report], str]]] = {
    "text": lambda report: plain(finding_text.render(report)),
    "json": lambda report: json.dumps(report.document(), indent=2) + "\n",
    "sarif": lambda report: json.dumps(sarif.document(report), indent=2) + "\n",
    "github": github_annotations.render,
    "junit": junit.render,
}
"""Name -> how a report is written so."""

SEVERITIES: Final = tuple(one.value.lower() for one in Severity)


def format_option(command: F) -> F:
    """Give a command `--format`."""
    return click.option(
        "--format", "form", type=click.Choice(tuple(FORMATS)), default="text", show_default=True, help="What to write."
    )(command)


def tell(report: Report, form: str, *, fail_on: str, as_json: bool = False) -> Exit:
    """Write a report to standard output, and say how the command ends: 1 when something grave enough counts."""
    click.echo(FORMATS["json" if as_json else form](report), nl=False)
    least = Severity(fail_on.upper())
    return Exit.FOUND if any(one.severity.at_least(least) for one in report.counting) else Exit.DONE
