"""`holdfast witness`: watch that ledgers only grow, for somebody else's registry."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.serve import JSONLines
from holdfast.cli.teaching import TeachingCommand
from holdfast.witness_server import WitnessServer, WitnessSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            'holdfast witness --name witness.example.org/holdfast --log "$(holdfast ledger key)"',
            "holdfast witness --name w1.example.org --data /srv/witness --log VKEY --log VKEY",
        )
    },
)
@click.option("--name", required=True, metavar="NAME", help="Name of the witness, by custom an address without scheme.")
@click.option("--log", "logs", required=True, multiple=True, metavar="VKEY", help="Verifier key of a log to watch.")
@click.option(
    "--data",
    envvar="HOLDFAST_WITNESS_DATA",
    default="./holdfast-witness",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of its key and of what it saw; made when missing.  [HOLDFAST_WITNESS_DATA]",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option("--port", default=5080, show_default=True, metavar="PORT", help="Port to listen on; 0 picks a free one.")
@json_option
def witness(name: str, logs: Sequence[str], data: Path, host: str, port: int, *, as_json: bool) -> int:
    """Watch that ledgers only grow, and sign that you saw it.

    Run it on a machine that the registry's operators do not control: whoever can change the registry, its ledger and
    its key together is caught by what a witness remembers, and by nothing else. It sees sizes and hashes, never an
    entry. It speaks plain HTTP; put a proxy with TLS before it. What it tells first goes into the policies of the
    registry (setting ledger_policy) and of the auditors.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    settings = WitnessSettings(data, name, host, port, logs)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, as_json=as_json))


async def _run(settings: WitnessSettings, *, as_json: bool) -> int:
    server = WitnessServer(settings)
    await server.start()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    line = f"witness W {server.vkey} {server.url}"
    told = {"url": server.url, "vkey": server.vkey, "policy_line": line}
    click.echo(
        json.dumps(told)
        if as_json
        else f"The witness listens on {server.url}. Its line of a policy; W is a name of your choice:\n  {line}"
    )
    await stopping.wait()
    await server.stop()
    return Exit.DONE
