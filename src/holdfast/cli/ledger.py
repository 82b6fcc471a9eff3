"""`holdfast ledger`: how far the ledger is, the keys that sign it, and bringing an older state up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import care
from holdfast.cli import ledger_verify
from holdfast.cli.connection import Connection, connected, json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.fsck import DATA_OPTION
from holdfast.cli.output import Output
from holdfast.cli.teaching import TeachingGroup

if TYPE_CHECKING:
    from holdfast.care import Recovered


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast ledger status",
            "holdfast ledger key                    the verifier key to hand to auditors",
            "holdfast ledger audit --policy trust.txt   read everything, compare with the registry",
            "holdfast ledger recover --data /srv/holdfast",
        )
    },
)
def ledger() -> None:
    """Look after the signed record, and verify it.

    Commands that verify believe only whom you name with --policy or --key, and check everything else.
    """


for _one in ledger_verify.COMMANDS:
    ledger.add_command(_one)


@ledger.command()
@connected
def status(at: Connection, out: Output) -> int:
    """Tell how many entries the ledger has and has published; code 1 when it signs nothing."""
    told = at.api.holdfast("get_ledger_status")
    problem = told.get("problem")
    document = {
        "origin": told["origin"],
        "size": told["size"],
        "published_size": told["publishedSize"],
        "problem": problem,
        "keys": [one["vkey"] for one in told["keys"] if one.get("endedAt") is None],
    }
    waiting = told["size"] - told["publishedSize"]
    out.result(
        document,
        f"{told['origin']}: {told['publishedSize']} entries are published, {waiting} more are signed.",
        *([f"The ledger signs nothing, and no change is taken: {problem}"] if problem else []),
    )
    return Exit.FOUND if problem else Exit.DONE


@ledger.command()
@connected
def key(at: Connection, out: Output) -> None:
    """Show the verifier keys of those that sign.

    Hand them to whoever audits, by a way that is not this server. To change keys, add one (add-key), hand it out, and
    retire the old one (retire-key) when every auditor has the new.
    """
    keys = [_key(one) for one in at.api.holdfast("get_ledger_status")["keys"]]
    out.result({"keys": keys}, *(one["vkey"] for one in keys if one["ended_at"] is None))


@ledger.command()
@connected
def add_key(at: Connection, out: Output) -> None:
    """Make a key that signs beside those that do."""
    vkey = at.api.holdfast("add_ledger_key")["vkey"]
    out.result({"vkey": vkey}, vkey)


@ledger.command()
@click.argument("vkey")
@connected
def retire_key(at: Connection, out: Output, vkey: str) -> None:
    """Let a key sign no more; another one must."""
    at.api.holdfast("retire_ledger_key", vkey=vkey)
    out.result({"vkey": vkey, "retired": True}, f"{vkey} signs no more. Its file may be destroyed.")


def _key(one: dict[str, Any]) -> dict[str, Any]:
    ended = one.get("endedAt")
    return {
        "vkey": one["vkey"],
        "began_at": one["beganAt"].isoformat(),
        "ended_at": ended.isoformat() if ended is not None else None,
    }


@ledger.command()
@DATA_OPTION
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Another folder 'ledger', such as that of the server that ran before.",
)
@click.option(
    "--trust-database",
    is_flag=True,
    help="The files of the ledger are gone and nothing was published after the database: write them anew from it.",
)
@json_option
def recover(data: Path, *, source: Path | None, trust_database: bool, as_json: bool) -> int:
    """Bring a database that is older than its ledger up to date, while no server runs.

    A server whose database is behind what it published, as after a restore from a backup, takes no change and signs
    nothing: it would fork the ledger, and bind tags anew that were bound. This writes the missing entries into the
    database and does again what they tell of. A tag whose content is gone keeps its name for its digest: push it again.
    """
    if source is not None and trust_database:
        msg = "--from and --trust-database exclude each other."
        raise click.UsageError(msg)
    try:
        done = care.recover_ledger(data, source=source, trust_database=trust_database)
    except care.LedgerDiverged as error:
        raise Unfinished(_begun(f"{error}."), "Nothing was changed.") from None
    Output(as_json=as_json).result(_document(done), *_sentences(done))
    return Exit.DONE


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _document(done: Recovered) -> dict[str, Any]:
    return {
        "known": done.known,
        "published": done.published,
        "replayed": max(0, done.published - done.known),
        "acts": done.acts,
        "waiting_for_content": done.lost,
        "to_do_by_hand": done.by_hand,
    }


def _sentences(done: Recovered) -> list[str]:
    missing = done.published - done.known
    if missing <= 0:
        return [f"Nothing was missing: the database has all {done.published} entries that were published."]
    told = [f"{missing} entries were missing and are back; {done.acts} acts were done again."]
    if done.lost:
        told.append("These tags keep their names for content that is gone; push it again under the same tag:")
        told += [f"  {one}" for one in done.lost]
    if done.by_hand:
        told.append("These are to be done again by hand:")
        told += [f"  {one}" for one in done.by_hand]
    return told
