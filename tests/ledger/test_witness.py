"""A witness beside a registry: what it cosigns, what it refuses, and what the registry then does."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
import uvloop

from holdfast.core import merkle
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import KeyKind, Note, Signer, VerifierKey, write_note
from holdfast.core.tlog_policy import Policy
from holdfast.core.witnessing import AddCheckpoint
from holdfast.witness_server import WitnessServer, WitnessSettings
from images import digest_of, image, push
from ledgers import checkpoint_of
from running import Client, RunningServer, running, settings
from trees import forest, forest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\1" * 32)


@contextlib.contextmanager
def witnessing(data: Path, *logs: str, port: int = 0) -> Iterator[WitnessServer]:
    """Run a witness in a thread until the block ends."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def make() -> WitnessServer:
        made = WitnessServer(WitnessSettings(data, "w.example", "127.0.0.1", port, logs))
        await made.start()
        return made

    try:
        server = asyncio.run_coroutine_threadsafe(make(), loop).result(30)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@contextlib.contextmanager
def talking(server: WitnessServer) -> Iterator[Client]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    client = Client(host, int(port), None)
    try:
        yield client
    finally:
        client.close_all()


def signed(size: int, root: bytes, signer: Signer = LOG) -> bytes:
    text = Checkpoint("example.com/log", size, root).text()
    return write_note(text, [signer.sign(text)])


def asked(old: int, size: int) -> bytes:
    grown = forest(size)
    proof = tuple(merkle.consistency_proof(old, size, grown.reader(size)))
    return AddCheckpoint(old, proof, signed(size, grown.frontier.root())).encode()


# --- the witness alone ------------------------------------------------------------------------------------------------


def test_a_witness_cosigns_what_grows_and_remembers_it_over_a_restart(tmp_path: Path) -> None:
    vkey = str(LOG.verifier)
    with witnessing(tmp_path, vkey) as server, talking(server) as client:
        answer = client("POST", "/add-checkpoint", asked(0, 5))
        assert answer.status == 200
        text = Checkpoint("example.com/log", 5, forest(5).frontier.root()).text()
        note = Note.parse(write_note(text, [answer.body.decode()]))
        assert note.verify([VerifierKey.parse(server.vkey)])
        assert client("POST", "/add-checkpoint", asked(5, 9)).status == 200
        first = server.vkey
    with witnessing(tmp_path, vkey) as server, talking(server) as client:
        assert server.vkey == first
        behind = client("POST", "/add-checkpoint", asked(5, 7))
        assert (behind.status, behind.body, behind.headers["Content-Type"]) == (409, b"9\n", "text/x.tlog.size")
        assert b"example.com/log\n9\n" in client("GET", "/checkpoints").body


def test_a_forked_log_is_refused(tmp_path: Path) -> None:
    fork = forest_of([b"entry 0", b"what did not happen", *(b"entry %d" % number for number in range(2, 9))])
    with witnessing(tmp_path, str(LOG.verifier)) as server, talking(server) as client:
        assert client("POST", "/add-checkpoint", asked(0, 5)).status == 200
        proof = tuple(merkle.consistency_proof(5, 9, fork.reader(9)))
        forked = AddCheckpoint(5, proof, signed(9, fork.frontier.root())).encode()
        assert client("POST", "/add-checkpoint", forked).status == 422
        same_size = AddCheckpoint(5, (), signed(5, b"\7" * 32)).encode()
        assert client("POST", "/add-checkpoint", same_size).status == 409
        assert client("POST", "/add-checkpoint", asked(5, 9)).status == 200, "the honest log goes on"


def test_strangers_and_nonsense_are_refused(tmp_path: Path) -> None:
    other = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\5" * 32)
    with witnessing(tmp_path, str(LOG.verifier)) as server, talking(server) as client:
        root = forest(5).frontier.root()
        assert client("POST", "/add-checkpoint", AddCheckpoint(0, (), signed(5, root, other)).encode()).status == 403
        text = Checkpoint("example.com/unknown", 5, root).text()
        unknown = AddCheckpoint(0, (), write_note(text, [LOG.sign(text)])).encode()
        assert client("POST", "/add-checkpoint", unknown).status == 404
        for body in (b"", b"old 0\n\n", b"old -1\n\n" + signed(5, root), b"old 01\n\n" + signed(5, root)):
            assert client("POST", "/add-checkpoint", body).status == 400
        assert client("GET", "/add-checkpoint").status == 404


