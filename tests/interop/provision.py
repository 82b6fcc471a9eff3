"""Getting the clients: each by the ordinary tool of its source, none by a download of our own.

This file alone installs. A client that cannot be had is named with the reason; it never fails the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .clients import (
    CLIENTS,
    BroughtAlong,
    Client,
    DebianPackage,
    Found,
    GoProgram,
    PythonPackage,
    find,
    home,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INSTALL_SECONDS: Final = 3600.0
REASON_CHARACTERS: Final = 300


class NotInstallable(Exception):
    """A client that this machine cannot install; the message is the reason."""


def main() -> int:
    """Install what is missing, then print what is there and what was left out; always 0."""
    reasons: dict[str, str] = {}
    for client in CLIENTS:
        if isinstance(find(client), Found):
            continue
        say(f"installing {client.name} ...")
        try:
            install(client)
        except NotInstallable as refusal:
            reasons[client.name] = str(refusal)
    say(render(reasons))
    return 0


def say(text: str) -> None:
    """Tell the person at once: a build may take minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def install(client: Client) -> None:
    """Install one client by its source; raises NotInstallable with the reason."""
    match client.source:
        case DebianPackage(package):
            install_from_debian(package)
        case GoProgram() as program:
            install_with_go(program)
        case PythonPackage(requirement):
            install_with_pip(requirement)
        case BroughtAlong(how):
            raise NotInstallable(how)


def install_from_debian(package: str) -> None:
    """Install with apt-get; services are not started where the machine has no service manager running."""
    if shutil.which("apt-get") is None:
        message = f"no apt-get here; install '{package}' with this machine's own package tool"
        raise NotInstallable(message)
    if os.geteuid() != 0:
        message = f"needs root: apt-get install {package}"
        raise NotInstallable(message)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    if not _has_candidate(package):
        attempt(["apt-get", "update"], environment)
    attempt(["apt-get", "install", "--yes", "--no-install-recommends", package], environment)


def install_with_go(program: GoProgram) -> None:
    """Build with the Go toolchain into a folder of the program's own."""
    go = shutil.which("go")
    if go is None:
        message = "no Go toolchain on PATH"
        raise NotInstallable(message)
    program.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="holdfast-go-") as scratch:
        environment = {**os.environ, "GOBIN": str(program.folder), "CGO_ENABLED": "0"}
        pinned = [f"{package}@{program.version}" for package in program.packages]
        if not program.excludes:
            attempt([go, "install", *pinned], environment, Path(scratch))
            return
        attempt([go, "mod", "init", "scratch"], environment, Path(scratch))
        attempt([go, "get", *pinned], environment, Path(scratch))
        attempt([go, "install", *program.packages], environment, Path(scratch))


def install_with_pip(requirement: str) -> None:
    """Install into the clients' own virtual environment."""
    python = home() / "python" / "bin" / "python"
    if not python.exists():
        attempt([sys.executable, "-m", "venv", str(python.parents[1])], os.environ)
    attempt([str(python), "-m", "pip", "install", "--quiet", requirement], os.environ)


def attempt(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> None:
    """Run an installer's command; raises NotInstallable with the last line that it printed."""
    try:
        ended = subprocess.run(
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        message = f"'{' '.join(command)}' could not be run: {failure}"
        raise NotInstallable(message) from failure
    if ended.returncode != 0:
        printed = " ".join((ended.stdout + ended.stderr).split())[-REASON_CHARACTERS:]
        message = f"'{' '.join(command)}' ended with {ended.returncode}: {printed}"
        raise NotInstallable(message)


def render(reasons: Mapping[str, str]) -> str:
    """The table of what is there, and the list of what was left out."""
    here, gone = ["here:"], ["left out:"]
    for client in CLIENTS:
        found = find(client)
        if isinstance(found, Found):
            where = ", ".join(str(path) for path in found.programs.values())
            here.append(f"  {client.name:<45} {found.version:<28} {where}")
        else:
            gone.append(f"  {client.name:<45} {reasons.get(client.name, found.reason)}")
    return "\n".join([*here, *(gone if len(gone) > 1 else ["left out: nothing"])])


def _has_candidate(package: str) -> bool:
    shown = subprocess.run(
        ["apt-cache", "show", package],
        capture_output=True,
        check=False,
    )
    return shown.returncode == 0
