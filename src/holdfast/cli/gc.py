"""`holdfast gc`: remove what nobody needs, or tell what that would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import size
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.cli.output import Output


@click.command(cls=TeachingCommand, sections={"Examples": ("holdfast gc --dry-run", "holdfast gc")})
@click.option("--dry-run", is_flag=True, help="Tell exactly what would be removed; remove nothing.")
@connected
def gc(at: Connection, out: Output, *, dry_run: bool) -> None:
    """Remove what nobody needs, or tell what that is.

    Goes: blobs that no image names, manifests of deleted repositories, upload sessions left behind. The server does
    this by itself once an hour, beside pushes and pulls. What a push was told exists is kept for half a day
    at least, what an image names for as long as it does.
    """
    done = at.api.holdfast("collect_garbage", dryRun=dry_run)
    document = {
        "dry_run": done["dryRun"],
        "links": done["links"],
        "blobs": done["blobs"],
        "blob_bytes": done["blobBytes"],
        "manifests": done["manifests"],
        "uploads": done["uploads"],
    }
    out.result(
        document,
        f"{'Would remove' if dry_run else 'Removed'} {done['blobs']} blobs ({size(done['blobBytes'])}), "
        f"{done['manifests']} manifests and {done['uploads']} upload sessions.",
    )
