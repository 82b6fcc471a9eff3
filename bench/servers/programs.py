"""Where the servers' programs come from: the path, a named override, or the Go module proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UnavailableError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast" / "bench"
"""Built programs and the test image are kept here between runs."""
BUILD_SECONDS = 1200.0


@dataclass(frozen=True)
class GoProgram:
    """A program that ``go install`` can build. ``override`` names the variable that gives a ready binary's path."""

    package: str
    version: str
    binary: str
    saved_as: str
    override: str


DISTRIBUTION3 = GoProgram(
    "github.com/distribution/distribution/v3/cmd/registry", "v3.1.2", "registry", "distribution3", "HOLDFAST_BENCH_D3"
)
ZOT = GoProgram("zotregistry.dev/zot/v2/cmd/zot", "latest", "zot", "zot", "HOLDFAST_BENCH_ZOT")


def find_program(name: str, override: str, advice: str) -> str:
    """The program named by the environment variable ``override``, else the one on the path."""
    found = os.environ.get(override) or shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if not found:
        message = f"{name} is not installed ({advice}, or set {override} to its path)"
        raise UnavailableError(message)
    return found


def go_program(wanted: GoProgram) -> str:
    """The program from the override, the cache, or a fresh ``go install`` (minutes, once)."""
    given = os.environ.get(wanted.override)
    if given:
        return given
    saved = CACHE / wanted.saved_as
    if saved.exists():
        return str(saved)
    if shutil.which("go") is None:
        message = f"no Go toolchain to build {wanted.package} (or set {wanted.override} to a ready binary)"
        raise UnavailableError(message)
    build = CACHE / f"build-{wanted.saved_as}"
    build.mkdir(parents=True, exist_ok=True)
    finished = subprocess.run(
        ["go", "install", f"{wanted.package}@{wanted.version}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
        cwd=build,
        env={**os.environ, "GOBIN": str(build)},
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["no message"]
        message = f"go install {wanted.package}@{wanted.version} failed: {lines[0][:240]}"
        raise UnavailableError(message)
    (build / wanted.binary).rename(saved)
    return str(saved)


def printed_version(argv: list[str]) -> str:
    """The first line a program prints about itself."""
    finished = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    lines = (finished.stdout + finished.stderr).strip().splitlines()
    return lines[0].removeprefix("nginx version: ").removeprefix(argv[0]).strip() if lines else "unknown"


def holdfast_version(program: str) -> str:
    """Holdfast's own version and, in a checkout, the commit."""
    version = printed_version([program, "-m", "holdfast", "--version"])
    root = Path(__file__).resolve().parents[2]
    finished = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        timeout=30,
    )
    commit = finished.stdout.strip()
    return f"{version} ({commit})" if commit else version
