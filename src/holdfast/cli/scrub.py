"""`holdfast scrub`: have the running server read every stored byte again, and tell what is damaged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import moment, size
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.cli.output import Output

_LOOK_SECONDS = 0.2
_MIB = 1024 * 1024


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": ("holdfast scrub", "holdfast scrub --mib-per-second 50 --no-wait", "holdfast scrub --status")
    },
)
@click.option("--status", is_flag=True, help="Tell how far it is and what was found; begin nothing.")
@click.option("--no-wait", is_flag=True, help="Begin, and do not wait for the end.")
@click.option("--mib-per-second", type=click.IntRange(1), metavar="N", help="Read no faster than this.")
@connected
def scrub(at: Connection, out: Output, *, status: bool, no_wait: bool, mib_per_second: int | None) -> int:
    """Read all stored bytes again while the server runs.

    What does not fit its digest is set aside, so that it is never served; pushing the image again heals it. The server
    does this by itself at its own pace (settings scrub_mib_per_second and scrub_days). Ends with code 1 when something
    is damaged.
    """
    if status:
        return _tell(out, at.api.holdfast("describe_scrub"))
    pace = {"bytesPerSecond": mib_per_second * _MIB} if mib_per_second is not None else {}
    told = at.api.holdfast("start_scrub", **pace)
    began = told["startedAt"]
    if not no_wait:
        with staged() as watch:
            while told["state"] == "running" and told["startedAt"] == began:
                watch("blobs", min(told["checkedBytes"], told["bytes"]), max(told["bytes"], 1))
                time.sleep(_LOOK_SECONDS)
                told = at.api.holdfast("describe_scrub")
    return _tell(out, told)


def _tell(out: Output, told: dict[str, Any]) -> int:
    damaged = told.get("damaged", [])
    last = moment(told.get("lastFullPassAt"))
    document = {
        "state": told["state"],
        "checked_blobs": told["checkedBlobs"],
        "checked_bytes": told["checkedBytes"],
        "blobs": told["blobs"],
        "bytes": told["bytes"],
        "damaged": damaged,
        "started_at": moment(told.get("startedAt")),
        "last_full_pass_at": last,
    }
    doing = "Reading" if told["state"] == "running" else "Waiting"
    read = f"{told['checkedBlobs']} of {told['blobs']} blobs ({size(told['checkedBytes'])}) read"
    lines = [f"{doing}: {read}; the last whole pass ended: {last or 'never'}."]
    if damaged:
        lines.append(f"Damaged are {len(damaged)}. Push their images again, or restore a backup:")
        lines += [f"  {digest}" for digest in damaged]
    out.result(document, *lines)
    return Exit.FOUND if damaged else Exit.DONE
