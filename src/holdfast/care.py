"""Care without a server: joins the adapters to the use cases that work on a data directory at rest.

What `wiring.py` is for a server that runs, this file is for fsck and its kin. Each takes the directory's lock, so that
no server writes meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holdfast.core.errors import StorageFailed
from holdfast.registry.fsck import MEANINGS, Examination, Finding, Problem, Repair, Report
from holdfast.store.blob_files import BlobFiles
from holdfast.store.data_directory import DataDirectory
from holdfast.store.sqlite import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["MEANINGS", "Finding", "Report", "fsck", "held"]


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
    watch: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
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
            report = Examination(database, files, directory.seal_key, deep=deep, watch=watch).run()
            if not repair:
                return report
            done = Repair(database, files).run(report)
            again = Examination(database, files, directory.seal_key, deep=deep, watch=watch).run() if done else report
            again.repaired = done
            return again
