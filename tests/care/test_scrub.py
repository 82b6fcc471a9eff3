"""The scrub finds what rots, sets it aside, goes on after a restart, and begins where an unclean run left doubt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import apsw
import pytest

from commands import PROGRAM, environment, process_environment
from holdfast.registry.scrub import Pass
from images import image, push, push_blob, sha256
from json_api import Clock
from running import ACCOUNT, KEY_ID, REGION, SECRET, RunningServer, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands import Commands

LAYER = b"a layer that will rot"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[RunningServer]:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as server:
        push(server.client(), "t/a", "v1", image(LAYER))
        yield server


def blob_file(data: Path, content: bytes) -> Path:
    (found,) = (data / "blobs").rglob(f"{sha256(content).partition(':')[2]}.*")
    return found


def test_a_sound_store_is_found_sound(up: RunningServer, holdfast: Commands) -> None:
    ran = holdfast("scrub", "--json", **environment(up.url))
    assert ran.code == 0
    told = ran.json()
    assert (told["state"], told["checked_blobs"], told["damaged"]) == ("waiting", 2, [])
    assert told["last_full_pass_at"]
    metrics = up.anonymous()("GET", "/metrics").body.decode()
    assert "holdfast_scrub_damaged 0.0" in metrics
    assert "holdfast_scrub_last_full_pass_timestamp_seconds 1.7" in metrics


def test_what_rots_is_found_set_aside_and_healed(up: RunningServer, holdfast: Commands) -> None:
    data = up.holdfast.settings.data
    path = blob_file(data, LAYER)
    assert up.client()("GET", f"/v2/t/a/blobs/{sha256(LAYER)}").body == LAYER, "verified once, so served unread"
    path.write_bytes(LAYER[::-1])
    ran = holdfast("scrub", **environment(up.url))
    assert ran.code == 1
    assert f"  {sha256(LAYER)}" in ran.out.splitlines()
    assert (data / "quarantine" / path.name).read_bytes() == LAYER[::-1]
    assert up.client()("GET", f"/v2/t/a/blobs/{sha256(LAYER)}").status == 404
    assert b"holdfast_scrub_damaged 1.0" in up.anonymous()("GET", "/metrics").body
    push_blob(up.client(), "t/a", LAYER)
    assert holdfast("scrub", **environment(up.url)).code == 0


def test_a_rotten_manifest_and_a_missing_file_are_told(tmp_path: Path, holdfast: Commands) -> None:
    pushed = image(LAYER)
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", pushed)
    connection = apsw.Connection(str(tmp_path / "holdfast.db"))
    connection.execute("DROP TRIGGER manifest_payload_is_fixed")
    connection.execute("UPDATE manifest_payloads SET payload = x'00'")
    connection.close()
    blob_file(tmp_path, LAYER).unlink()
    with running(settings(tmp_path)) as up:
        ran = holdfast("scrub", "--json", **environment(up.url))
        assert ran.code == 1
        assert sorted(ran.json()["damaged"]) == sorted([sha256(LAYER), pushed.digest])
        assert holdfast("scrub", "--status", **environment(up.url)).code == 1


def test_a_pass_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        for number in range(6):
            push_blob(up.client(), "t/a", b"blob %d" % number)
        digests = sorted(sha256(b"blob %d" % number) for number in range(6))
        half = Pass(is_running=True, after=digests[3], started_at=1, checked_blobs=4)
        up.holdfast._scrub.now = half
        asyncio.run_coroutine_threadsafe(up.holdfast._scrub._remember(), up.loop).result(10)
    with running(settings(tmp_path, scrub_mib_per_second="1000")) as up:
        eventually(lambda: not up.holdfast._scrub.now.is_running)
        assert up.holdfast._scrub.now.checked_blobs == 6
        assert up.holdfast._scrub.now.started_at == 1


def test_a_pass_begins_by_itself_when_it_is_due(tmp_path: Path) -> None:
    clock = Clock()
    with running(settings(tmp_path, create_on_push="MUTABLE", scrub_mib_per_second="1000"), clock=clock) as up:
        push_blob(up.client(), "t/a", LAYER)
        eventually(lambda: up.holdfast._scrub.now.last_full_pass_at is not None)
        first = up.holdfast._scrub.now.last_full_pass_at
        assert not up.holdfast._scrub._is_due()
        clock.ahead_seconds += 31 * 86_400
        assert up.holdfast._scrub._is_due()
        up.loop.call_soon_threadsafe(up.holdfast._scrub._wake.set)
        eventually(lambda: up.holdfast._scrub.now.last_full_pass_at != first)


def test_beside_pulls_and_collections_nothing_sound_is_set_aside(up: RunningServer) -> None:
    admin = up.aws("holdfast")
    client = up.client()
    for number in range(8):
        pushed = image(b"layer %d" % number * 1000)
        push(client, "t/b", "v", pushed)
        admin.start_scrub()
        client("DELETE", f"/v2/t/b/manifests/{pushed.digest}")
        for blob in pushed.blobs:
            client("DELETE", f"/v2/t/b/blobs/{sha256(blob)}")
        asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(10)
        assert client("GET", f"/v2/t/a/blobs/{sha256(LAYER)}").body == LAYER
    eventually(lambda: not up.holdfast._scrub.now.is_running)
    assert up.holdfast._scrub.now.damaged == []
    assert list((up.holdfast.settings.data / "quarantine").iterdir()) == []


# --- after a run that did not end well -------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(data: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the server as a process that is killed at the end."""
    options = ("--data", str(data), "--port", "0", "--json", "--account-id", ACCOUNT, "--region", REGION)
    given = {
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY_ID,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": SECRET,
        "HOLDFAST_CREATE_ON_PUSH": "MUTABLE",
        "HOLDFAST_SCRUB_MIB_PER_SECOND": "0",
    }
    with subprocess.Popen(
        [*PROGRAM, "serve", *options],
        env=process_environment() | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], process
        finally:
            process.send_signal(signal.SIGKILL)


