"""Kill -9 anywhere between a bind and its publication: no entry is lost, none is there twice, it only grew."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from commands import PROGRAM, process_environment
from holdfast import care
from holdfast.core import merkle
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import Note
from images import image, push_parts, put
from ledgers import ledger_of, tiles_over_http
from running import KEY_ID, SECRET, Client, basic, running, settings

if TYPE_CHECKING:
    from pathlib import Path

PLACES = (
    "commit.before@14",
    "commit.after@14",
    "commit.after@15",
    "ledger.sequenced@3",
    "ledger.entries-written@3",
    "ledger.checkpoint-written@3",
    "ledger.published@3",
    "answer.before@9",
)
TAGS = 12


def serve(data: Path, plan: str) -> tuple[subprocess.Popen[str], Client]:
    variables = {
        "HOLDFAST_FAILPOINTS": plan,
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY_ID,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": SECRET,
        "HOLDFAST_CREATE_ON_PUSH": "IMMUTABLE",
        "HOLDFAST_ACCOUNT_ID": "123456789012",
        "HOLDFAST_REGION": "eu-central-1",
    }
    command = [*PROGRAM, "serve", "--json", "--port", "0", "--data", str(data), "--log-level", "error"]
    environment = {**process_environment(), **variables}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    return process, Client("127.0.0.1", int(url.rpartition(":")[2]), basic(KEY_ID, SECRET))


@pytest.mark.parametrize("plan", PLACES)
def test_no_entry_is_lost_and_none_is_there_twice(tmp_path: Path, plan: str) -> None:
    data = tmp_path / "data"
    pushed = image()
    answered: dict[str, str | None] = {}
    seen: list[bytes] = []
    process, client = serve(data, plan)
    try:
        push_parts(client, "t/app", pushed)
        for number in range(TAGS):
            answer = put(client, "t/app", f"v{number}", pushed)
            assert answer.status == 201
            answered[f"v{number}"] = answer.headers["Holdfast-Ledger-Index"]
            note = client("GET", "/ledger/checkpoint")
            if note.status == 200:
                seen.append(note.body)
        pytest.fail(f"{plan} was not reached")
    except OSError:
        pass
    finally:
        client.close_all()
        process.kill()
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == -9
    assert care.fsck(data).findings == [], "what was published is there, whole, at any moment"
    with running(settings(data)) as up:
        client = up.client()
        assert put(client, "t/app", "after", pushed).status == 201
        ledger = ledger_of(client)
        ledger.require_sound()
        bound = [one.tag for one in ledger.entries if one.kind == "tag-bound"]
        assert len(bound) == len(set(bound)), "no entry is there twice"
        assert {*answered, "after"} <= set(bound), "no entry is lost"
        live = client("GET", "/v2/t/app/tags/list").json()["tags"]
        assert sorted(live) == sorted(map(str, bound)), "what is bound is what the ledger says"
        for tag, index in answered.items():
            assert index is not None
            assert ledger.entries[int(index)].tag == tag, "an index that was told is the index"
        size = ledger.checkpoint.size
        read = tiles_over_http(client, size)
        for before in (Checkpoint.of(Note.parse(note)) for note in seen):
            proof = merkle.consistency_proof(before.size, size, read)
            merkle.verify_consistency(before.size, size, proof, before.root, ledger.checkpoint.root)
    assert care.fsck(data).findings == []
