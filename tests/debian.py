"""One program out of a Debian package, for tests that need it: fetched and unpacked, not installed.

Nothing of the machine changes, no service is started, and root is not needed. The program must stand alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FETCH_SECONDS = 120
KEPT = Path(sys.prefix) / "debian"
"""In the virtual environment, so that a package is fetched once."""


def program(name: str, package: str) -> str | None:
    """Return the path of a program of this machine, or of one that lies below /usr/bin in a package; None without."""
    found = shutil.which(name, path=str(KEPT)) or shutil.which(name)
    if found is not None or shutil.which("apt-get") is None:
        return found
    with tempfile.TemporaryDirectory(prefix="holdfast-debian-") as scratch:
        try:
            _run(["apt-get", "download", "--quiet", package], scratch)
            fetched = next(Path(scratch).glob("*.deb"))
            _run(["dpkg-deb", "--extract", str(fetched), "unpacked"], scratch)
        except (subprocess.SubprocessError, OSError, StopIteration):
            return None
        inside = Path(scratch) / "unpacked" / "usr" / "bin" / name
        if not inside.is_file():
            return None
        KEPT.mkdir(exist_ok=True)
        half = KEPT / f"{name}.new"
        shutil.copy(inside, half)
        half.rename(KEPT / name)
    return str(KEPT / name)


def _run(command: list[str], folder: str) -> None:
    subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=FETCH_SECONDS, check=True
    )
