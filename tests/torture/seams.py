"""The two seams at which Holdfast meets a disk, watched: its calls of the operating system, and SQLite's VFS.

Every effect (a file made, bytes written, a sync, a link, an unlink, a truncation) passes through one `Disk.effect`,
where a subclass may write it down, or let it fail before or after it took place.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REAL: Final = "unix"
_DATABASE: Final = (apsw.SQLITE_OPEN_MAIN_DB, apsw.SQLITE_OPEN_WAL)


class Disk:
    """Hears of every effect. The base class lets all of them happen."""

    @contextmanager
    def effect(self, kind: str, path: str, **facts: Any) -> Iterator[None]:
        """Be around an effect: before the `yield` it has not happened."""
        del kind, path, facts
        yield

    def shortens(self) -> bool:
        """Whether the write that comes now takes only half of its bytes."""
        return False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put this disk under everything that is opened in the block."""
        vfs = _VFS(self)
        modules: list[Any] = [
            module
            for name, module in sys.modules.items()
            if name.startswith(("holdfast.store.", "holdfast.registry.")) and getattr(module, "os", None) is os
        ]
        watched = _System(self)
        try:
            for module in modules:
                module.os = watched
            yield
        finally:
            for module in modules:
                module.os = os
            vfs.unregister()


class _System:
    """The module `os`, as Holdfast sees it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        path = os.fspath(path)
        if flags & os.O_CREAT and not os.path.lexists(path):
            with self._disk.effect("create", path):
                descriptor = os.open(path, flags, mode)
        else:
            descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = path
        return descriptor

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def pwritev(self, descriptor: int, pieces: Sequence[bytes], position: int) -> int:
        return self.pwrite(descriptor, b"".join(pieces), position)

    def pwrite(self, descriptor: int, content: bytes, position: int) -> int:
        if self._disk.shortens() and len(content) > 1:
            content = content[: len(content) // 2]
        with self._disk.effect("write", self._path(descriptor), at=position, content=bytes(content)):
            return os.pwrite(descriptor, content, position)

    def ftruncate(self, descriptor: int, size: int) -> None:
        with self._disk.effect("truncate", self._path(descriptor), size=size):
            os.ftruncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        with self._disk.effect("sync", self._path(descriptor)):
            os.fsync(descriptor)

    def link(self, source: Any, target: Any, **more: Any) -> None:
        with self._disk.effect("link", os.fspath(target), source=os.fspath(source)):
            os.link(source, target, **more)

    def unlink(self, path: Any) -> None:
        if os.path.lexists(path):
            with self._disk.effect("unlink", os.fspath(path)):
                os.unlink(path)
        else:
            os.unlink(path)

    def rename(self, source: Any, target: Any) -> None:
        with self._disk.effect("rename", os.fspath(target), source=os.fspath(source)):
            os.rename(source, target)

    def _path(self, descriptor: int) -> str:
        return self._paths.get(descriptor, "?")


class _VFS(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(f"holdfast-watched-{id(self)}", _REAL, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not flags[0] & (_DATABASE[0] | _DATABASE[1]):
            return apsw.VFSFile(_REAL, name, flags)
        if os.path.lexists(path):
            return _File(self._disk, path, name, flags)
        with self._disk.effect("create", path):
            return _File(self._disk, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        with self._disk.effect("unlink", filename):
            super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = path
        super().__init__(_REAL, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with self._disk.effect("write", self._name, at=offset, content=bytes(data)):
            super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with self._disk.effect("truncate", self._name, size=newsize):
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        with self._disk.effect("sync", self._name):
            super().xSync(flags)


class FailingDisk(Disk):
    """The n-th effect fails: it did not happen (`lost`), or it did and is reported not to have (`kept`)."""

    def __init__(self, number: int, mode: str, error: int, *, for_good: bool) -> None:
        """`number` 0 fails nothing; `for_good` lets every effect from the n-th on fail, as a disk that died."""
        self._number = number
        self._mode = mode
        self._error = error
        self._for_good = for_good
        self.seen = 0
        self.failed = ""
        self.counter: Any = None
        """A number shared with another process, if one wants to know."""

    def shortens(self) -> bool:
        """Whether the next effect is a write that is to come short."""
        return self._mode == "short" and self.seen + 1 == self._number

    @contextmanager
    def effect(self, kind: str, path: str, **facts: Any) -> Iterator[None]:
        """Count, and fail in its turn."""
        del facts
        self.seen += 1
        if self.counter is not None:
            self.counter.value = self.seen
        fails = self._number > 0 and (self.seen == self._number or (self._for_good and self.seen > self._number))
        if fails:
            self.failed = self.failed or f"{kind} of {os.path.basename(path)}"
        if fails and self._mode == "lost":
            raise self._as_error(path)
        yield
        if fails and self._mode == "kept":
            raise self._as_error(path)

    def _as_error(self, path: str) -> Exception:
        if "holdfast.db" in path:
            return apsw.FullError("no room") if self._error == errno.ENOSPC else apsw.IOError("the disk failed")
        return OSError(self._error, os.strerror(self._error), path)
