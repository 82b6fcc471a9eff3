"""`holdfast evidence`: a signed folder that shows what tags named over a period, and what that supports."""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast.audit import pack
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.ledger_source import bundle_option, checkpoint_of, policy_options, reading, trusted
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.evidence import DAY_MICROSECONDS
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.signed_note import SEED_BYTES, KeyKind, Note, NoteInvalid, Signer
from holdfast.core.tiles import BundleInvalid
from holdfast.core.tlog_policy import PolicyUnmet
from holdfast.registry.ledger_keys import read_key, write_key

if TYPE_CHECKING:
    from holdfast.cli.output import Output

_EPOCH: Final = date(1970, 1, 1)


def _period(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    first, dots, last = value.partition("..")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last if dots else first)
        period = _midnight(start), _midnight(end + timedelta(days=1))
    except (ValueError, OverflowError):
        period = -1, -1
    if not 0 <= period[0] < period[1]:
        msg = f"{value!r} is not a period like 2026-01-01..2026-03-31 (days in UTC, both in it)."
        raise click.BadParameter(msg)
    return period


def _midnight(day: date) -> int:
    return (day - _EPOCH).days * DAY_MICROSECONDS


@click.command(
    cls=TeachingCommand,
    short_help="Write or verify a signed evidence pack for an audit.",
    sections={
        "Examples": (
            "holdfast evidence q1 --period 2026-01-01..2026-03-31 --signing-key me.key --policy trust.txt",
            "holdfast evidence q1 --verify --signer VKEY --policy trust.txt       without a network",
        )
    },
)
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option("--period", callback=_period, metavar="FROM..TO", help="Days in UTC, both of them in the period.")
@click.option(
    "--signing-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your key that signs the pack; made when missing. Its verifier key is told.",
)
@click.option("--verify", is_flag=True, help="Verify the pack in FOLDER.")
@click.option("--signer", "signers", multiple=True, metavar="VKEY", help="With --verify: believe packs of this key.")
@bundle_option
@policy_options
@connected
def evidence(  # noqa: PLR0913 - one for each option
    at: Connection,
    out: Output,
    folder: Path,
    period: tuple[int, int] | None,
    signing_key: Path | None,
    signers: tuple[str, ...],
    bundle: Path | None,
    policy: Path | None,
    keys: tuple[str, ...],
    *,
    verify: bool,
) -> int:
    """Write a folder that shows, over a period, what tags named, which were held, and what was tried against them.

    It holds a report (HTML and JSON), the ledger itself, and receipts, and is signed by your key: everything in it can
    be verified without a network, and the report derived again. What it shows is mapped to items of NIST SP 800-190 and
    800-53, CIS Docker, SLSA, SOC 2 and PCI DSS, which it supports. Ends with 1 when the audit found something.
    """
    believed = trusted(policy, keys)
    if verify:
        try:
            makers = pack.makers(signers)
        except NoteInvalid as error:
            raise click.UsageError(f"--signer: {error}") from None
        verdict = pack.verify(folder, believed, makers)
        out.result(verdict.document, *verdict.sentences)
        return Exit.DONE if verdict.holds else Exit.FOUND
    if period is None or signing_key is None:
        msg = "Give --period FROM..TO and --signing-key FILE, or --verify."
        raise click.UsageError(msg)
    if folder.exists() and any(folder.iterdir()):
        msg = f"{folder} is not empty."
        raise Unfinished(msg, "A pack goes into a folder of its own.")
    signer = _signer(signing_key)
    with reading(at, bundle) as fetch, staged() as watch:
        note = checkpoint_of(fetch)
        try:
            size = Checkpoint.of(Note.parse(note)).size
            now = int(time.time()) * 1_000_000
            told = pack.make(
                fetch, note, believed, folder, period, signer, now, lambda done: watch("entries", done, size)
            )
        except (NoteInvalid, PolicyUnmet, FileMissing, BundleInvalid) as error:
            msg = f"The pack was not finished: {error}."
            raise Unfinished(msg, "Audit the ledger first: holdfast ledger audit") from None
    found = len(told["findings"])
    out.result(
        {"folder": str(folder), "size": size, "findings": found, "signer": str(signer.verifier)},
        f"The pack is in {folder}: {told['tags']} tags, {told['held']} of them held; see {folder / 'report.html'}.",
        f"It is signed by {signer.verifier}",
        *([f"THE AUDIT FOUND {found} THINGS; they are in the report."] if found else []),
    )
    return Exit.FOUND if found else Exit.DONE


def _signer(path: Path) -> Signer:
    if not path.exists():
        write_key(path, Signer.from_seed("holdfast-evidence", KeyKind.ED25519, os.urandom(SEED_BYTES)))
    return read_key(path)
