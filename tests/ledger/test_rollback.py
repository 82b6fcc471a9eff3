"""A state that is older than what was published: nothing is signed or changed until it was brought up to date."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from commands import Commands
from holdfast import care
from holdfast.core import merkle
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import Note
from images import digest_of, image, push, put
from ledgers import checkpoint_of, ledger_of, tiles_over_http
from running import running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from images import Image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def restore_old_database(data: Path) -> dict[str, Image]:
    """Live a little, keep a copy of the database, live on, and put the copy back; return what was pushed."""
    pushed = {tag: image() for tag in ("v1", "v2", "v3")}
    other = image()
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        push(up.client(), "t/app", "v1", pushed["v1"])
    shutil.copyfile(data / "holdfast.db", data / "old.db")
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        client, holdfast = up.client(), up.aws("holdfast")
        push(client, "t/app", "v2", pushed["v2"])
        push(client, "t/app", "v3", pushed["v3"])
        assert client("DELETE", "/v2/t/app/manifests/v3").status == 202
        assert push(client, "t/new", "a", other).status == 201
        holdfast.put_registry_settings(refusalStyle="ecr")
        key = holdfast.create_access_key(name="administrator")
        holdfast.delete_access_key(accessKeyId=key["accessKeyId"])
    for beside in ("-wal", "-shm"):
        (data / f"holdfast.db{beside}").unlink(missing_ok=True)
    shutil.move(data / "old.db", data / "holdfast.db")
    return pushed


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


def test_an_old_state_takes_no_change_and_signs_nothing(data: Path) -> None:
    pushed = restore_old_database(data)
    published = (data / "ledger" / "checkpoint").read_bytes()
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        client = up.client()
        refused = put(client, "t/app", "v2", pushed["v1"])
        assert refused.status == 503
        assert "holdfast ledger recover" in refused.message
        assert client("DELETE", "/v2/t/app/manifests/v1").status == 503
        assert client("GET", "/v2/t/app/manifests/v1").status == 200, "pulls go on"
        assert client("GET", "/readyz/write").status == 503
        assert b"holdfast_ledger_stopped 1" in client("GET", "/metrics").body
    assert (data / "ledger" / "checkpoint").read_bytes() == published


def test_recovery_brings_back_what_was_promised(data: Path, commands: Commands) -> None:
    pushed = restore_old_database(data)
    before = Checkpoint.of(Note.parse((data / "ledger" / "checkpoint").read_bytes()))
    ran = commands("ledger", "recover", "--data", str(data), "--json")
    assert ran.code == 0, ran.err
    told = ran.json()
    assert told["published"] == before.size
    assert told["replayed"] == before.size - told["known"] > 0
    assert [one.split()[0] for one in told["waiting_for_content"]] == ["t/app:v2", "t/new:a"]
    assert any("access" in one or "identity" in one for one in told["to_do_by_hand"])
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        client = up.client()
        assert client("GET", "/readyz/write").status == 200
        assert put(client, "t/app", "v2", pushed["v1"]).status == 400, "the setting of the refusal's style is back too"
        assert put(client, "t/app", "v3", pushed["v1"]).status == 400, "a deletion is remembered"
        assert digest_of(client, "t/app", "v2") is None
        assert push(client, "t/app", "v2", pushed["v2"]).status == 201
        assert digest_of(client, "t/app", "v1") == pushed["v1"].digest
        after = checkpoint_of(client)
        read = tiles_over_http(client, after.size)
        merkle.verify_consistency(
            before.size, after.size, merkle.consistency_proof(before.size, after.size, read), before.root, after.root
        )
        ledger_of(client).require_sound()
    assert care.fsck(data).findings == []
    again = commands("ledger", "recover", "--data", str(data))
    assert "Nothing was missing" in again.out


def test_recovery_from_the_folder_of_another_server(data: Path, tmp_path: Path, commands: Commands) -> None:
    restore_old_database(data)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(data / "ledger", elsewhere)
    with running(settings(data)) as up:
        assert "files of the ledger are gone" in up.holdfast._gate.reasons[0]
    refused = commands("ledger", "recover", "--data", str(data), "--json")
    assert refused.code == 3
    assert "--from" in refused.failure()["message"]
    assert commands("ledger", "recover", "--data", str(data), "--from", str(elsewhere)).code == 0
    with running(settings(data)) as up:
        assert not up.holdfast._gate.reasons
        assert (
            checkpoint_of(up.client()).size >= Checkpoint.of(Note.parse((elsewhere / "checkpoint").read_bytes())).size
        )


def test_a_restored_snapshot_without_its_ledger_is_trusted_by_command_alone(
    data: Path, tmp_path: Path, commands: Commands
) -> None:
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        push(up.client(), "t/app", "v1", image())
        before = checkpoint_of(up.client())
    shutil.rmtree(data / "ledger")
    with running(settings(data)) as up:
        assert up.holdfast._gate.reasons
    assert commands("ledger", "recover", "--data", str(data), "--trust-database").code == 0
    with running(settings(data)) as up:
        assert not up.holdfast._gate.reasons
        assert checkpoint_of(up.client()).size >= before.size
    assert commands("ledger", "recover", "--data", str(data), "--trust-database").code == 2
    del tmp_path


def test_a_state_beside_the_ledger_is_never_touched(data: Path, tmp_path: Path, commands: Commands) -> None:
    restore_old_database(data)
    stranger = tmp_path / "stranger"
    with running(settings(stranger, create_on_push="MUTABLE")) as up:
        push(up.client(), "t/other", "v1", image())
    shutil.copyfile(stranger / "holdfast.db", data / "holdfast.db")
    for key in stranger.glob("ledger-*.key"):
        shutil.copyfile(key, data / key.name)
    with running(settings(data)) as up:
        assert up.holdfast._gate.reasons
    content = (data / "holdfast.db").read_bytes()
    refused = commands("ledger", "recover", "--data", str(data), "--json")
    assert refused.code == 3
    assert "not touched" in json.dumps(refused.failure())
    assert (data / "holdfast.db").read_bytes() == content


def test_a_published_entry_that_was_touched_on_disk_is_not_replayed(data: Path, commands: Commands) -> None:
    restore_old_database(data)
    bundle = data / "ledger" / "entries" / "000"
    content = bundle.read_bytes()
    assert content.count(b'"tag":"v2"') == 1
    bundle.write_bytes(content.replace(b'"tag":"v2"', b'"tag":"v9"'))
    refused = commands("ledger", "recover", "--data", str(data), "--json")
    assert refused.code == 3
    assert "damaged" in refused.failure()["message"]
