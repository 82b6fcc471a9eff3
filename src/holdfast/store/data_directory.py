"""A data directory: what lies in it under which name, and whose it is at a time.

holdfast.db     the metadata (SQLite; -wal and -shm beside it while it is open)
*.key           the keys of this server; a copy of the database alone opens no sealed secret
lock            held by the one process that may write
reserve         room for the day the disk is full
blobs/ uploads/ quarantine/     see `store/filesystem.py`
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from holdfast.core.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from pathlib import Path


class DataDirectory:
    """The places of a data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "holdfast.db"
        self.seal_key = path / "seal.key"
        self.reserve = path / "reserve"
        self._lock = path / "lock"

    def lock(self) -> int:
        """Take the directory for this process alone; the lock goes with the process, however it ends.

        Returns the descriptor to close for giving it back. Raises ConfigurationInvalid when another process has it.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            msg = f"Another server is using the data directory {self.path}; stop it, or choose another --data."
            raise ConfigurationInvalid(msg) from None
        return descriptor

    def require_database(self) -> None:
        """Raise ConfigurationInvalid unless a database lies here: nobody means to examine or copy an empty folder."""
        if not self.database.is_file():
            msg = f"There is no Holdfast data in {self.path}; name the right directory with --data."
            raise ConfigurationInvalid(msg)
