"""Care without a server: joins the adapters to the use cases that work on a data directory at rest.

What `wiring.py` is for a server that runs, this file is for fsck and its kin. Each takes the directory's lock, so that
no server writes meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.core.errors import ConfigurationInvalid, StorageFailed
from holdfast.registry.backups import BackedUp, back_up, put_back, require_empty, verify
from holdfast.registry.fsck import MEANINGS, Examination, Finding, Problem, Repair, Report
from holdfast.registry.fsck_ledger import LedgerExamination
from holdfast.registry.ledger import LedgerDiverged
from holdfast.registry.ledger_keys import LedgerKeys
from holdfast.registry.ledger_recovery import Recovered, publish_anew, recover
from holdfast.store.blob_files import BlobFiles
from holdfast.store.data_directory import DataDirectory
from holdfast.store.ledger_files import LedgerFiles
from holdfast.store.snapshots import Facts, Snapshots
from holdfast.store.sqlite import SQLiteFile, copy_of
from holdfast.store.sqlite import migrate as apply_scripts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Watch = Callable[[str, int, int], None]
"""Is told: the stage, how far it is, how much there is."""

__all__ = [
    "MEANINGS",
    "BackedUp",
    "Finding",
    "LedgerDiverged",
    "Migrated",
    "Recovered",
    "Report",
    "Restored",
    "backup",
    "fsck",
    "held",
    "migrate",
    "recover_ledger",
    "restore",
]


def _nobody(_stage: str, _done: int, _total: int) -> None:
    """Watch nothing."""


@contextlib.contextmanager
def held(data: Path) -> Iterator[DataDirectory]:
    """Have a data directory for oneself. Raises ConfigurationInvalid without data, or while a server has it."""
    directory = DataDirectory(data)
    directory.require_database()
    lock = directory.lock()
    try:
        yield directory
    finally:
        os.close(lock)


def fsck(
    data: Path,
    *,
    deep: bool = True,
    repair: bool = False,
    watch: Watch = _nobody,
) -> Report:
    """Examine a data directory that no server has open; `deep` hashes every blob.

    With `repair`, what is provably safe is done, and everything is examined again: the report tells what is left.
    Raises ConfigurationInvalid while a server has it, or when its schema is not this program's.
    """
    with held(data) as directory:
        try:
            database = SQLiteFile(directory.database, writable=repair)
        except StorageFailed as error:
            report = Report()
            report.add(Finding(Problem.DATABASE_DAMAGED, directory.database.name, error.message))
            return report
        with contextlib.closing(database):
            database.require_current_schema()
            files = BlobFiles(data)
            ledger = LedgerExamination(
                database,
                LedgerFiles(directory.ledger),
                LedgerKeys(data, ""),
                is_restored=directory.restored.exists(),
            )
            report = Examination(database, files, directory.seal_key, ledger, deep=deep, watch=watch).run()
            if not repair:
                return report
            done = Repair(database, files).run(report)
            if done:
                report = Examination(database, files, directory.seal_key, ledger, deep=deep, watch=watch).run()
            report.repaired = done
            return report


def backup(
    data: Path, target: Path, *, link: bool = False, keep: int | None = None, watch: Watch = _nobody
) -> BackedUp:
    """Take a snapshot of a data directory into a folder of backups, while a server uses it or not.

    Raises ConfigurationInvalid without data, or while another backup writes to the folder.
    """
    directory = DataDirectory(data)
    directory.require_database()
    now = datetime.now(UTC)
    name = now.strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    folder = Snapshots(target)
    with folder.held(), directory.collection_paused():
        taken_at = int(now.timestamp() * 1_000_000)
        return back_up(directory, folder, name=name, taken_at=taken_at, link=link, keep=keep, watch=watch)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration did, or would do."""

    before: int
    after: int
    scripts: list[str]
    copy: Path | None
    """The database as it was before."""


def migrate(data: Path, *, dry_run: bool = False) -> Migrated:
    """Bring the schema of a data directory up to date, as a start of the server does.

    Raises ConfigurationInvalid while a server has it, or when a newer Holdfast wrote it.
    """
    with held(data) as directory:
        with contextlib.closing(SQLiteFile(directory.database)) as database:
            before, missing = database.schema, database.missing_scripts()
        if missing and not dry_run:
            apply_scripts(directory.database)
        copy = copy_of(directory.database, before) if missing and before else None
        return Migrated(before, before + len(missing), missing, copy)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or why it wrote nothing."""

    name: str
    facts: Facts
    damaged: list[str]
    """Files of the snapshot that are missing or damaged: nothing was written."""
    report: Report | None
    """What an examination of the new data directory found."""


def restore(source: Path, data: Path, *, name: str | None = None, watch: Watch = _nobody) -> Restored:
    """Write a snapshot, the newest or the one named, into a new data directory, after all of it was verified.

    `restored.json` tells from then on which moment this data is of: a registry that went on after the snapshot was
    taken may have bound tags of which this one knows nothing. Raises ConfigurationInvalid when the directory has
    anything in it.
    """
    folder, directory = Snapshots(source), DataDirectory(data)
    require_empty(data)
    chosen = folder.choose(name)
    facts = folder.facts(chosen)
    damaged = verify(folder, chosen, watch)
    if damaged:
        return Restored(chosen, facts, damaged, None)
    with directory.being_restored():
        put_back(folder, chosen, directory, watch)
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        written = {"snapshot": chosen, "restored_at": now, **asdict(facts)}
        with directory.restored.open("x", encoding="utf-8") as file:
            file.write(json.dumps(written, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return Restored(chosen, facts, [], fsck(data, deep=False, watch=watch))


def recover_ledger(data: Path, *, source: Path | None = None, trust_database: bool = False) -> Recovered:
    """Bring a data directory up to date with what its ledger published; `source` is another folder `ledger`.

    With `trust_database` the files of the ledger, which are gone, are written anew from the database: only for whoever
    knows that nothing was published after it. Raises LedgerDiverged, and ConfigurationInvalid while a server has it.
    """
    with held(data) as directory, contextlib.closing(SQLiteFile(directory.database, writable=True)) as database:
        database.require_current_schema()
        files = LedgerFiles(directory.ledger)
        if trust_database:
            if files.checkpoint() is not None:
                msg = "The files of the ledger are there: they are believed, not the database. Leave --trust-database."
                raise ConfigurationInvalid(msg)
            size = publish_anew(database, files)
            return Recovered(size, size, 0, [], [])
        verifiers = LedgerKeys(data, "").verifiers()
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        chosen = LedgerFiles(source) if source is not None else files
        done = database.change(lambda txn: recover(txn, chosen, verifiers, now))
        if source is not None:
            publish_anew(database, files)
        return done
