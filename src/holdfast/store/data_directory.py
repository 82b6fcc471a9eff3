"""A data directory: what lies in it under which name, and whose it is at a time.

holdfast.db     the metadata (SQLite; -wal and -shm beside it while it is open)
*.key           the keys of this server; a copy of the database alone opens no sealed secret
lock            held by the one process that may write
ledger/         what the ledger published, see `store/ledger_files.py`
reserve         room for the day the disk is full
running.json    there while a server runs, and after one that did not end well
collecting      held while files of blobs are deleted, and by a backup so that none is
restored.json   which snapshot this was restored from; for whoever guards against a return to the past
restoring       there while a restore is not at its end: nothing else may use the directory
blobs/ uploads/ quarantine/     see `store/filesystem.py`
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ConfigurationInvalid
from holdfast.store.syncing import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_MARGIN: Final = 600 * 1_000_000
"""A blob bears the time at which its record was asked for, which may be a while before it is written."""


class DataDirectory:
    """The places of a data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "holdfast.db"
        self.seal_key = path / "seal.key"
        self.reserve = path / "reserve"
        self.restored = path / "restored.json"
        self.ledger = path / "ledger"
        self._lock = path / "lock"
        self._collecting = path / "collecting"
        self._running = path / "running.json"
        self._restoring = path / "restoring"

    def lock(self) -> int:
        """Take the directory for this process alone; the lock goes with the process, however it ends.

        Returns the descriptor to close for giving it back. Raises ConfigurationInvalid when another process has it.
        """
        if self._restoring.exists():
            msg = f"A restore into {self.path} was cut off. Delete the directory, and restore again."
            raise ConfigurationInvalid(msg)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            msg = f"Another server is using the data directory {self.path}; stop it, or choose another --data."
            raise ConfigurationInvalid(msg) from None
        return descriptor

    def begin_run(self, now: int) -> int | None:
        """Mark the directory as in use; return since when what was written is in doubt, None after a clean stop.

        Everything that was answered for was synced; but a disk that failed, or that lies about its cache, fails most
        likely with what was written last. Times in microseconds since the epoch.
        """
        try:
            since: int | None = int(json.loads(self._running.read_text("utf-8"))["sound_until"])
        except FileNotFoundError:
            since = None
        except (OSError, ValueError, KeyError, TypeError):
            since = 0
        self.sound_until(now if since is None else since)
        return since

    def sound_until(self, moment: int) -> None:
        """Note that what was written before a moment is not in doubt, however this run ends."""
        new = self._running.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"sound_until": moment - _MARGIN}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._running)
        sync_folder(self.path)

    def end_run(self) -> None:
        """Note that the run ended well: everything is synced and closed."""
        self._running.unlink(missing_ok=True)
        sync_folder(self.path)

    def key_files(self) -> list[Path]:
        """List the keys that lie here."""
        return sorted(self.path.glob("*.key"))

    @contextlib.contextmanager
    def collection_paused(self) -> Iterator[None]:
        """Let no file of a blob be deleted while the block runs, by whatever process; waits for a deletion to end."""
        with self._flocked(self._collecting) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def deleting(self) -> Iterator[bool]:
        """Have the right to delete files of blobs while the block runs; False while a backup needs them all."""
        with self._flocked(self._collecting) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def being_restored(self) -> Iterator[None]:
        """Mark the directory, made here, as one that nobody may use, until the block has come to its end."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._restoring.touch(mode=0o600)
        sync_folder(self.path)
        yield
        sync_folder(self.path)
        self._restoring.unlink()
        sync_folder(self.path)

    @contextlib.contextmanager
    def _flocked(self, path: Path) -> Iterator[int]:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def require_database(self) -> None:
        """Raise ConfigurationInvalid unless a database lies here: nobody means to examine or copy an empty folder."""
        if not self.database.is_file():
            msg = f"There is no Holdfast data in {self.path}; name the right directory with --data."
            raise ConfigurationInvalid(msg)