def test_after_a_kill_what_was_written_last_is_read_first(tmp_path: Path, holdfast: Commands) -> None:
    data = tmp_path / "data"
    with serving(data) as (url, _):
        assert holdfast("repo", "create", "t/a", **environment(url)).code == 0
        shutil.copytree(data, tmp_path / "copy")
    assert (data / "running.json").exists()
    with running(settings(data, create_on_push="MUTABLE")) as up:
        assert b"holdfast_unclean_start 1.0" in up.anonymous()("GET", "/metrics").body
        push_blob(up.client(), "t/a", LAYER)
        push_blob(up.client(), "t/a", b"another")
    assert not (data / "running.json").exists(), "it ended well"
    with running(settings(data)) as up:
        assert b"holdfast_unclean_start 0.0" in up.anonymous()("GET", "/metrics").body
    # A run that did not end well, and a disk that lost what it said to have.
    (data / "running.json").write_text('{"sound_until": 0}')
    blob_file(data, LAYER).write_bytes(b"")
    with running(settings(data)) as up:
        eventually(lambda: up.holdfast._is_settled)
        assert up.holdfast._scrub.now.damaged == [sha256(LAYER)]
        assert up.client()("GET", f"/v2/t/a/blobs/{sha256(LAYER)}").status == 404
        assert up.client()("GET", f"/v2/t/a/blobs/{sha256(b'another')}").body == b"another"
        assert json.loads((data / "running.json").read_text())["sound_until"] > 0


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"sound_until": "x"}', "\x00"])
def test_a_mark_that_cannot_be_read_is_taken_for_all(tmp_path: Path, content: str) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        push_blob(up.client(), "t/a", LAYER)
    (tmp_path / "running.json").write_text(content)
    with running(settings(tmp_path)) as up:
        assert up.holdfast._unclean_since == 0


def test_a_server_whose_disk_failed_leaves_the_mark(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as up:
        up.loop.call_soon_threadsafe(up.holdfast.failed.set)
        eventually(up.holdfast.failed.is_set)
    assert (tmp_path / "running.json").exists()
