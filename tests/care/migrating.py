"""Migrates a data directory to a schema with scripts of a test, and kills itself at the n-th statement of them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import apsw

from holdfast import care
from holdfast.store import sqlite


def with_scripts(folder: Path) -> None:
    """Let the scripts in a folder follow the real ones."""
    real = sqlite._scripts
    sqlite._scripts = lambda: [*real(), *sorted(folder.glob("*.sql"))]


def die_at(number: int) -> None:
    """Kill this process before the n-th statement that changes something."""
    seen = 0

    def trace(_cursor: Any, statement: str, _values: Any) -> bool:
        nonlocal seen
        if statement.lstrip().upper().startswith(("CREATE", "INSERT", "UPDATE", "ALTER", "PRAGMA USER_VERSION =")):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return True

    apsw.connection_hooks.append(lambda connection: setattr(connection, "exec_trace", trace))


if __name__ == "__main__":
    with_scripts(Path(sys.argv[2]))
    die_at(int(sys.argv[3]))
    care.migrate(Path(sys.argv[1]))
