"""`holdfast findings`: the posture of an inventory, judged and written for people, pipelines and Security Hub."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.governing import inventory_option, read_inventory_file
from holdfast.cli.output import Output, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.core import junit, sarif
from holdfast.govern import asff, ocsf, posture_page
from holdfast.govern import findings as rules
from holdfast.govern.findings import BY_ID, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.govern.estate import Inventory
    from holdfast.govern.findings import Posture

FORMATS: Final = {
    "table": "for people: what failed, then a line for each control",
    "json": "everything that was judged (--json is the same)",
    "asff": "for BatchImportFindings; into a folder: one file for each call",
    "ocsf": "OCSF Compliance Finding (2003)",
    "sarif": "SARIF 2.1.0",
    "junit": "JUnit XML",
    "csv": "everything that was judged, a row each",
    "html": "one page that needs nothing else, with charts",
}

_BATCH: Final = re.compile(r"[0-9]{12}-[a-z0-9-]+-[0-9]{4}\.json")


@click.command(
    cls=TeachingCommand,
    short_help="Judge an inventory: ECR.1, ECR.2, ECR.3, ECR.5 and more.",
    sections={
        "Examples": (
            "holdfast findings",
            "holdfast findings --format asff --out findings/ --previous findings/",
            "holdfast findings --control ECR.2 --format junit --out ecr.xml      in CI",
        ),
        "Formats": FORMATS,
        "Controls": {one.id: one.title for one in rules.CONTROLS},
    },
)
@inventory_option
@click.option("--control", "controls", multiple=True, type=click.Choice(list(BY_ID)), help="These controls only.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="table", show_default=True)
@click.option("--out", "to", type=click.Path(path_type=Path), metavar="PATH", help="Write here, not to the terminal.")
@click.option("--kms-key", "keys", multiple=True, metavar="ARN", help="A key of yours, for ECR.5; `*` is any text.")
@click.option(
    "--previous",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="ASFF of the run before, or its folder: findings keep their CreatedAt.",
)
@json_option
def findings(
    inventory_file: Path,
    controls: tuple[str, ...],
    form: str,
    to: Path | None,
    keys: tuple[str, ...],
    previous: Path | None,
    *,
    as_json: bool,
) -> int:
    """Judge every repository and creation template of an inventory; end with 1 when something failed.

    ECR.1, ECR.2, ECR.3 and ECR.5 say what AWS Security Hub would (ECR.2 passes at IMMUTABLE alone). Holdfast.1 grades
    exclusion filters by the live tags that they leave movable, Holdfast.2 finds creation templates that make mutable
    repositories.
    """
    read = read_inventory_file(inventory_file)
    judged = rules.judge(read, controls, keys=keys)
    missing = [f"{one.account}/{one.region} {one.what}: {one.sentence}" for one in read.failures]
    if not read.is_finished:
        missing.append("the inventory was stopped before its end")
    if as_json or form == "json":
        _write(to, json.dumps(_document(read, judged, missing), indent=2) + "\n")
    elif form == "table":
        _table(judged, missing)
    elif form == "asff":
        _asff(judged, read.taken_at, to, previous)
    else:
        _write(to, _rendered(form, judged, read, missing))
    if any(one.status is Status.FAILED for one in judged):
        return Exit.FOUND
    return Exit.UNFINISHED if missing else Exit.DONE


def _rendered(form: str, judged: Sequence[Posture], read: Inventory, missing: Sequence[str]) -> str:
    version = metadata.version("holdfast")
    if form == "ocsf":
        return json.dumps(ocsf.render(judged, read.taken_at, version), indent=2) + "\n"
    if form == "sarif":
        return json.dumps(sarif.document(rules.report(judged, version)), indent=2) + "\n"
    if form == "junit":
        return junit.render(rules.report(judged, version))
    if form == "csv":
        return posture_page.table(judged)
    return posture_page.page(judged, taken_at=read.taken_at.astimezone(UTC), missing=missing)


def _document(read: Inventory, judged: Sequence[Posture], missing: Sequence[str]) -> dict[str, Any]:
    return {
        "inventory_taken_at": read.taken_at.isoformat(),
        "counts": rules.counted(judged),
        "not_read": list(missing),
        "findings": [one.document() for one in judged],
    }


def _table(judged: Sequence[Posture], missing: Sequence[str]) -> None:
    out = Output(as_json=False)
    shown = [one for one in judged if one.status in {Status.FAILED, Status.WARNING}]
    rows = [(str(one.status), one.control.id, one.account, one.region, one.name, one.message) for one in shown]
    out.table({}, ("STATUS", "CONTROL", "ACCOUNT", "REGION", "NAME", "WHAT"), rows, "Nothing failed.")
    click.echo()
    counts = rules.counted(judged)
    columns = ("CONTROL", "PASSED", "FAILED", "WARNING", "UNKNOWN", "")
    out.table(
        {},
        columns,
        [(name, *(str(row[str(status)]) for status in Status), BY_ID[name].title) for name, row in counts.items()],
        "Nothing was judged.",
    )
    for one in missing:
        click.echo(plain(f"Not read: {one}"), err=True)


def _asff(judged: Sequence[Posture], taken_at: datetime, to: Path | None, previous: Path | None) -> None:
    seen = asff.first_seen(_earlier(previous)) if previous is not None else {}
    made = asff.render(judged, taken_at.astimezone(UTC), seen)
    if to is None or to.suffix == ".json":
        _write(to, json.dumps(made, indent=2) + "\n")
        return
    to.mkdir(parents=True, exist_ok=True)
    written = set()
    for number, (account, region, batch) in enumerate(asff.batches(made), 1):
        path = to / f"{account}-{region}-{number:04}.json"
        path.write_text(json.dumps(batch, indent=2) + "\n", "utf-8")
        written.add(path)
    for stale in {path for path in to.iterdir() if _BATCH.fullmatch(path.name)} - written:
        stale.unlink()
    click.echo(
        f"{len(made)} findings in {len(written)} files: aws securityhub batch-import-findings --findings file://FILE"
    )


def _earlier(previous: Path) -> list[dict[str, Any]]:
    files = sorted(previous.glob("*.json")) if previous.is_dir() else [previous]
    try:
        return [one for file in files for one in json.loads(file.read_text("utf-8"))]
    except (ValueError, TypeError) as error:
        msg = f"{previous} holds no findings in ASFF: {error}"
        raise Unfinished(msg) from None


def _write(to: Path | None, text: str) -> None:
    if to is None:
        click.echo(text, nl=False)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, "utf-8")
