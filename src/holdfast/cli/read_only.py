"""`holdfast read-only`: let the registry rest, or tell why it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.cli.output import Output


@click.command(
    "read-only",
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast read-only",
            'holdfast read-only on --reason "moving to another disk"',
            "holdfast read-only off",
        )
    },
)
@click.argument("switch", type=click.Choice(["on", "off"]), required=False)
@click.option("--reason", metavar="TEXT", help="What clients are told that push meanwhile.")
@connected
def read_only(at: Connection, out: Output, switch: str | None, reason: str | None) -> None:
    """Refuse pushes and changes; pulls go on.

    Without "on" or "off", tell whether that is so. Clients are told 503 and the reason. It holds beyond a restart of
    the server. Nothing is collected meanwhile.
    """
    if reason is not None and switch != "on":
        msg = "--reason goes with 'on'."
        raise click.UsageError(msg)
    if switch is None:
        _tell(out, at.api.holdfast("get_read_only"))
        return
    given = {"reason": reason} if reason is not None else {}
    _tell(out, at.api.holdfast("set_read_only", readOnly=switch == "on", **given))


def _tell(out: Output, told: dict[str, Any]) -> None:
    reasons = told["reasons"]
    sentence = f"Read-only: {'; '.join(reasons)}." if reasons else "Pushes and changes are taken."
    out.result({"read_only": told["readOnly"], "reasons": reasons}, sentence)
