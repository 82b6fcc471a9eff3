"""`holdfast backup` and `holdfast restore`: snapshots of a data directory, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import care
from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.fsck import DATA_OPTION
from holdfast.cli.output import Output, moment_of, size
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.care import BackedUp, Restored


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast backup /mnt/backup/holdfast --data /srv/holdfast",
            "holdfast backup /mnt/backup/holdfast --data /srv/holdfast --keep 30",
        )
    },
)
@click.argument("dest", type=click.Path(path_type=Path, file_okay=False))
@DATA_OPTION
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Keep the newest N snapshots; remove the older ones.")
@click.option("--link", is_flag=True, help="Hard links instead of copies: same disk only, no help when it rots.")
@json_option
def backup(dest: Path, data: Path, *, keep: int | None, link: bool, as_json: bool) -> int:
    """Take a snapshot of everything, while the server runs or not.

    One moment of the metadata and every blob that it names, into a folder of snapshots that share their blobs: only
    what is new is copied, and verified while it is. It ends with code 1 when a blob is damaged where it was copied
    from. The snapshot has the server's keys: whoever can read it can become anyone. Keep it as you keep the server.
    """
    out = Output(as_json=as_json)
    with staged() as watch:
        done = care.backup(data, dest, link=link, keep=keep, watch=watch)
    out.result(
        {
            "snapshot": done.name,
            "blobs": done.blobs,
            "blob_bytes": done.blob_bytes,
            "copied": done.copied,
            "copied_bytes": done.copied_bytes,
            "damaged": done.damaged,
            "pruned_snapshots": done.pruned_snapshots,
            "pruned_blobs": done.pruned_blobs,
        },
        *_told(done, dest),
    )
    return Exit.FOUND if done.damaged else Exit.DONE


def _told(done: BackedUp, dest: Path) -> list[str]:
    new = f"{done.copied} ({size(done.copied_bytes)}) were new"
    lines = [
        f"Snapshot {done.name} in {dest}: {done.blobs} blobs ({size(done.blob_bytes)}), of which {new}.",
        "It has the server's keys: whoever can read it can become anyone.",
    ]
    if done.pruned_snapshots:
        lines.append(f"Removed {done.pruned_snapshots} older snapshots and {done.pruned_blobs} blobs of theirs alone.")
    if done.damaged:
        lines.append(f"NOT in it are {len(done.damaged)} blobs whose stored bytes are damaged or gone:")
        lines += [f"  {digest}" for digest in done.damaged]
    return lines


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast restore /mnt/backup/holdfast --data /srv/holdfast-new",
            "holdfast restore /mnt/backup/holdfast --data /srv/new --snapshot 2026-11-23T10-00-00.000000Z",
        )
    },
)
@click.argument("src", type=click.Path(path_type=Path, file_okay=False, exists=True))
@DATA_OPTION
@click.option("--snapshot", metavar="NAME", help="The snapshot to restore; the newest, if none is named.")
@json_option
def restore(src: Path, data: Path, *, snapshot: str | None, as_json: bool) -> int:
    """Write a snapshot into a new data directory.

    All of it is verified first, and again while it is written; a damaged snapshot is not restored (code 1). The
    directory must be empty or not there yet. What the registry did after the snapshot was taken is not in it: tags that
    were bound since could be bound to other images. Read docs/care.md before you let anyone push to it.
    """
    out = Output(as_json=as_json)
    with staged() as watch:
        done = care.restore(src, data, name=snapshot, watch=watch)
    findings = [] if done.report is None else done.report.findings
    out.result(
        {
            "snapshot": done.name,
            "taken_at": moment_of(done.facts.taken_at),
            "last_entry": done.facts.last_entry,
            "blobs": done.facts.blobs,
            "restored": not done.damaged,
            "damaged": done.damaged,
            "findings": len(findings),
        },
        *_restored(done, data, len(findings)),
    )
    return Exit.FOUND if done.damaged or findings else Exit.DONE


def _restored(done: Restored, data: Path, findings: int) -> list[str]:
    if done.damaged:
        missing = [f"  {name}" for name in done.damaged]
        return [f"The snapshot {done.name} is damaged; nothing was written. Missing or wrong:", *missing]
    lines = [
        f"Restored the snapshot {done.name} into {data}: {done.facts.blobs} blobs ({size(done.facts.blob_bytes)}).",
        f"It is the registry as of {moment_of(done.facts.taken_at)}, entry {done.facts.last_entry} of the record.",
    ]
    lines += [
        "It takes no change before its ledger is brought up to date, from the folder of the server that ran before:",
        f"  holdfast ledger recover --data {data} --from OLD_DATA/ledger   (lost too: --trust-database)",
    ]
    if findings:
        lines.append(f"It has {findings} findings, as it had when it was taken: holdfast fsck --data {data}")
    return lines
