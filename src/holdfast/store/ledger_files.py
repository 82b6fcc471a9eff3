"""The published ledger on disk, beside the database and outside it.

    ledger/checkpoint           the last checkpoint that was published, with its cosignatures
    ledger/entries/x001/234     entries by 256, in the form of C2SP entry bundles; the last file grows at its end

What stands here was told to the world. It is the evidence that a database restored from an older backup is older, and
what such a database is brought up to date from. The order: entries are durable before the checkpoint that covers them
takes its name. What is behind the end of the checkpoint, after a crash, counts for nothing and is written anew.

This file alone touches that folder. It must not know what entries or checkpoints mean.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from holdfast.core.tiles import TILE_WIDTH, encode_number, join_bundle, split_bundle
from holdfast.store.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class LedgerFiles:
    """The folder `ledger` of a data directory. One caller at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checkpoint = folder / "checkpoint"
        self.end = 0
        """How many entries are surely in the files as they should be; a bundle's beginning after a start."""

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint that was published last."""
        try:
            return self._checkpoint.read_bytes()
        except FileNotFoundError:
            return None

    def begin(self, published_size: int) -> int:
        """Go on behind what is published: return from which entry on `extend` wants them."""
        self.end = published_size - published_size % TILE_WIDTH
        return self.end

    def extend(self, entries: list[bytes]) -> None:
        """Write entries behind those that are there, and sync them. Raises OSError."""
        folders: set[Path] = set()
        at = 0
        while at < len(entries):
            inside = self.end % TILE_WIDTH
            some = entries[at : at + TILE_WIDTH - inside]
            path = self._bundle(self.end // TILE_WIDTH)
            if inside:
                _write(path, join_bundle(some), os.O_APPEND)
            else:
                folders |= self._make(path.parent)
                new = path.with_name(path.name + ".new")
                _write(new, join_bundle(some), os.O_TRUNC)
                new.rename(path)
                folders.add(path.parent)
            at += len(some)
            self.end += len(some)
        for folder in folders:
            _sync_folder(folder)

    def publish(self, note: bytes) -> None:
        """Let a checkpoint take the place of the last one. Raises OSError."""
        for folder in self._make(self._folder):
            _sync_folder(folder)
        replace_file(self._checkpoint, note)

    def entries(self, size: int) -> Iterator[bytes]:
        """Read the first `size` entries. Raises OSError for files that are missing, BundleInvalid for broken ones."""
        for number in range(-(-size // TILE_WIDTH)):
            content = self._bundle(number).read_bytes()
            count = min(TILE_WIDTH, size - number * TILE_WIDTH)
            with contextlib.suppress(ValueError):
                content = _cut(content, count)
            yield from split_bundle(content)[:count]

    def _bundle(self, number: int) -> Path:
        return self._folder / "entries" / encode_number(number)

    def _make(self, folder: Path) -> set[Path]:
        """Make a folder and those above it; return the folders that have a new name in them."""
        missing: list[Path] = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            one.mkdir(mode=0o700)
        return {one.parent for one in missing}


def replace_file(path: Path, content: bytes) -> None:
    """Let content take the place of a file, whole or not at all; durable when this returns. Raises OSError."""
    new = path.with_name(path.name + ".new")
    _write(new, content, os.O_TRUNC)
    reach("ledger.checkpoint-written")
    new.rename(path)
    _sync_folder(path.parent)


def _cut(content: bytes, count: int) -> bytes:
    """Return the first `count` entries of a bundle that may be torn behind them; ValueError when it has fewer."""
    at = 0
    for _ in range(count):
        if at + 2 > len(content):
            msg = "fewer entries than there should be"
            raise ValueError(msg)
        at += 2 + int.from_bytes(content[at : at + 2], "big")
    return content[:at]


def _write(path: Path, content: bytes, how: int) -> None:
    descriptor = os.open(path, _FLAGS | how, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
