"""`holdfast ledger`, for auditors: receipts, verification, the audit, and the ledger as a folder of plain files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.audit import verdicts
from holdfast.audit.folder import Folder, export
from holdfast.cli import names
from holdfast.cli.connection import Connection, connected, json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.ledger_source import (
    bundle_option,
    checkpoint_of,
    compare_live,
    policy_options,
    reading,
    trusted,
)
from holdfast.cli.output import Output
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.merkle import inclusion_proof, root_of
from holdfast.core.signed_note import Note, NoteInvalid
from holdfast.core.tiles import TILE_WIDTH, BundleInvalid, Tile, TileReader, split_bundle, width_of
from holdfast.core.tlog_policy import PolicyUnmet
from holdfast.core.tlog_proof import TlogProof

if TYPE_CHECKING:
    from holdfast.audit.verdicts import Verdict
    from holdfast.core.digest import Digest
    from holdfast.core.ledger_audit import Fetch

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _tell(out: Output, verdict: Verdict) -> int:
    out.result(verdict.document, *verdict.sentences)
    return Exit.DONE if verdict.holds else Exit.FOUND


@click.command(
    "receipt",
    cls=TeachingCommand,
    sections={"Examples": ("holdfast ledger receipt demo/app:v1 -o app-v1.tlog-proof",)},
)
@click.argument("image", metavar="[REPO:TAG]", required=False, callback=names.image_if_any("REPO:TAG"))
@click.option("--index", type=click.IntRange(0), metavar="N", help="The receipt of the entry with this index instead.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
@connected
def receipt(
    at: Connection, out: Output, image: tuple[str, str | Digest] | None, index: int | None, output: Path | None
) -> int:
    """Get the receipt of what a tag names: one file that proves, without a network, what was bound when and by whom.

    The format is C2SP tlog-proof. Without -o it is printed.
    """
    if (image is None) == (index is None):
        msg = "Give either REPO:TAG or --index N."
        raise click.UsageError(msg)
    if image is not None:
        told = at.api.holdfast("get_tag_receipt", repositoryName=image[0], imageTag=str(image[1]))
        content = str(told["receipt"]).encode()
    else:
        with reading(at, None) as fetch:
            content = _receipt_of(fetch, index or 0)
    proof = TlogProof.parse(content)
    if output is None:
        out.result({"index": proof.index, "receipt": content.decode()}, content.decode().rstrip("\n"))
        return Exit.DONE
    output.write_bytes(content)
    out.result({"index": proof.index, "file": str(output)}, f"The receipt of entry {proof.index} is in {output}.")
    return Exit.DONE


def _receipt_of(fetch: Fetch, index: int) -> bytes:
    """Make a receipt of the public files alone."""
    note = checkpoint_of(fetch)
    size = Checkpoint.of(Note.parse(note)).size
    if index >= size:
        msg = f"The ledger has {size} entries; the last one has index {size - 1}."
        raise Unfinished(msg)
    hashes = inclusion_proof(index, size, TileReader(size, lambda tile: fetch(tile.path)))
    number = index // TILE_WIDTH
    bundle = split_bundle(fetch(Tile(None, number, width_of(None, number, size)).path))
    return TlogProof(index, tuple(hashes), note, bundle[index % TILE_WIDTH]).encode()


@click.command(
    "verify",
    cls=TeachingCommand,
    sections={"Examples": ("holdfast ledger verify app-v1.tlog-proof --policy trust.txt",)},
)
@click.argument("file", metavar="RECEIPT", type=FILE)
@click.option("--entry", type=FILE, metavar="FILE", help="The entry, for receipts that do not carry it.")
@policy_options
@json_option
def verify(file: Path, entry: Path | None, policy: Path | None, keys: tuple[str, ...], *, as_json: bool) -> int:
    """Verify a receipt, without a network, and tell what it proves. Ends with 1 when it does not hold."""
    believed = trusted(policy, keys)
    verdict = verdicts.receipt(file.read_bytes(), believed, entry.read_bytes() if entry else None)
    return _tell(Output(as_json=as_json), verdict)


@click.command(
    "consistency",
    cls=TeachingCommand,
    sections={"Examples": ("holdfast ledger consistency last-year.txt now.txt --policy trust.txt",)},
)
@click.argument("old", metavar="OLD", type=FILE)
@click.argument("new", metavar="[NEW]", type=FILE, required=False)
@bundle_option
@policy_options
@connected
def consistency(
    at: Connection,
    out: Output,
    old: Path,
    new: Path | None,
    bundle: Path | None,
    policy: Path | None,
    keys: tuple[str, ...],
) -> int:
    """Verify that the ledger only grew between two checkpoints. Files are checkpoints or receipts.

    Without NEW, it is the checkpoint that is published now. Hashes between the two are read from the server, or from
    the folder given with --bundle; they need not be believed. Ends with 1 when the ledger was forked or rewritten.
    """
    believed = trusted(policy, keys)
    with reading(at, bundle) as fetch:
        newer = verdicts.checkpoint_in(new.read_bytes()) if new else checkpoint_of(fetch)
        return _tell(out, verdicts.consistency(verdicts.checkpoint_in(old.read_bytes()), newer, believed, fetch))


@click.command(
    "audit",
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast ledger audit --policy trust.txt",
            "holdfast ledger audit --policy trust.txt --since last-year.txt",
            "holdfast ledger audit --bundle FOLDER --policy trust.txt     without a network",
        )
    },
)
@bundle_option
@policy_options
@click.option("--since", multiple=True, type=FILE, metavar="FILE", help="A checkpoint or receipt seen before.")
@click.option("--no-live", is_flag=True, help="Do not compare with the live registry.")
@connected
def audit(
    at: Connection,
    out: Output,
    bundle: Path | None,
    policy: Path | None,
    keys: tuple[str, ...],
    since: tuple[Path, ...],
    *,
    no_live: bool,
) -> int:
    """Read every entry, build the root anew, and prove that no held tag ever named two digests.

    Every hash tile is compared with what the entries give, every document with its hash; each entry must follow the one
    before it; each act must be what the tag rule makes of the settings then in force. Read from a server, the bindings
    and settings of the live registry are compared with what the entries say. Ends with 1 when anything is found.
    """
    believed = trusted(policy, keys)
    earlier = [verdicts.checkpoint_in(one.read_bytes()) for one in since]
    with reading(at, bundle) as fetch:
        note = checkpoint_of(fetch)
        try:
            size = Checkpoint.of(Note.parse(note)).size
            with staged() as watch:
                begun = verdicts.begin_audit(
                    note, believed, fetch, earlier=earlier, progress=lambda done: watch("entries", done, size)
                )
        except (NoteInvalid, PolicyUnmet) as error:
            reason = f"The checkpoint is not to be believed: {error}."
            out.result({"holds": False, "reason": str(error)}, reason)
            return Exit.FOUND
        compares = bundle is None and not no_live and not begun.examination.findings
        live = compare_live(at, begun, believed, fetch) if compares else None
        return _tell(out, verdicts.audit(begun, live))


@click.command(
    "export",
    cls=TeachingCommand,
    sections={"Examples": ("holdfast ledger export /media/usb/ledger --policy trust.txt",)},
)
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@policy_options
@connected
def export_(at: Connection, out: Output, folder: Path, policy: Path | None, keys: tuple[str, ...]) -> int:
    """Write the ledger as a folder of plain files, to be audited without a network or served by any web server.

    A folder that holds an older state of the same ledger is brought up to date. With --policy or --key, a checkpoint
    that is not to be believed is not written.
    """
    believed = trusted(policy, keys) if policy or keys else None
    with reading(at, None) as fetch:
        note = checkpoint_of(fetch)
        try:
            checkpoint = believed.judge(note).checkpoint if believed else Checkpoint.of(Note.parse(note))
            _require_continuation(folder, checkpoint, fetch)
            with staged() as watch:
                written = export(fetch, note, checkpoint, folder, lambda done: watch("entries", done, checkpoint.size))
        except (NoteInvalid, PolicyUnmet, FileMissing, BundleInvalid) as error:
            msg = f"The ledger was not written: {error}."
            raise Unfinished(msg) from None
    out.result(
        {"folder": str(folder), "size": checkpoint.size, "files": written},
        f"{checkpoint.size} entries are in {folder} ({written} files written).",
        f"Audit it anywhere with: holdfast ledger audit --bundle {folder} --policy FILE",
    )
    return Exit.DONE


def _require_continuation(folder: Path, checkpoint: Checkpoint, fetch: Fetch) -> None:
    """Refuse to mix two ledgers in one folder."""
    with contextlib.suppress(FileMissing):
        before = Checkpoint.of(Note.parse(Folder(folder).fetch("checkpoint")))
        if before.origin != checkpoint.origin or before.size > checkpoint.size:
            msg = f"{folder} holds another ledger, or a newer state of this one; give an empty folder"
            raise NoteInvalid(msg)
        reader = TileReader(before.size, lambda tile: fetch(tile.path))
        if root_of(before.size, reader) != before.root:
            msg = f"the ledger does not continue what is in {folder}: it was forked or rewritten. Keep that folder"
            raise NoteInvalid(msg)


COMMANDS = (receipt, verify, consistency, audit, export_)
"""What `holdfast ledger` has of this file."""
