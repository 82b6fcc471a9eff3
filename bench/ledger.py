"""What the ledger costs: `python -m bench.ledger [--entries N] [--seconds S]`, on this machine, printed as one table.

Tag writes a second and their latencies, with answers that wait for the published ledger and with such that do not; how
long a ledger of N entries takes to be verified from scratch, and to be audited; how long a page of one tag's past takes
in it.
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
from holdfast.audit.folder import Folder, export
from holdfast.audit.verdicts import begin_audit
from holdfast.core import tiles
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import Frontier, leaf_hash
from holdfast.core.signed_note import Note
from holdfast.core.tlog_policy import Policy
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


def timed(work: Callable[[], Any]) -> str:
    """Do something; return its seconds on the clock, and on the processor, which count where others are at work too."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s of processor"


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


REPOSITORIES = 100
HOT_TAGS = 10
"""Of each repository, tags that somebody tries to overwrite again and again: three entries of ten."""


def entry_at(number: int) -> tuple[EntryKind, dict[str, str], dict[str, Any]]:
    """Return the kind, the place and the facts of an entry of the ledger that is measured: each follows the rules."""
    turn, repository = divmod(number, REPOSITORIES)
    where = {"repository": f"team/app-{repository}"}
    facts: dict[str, Any] = {
        "at": 1_700_000_000_000_000 + number * 1_000,
        "principal": "arn:aws:iam::123456789012:user/ci",
        "access_key": KEY[0],
        "source": "192.0.2.17",
        "through": "oci",
    }
    if turn == 0:
        return EntryKind.REPOSITORY_CREATED, where, {**facts, "mode": "IMMUTABLE", "filters": []}
    digest = "sha256:" + hashlib.sha256(b"%d" % number).hexdigest()
    if turn > HOT_TAGS and turn % 10 < 3:
        hot = turn // 10 % HOT_TAGS + 1
        stays = "sha256:" + hashlib.sha256(b"%d" % (hot * REPOSITORIES + repository)).hexdigest()
        refused = {"pushed": digest, "digest": stays, "rule": "held", "reason": "the tag is immutable"}
        return EntryKind.TAG_REFUSED, {**where, "tag": f"v{hot}"}, {**facts, **refused}
    told: dict[str, Any] = {
        "digest": digest,
        "before": None,
        "held": True,
        "rule": "free-name",
        "reason": "the tag is new",
    }
    return EntryKind.TAG_BOUND, {**where, "tag": f"v{turn}"}, {**facts, **told, "media_type": TYPE, "bytes": 1234}


async def fill(data: Path, count: int) -> tuple[float, float]:
    """Write and publish a ledger of `count` entries; return the seconds of writing and of sequencing."""
    database = SQLiteDatabase(data / "holdfast.db")
    registry = await database.write(lambda txn: catalog.ensure_registry(txn, "123456789012", "eu-central-1", 1))

    def page(first: int) -> Callable[[Transaction], None]:
        def job(txn: Transaction) -> None:
            for number in range(first, min(count, first + 1_000)):
                kind, where, facts = entry_at(number)
                entries.append(txn, registry.id, kind, facts, **where)

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
    export_all(ledger, data / "export")
    database.close()
    return written - begun, done - written


def export_all(ledger: Ledger, root: Path) -> None:
    """Write the public files, as an auditor has them."""

    def fetch(path: str) -> bytes:
        tile = tiles.Tile.parse(path)
        content = ledger.file(tile) if tile is not None else None
        if content is None:
            raise RuntimeError(path)
        return content

    note = ledger.checkpoint or b""
    export(fetch, note, Checkpoint.of(Note.parse(note)), root)


def verify(data: Path) -> None:
    """Build the root anew from every entry that was published, and compare it with what is signed."""
    checkpoint = Checkpoint.of(Note.parse((data / "export" / "checkpoint").read_bytes()))
    fetch, frontier = Folder(data / "export").fetch, Frontier()
    for bundle in tiles.bundles_of(checkpoint.size):
        frontier, _ = frontier.extend(map(leaf_hash, tiles.split_bundle(fetch(bundle.path))))
    if frontier.root() != checkpoint.root:
        message = "the root is another"
        raise RuntimeError(message)


def audit(data: Path) -> None:
    """Do what `holdfast ledger audit` does: tiles, chains, the form of each entry, and the rule of each act."""
    policy = Policy.trusting(*LedgerKeys(data, "bench").verifiers())
    audited = begin_audit((data / "export" / "checkpoint").read_bytes(), policy, Folder(data / "export").fetch)
    if audited.examination.all_findings:
        raise RuntimeError(audited.examination.all_findings[0])


async def history(data: Path, rounds: int) -> str:
    """Time pages of a hundred entries of one tag's past: the one in the middle, and the slowest of a hundred."""
    database = SQLiteDatabase(data / "holdfast.db")
    walls, cpus, found = [], [], list[entries.Entry]()
    for number in range(rounds):
        where = f"team/app-{number % REPOSITORIES}", f"v{number % HOT_TAGS + 1}"
        wall, cpu = time.perf_counter(), time.thread_time()
        found = entries.entries(database, 1, *where, before=2**62, limit=100)
        cpus.append((time.thread_time() - cpu) * 1e3)
        walls.append((time.perf_counter() - wall) * 1e3)
        if not found:
            message = "the page is empty"
            raise RuntimeError(message)
    database.close()
    told = (
        f"{sorted(taken)[rounds // 2]:.2f} ms, p99 {sorted(taken)[int(rounds * 0.99)]:.2f} ms"
        for taken in (walls, cpus)
    )
    return " on the clock; ".join(told) + f" of processor ({len(found)} entries)"


@dataclasses.dataclass
class Row:
    """One line of the table."""

    what: str
    figure: str


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load of tag writes; 0 leaves them out")
    given = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        for connections in (1, 16, 64, 256) if given.seconds else ():
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
            Row("the root built anew from every entry", timed(lambda: verify(data))),
            Row("audited: tiles, chains, forms, rules", timed(lambda: audit(data))),
            Row("a page of one tag's past", asyncio.run(history(data, 1_000))),
        ]
    for row in rows:
        print(f"| {row.what} | {row.figure} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
