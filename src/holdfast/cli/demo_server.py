"""The throw-away registry of the demonstration: a real `holdfast serve`, in a process and folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import holdfast
from holdfast.cli.exits import Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A registry that is up."""

    folder: Path
    url: str
    region: str
    key_id: str
    secret: str
    process_id: int


@contextlib.contextmanager
def throwaway(*, keep: bool) -> Iterator[DemoServer]:
    """Run a registry until the block ends; then it is stopped and its folder removed, unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    key_id, secret = "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
    process = _start(folder, key_id, secret)
    kept = False
    try:
        url = _url_of(folder, process)
        yield DemoServer(folder, url, REGION, key_id, secret, process.pid)
        kept = keep
    finally:
        if not kept:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, key_id: str, secret: str) -> subprocess.Popen[bytes]:
    """Start the program as anyone would; settings of another server in the environment do not reach it."""
    source = str(Path(str(holdfast.__file__)).parent.parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment |= {
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": key_id,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": secret,
        "PYTHONPATH": os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "holdfast", "serve", "--json", "--host", "127.0.0.1", "--port", "0"]
    command += ["--data", str(folder / "data"), "--region", REGION, "--shutdown-seconds", "5"]
    with (folder / "told.json").open("wb") as told, (folder / "server.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment, stdin=subprocess.DEVNULL, stdout=told, stderr=log, start_new_session=True
        )


def _url_of(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the server tells where it listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        line, end, _ = (folder / "told.json").read_text("utf-8").partition("\n")
        if end:
            return str(json.loads(line)["url"])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    log = (folder / "server.log").read_text("utf-8", "replace")[-2_000:]
    msg = f"The registry of the demonstration did not start. Its log ends with:\n{log}"
    raise Unfinished(msg)
