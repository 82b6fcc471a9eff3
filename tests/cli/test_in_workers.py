"""Work in processes of their own: what hangs, dies or eats memory is named, and the rest is done."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from holdfast.cli.examining import Job, examined
from holdfast.cli.in_workers import Failed, InWorkers
from holdfast.cli.source_tree import SourceTree
from holdfast.pin.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def _work(number: int) -> int:
    if number == 3:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
        while True:
            time.monotonic()
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 7:
        return len(bytes(1 << 40))
    return number * number


def test_what_hangs_dies_or_eats_memory_is_named_and_the_rest_is_done() -> None:
    with InWorkers(_work, 200, seconds=0.5) as workers:
        found = dict(workers.results())
    assert sorted(found) == list(range(200))
    failed = {number: one.reason for number, one in found.items() if isinstance(one, Failed)}
    assert failed == {
        3: "Reading it takes longer than 0.5 seconds.",
        5: "Its reader ended by itself (exit -9).",
        7: "Reading it takes more than 4 GiB of memory.",
    }
    assert all(found[number] == number * number for number in found if number not in failed)


def test_bombs_are_named_and_the_run_goes_on(tmp_path: Path) -> None:
    bombs = {
        "aliases.yaml": "kind: Pod\napiVersion: v1\na0: &a0 {image: x}\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)),
        "deep.yaml": "image: " + "[" * 200_000,
        "values.yaml": "image:\n" + "".join(" " * n + "a:\n" for n in range(1, 2000)),
        "deep.json": '{"image":' * 100_000,
        "a.tf": 'image = "' + "${" * 100_000,
        "b.tf": "image = " + "[" * 100_000,
        "Dockerfile": "ARG A0=xx\n"
        + "".join(f"ARG A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 60))
        + "FROM $A59\n"
        + "RUN <<A <<B <<C\n",
        "Dockerfile.lines": "FROM \\\n" * 100_000,
        "run.sh": "docker run " + "$(" * 50_000,
        "quotes.sh": "docker pull " + "\"'`" * 50_000,
        "Jenkinsfile": "docker.image(" + "'''\\" * 50_000,
        "Makefile": "docker = $(" * 50_000,
        "good.yaml": "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'nginx:1'}]}\n",
    }
    for name, text in bombs.items():
        (tmp_path / name).write_text(text)
    start = time.monotonic()
    done = examined(Job(SourceTree(tmp_path), Settings(), keep=True), [tmp_path])
    found = {one.examined.path: one.examined for one in done}
    assert time.monotonic() - start < 60
    assert found.keys() == bombs.keys()
    good = found["good.yaml"].case
    assert good is not None
    assert [one.image for one in good.mentions] == ["nginx:1"]
    assert found["deep.yaml"].unreadable == "It is nested deeper than 200 levels."
    assert found["deep.json"].unreadable == "It is nested deeper than 200 levels."
    assert "heredoc" in (found["Dockerfile"].unreadable or "")
