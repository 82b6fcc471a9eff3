"""The reserve: room on the disk that is kept for the day it is full.

A file of a set size lies beside the data. When the disk is full it is given up, so that the database can still commit
(deletions, collections, what was under way); new content is refused until there is room to make the file anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_LOGGER: Final = logging.getLogger("holdfast.reserve")


class Reserve:
    """The reserve of one data directory. Any thread may ask for it."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Nothing is made before `make` is called; 0 bytes is no reserve, and the disk then never counts as full."""
        self._path = path
        self._size_bytes = size_bytes
        self._held = False
        self._missing = False
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """How much is kept back."""
        return self._size_bytes if self._held else 0

    @property
    def is_full(self) -> bool:
        """Whether the disk is full: the reserve was given up, or could not be made."""
        return self._missing

    def release(self) -> bool:
        """Give the room up; say whether any was given up by this call."""
        with self._lock:
            if not self._held:
                return False
            self._held, self._missing = False, True
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            _LOGGER.error("the disk is full: the reserve of %d bytes was given up, new pushes wait", self._size_bytes)
            return True

    def make(self) -> bool:
        """Make the file if it is not there and the disk has room for twice its size; say whether it is there now."""
        with self._lock:
            if self._size_bytes == 0:
                with contextlib.suppress(FileNotFoundError):
                    self._path.unlink()
                return True
            if not self._held:
                was_missing, self._held = self._missing, self._make()
                self._missing = not self._held
                if was_missing and self._held:
                    _LOGGER.warning("the disk has room again: pushes go on")
            return self._held

    def _make(self) -> bool:
        try:
            if self._path.stat().st_blocks * 512 >= self._size_bytes:
                return True
        except FileNotFoundError:
            pass
        room = os.statvfs(self._path.parent)
        if room.f_bavail * room.f_frsize < 2 * self._size_bytes:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _LOGGER.warning("the reserve cannot be made now: %s", error)
            return False
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
            os.fsync(descriptor)
        except OSError:
            self._path.unlink()
            return False
        finally:
            os.close(descriptor)
        return True
