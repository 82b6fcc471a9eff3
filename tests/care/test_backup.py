"""Backup while pushes and collections go on; a restore verifies all, writes over nothing, and is what it was."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from holdfast import care
from holdfast.core.errors import ConfigurationInvalid
from holdfast.registry.fsck import Problem
from holdfast.store.data_directory import DataDirectory
from holdfast.store.snapshots import Snapshots
from images import digest_of, image, index, push, push_blob, sha256
from json_api import Clock
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from commands import Commands

PUSHED = image(b"the layer of the first image")
LIST = index(PUSHED, image(b"the layer of another"))


@pytest.fixture
def up(tmp_path: Path) -> Iterator[RunningServer]:
    with running(settings(tmp_path / "data", create_on_push="IMMUTABLE")) as server:
        push(server.client(), "t/a", "v1", PUSHED)
        push(server.client(), "t/a", "list", LIST)
        yield server


@pytest.fixture
def kept(up: RunningServer, tmp_path: Path) -> Path:
    """A folder with one snapshot of it."""
    care.backup(up.holdfast.settings.data, tmp_path / "kept")
    return tmp_path / "kept"


def blob_of(folder: Path, content: bytes) -> Path:
    (found,) = (folder / "blobs").rglob(f"{sha256(content).partition(':')[2]}.*")
    return found


def test_a_restored_registry_is_the_one_that_was_backed_up(up: RunningServer, kept: Path, tmp_path: Path) -> None:
    push(up.client(), "t/a", "later", image())
    done = care.restore(kept, tmp_path / "new")
    assert done.damaged == []
    assert done.report is not None
    assert (done.report.findings, done.report.leftovers) == ([], [])
    assert care.fsck(tmp_path / "new").is_sound
    with running(settings(tmp_path / "new")) as again:
        client = again.client()  # the same administrator, with the same secret
        assert client("GET", "/v2/t/a/tags/list").json()["tags"] == ["list", "v1"]
        assert digest_of(client, "t/a", "v1") == PUSHED.digest
        for blob in PUSHED.blobs:
            assert client("GET", f"/v2/t/a/blobs/{sha256(blob)}").body == blob
        state = again.anonymous()("GET", "/readyz").json()
        assert state["writable"] is False, "without the ledger's files nobody knows what was published since"
        assert "ledger" in state["write_problems"][0]
    marked = json.loads((tmp_path / "new" / "restored.json").read_text())
    assert marked["snapshot"] == done.name
    assert marked["last_entry"] == done.facts.last_entry > 0


def test_only_what_is_new_is_copied(up: RunningServer, kept: Path) -> None:
    data = up.holdfast.settings.data
    again = care.backup(data, kept)
    assert (again.copied, again.blobs) == (0, 4)
    push(up.client(), "t/b", "v1", image())
    assert care.backup(data, kept).copied == 2
    assert len(list((kept / "snapshots").iterdir())) == 3


def test_anyone_can_check_a_snapshot(up: RunningServer, kept: Path) -> None:
    (snapshot,) = (kept / "snapshots").iterdir()
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=snapshot, capture_output=True, text=True, check=True
    )
    keys = {path.name for path in up.holdfast.settings.data.glob("*.key")}
    assert "seal.key" in keys
    assert {path.name for path in snapshot.glob("*.key")} == keys
    assert checked.stdout.count(": OK") == 4 + 2 + len(keys)  # blobs; database, facts; keys
    assert (snapshot / "seal.key").stat().st_mode & 0o777 == 0o600
    assert snapshot.stat().st_mode & 0o777 == 0o700


def test_old_snapshots_go_with_their_blobs(up: RunningServer, tmp_path: Path) -> None:
    data, kept = up.holdfast.settings.data, tmp_path / "kept"
    push_blob(up.client(), "t/a", b"soon gone")
    care.backup(data, kept)
    up.client()("DELETE", f"/v2/t/a/blobs/{sha256(b'soon gone')}")
    asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(10)
    second = care.backup(data, kept, keep=2)
    assert (second.pruned_snapshots, second.pruned_blobs) == (0, 0)
    third = care.backup(data, kept, keep=2)
    assert (third.pruned_snapshots, third.pruned_blobs) == (1, 1)
    assert care.restore(kept, tmp_path / "new", name=second.name).damaged == []


def test_hard_links_share_the_bytes(up: RunningServer, tmp_path: Path) -> None:
    data = up.holdfast.settings.data
    care.backup(data, tmp_path / "kept", link=True)
    assert blob_of(tmp_path / "kept", PUSHED.blobs[1]).samefile(blob_of(data, PUSHED.blobs[1]))
    assert care.restore(tmp_path / "kept", tmp_path / "new").damaged == []
    assert not blob_of(tmp_path / "new", PUSHED.blobs[1]).samefile(blob_of(data, PUSHED.blobs[1]))


# --- beside pushes and collections -----------------------------------------------------------------------------------


def test_nothing_that_a_snapshot_names_is_missing_while_pushes_and_collections_go_on(tmp_path: Path) -> None:
    clock = Clock()
    with running(settings(tmp_path / "data", create_on_push="MUTABLE"), clock=clock) as up:
        stop = threading.Event()
        failures: list[BaseException] = []

        def keep_on(act: Callable[[int], object]) -> threading.Thread:
            def work() -> None:
                number = 0
                try:
                    while not stop.is_set():
                        act(number)
                        number += 1
                except BaseException as error:
                    failures.append(error)
                    raise

            thread = threading.Thread(target=work)
            thread.start()
            return thread

        def push_and_delete(number: int) -> None:
            client = up.client()
            pushed = image()
            push(client, "t/a", f"v{number % 5}", pushed)
            if number % 3 == 0:
                client("DELETE", f"/v2/t/a/manifests/{pushed.digest}")
            client.close()

        def collect(_number: int) -> None:
            clock.ahead_seconds += 10_000
            asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(30)
            stop.wait(0.02)

        threads = [keep_on(push_and_delete), keep_on(push_and_delete), keep_on(collect)]
        try:
            taken = [care.backup(tmp_path / "data", tmp_path / "kept") for _ in range(6)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert [one.damaged for one in taken] == [[]] * 6
    for number, one in enumerate(taken[::3]):
        done = care.restore(tmp_path / "kept", tmp_path / f"new{number}", name=one.name)
        assert done.damaged == []
        assert done.report is not None
        assert done.report.findings == []


def early_layer() -> bytes:
    """Make random bytes whose digest comes before others: a list by digest that is under way has passed it already."""
    while not sha256(made := os.urandom(8)).startswith("sha256:00"):
        pass
    return made


def test_a_push_and_a_collection_at_each_stage_of_a_backup_leave_it_whole(tmp_path: Path) -> None:
    """As the storm above, in the orders that matter and that it may miss."""
    data, clock = tmp_path / "data", Clock()
    with running(settings(data, create_on_push="MUTABLE"), clock=clock) as up:
        client = up.client()
        goes = image(b"goes while it is copied")
        push(client, "t/a", "goes", goes)
        assert client("DELETE", f"/v2/t/a/manifests/{goes.digest}").status == 202
        clock.ahead_seconds += 40 * 86_400
        seen: list[str] = []

        def meanwhile(stage: str, _done: int, _total: int) -> None:
            if stage not in seen:
                seen.append(stage)
                push(client, "t/a", f"new-{len(seen)}", image(early_layer()))
                asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(30)

        taken = care.backup(data, tmp_path / "kept", watch=meanwhile)
    assert {"database pages", "blobs"} <= set(seen)
    assert taken.damaged == []
    done = care.restore(tmp_path / "kept", tmp_path / "new")
    assert done.damaged == []
    assert done.report is not None
    assert done.report.findings == []


def test_no_file_is_deleted_while_a_backup_has_the_collection(tmp_path: Path) -> None:
    clock = Clock()
    with running(settings(tmp_path, create_on_push="MUTABLE"), clock=clock) as up:
        push_blob(up.client(), "t/a", b"nobody needs this")
        clock.ahead_seconds += 40 * 86_400

        def collect() -> None:
            asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(10)

        with DataDirectory(tmp_path).collection_paused():
            collect()
            assert blob_of(tmp_path, b"nobody needs this").exists()
        collect()
        assert list((tmp_path / "blobs").rglob("*.*")) == []


def test_two_backups_at_once(up: RunningServer, kept: Path) -> None:
    with Snapshots(kept).held(), pytest.raises(ConfigurationInvalid, match="Another backup"):
        care.backup(up.holdfast.settings.data, kept)


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_damaged_blob_is_told_and_not_taken_for_sound(up: RunningServer, tmp_path: Path) -> None:
    data = up.holdfast.settings.data
    path = blob_of(data, PUSHED.blobs[1])
    path.write_bytes(path.read_bytes()[::-1])
    done = care.backup(data, tmp_path / "kept")
    assert done.damaged == [sha256(PUSHED.blobs[1])]
    restored = care.restore(tmp_path / "kept", tmp_path / "new")
    assert restored.report is not None
    assert {one.problem for one in restored.report.findings} == {Problem.BLOB_FILE_MISSING}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["holdfast.db", "seal.key", "snapshot.json", "a blob", "a blob gone"])
def test_a_damaged_snapshot_is_not_restored(kept: Path, tmp_path: Path, name: str) -> None:
    (snapshot,) = (kept / "snapshots").iterdir()
    if name == "a blob gone":
        blob_of(kept, PUSHED.blobs[1]).unlink()
    elif name == "snapshot.json":
        (snapshot / name).write_text((snapshot / name).read_text() + " ")
    else:
        flip(blob_of(kept, PUSHED.blobs[1]) if name == "a blob" else snapshot / name)
    done = care.restore(kept, tmp_path / "new")
    assert len(done.damaged) == 1
    assert not (tmp_path / "new").exists()


def test_sums_that_lead_elsewhere_are_refused(kept: Path, tmp_path: Path) -> None:
    (snapshot,) = (kept / "snapshots").iterdir()
    for name in ("../../../etc/passwd", "/etc/passwd", ".hidden", "../../blobs/sha256/../../x"):
        sums = (snapshot / "SHA256SUMS").read_text()
        (snapshot / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n{sums}")
        with pytest.raises(ConfigurationInvalid, match="a line that is none"):
            care.restore(kept, tmp_path / "new")
        (snapshot / "SHA256SUMS").write_text(sums)


def test_a_restore_writes_over_nothing(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "something").touch()
    with pytest.raises(ConfigurationInvalid, match="is not empty"):
        care.restore(kept, tmp_path / "new")


def test_a_restore_that_was_cut_off_is_not_served(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        care.restore(kept, tmp_path / "new")
    monkeypatch.undo()
    assert (tmp_path / "new" / "restoring").exists()
    shutil.copy(next((kept / "snapshots").iterdir()) / "holdfast.db", tmp_path / "new" / "holdfast.db")
    with pytest.raises(ConfigurationInvalid, match="was cut off"):
        care.fsck(tmp_path / "new")


def test_a_snapshot_that_was_cut_off_is_none(up: RunningServer, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Snapshots, "finish", cut)
        with pytest.raises(KeyboardInterrupt):
            care.backup(up.holdfast.settings.data, kept)
    assert len(Snapshots(kept).names()) == 1
    care.backup(up.holdfast.settings.data, kept)
    assert len(Snapshots(kept).names()) == 2


# --- the commands ----------------------------------------------------------------------------------------------------


def test_the_commands(up: RunningServer, tmp_path: Path, holdfast: Commands) -> None:
    data, kept = str(up.holdfast.settings.data), str(tmp_path / "kept")
    ran = holdfast("backup", kept, "--data", data)
    assert ran.code == 0
    assert "whoever can read it can become anyone" in ran.out
    told = holdfast("backup", kept, "--data", data, "--json", "--keep", "1").json()
    assert (told["copied"], told["pruned_snapshots"]) == (0, 1)
    ran = holdfast("restore", kept, "--data", str(tmp_path / "new"))
    assert ran.code == 0
    assert f"Restored the snapshot {told['snapshot']}" in ran.out
    assert holdfast("restore", kept, "--data", str(tmp_path / "new")).code == 2
    assert holdfast("restore", kept, "--data", str(tmp_path / "x"), "--snapshot", "none").code == 2
    assert holdfast("backup", kept, "--data", str(tmp_path / "nowhere")).code == 2
    blob_of(tmp_path / "kept", PUSHED.blobs[1]).unlink()
    ran = holdfast("restore", kept, "--data", str(tmp_path / "newer"), "--json")
    assert ran.code == 1
    assert ran.json()["restored"] is False
