"""On a terminal commands ask before they destroy, and show bars; a pipe is not asked and gets lines."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import threading
from typing import TYPE_CHECKING

import images
from commands import PROGRAM, process_environment
from layouts import files_of, write_folder
from running import ACCOUNT, REGION
from waiting import HANGING_PYTHON, ends

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands


def on_a_terminal(url: str, *arguments: str, typed: str = "") -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what stood there."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def watch() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65_536):
                shown.append(piece)

    with subprocess.Popen(
        [*PROGRAM, *arguments],
        env={**process_environment(url), **HANGING_PYTHON, "TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        watcher = threading.Thread(target=watch)
        watcher.start()
        if typed:
            os.write(ours, typed.encode())
        hangs = ends(process, 60)
        watcher.join(10)
    os.close(ours)
    said = b"".join(shown).decode()
    assert hangs is None, f"{arguments} did not end. It said:\n{said}\nHere:\n{hangs}"
    return process.returncode, said


def test_deleting_is_asked_for(holdfast: Commands, repository: str) -> None:
    url = holdfast.environment["HOLDFAST_ENDPOINT"]
    holdfast("repo", "create", repository)
    code, shown = on_a_terminal(url, "repo", "delete", repository, typed="n\n")
    assert code == 3
    assert f"Delete the repository {repository} at {url}? [y/N]" in shown
    assert "Nothing was deleted." in shown
    assert holdfast("tags", repository).code == 0
    code, shown = on_a_terminal(url, "repo", "delete", repository, typed="y\n")
    assert code == 0
    assert f"{repository} was deleted." in shown


def test_forgetting_is_asked_for_unless_told_not_to(holdfast: Commands, repository: str) -> None:
    url = holdfast.environment["HOLDFAST_ENDPOINT"]
    holdfast("repo", "create", repository)
    code, shown = on_a_terminal(url, "forget", f"{repository}:v1", typed="\n")
    assert code == 3
    assert f"Let any image take the name {repository}:v1" in shown
    code, shown = on_a_terminal(url, "forget", f"{repository}:v1", "--yes")
    assert code == 3
    assert "waits for its digest" in shown


def test_a_transfer_shows_bars(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    url = holdfast.environment["HOLDFAST_ENDPOINT"]
    image = images.image(os.urandom(2_000_000))
    source = write_folder(tmp_path / "layout", files_of((None, image)))
    code, shown = on_a_terminal(url, "push", str(source), f"{repository}:v1")
    assert code == 0
    assert "━" in shown
    assert f"{repository}:v1 names {image.digest}" in shown
    piped = holdfast("push", str(source), f"{repository}:v2")
    assert "━" not in piped.err
    assert piped.err.count("already there\n") == 2


def test_a_table_on_a_terminal_keeps_whole_cells(holdfast: Commands, repository: str) -> None:
    holdfast("repo", "create", repository)
    code, shown = on_a_terminal(holdfast.environment["HOLDFAST_ENDPOINT"], "repo", "list")
    assert code == 0
    assert repository in shown
    assert "…" not in shown


def test_an_inventory_shows_a_bar(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    url = holdfast.environment["HOLDFAST_ENDPOINT"]
    holdfast("repo", "create", repository)
    code, shown = on_a_terminal(url, "inventory", "--region", REGION, "--out", str(tmp_path / "estate.jsonl"))
    assert code == 0
    assert "1 of 1 places" in shown
    assert f"{ACCOUNT}  {REGION}" in shown
