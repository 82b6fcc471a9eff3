"""`holdfast drift`: what runs on ECS, Lambda and Kubernetes, against what its tags name now."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli.asking import Asking, asked, asking_options, registries
from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.main import version
from holdfast.cli.output import plain
from holdfast.cli.reports import SEVERITIES, format_option, tell
from holdfast.cli.teaching import TeachingCommand
from holdfast.client import workloads
from holdfast.client.api import DEFAULT_REGION, APIError, APIUnreachable
from holdfast.client.aws import AWS
from holdfast.client.resolving import Question
from holdfast.core.finding import Report, fingerprinted
from holdfast.pin import drift as rules
from holdfast.pin.drift import PodsInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.core.workload import RunningImage

MAX_PODS_BYTES: Final = 1024 * 1024 * 1024


@click.command(
    cls=TeachingCommand,
    short_help="Compare what runs with what its tags name.",
    sections={
        "Examples": (
            "holdfast drift --ecs production --region eu-central-1",
            "holdfast drift --lambda '*' --format sarif",
            "kubectl get pods -A -o json | holdfast drift --kubernetes -",
        ),
    },
)
@click.option("--ecs", "clusters", multiple=True, metavar="CLUSTER", help="The services of a cluster; '*' for all.")
@click.option("--lambda", "functions", multiple=True, metavar="NAME", help="A function that is an image; '*' for all.")
@click.option(
    "--kubernetes",
    "lists",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="What kubectl get pods -o json wrote; - for standard input.",
)
@click.option("--region", metavar="NAME", help="The region of AWS.  [AWS's settings]")
@asking_options
@format_option
@json_option
@click.option("--fail-on", type=click.Choice(SEVERITIES), default="informational", help="Least severity for exit 1.")
def drift(  # noqa: PLR0913 - the options of the command
    clusters: Sequence[str],
    functions: Sequence[str],
    lists: Sequence[Path],
    region: str | None,
    endpoint: str | None,
    profile: str | None,
    plain_http: tuple[str, ...],
    form: str,
    fail_on: str,
    *,
    as_json: bool,
) -> int:
    """Find what runs under a name that means another image by now, or none.

    Digests that run are those that ECS, Lambda and Kubernetes tell; registries say what the tags name now. Nothing is
    changed.
    """
    if not clusters and not functions and not lists:
        msg = "Say what to look at: --ecs, --lambda or --kubernetes."
        raise click.UsageError(msg)
    running = [one for path in lists for one in _pods(path)]
    failed = False
    if clusters or functions:
        aws = AWS(profile=profile)
        where = region or aws.region or DEFAULT_REGION
        reads: list[tuple[str, Callable[[], Iterator[RunningImage]]]] = [
            *((f"ECS cluster {one}", lambda one=one: workloads.ecs(aws, where, [one])) for one in clusters),
            *((f"Lambda function {one}", lambda one=one: workloads.functions(aws, where, [one])) for one in functions),
        ]
        for what, read in reads:
            try:
                running += read()
            except (APIError, APIUnreachable) as error:
                failed = True
                click.echo(plain(f"{what} in {where}: {error}"), err=True)
    wanted = rules.names(running)
    questions = {
        name: Question(image.registry, image.repository, image.tag or "latest", closely=True)
        for name, image in wanted.items()
    }
    with registries(Asking(endpoint, profile, plain_http)) as resolver:
        knowledge = asked(questions, resolver, "asking registries for tags")
    for name, told in knowledge.items():
        if told.trouble is not None:
            failed = True
            click.echo(plain(f"{name}: {told.trouble}: {told.sentence}"), err=True)
    untold = [one for one in running if not one.digests]
    for one in untold:
        click.echo(plain(f"{one.name}: nobody tells which image {one.container} ({one.image}) runs."), err=True)
    findings = tuple(fingerprinted(rules.judge(running, knowledge)))
    examined = tuple(dict.fromkeys(one.workload for one in running))
    end = tell(
        Report("holdfast", version(), rules.RULES, findings, examined, "workload"),
        form,
        fail_on=fail_on,
        as_json=as_json,
    )
    return Exit.UNFINISHED if failed else end


def _pods(path: Path) -> list[RunningImage]:
    try:
        if str(path) == "-":
            return rules.pods(json.load(sys.stdin))
        with path.open("rb") as file:
            return rules.pods(json.loads(file.read(MAX_PODS_BYTES)))
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, PodsInvalid) else "it is no JSON"
        msg = f"{path}: {why}."
        raise click.UsageError(msg) from None
