"""`holdfast guard`: write the kit that keeps tags held, and try its policies with requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, short_arn
from holdfast.cli.teaching import TeachingGroup
from holdfast.client.api import DEFAULT_REGION
from holdfast.govern import guard as rules
from holdfast.govern import guard_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.govern.guard import Trial


_DEFAULTS: Final = rules.Options()


@click.group(
    cls=TeachingGroup,
    short_help="Keep held what holds: policies, tried.",
    sections={
        "Examples": (
            "holdfast guard write kit --vending-role platform/vending --organization o-a1b2c3d4e5",
            "holdfast guard test kit                       after you changed a policy, or in CI",
        )
    },
)
def guard() -> None:
    """Write and try the policies, templates and rules that keep mutable repositories from coming back."""


@guard.command("write")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--governance-role",
    default=_DEFAULTS.governance_role,
    metavar="NAME",
    show_default=True,
    help="The one role that may weaken settings and delete images.",
)
@click.option(
    "--auto-flip-role",
    default=_DEFAULTS.auto_flip_role,
    metavar="NAME",
    show_default=True,
    help="The role of the automatic flip.",
)
@click.option(
    "--admin-role",
    default=_DEFAULTS.admin_role,
    metavar="NAME",
    show_default=True,
    help="Who rolls the kit out, and alone may change the two roles above.",
)
@click.option("--vending-role", metavar="NAME", help="Who alone creates repositories, instead of a request tag.")
@click.option(
    "--request-tag",
    default=f"{_DEFAULTS.request_tag}={_DEFAULTS.request_value}",
    metavar="KEY=VALUE",
    show_default=True,
    help="The tag that a request to create must carry.",
)
@click.option(
    "--organization", "organization_id", metavar="o-ID", help="Add a resource control policy against outsiders."
)
@click.option("--partition", type=click.Choice(["aws", "aws-cn", "aws-us-gov"]), default="aws", show_default=True)
@click.option(
    "--home-region", default=DEFAULT_REGION, metavar="NAME", show_default=True, help="Where the roles are made."
)
@click.option("--hold-lifecycle", is_flag=True, help="Leave lifecycle policies to the governance role too.")
@click.option("--allow-exclusions", is_flag=True, help="Let IMMUTABLE_WITH_EXCLUSION pass on Holdfast and in the hook.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@json_option
def write(
    folder: Path,
    request_tag: str,
    home_region: str,
    *,
    allow_exclusions: bool,
    force: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the other fields of Options
) -> int:
    """Write the kit into a folder, and try its policies.

    AWS has no condition key for tag mutability, so that no policy can demand that a repository is created IMMUTABLE;
    the kit leaves creating to one role or to requests with a tag, and mends the rest. Its README.md tells the order.
    """
    key, _, value = request_tag.partition("=")
    try:
        modes = ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION") if allow_exclusions else ("IMMUTABLE",)
        options = rules.Options(request_tag=key, request_value=value, modes=modes, **given)
    except rules.OptionsInvalid as error:
        raise click.UsageError(str(error)) from None
    files = guard_files.kit(options, home_region)
    _write(folder, files, force=force)
    trials, wrong = guard_files.try_kit(files, options)
    return _tell(Output(as_json=as_json), folder, files, trials, wrong)


@guard.command("test")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def test(folder: Path, *, as_json: bool) -> int:
    """Try the policies of a kit as its files have them now; end with 1 when one does not hold."""
    try:
        options = guard_files.read_options((folder / guard_files.OPTIONS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        msg = f"{folder} holds no {guard_files.OPTIONS_FILE}."
        raise Unfinished(msg, "Write a kit with: holdfast guard write FOLDER") from None
    except rules.OptionsInvalid as error:
        raise click.UsageError(str(error)) from None
    paths = [path for path in rules.FILES.values() if (folder / path).is_file()]
    files = {path: (folder / path).read_text("utf-8") for path in paths}
    trials, wrong = guard_files.try_kit(files, options)
    return _tell(Output(as_json=as_json), folder, files, trials, wrong)


def _write(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    there = [path for path in files if (folder / path).exists()]
    if there and not force:
        msg = f"{folder} holds {there[0]} already, and nothing was written."
        raise Unfinished(msg, "Name another folder, or write over it with --force.")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def _tell(out: Output, folder: Path, files: Mapping[str, str], trials: Sequence[Trial], wrong: Sequence[str]) -> int:
    failed = [trial for trial in trials if not trial.holds]
    document = {
        "folder": str(folder),
        "files": sorted(files),
        "trials": [trial.document() for trial in trials],
        "faults": list(wrong),
        "limits": list(guard_files.LIMITS),
        "holds": not failed and not wrong,
    }
    rows = [_row(trial) for trial in trials]
    out.table(document, ("", "POLICY", "REQUEST", "ACTION", "BY", "MUST", "DECIDED BY"), rows, "")
    if not out.as_json:
        policies = len({trial.request.where for trial in trials})
        told = [
            f"{len(trials) - len(failed)} of {len(trials)} requests to {policies} policies are decided as they must."
        ]
        out.result({}, "", *(f"WRONG: {one}" for one in wrong), *told, "", "What no policy on AWS can do:")
        out.result({}, *(f"  - {limit}" for limit in guard_files.LIMITS))
    return Exit.FOUND if failed or wrong else Exit.DONE


def _row(trial: Trial) -> tuple[str, ...]:
    request = trial.request
    who = short_arn(request.principal)
    given = "".join(f" {key.rpartition(':')[2]}={value}" for key, value in request.context.items())
    must = "pass" if request.passes else "not pass"
    verdict = "holds" if trial.holds else "WRONG"
    return (
        verdict,
        request.where.name.lower().replace("_", " "),
        request.says,
        request.action + given,
        who,
        must,
        trial.by,
    )
