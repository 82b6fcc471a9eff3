"""Real file systems of our own for a test: ext4 and xfs on loop devices whose power can be cut, and a small tmpfs.

Needs root, `mount`, and the tools that make the file system. Where these are not there, NotHere says which.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torture.part import NotHere

if TYPE_CHECKING:
    from collections.abc import Iterator

# Source: Linux, include/uapi/linux/fs.h and fs/xfs/libxfs/xfs_fs.h: the same number and flags on ext4, xfs and f2fs.
_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSHING_THE_LOG = 2
IMAGE_BYTES = {"ext4": 128 * 1024 * 1024, "xfs": 320 * 1024 * 1024}
"""xfs makes none smaller than 300 MiB. The files are sparse."""


@dataclass
class Mount:
    """A file system on a loop device."""

    kind: str
    image: Path
    path: Path
    is_cut: bool = False
    """Whether the power went, or is just going."""

    def mount(self) -> None:
        """Mount it; the log is replayed."""
        self.is_cut = False
        options = "loop,errors=remount-ro" if self.kind == "ext4" else "loop"
        _run("mount", "-o", options, "-t", self.kind, str(self.image), str(self.path))

    def unmount(self) -> None:
        """Unmount it."""
        _run("umount", str(self.path))

    def make_read_only(self) -> None:
        """Have ext4 find an error in itself: from now on it takes no writes, and gives what it has.

        Source: Linux, Documentation/ABI/testing/sysfs-fs-ext4, and ext4's option errors=remount-ro.
        """
        device = Path(_run("findmnt", "-no", "SOURCE", str(self.path)).strip()).name
        try:
            Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1", "ascii")
        except OSError as error:
            msg = f"ext4 cannot be told to find an error: {error}"
            raise NotHere(msg) from None

    def cut_the_power(self) -> None:
        """Let nothing more reach the disk, not even what the log holds in memory.

        A sync that waits for the log while this goes on may be told that it succeeded, and its bytes are lost: seen on
        both file systems with a program that does nothing but append and sync (7 of 50 cuts, Linux 6.18). A disk that
        lost its power would not answer at all; so what is answered from now on is not to be relied on.
        """
        self.is_cut = True
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(descriptor)


@contextmanager
def on_a_loop(kind: str) -> Iterator[Mount]:
    """Make a file system in a sparse file on a real disk and mount it."""
    _require_root()
    maker = shutil.which(f"mkfs.{kind}") or shutil.which(f"mkfs.{kind}", path="/usr/sbin:/sbin")
    if maker is None:
        msg = f"there is no mkfs.{kind}"
        raise NotHere(msg)
    with tempfile.TemporaryDirectory(prefix="holdfast-power-") as folder:
        made = Mount(kind, Path(folder) / "image", Path(folder) / "disk")
        with made.image.open("wb") as image:
            image.truncate(IMAGE_BYTES[kind])
        made.path.mkdir()
        _run(maker, "-q", str(made.image))
        made.mount()
        try:
            yield made
        finally:
            subprocess.run(["umount", "-l", made.path], check=False, capture_output=True)


@contextmanager
def small_tmpfs(size_bytes: int) -> Iterator[Path]:
    """Mount a file system in memory that is full soon."""
    _require_root()
    with tempfile.TemporaryDirectory(prefix="holdfast-full-") as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def _require_root() -> None:
    if os.geteuid() != 0:
        msg = "only root may mount"
        raise NotHere(msg)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{' '.join(command[:1])} failed: {done.stderr.strip()[:200]}"
        raise NotHere(msg)
    return done.stdout
