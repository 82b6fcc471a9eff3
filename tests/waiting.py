"""Waiting, bounded, for what nobody tells of: patient with a machine that stands still, telling where things hang."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

HANGING_PYTHON: Final = {"PYTHONFAULTHANDLER": "1"}
"""The variable by which a Python process that is told to abort writes to standard error where its threads stand."""

_LOOK_SECONDS: Final = 0.02
_LOOKS: Final = 1_500  # half a minute of them; a machine that was stopped meanwhile has lost one and not all


def eventually(look: Callable[[], T | None]) -> T:
    """Look until something true is seen, and return it."""
    for _ in range(_LOOKS):
        if found := look():
            return found
        time.sleep(_LOOK_SECONDS)
    msg = "it did not come about"
    raise AssertionError(msg)


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
