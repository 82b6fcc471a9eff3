"""`holdfast lint`: what in a code base names images by names that move, and which pipelines move them."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.asking import Asking, asking_options, complaints, learn, registries
from holdfast.cli.connection import json_option
from holdfast.cli.examining import Job, examined, examined_buffer, in_order, read_settings
from holdfast.cli.exits import Exit
from holdfast.cli.main import version
from holdfast.cli.output import Output, plain
from holdfast.cli.reports import SEVERITIES, format_option, tell
from holdfast.cli.source_tree import SourceTree
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.finding import Report, fingerprinted
from holdfast.pin import acceptance
from holdfast.pin.lint import Examined, judge
from holdfast.pin.mention import Context
from holdfast.pin.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.finding import Finding
    from holdfast.pin.case import LintRule
    from holdfast.pin.knowledge import Knowledge
    from holdfast.pin.settings import Settings


@click.command(
    cls=TeachingCommand,
    short_help="Find images that are named by what moves.",
    sections={
        "Examples": (
            "holdfast lint",
            "holdfast lint deploy/ Dockerfile --format sarif > holdfast.sarif",
            "holdfast lint --write-baseline .holdfast-baseline.json",
            "holdfast lint --baseline .holdfast-baseline.json --format github",
            "holdfast lint --stdin-filename compose.yaml < buffer",
        ),
        "Accepting a finding": (
            "# holdfast: ignore[image-latest] why it may stay    on its line or the line above",
            ".holdfast.yaml: ignore, with rules, paths, images, until and a reason",
        ),
    },
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@format_option
@json_option
@click.option("--fail-on", type=click.Choice(SEVERITIES), default="informational", help="Least severity for exit 1.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="For .holdfast.yaml.")
@click.option("--baseline", type=click.Path(dir_okay=False, path_type=Path), help="Findings that are known.")
@click.option("--write-baseline", "new_baseline", type=click.Path(dir_okay=False, path_type=Path), help="Write it.")
@click.option("--stdin-filename", metavar="NAME", help="Judge standard input as this file: an editor's buffer.")
@click.option("--online", is_flag=True, help="Ask registries: what is gone, stale, held? Without it nothing is sent.")
@asking_options
@click.option("--rules", "list_rules", is_flag=True, help="List the rules.")
def lint(  # noqa: PLR0913 - the options of the command
    paths: Sequence[Path],
    form: str,
    fail_on: str,
    config: Path | None,
    baseline: Path | None,
    new_baseline: Path | None,
    stdin_filename: str | None,
    endpoint: str | None,
    profile: str | None,
    plain_http: tuple[str, ...],
    *,
    online: bool,
    as_json: bool,
    list_rules: bool,
) -> int:
    """Judge the files below PATH (here, without one) that name images.

    Each rule has a page in docs/rules. The process ends with 1 when something counts.
    """
    if list_rules:
        _list(Output(as_json=as_json))
        return Exit.DONE
    given = [Path(stdin_filename)] if stdin_filename is not None else list(paths) or [Path()]
    tree = SourceTree.above(given)
    settings = read_settings(tree, config)
    job = Job(tree, settings, None if online else today(), keep=online)
    done = (
        examined(job, given)
        if stdin_filename is None
        else [examined_buffer(job, tree.name(Path(stdin_filename)), sys.stdin.buffer.read())]
    )
    files = [one.examined for one in done]
    troubled: list[str] = []
    if online:
        cases = [one.case for one in files if one.case is not None]
        with registries(Asking(endpoint, profile, plain_http), ask_held=True) as resolver:
            knowledge = learn(cases, resolver)
        troubled = complaints(cases, knowledge)
        findings = judged(files, settings, knowledge)
    else:
        findings = fingerprinted(finding for one in done for finding in one.findings)
    if new_baseline is not None:
        new_baseline.write_text(acceptance.write_baseline(findings), "utf-8")
        count = sum(one.counts for one in findings)
        Output(as_json=as_json).result({"baseline": str(new_baseline), "findings": count}, f"{count} findings written.")
        return Exit.DONE
    findings = _against(findings, tree, baseline, settings)
    end = tell(report(findings, files), form, fail_on=fail_on, as_json=as_json)
    for sentence in troubled:
        click.echo(plain(sentence), err=True)
    return Exit.UNFINISHED if troubled else end


def judged(
    files: Sequence[Examined], settings: Settings, knowledge: Knowledge, rules: Sequence[LintRule] = RULES
) -> list[Finding]:
    """Ask rules about every file."""
    day = today()
    each = in_order(
        lambda number: judge(files[number], knowledge, settings, day, rules),
        len(files),
        lambda number, failed: judge(Examined(files[number].path, None, failed.reason), {}, settings, day),
        "judging files",
    )
    return fingerprinted(finding for found in each for finding in found)


def today() -> dt.date:
    """Return the day by which people's acceptance ends."""
    return dt.datetime.now(dt.UTC).date()


def report(findings: Sequence[Finding], files: Sequence[Examined]) -> Report:
    """Make the report of a run."""
    return Report(
        "holdfast",
        version(),
        tuple(rule.summary for rule in RULES),
        tuple(findings),
        tuple(one.path for one in files),
        "file",
    )


def _against(findings: list[Finding], tree: SourceTree, given: Path | None, settings: Settings) -> list[Finding]:
    path = given or (tree.path(settings.baseline) if settings.baseline else None)
    if path is None:
        return findings
    try:
        return acceptance.against(findings, acceptance.read_baseline(path.read_bytes()), path.name)
    except acceptance.BaselineInvalid as error:
        msg = f"{path} {error}."
        raise click.UsageError(msg) from None


def _list(out: Output) -> None:
    rows: list[dict[str, Any]] = [
        {
            "rule": rule.id,
            "title": rule.title,
            "severities": {context.value: rule.severities[context].value for context in Context},
            "why": rule.why,
            "fix": rule.fix,
            "page": rule.summary.page,
        }
        for rule in RULES
    ]
    columns = ("RULE", "PRODUCTION", "BUILD", "TEST", "WHAT")
    cells = ((one["rule"], *(value.lower() for value in one["severities"].values()), one["title"]) for one in rows)
    out.table({"rules": rows}, columns, cells, "There are no rules.")
