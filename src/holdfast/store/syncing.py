"""Making files and names durable, and telling a sync that failed from every other error of the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SyncFailed(OSError):
    """A sync that failed, for whatever cause: the kernel may call the next one a success, so it is never retried."""


def sync_file(descriptor: int) -> None:
    """Make the bytes of an open file durable. Raises SyncFailed."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def sync_folder(path: str | Path) -> None:
    """Make the names in a folder durable. Raises SyncFailed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_path(path: str | Path) -> None:
    """Make the bytes of a file durable that somebody else wrote. Raises SyncFailed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
