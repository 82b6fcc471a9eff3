"""A disk that fails on demand, put under SQLite at SQLite's own seam: a VFS over the real one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator

_REAL = "unix"


class FailingDisk(apsw.VFS):
    """The real file system, whose fsync fails while `broken` is set."""

    def __init__(self) -> None:
        self.broken = False
        self.syncs = 0
        super().__init__("holdfast-failing-disk", _REAL, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """Open a file of this disk."""
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(_REAL, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Sync, or fail as a dying disk does."""
        if self._disk.broken:
            message = "EIO: the disk could not sync"
            raise apsw.IOError(message)
        self._disk.syncs += 1
        super().xSync(flags)


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    """Let every database that is opened in the block lie on a disk that can be told to fail."""
    disk = FailingDisk()
    try:
        yield disk
    finally:
        disk.unregister()
