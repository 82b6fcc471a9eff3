"""Starting on a store that holds data, and what a server needs while nobody asks for anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.errors import ServerFailedError
from bench.load.job import Load

if TYPE_CHECKING:
    from bench.cases.context import Bench
    from bench.servers.server import Server

SETTLE_SECONDS = 1.0


def start_to_ready(_bench: Bench, server: Server) -> Load:
    """Stop the server, start it on the same data; from the start of the process to the first good answer."""
    if server.owned is None:
        message = f"{server.name} was not started by this harness"
        raise ServerFailedError(message)
    return Load(operations=1, body_bytes=0, seconds=server.owned.restart())


def stay_idle(_bench: Bench, _server: Server) -> Load:
    """Do nothing for a while; the memory sampled meanwhile is the result."""
    time.sleep(SETTLE_SECONDS)
    return Load(operations=1, body_bytes=0, seconds=SETTLE_SECONDS)
