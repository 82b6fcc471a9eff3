"""`holdfast reseal`: change the key that seals tokens and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import agreed
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.cli.output import Output


@click.command(
    "reseal",
    cls=TeachingCommand,
    sections={"Examples": ("holdfast reseal", "holdfast reseal --end-tokens")},
)
@click.option("--end-tokens", is_flag=True, help="End every token that was issued before, as after the key leaked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def reseal(at: Connection, out: Output, *, end_tokens: bool, yes: bool) -> int:
    """Seal tokens and secrets with a new key from now on.

    The server goes on meanwhile. Access keys stay as they are; tokens from before are good until they expire, 12 hours
    at most. With --end-tokens all of them end now: everybody must log in again. Make a backup after it: older ones have
    the older key, and open what they hold.
    """
    question = f"End every token of {at.endpoint}, so that everybody must log in again?"
    if end_tokens and not agreed(question, yes=yes):
        out.result({"rotated": False}, "Nothing was changed.")
        return Exit.UNFINISHED
    at.api.holdfast("rotate_seal_key", endTokens=end_tokens)
    left = "Every token from before has ended." if end_tokens else "Tokens from before are good until they expire."
    out.result({"rotated": True, "tokens_ended": end_tokens}, f"What is sealed from now on has a new key. {left}")
    return Exit.DONE
