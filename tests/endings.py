"""Waiting for the end of a process: patient with a machine that stands still, and telling where a process hangs."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import tempfile

HANGING_PYTHON = {"PYTHONFAULTHANDLER": "1"}
"""The variable by which a Python process that is told to abort writes to standard error where its threads stand."""


def ends(process: subprocess.Popen[bytes], seconds: int) -> str | None:
    """Wait for a process to end; return None, or where the threads of this process stood when the time was over.

    A machine that is stopped for a while costs one second of the time and not all of it. A process that has not ended
    is told to abort.
    """
    for _ in range(seconds):
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
        return None
    with tempfile.TemporaryFile("w+") as stacks:
        faulthandler.dump_traceback(stacks)
        stacks.seek(0)
        here = stacks.read()
    process.send_signal(signal.SIGABRT)
    process.wait(seconds)
    return here
