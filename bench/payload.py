"""Random bytes with known digests: one file behind every blob, each blob made unique by its last 32 bytes.

The digest of a new 1 GiB blob costs nothing: the hash state of the shared part is kept and the suffix added.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from bench.load.job import BlobPlan
from bench.profiles import MIB

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX_BYTES = 32


class Payload:
    """The source file and the hash states over its beginnings."""

    def __init__(self, path: Path, size_mib: int) -> None:
        """Write ``size_mib`` of random bytes to ``path``."""
        self.path = path
        self.size = size_mib * MIB
        with path.open("wb") as file:
            for _ in range(size_mib):
                file.write(os.urandom(MIB))
        self._states: dict[int, hashlib._Hash] = {}

    def blob(self, repository: str, size: int) -> BlobPlan:
        """A new blob of ``size`` bytes that no server has seen."""
        if not SUFFIX_BYTES < size <= self.size:
            message = f"a blob of {size} bytes does not fit a source of {self.size}"
            raise ValueError(message)
        suffix = os.urandom(SUFFIX_BYTES)
        state = self._state(size - SUFFIX_BYTES)
        state.update(suffix)
        return BlobPlan(repository, size, suffix.hex(), f"sha256:{state.hexdigest()}")

    def _state(self, length: int) -> hashlib._Hash:
        if length not in self._states:
            state = hashlib.sha256()
            with self.path.open("rb") as file:
                left = length
                while left:
                    piece = file.read(min(left, MIB))
                    state.update(piece)
                    left -= len(piece)
            self._states[length] = state
        return self._states[length].copy()

    def bytes_of(self, blob: BlobPlan, start: int, end: int) -> bytes:
        """The blob's bytes [start, end)."""
        suffix = bytes.fromhex(blob.suffix_hex)
        whole_end = blob.size - len(suffix)
        with self.path.open("rb") as file:
            file.seek(start)
            body = file.read(max(0, min(end, whole_end) - start))
        return body + (suffix[max(0, start - whole_end) : end - whole_end] if end > whole_end else b"")

    def write_copy(self, blob: BlobPlan, target: Path) -> None:
        """Lay the blob out as a file, for a server that serves files."""
        with target.open("wb") as file:
            for start in range(0, blob.size, 16 * MIB):
                file.write(self.bytes_of(blob, start, min(start + 16 * MIB, blob.size)))
