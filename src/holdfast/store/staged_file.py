"""The bytes that an upload session received so far: written, hashed, handed to the disk.

This file alone decides how bytes come to lie in a session's file. It must not know sessions, nor what becomes of the
file: `filesystem.py` makes a blob of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import DEFAULT_ALGORITHM, Digest, new_hasher
from holdfast.store.failpoints import reach
from holdfast.store.syncing import sync_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.digest import Hasher

REHASH_BYTES: Final = 1024 * 1024
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_PIECES: Final = 512  # writev takes at most 1,024

_WRITEBACK_BYTES: Final = 8 * 1024 * 1024
"""So often the disk is asked to begin, so that the sync at the end finds little left to do."""

_SYNC_FILE_RANGE_WRITE: Final = 2
_sync_file_range: Final = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong, ctypes.c_uint]


class StagedFile:
    """The bytes that an upload session received, and their running hash. Not for two threads at once."""

    def __init__(self, path: str) -> None:
        """Open the file, made when it is not there; what is there is hashed when its digest is asked for."""
        self.path = path
        try:
            self._descriptor = os.open(path, _NEW_FILE, 0o600)
        except FileExistsError:
            self._descriptor = os.open(path, _OLD_FILE)
        self.size_bytes = os.fstat(self._descriptor).st_size
        self._hasher: Hasher | None = new_hasher(DEFAULT_ALGORITHM) if self.size_bytes == 0 else None
        self._synced = False
        self._sent_to_disk = self.size_bytes
        """Up to where the disk was asked to begin; nothing rests on it but the length of the sync to come."""
        self.is_named = False
        """Whether the file's name is known to be durable."""

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write at the end and hash what was written; on an error cut back to where the file ended."""
        hashing = self.hashing(pieces)
        try:
            self.write(pieces)
        except OSError:
            self.forget_hash()
            raise
        hashing()

    def hashing(self, pieces: Sequence[bytes]) -> Callable[[], None]:
        """Return what hashes the pieces that come next; it may run in a thread while `write` runs in another."""
        hasher = self._hasher

        def run() -> None:
            if hasher is not None:
                for piece in pieces:
                    hasher.update(piece)

        return run

    def forget_hash(self) -> None:
        """Have the bytes hashed anew when their digest is asked for."""
        self._hasher = None

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write at the end without hashing; on an error cut back to where the file ended."""
        reach("upload.before-write")
        self._synced = False
        position = self.size_bytes
        try:
            for start in range(0, len(pieces), _MAX_PIECES):
                position += self._write(pieces[start : start + _MAX_PIECES], position)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size_bytes)
            raise
        self.size_bytes = position
        if position - self._sent_to_disk >= _WRITEBACK_BYTES:
            _begin_writeback(self._descriptor, self._sent_to_disk, position - self._sent_to_disk)
            self._sent_to_disk = position
        reach("upload.after-write")

    def _write(self, pieces: Sequence[bytes], position: int) -> int:
        length = sum(map(len, pieces))
        written = os.pwritev(self._descriptor, pieces, position)
        while written < length:  # a short write: a signal, a size limit, or a disk that fills up
            rest = b"".join(pieces)[written:]
            more = os.pwrite(self._descriptor, rest, position + written)
            if more <= 0:
                raise OSError(errno.EIO, "the disk took no bytes")
            written += more
        return length

    def sync(self) -> None:
        """Make the bytes durable."""
        if not self._synced:
            sync_file(self._descriptor)
            self._synced = True

    def hashes_to(self, digest: Digest) -> bool:
        """Whether the bytes have this digest. Another algorithm, or a file begun by another process, is read anew."""
        if digest.algorithm == DEFAULT_ALGORITHM and self._hasher is not None:
            return self._hasher.hexdigest() == digest.hex
        hasher = new_hasher(digest.algorithm)
        position = 0
        while piece := os.pread(self._descriptor, REHASH_BYTES, position):
            hasher.update(piece)
            position += len(piece)
        return position == self.size_bytes and hasher.hexdigest() == digest.hex

    def close(self) -> None:
        """Close the file; what was received stays."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _begin_writeback(descriptor: int, start: int, length: int) -> None:
    """Ask the disk to begin; not to be relied on, and an error of it is told by the fsync that follows (sync(2))."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, start, length, _SYNC_FILE_RANGE_WRITE)
