"""What the ledger costs: `python -m bench.ledger [--entries N] [--seconds S]`, on this machine, printed as one table.

Tag writes a second and their latencies, with answers that wait for the published ledger and with such that do not; how
long a ledger of N entries takes to be verified from scratch; how long a page of one tag's past takes in it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.load.wire import Origin, Wire
from bench.load.writes import put_blob
from holdfast.core import entry, tiles
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import Frontier, leaf_hash
from holdfast.core.signed_note import Note
from holdfast.registry.gate import Gate
from holdfast.registry.ledger import Ledger
from holdfast.registry.ledger_keys import LedgerKeys
from holdfast.store import catalog, entries
from holdfast.store.entries import EntryKind
from holdfast.store.ledger_files import LedgerFiles
from holdfast.store.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.database import Transaction

KEY = ("AKIABENCHLEDGER23456", "a-secret-for-a-bench-server")
TYPE = "application/vnd.oci.image.manifest.v1+json"


def timed(what: str, work: Callable[[], Any]) -> tuple[str, float, Any]:
    """Do something; return what it was, its seconds, and its result."""
    begun = time.perf_counter()
    result = work()
    return what, time.perf_counter() - begun, result


def tag_writes(answers: str, connections: int, seconds: float, data: Path) -> dict[str, float]:
    """Bind new tags to one manifest, each over a connection that is kept; return rates and milliseconds."""
    command = [sys.executable, "-m", "holdfast", "serve", "--json", "--port", "0", "--data", str(data)]
    variables = {
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY[0],
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": KEY[1],
        "HOLDFAST_CREATE_ON_PUSH": "IMMUTABLE",
        "HOLDFAST_LEDGER_ANSWERS": answers,
        "HOLDFAST_LOG_LEVEL": "warning",
        "HOLDFAST_REQUESTS_PER_SECOND": "0",
    }
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline() if process.stdout is not None else ""
        port = int(json.loads(first)["url"].rpartition(":")[2])
        authorization = "Basic " + base64.b64encode(":".join(KEY).encode()).decode()
        origin = Origin("127.0.0.1", port, authorization)
        with Wire(origin) as wire:
            config, layer = put_blob(wire, "bench/app", b"{}"), put_blob(wire, "bench/app", b"x" * 4096)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": TYPE,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
                "layers": [
                    {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 4096},
                ],
            }
        ).encode()
        latencies, elapsed = asyncio.run(_swarm(origin, manifest, connections, seconds))
    finally:
        process.terminate()
        process.wait(30)
    latencies.sort()
    count = len(latencies)
    return {
        "per_second": round(count / elapsed),
        "p50_ms": round(latencies[count // 2] * 1e3, 1),
        "p99_ms": round(latencies[int(count * 0.99)] * 1e3, 1),
        "within_250_ms_percent": round(100 * sum(one <= 0.25 for one in latencies) / count, 2),
    }


async def _swarm(origin: Origin, manifest: bytes, connections: int, seconds: float) -> tuple[list[float], float]:
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(origin.host, origin.port)
        done = 0
        while time.perf_counter() < end:
            done += 1
            head = (
                f"PUT /v2/bench/app/manifests/t-{number}-{done} HTTP/1.1\r\nHost: bench\r\n"
                f"Authorization: {origin.authorization}\r\nContent-Type: {TYPE}\r\n"
                f"Content-Length: {len(manifest)}\r\n\r\n"
            )
            begun = time.perf_counter()
            writer.write(head.encode() + manifest)
            answer = await reader.readuntil(b"\r\n\r\n")
            latencies.append(time.perf_counter() - begun)
            if b" 201 " not in answer[:20]:
                raise RuntimeError(answer)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(connections)))
    return latencies, time.perf_counter() - begun


async def fill(data: Path, count: int) -> tuple[float, float]:
    """Write and publish a ledger of `count` entries; return the seconds of writing and of sequencing."""
    database = SQLiteDatabase(data / "holdfast.db")
    registry = await database.write(lambda txn: catalog.ensure_registry(txn, "123456789012", "eu-central-1", 1))
    digest = "sha256:" + hashlib.sha256(b"").hexdigest()
    facts = {
        "principal": "arn:aws:iam::123456789012:user/ci",
        "access_key": KEY[0],
        "source": "192.0.2.17",
        "through": "oci",
        "media_type": TYPE,
        "bytes": 1234,
        "before": None,
        "held": True,
        "rule": "free-name",
        "reason": "the tag is new",
    }

    def page(first: int) -> Callable[[Transaction], None]:
        def job(txn: Transaction) -> None:
            for number in range(first, min(count, first + 1_000)):
                body = {**facts, "at": 1_700_000_000_000_000 + number, "digest": digest}
                where = {"repository": f"team/app-{number % 100}", "tag": f"v{number // 100 % 1_000}"}
                entries.append(txn, registry.id, EntryKind.TAG_BOUND, body, **where)

        return job

    begun = time.perf_counter()
    for first in range(0, count, 1_000):
        await database.write(page(first))
    written = time.perf_counter()
    ledger = Ledger(
        database, LedgerFiles(data / "ledger"), LedgerKeys(data, "bench"), "bench", Gate(), lambda: 1, waits=False
    )
    await ledger.open()
    while ledger.published_size < count:
        await ledger.step()
    done = time.perf_counter()
    database.close()
    return written - begun, done - written


def verify(data: Path) -> int:
    """Verify from the published bytes alone: every entry read, hashed and replayed, the root built and compared."""
    checkpoint = Checkpoint.of(Note.parse((data / "ledger" / "checkpoint").read_bytes()))
    frontier = Frontier()
    named: dict[tuple[str, str], str] = {}
    for tile in tiles.bundles_of(checkpoint.size):
        content = (data / "ledger" / "entries" / tiles.encode_number(tile.number)).read_bytes()
        leaves = tiles.split_bundle(content)
        frontier, _ = frontier.extend(map(leaf_hash, leaves))
        for leaf in leaves:
            one = json.loads(leaf)
            named[one["repository"], one["tag"]] = one["digest"]
    if frontier.root() != checkpoint.root:
        message = "the root is another"
        raise RuntimeError(message)
    return len(named)


def strict(data: Path) -> int:
    """Read every entry in its strict form, which an audit also does."""
    checkpoint = Checkpoint.of(Note.parse((data / "ledger" / "checkpoint").read_bytes()))
    return sum(entry.read(leaf).number > 0 for leaf in LedgerFiles(data / "ledger").entries(checkpoint.size))


async def history(data: Path, rounds: int) -> float:
    """Return the milliseconds of a page of one tag's past, at the middle of some."""
    database = SQLiteDatabase(data / "holdfast.db")
    taken = []
    for number in range(rounds):
        begun = time.perf_counter()
        found = entries.entries(database, 1, f"team/app-{number % 100}", f"v{number}", before=2**62, limit=100)
        taken.append(time.perf_counter() - begun)
        if not found:
            message = "the page is empty"
            raise RuntimeError(message)
    database.close()
    return sorted(taken)[rounds // 2] * 1e3


@dataclasses.dataclass
class Row:
    """One line of the table."""

    what: str
    figure: str


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        for connections in (1, 16, 64, 256):
            for answers in ("published", "committed"):
                data = Path(folder) / f"{answers}-{connections}"
                told = tag_writes(answers, connections, given.seconds, data)
                rows.append(Row(f"tag writes, c={connections}, answered when {answers}", json.dumps(told)))
                print(rows[-1].what, rows[-1].figure, flush=True)
        data = Path(folder) / "large"
        data.mkdir()
        writing, sequencing = asyncio.run(fill(data, given.entries))
        rows += [
            Row(f"{given.entries} entries written", f"{writing:.1f} s"),
            Row("given their places, signed, published", f"{sequencing:.1f} s"),
            Row("verified from scratch", f"{timed('', lambda: verify(data))[1]:.1f} s"),
            Row("read in their strict form", f"{timed('', lambda: strict(data))[1]:.1f} s"),
            Row("a page of one tag's past", f"{asyncio.run(history(data, 200)):.2f} ms"),
        ]
    for row in rows:
        print(f"| {row.what} | {row.figure} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
