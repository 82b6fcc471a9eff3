"""The files of a blob store seen from beside it: listed, measured, hashed, set aside.

For care that must see what is really there: no cache, no threads of its own, and no folder made. The layout and the
order of a commit are `store/filesystem.py`'s.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import HEX_LENGTHS, Digest, new_hasher
from holdfast.store.filesystem import blob_path, set_aside
from holdfast.store.staged_file import REHASH_BYTES
from holdfast.store.syncing import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAME: Final = re.compile(r"([a-f0-9]+)\.([a-f0-9]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that has the name of a blob."""

    digest: Digest
    generation: str
    path: str


class BlobFiles:
    """The folders `blobs`, `uploads` and `quarantine` below a root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: Digest, generation: str) -> str:
        """Return where the file of a blob is, or would be."""
        return blob_path(self.root, digest, generation)

    def size(self, digest: Digest, generation: str) -> int | None:
        """Return the size in bytes of a blob's file, None without one."""
        try:
            return os.stat(self.path(digest, generation), follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    def is_intact(self, digest: Digest, generation: str, watch: Callable[[int], None] = lambda _count: None) -> bool:
        """Read a blob's file and say whether it hashes to its name; `watch` is told of bytes read. Raises OSError."""
        return hashes_to(self.path(digest, generation), digest, watch)

    def stored(self) -> Iterator[StoredFile | str]:
        """List the files of blobs, folder by folder; what has no blob's name comes as its path."""
        for algorithm, length in HEX_LENGTHS.items():
            for number in range(256):
                yield from self._folder(algorithm, f"{number:02x}", length)

    def staged(self) -> list[str]:
        """List the ids of the upload sessions that have a file."""
        return _names(self.root / "uploads")

    def quarantined(self) -> list[str]:
        """List the names of files that were set aside as damaged."""
        return _names(self.root / "quarantine")

    def set_aside(self, digest: Digest, generation: str) -> None:
        """Move a damaged file where nothing serves it; it stays there as evidence."""
        set_aside(self.root, digest, generation)

    def delete(self, stored: StoredFile) -> None:
        """Delete the file of no blob."""
        os.unlink(stored.path)
        sync_folder(os.path.dirname(stored.path))

    def delete_staged(self, upload_id: str) -> None:
        """Delete what no upload session owns."""
        (self.root / "uploads" / upload_id).unlink(missing_ok=True)

    def _folder(self, algorithm: str, prefix: str, length: int) -> Iterator[StoredFile | str]:
        folder = self.root / "blobs" / algorithm / prefix
        for name in _names(folder):
            found = _NAME.fullmatch(name)
            if found is None or len(found[1]) != length or not found[1].startswith(prefix):
                yield str(folder / name)
            else:
                yield StoredFile(Digest(algorithm, found[1]), found[2], str(folder / name))


def hashes_to(path: str, digest: Digest, watch: Callable[[int], None] = lambda _count: None) -> bool:
    """Read a file and say whether its bytes have a digest. Raises OSError."""
    hasher = new_hasher(digest.algorithm)
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(REHASH_BYTES):
            hasher.update(piece)
            watch(len(piece))
    return hasher.hexdigest() == digest.hex


def copy_file(source: str, target: str, digest: Digest) -> bool:
    """Copy a file durably under a name that it gets last, unless its bytes have another digest; say whether it did.

    Its folder is the caller's to sync. Raises OSError.
    """
    hasher = new_hasher(digest.algorithm)
    part = f"{target}.part"
    with open(source, "rb", buffering=0) as old, open(part, "wb", buffering=0, opener=_private) as new:
        while piece := old.read(REHASH_BYTES):
            hasher.update(piece)
            view = memoryview(piece)
            while view:
                view = view[new.write(view) :]
        os.fsync(new.fileno())
    if hasher.hexdigest() != digest.hex:
        os.unlink(part)
        return False
    os.rename(part, target)
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