def test_racing_requests_never_take_a_witness_back(tmp_path: Path) -> None:
    with witnessing(tmp_path, str(LOG.verifier)) as server, talking(server) as client:
        assert client("POST", "/add-checkpoint", asked(0, 3)).status == 200
        statuses: list[int] = []

        def submit(size: int) -> None:
            statuses.append(client("POST", "/add-checkpoint", asked(3, size)).status)
            client.close()

        threads = [threading.Thread(target=submit, args=(size,)) for size in range(4, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [409] * 15


# --- a registry with a witness ----------------------------------------------------------------------------------------


def policy_for(tmp_path: Path, server: WitnessServer) -> Path:
    path = tmp_path / "policy"
    path.write_text(f"witness W {server.vkey} {server.url}\nquorum W\n")
    return path


def vkey_of(data: Path) -> str:
    with running(settings(data)) as up:
        return str(up.aws("holdfast").get_ledger_status()["keys"][0]["vkey"])


def until_writable(up: RunningServer) -> None:
    """Wait until the witnesses have cosigned; the server tells."""
    client = up.client()
    for _ in range(200):
        if client("GET", "/readyz/write").status == 200:
            return
        threading.Event().wait(0.05)
    pytest.fail(f"not writable: {up.holdfast._gate.reasons}")


def test_a_checkpoint_is_published_with_its_quorum(tmp_path: Path) -> None:
    data = tmp_path / "data"
    vkey = vkey_of(data)
    with witnessing(tmp_path / "w", vkey) as server:
        policy = policy_for(tmp_path, server)
        with running(settings(data, create_on_push="IMMUTABLE", ledger_policy=str(policy))) as up:
            until_writable(up)
            answer = push(up.client(), "t/app", "v1", image())
            assert int(answer.headers["Holdfast-Ledger-Index"]) < checkpoint_of(up.client()).size
            note = up.client()("GET", "/ledger/checkpoint").body
            trusted = Policy.parse(f"log {vkey}\n".encode() + policy.read_bytes())
            assert len(trusted.judge(note).cosignatures) == 1
            receipt = up.aws("holdfast").get_tag_receipt(repositoryName="t/app", imageTag="v1")["receipt"]
            assert "w.example" in receipt


def test_without_its_quorum_nothing_is_published_and_the_push_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.registry.ledger.WAIT_SECONDS", 0.2)
    data = tmp_path / "data"
    vkey = vkey_of(data)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(witnessing(tmp_path / "w", vkey))
        port = int(server.url.rpartition(":")[2])
        with_witness = settings(data, create_on_push="IMMUTABLE", ledger_policy=str(policy_for(tmp_path, server)))
        with running(with_witness) as up:
            until_writable(up)
            before = checkpoint_of(up.client()).size
            stack.close()
            answer = push(up.client(), "t/app", "v1", image())
            assert (answer.status, answer.headers["Holdfast-Ledger-Index"]) == (201, "pending")
            assert checkpoint_of(up.client()).size == before
    with witnessing(tmp_path / "w", vkey, port=port), running(with_witness) as up:
        until_writable(up)
        assert checkpoint_of(up.client()).size > before


def test_a_whole_data_directory_that_was_rolled_back_is_caught_by_the_witness(tmp_path: Path) -> None:
    data, old = tmp_path / "data", tmp_path / "old"
    vkey = vkey_of(data)
    with witnessing(tmp_path / "w", vkey) as server:
        with_witness = settings(data, create_on_push="IMMUTABLE", ledger_policy=str(policy_for(tmp_path, server)))
        with running(with_witness) as up:
            until_writable(up)
            push(up.client(), "t/app", "v1", image())
        shutil.copytree(data, old)
        with running(with_witness) as up:
            until_writable(up)
            first = image()
            push(up.client(), "t/app", "v2", first)
        shutil.rmtree(data)
        shutil.copytree(old, data)
        with running(with_witness) as up:
            refused = push_parts_refused(up)
            assert refused == 503
            for _ in range(100):
                if up.holdfast._ledger.problem is not None:
                    break
                threading.Event().wait(0.05)
            assert "has seen" in str(up.holdfast._ledger.problem)
            assert digest_of(up.client(), "t/app", "v2") is None


def push_parts_refused(up: RunningServer) -> int:
    return up.client()("POST", "/v2/t/app/blobs/uploads/").status
