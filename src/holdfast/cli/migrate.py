"""`holdfast migrate`: bring the database's schema up to date, or tell what that would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast import care
from holdfast.cli.connection import json_option
from holdfast.cli.fsck import DATA_OPTION
from holdfast.cli.output import Output
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": ("holdfast migrate --data /srv/holdfast --dry-run", "holdfast migrate --data /srv/holdfast"),
    },
)
@DATA_OPTION
@click.option("--dry-run", is_flag=True, help="Tell what would be done; change nothing.")
@json_option
def migrate(data: Path, *, dry_run: bool, as_json: bool) -> None:
    """Bring a stopped server's database up to date.

    `holdfast serve` does the same when it starts; this is for those who want it done, or rehearsed, before. The
    database is copied first. A run that is cut off leaves the old schema or the new one; the next goes on from there.
    """
    done = care.migrate(data, dry_run=dry_run)
    document = {
        "schema_before": done.before,
        "schema_after": done.after,
        "scripts": done.scripts,
        "copy": str(done.copy) if done.copy else None,
        "dry_run": dry_run,
    }
    if not done.scripts:
        lines = [f"The database has schema {done.before}, which is this program's: nothing to do."]
    else:
        would = "Would bring" if dry_run else "Brought"
        lines = [f"{would} the database from schema {done.before} to {done.after}: {', '.join(done.scripts)}."]
        if done.copy:
            lines.append(f"The database as it was {'would be' if dry_run else 'is'} kept in {done.copy}.")
    Output(as_json=as_json).result(document, *lines)
