"""What a witness remembers: one file a log, its name the SHA-256 of the log's origin. This file alone touches them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from holdfast.store.ledger_files import replace_file

if TYPE_CHECKING:
    from pathlib import Path


class WitnessFiles:
    """The folder of a witness. One caller at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "logs"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def last(self, origin: str) -> bytes | None:
        """Return the last checkpoint of a log that was cosigned."""
        try:
            return self._path(origin).read_bytes()
        except FileNotFoundError:
            return None

    def remember(self, origin: str, note: bytes) -> None:
        """Keep a checkpoint in the place of the last; durable when this returns. Raises OSError."""
        replace_file(self._path(origin), note)

    def _path(self, origin: str) -> Path:
        return self._folder / hashlib.sha256(os.fsencode(origin)).hexdigest()
