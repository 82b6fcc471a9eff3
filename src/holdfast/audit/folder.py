"""A ledger as a folder of plain files, in the layout of C2SP tlog-tiles: read, and written.

    checkpoint                  the signed checkpoint
    tile/0/..., tile/1/...      hash tiles
    tile/entries/...            the entries themselves
    document/SHA256             what was too large for an entry

This file alone knows that layout on a disk. Any static web server that serves the folder serves the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core import entry as entries
from holdfast.core.ledger_audit import FileMissing, document_path, references
from holdfast.core.tiles import TILE_WIDTH, bundles_of, split_bundle, tiles_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.core.checkpoint import Checkpoint
    from holdfast.core.ledger_audit import Fetch

CHECKPOINT: Final = "checkpoint"
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Of a file in a bundle: 256 entries of 64 KiB have 16 MiB; a document may be larger."""


class Folder:
    """Reads a folder; `fetch` is what an audit reads with."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, path: str) -> bytes:
        """Return a file. Raises FileMissing, OSError."""
        try:
            with (self._root / path).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            msg = f"{path} is missing"
            raise FileMissing(msg) from None
        if len(content) > MAX_FILE_BYTES:
            msg = f"{path} is larger than any file of a ledger"
            raise FileMissing(msg)
        return content


def export(
    fetch: Fetch, note: bytes, checkpoint: Checkpoint, root: Path, progress: Callable[[int], None] | None = None
) -> int:
    """Write a ledger as far as a checkpoint goes; return how many files were written. The checkpoint comes last.

    Whole tiles that are there are kept, so a folder can be brought up to date. Raises FileMissing, OSError.
    """
    written = 0
    for tile in tiles_of(checkpoint.size):
        written += _bring(fetch, root, tile.path, keep=tile.width == TILE_WIDTH)
    for bundle in bundles_of(checkpoint.size):
        written += _bring(fetch, root, bundle.path, keep=bundle.width == TILE_WIDTH)
        for sha256 in _documents((root / bundle.path).read_bytes()):
            written += _bring(fetch, root, document_path(sha256), keep=True)
        if progress is not None:
            progress(bundle.first_leaf + bundle.width)
    _write(root / CHECKPOINT, note)
    return written + 1


def _documents(bundle: bytes) -> list[str]:
    found: list[str] = []
    for content in split_bundle(bundle):
        try:
            found += [sha256 for sha256, _ in references(entries.read(content).facts)]
        except entries.EntryInvalid:
            continue
    return found


def _bring(fetch: Fetch, root: Path, path: str, *, keep: bool) -> int:
    goal = root / path
    if keep and goal.is_file():
        return 0
    goal.parent.mkdir(parents=True, exist_ok=True)
    _write(goal, fetch(path))
    return 1


def _write(goal: Path, content: bytes) -> None:
    draft = goal.with_name(goal.name + ".new")
    draft.write_bytes(content)
    draft.replace(goal)
