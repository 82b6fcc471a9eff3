"""The files of a code base: which there are, by which names they go, how they are read and how they are replaced.

This file alone touches them. Paths are relative to one root, with `/`: the folder of .holdfast.yaml or of the git
repository above the first path given, or the working folder. A folder is listed as git sees it, so that what git
ignores is not looked at; a file that is named is. Symbolic links in a folder are not followed: what they lead to is
either in the tree, and met there, or none of ours.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.pin.settings import NAME as SETTINGS_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_READ_BYTES: Final = 32 * 1024 * 1024
"""Of a file that is read at all; readers have a lower limit of their own, and say so."""

_NEVER: Final = frozenset({".git", ".hg", "node_modules", ".venv", ".terraform", "__pycache__", ".tox", ".mypy_cache"})
_GIT_SECONDS: Final = 30


class OutsideTree(Exception):
    """A file that would be changed and is not in the tree: a symbolic link that leads out of it."""


class SourceTree:
    """The files below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @classmethod
    def above(cls, given: Sequence[Path]) -> SourceTree:
        """Return the tree that paths are in."""
        here = Path.cwd()
        first = given[0] if given else here
        # The folder that a link lies in counts, not the one that it leads to.
        start = first.resolve() if first.is_dir() and not first.is_symlink() else _absolute(first).parent.resolve()
        for folder in (start, *start.parents):
            if (folder / SETTINGS_NAME).is_file() or (folder / ".git").exists():
                return cls(folder)
        return cls(here if start.is_relative_to(here) else start)

    def name(self, path: Path) -> str:
        """Return how a file is called in this tree; one outside is called by its whole path."""
        whole = _absolute(path)
        resolved = whole.parent.resolve() / whole.name
        return (resolved.relative_to(self.root) if resolved.is_relative_to(self.root) else resolved).as_posix()

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self.root / name

    def files(self, given: Sequence[Path], wanted: Callable[[str], bool]) -> list[str]:
        """Return the names of the files that were named, and of those wanted in the folders that were named."""
        names: dict[str, None] = {}
        for one in given:
            if one.is_dir():
                names |= dict.fromkeys(self._below(one, wanted))
            else:
                names[self.name(one)] = None
        return list(names)

    def _below(self, folder: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
        """Give the wanted files of a folder; only those are looked at on the disk."""
        prefix = self.name(folder)
        prefix = "" if prefix == "." else f"{prefix}/"
        listed = _as_git_lists(folder)
        root = str(self.root)
        for name in _walked(folder) if listed is None else listed:
            whole = prefix + name
            if wanted(whole) and _is_file(os.path.join(root, whole)):  # noqa: PTH118 - by the thousand
                yield whole

    def read(self, name: str) -> bytes:
        """Read a file; raises OSError. A link in the tree that leads elsewhere is read when it was named."""
        with self.path(name).open("rb") as file:
            return file.read(MAX_READ_BYTES + 1)

    def neighbour(self, name: str) -> bytes | None:
        """Read another file of the tree; None when it is not there, or not in the tree."""
        path = self.path(name)
        with suppress(OSError, ValueError):
            if path.resolve().is_relative_to(self.root) and path.is_file():
                return self.read(name)
        return None

    def replace(self, name: str, content: bytes) -> None:
        """Put new bytes in the place of a file's: whole or not at all, with its mode; raises OSError, OutsideTree.

        A link is left a link: what it leads to is replaced, if that is in the tree.
        """
        goal = self.path(name).resolve()
        if not goal.is_relative_to(self.root):
            msg = f"{name} is, or leads to, {goal}, which is not in {self.root}"
            raise OutsideTree(msg)
        mode = goal.stat().st_mode
        descriptor, temporary = tempfile.mkstemp(dir=goal.parent, prefix=f".{goal.name[:64]}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode & 0o7777)
                os.fsync(file.fileno())
            Path(temporary).replace(goal)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the last link too


def _as_git_lists(folder: Path) -> list[str] | None:
    """Ask git for the files of a folder, tracked or new, none that it ignores; None where there is no git to ask."""
    command = ("git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603 - no word of it comes from outside
    except (OSError, subprocess.TimeoutExpired):
        return None
    if ran.returncode != 0:
        return None
    return [os.fsdecode(name) for name in ran.stdout.split(b"\0") if name]


def _walked(folder: Path) -> Iterator[str]:
    top = str(folder)
    for here, folders, files in os.walk(top):
        folders[:] = sorted(set(folders) - _NEVER)
        prefix = os.path.relpath(here, top) + "/" if here != top else ""
        yield from (prefix + name for name in sorted(files))


def _is_file(path: str) -> bool:
    """Whether it is a plain file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
