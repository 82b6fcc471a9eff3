"""The file of an inventory, written line by line while it is taken, and gone on with after a run that did not end.

This file alone writes it. Lines are whole or not there: each is one write. A run that goes on keeps what was read and
drops what failed, so that this is tried again; the old file is replaced only when the new one has all that was kept.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from holdfast.govern import estate
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.estate import End, Failure, Head, RegistryRecord, RepositoryRecord

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType


@dataclass(slots=True)
class Kept:
    """What a run before left: its repositories by key, and when it was begun."""

    taken_at: datetime
    lines: list[bytes] = field(default_factory=list)
    done: set[tuple[str, str, str]] = field(default_factory=set)


class EstateFile:
    """A new file, which takes the place of an old one when it is opened. Raises OSError."""

    def __init__(self, path: Path, taken_at: datetime, kept: Kept | None = None) -> None:
        """`kept` is what to go on with."""
        self._lock = threading.Lock()
        beside = path.with_name(f"{path.name}.part")
        self._file = beside.open("wb", buffering=0)
        self.done = kept.done if kept else set()
        self.registries = self.failures = 0
        self.repositories = len(self.done)
        self._file.write(estate.write_line(Head(kept.taken_at if kept else taken_at)))
        if kept:
            self._file.write(b"".join(kept.lines))
        os.replace(beside, path)  # noqa: PTH105 - a path that is open

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        """Write a record, from any thread."""
        line = estate.write_line(record)
        with self._lock:
            self._file.write(line)
            if isinstance(record, RegistryRecord):
                self.registries += 1
            elif isinstance(record, RepositoryRecord):
                self.repositories += 1
            else:
                self.failures += 1

    def finish(self, at: datetime) -> None:
        """Write the last line."""
        self._file.write(estate.write_line(End(self.registries, self.repositories, self.failures, at)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._file.close()


def kept(path: Path) -> Kept | None:
    """Read what a run before left; None when there is no file. A last line that was cut off is dropped.

    Registries are read anew, so only repositories are kept, and of these only those of which everything could be read.
    Raises DocumentInvalid for a file that is no inventory, OSError.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        found: Kept | None = None
        lines: dict[tuple[str, str, str], bytes] = {}
        failed: set[tuple[str, str, str]] = set()
        for number, content in enumerate(file, 1):
            if not content.endswith(b"\n"):
                break
            try:
                line = estate.read_line(content)
            except DocumentInvalid as error:
                msg = f"{path}, line {number}: {error}"
                raise DocumentInvalid(msg) from None
            if isinstance(line, Head):
                found = Kept(line.taken_at)
            elif isinstance(line, RepositoryRecord):
                lines[line.key] = content
            elif isinstance(line, Failure) and line.repository is not None:
                failed.add((line.account, line.region, line.repository))
        if found is None:
            msg = f"{path} is no inventory"
            raise DocumentInvalid(msg)
        found.done = lines.keys() - failed
        found.lines = [lines[key] for key in lines if key in found.done]
        return found
    return None
