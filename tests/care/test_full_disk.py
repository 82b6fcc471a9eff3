"""A disk that is full: pushes wait, everything else goes on, and with room it is as before. On a small tmpfs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from holdfast import care
from holdfast.store.reserve import Reserve
from images import image, push, push_blob, put, sha256
from json_api import Clock
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB. Where this user may mount none, the test says loudly that it did not run."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a full disk needs a tmpfs of its own, and mount said: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def make_room(up: RunningServer) -> None:
    asyncio.run_coroutine_threadsafe(asyncio.to_thread(up.holdfast._reserve.make), up.loop).result(10)


def test_when_the_disk_is_full_pushes_wait_and_all_else_goes_on(small: Path) -> None:
    clock = Clock()
    with running(settings(small / "data", create_on_push="MUTABLE", reserve_mib="2"), clock=clock) as up:
        client = up.client()
        assert (small / "data" / "reserve").stat().st_size == 2 * MIB
        pushed = image(b"kept")
        push(client, "t/a", "v1", pushed)
        big = os.urandom(4 * MIB)
        push_blob(client, "t/a", big)

        refused = client("POST", f"/v2/t/a/blobs/uploads/?digest={sha256(b'x' * 14 * MIB)}", b"x" * 14 * MIB)
        assert (refused.status, refused.code) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"]
        assert not (small / "data" / "reserve").exists()
        state = up.anonymous()("GET", "/readyz").json()
        assert (state["ready"], state["writable"]) == (True, False)
        assert "disk is full" in state["write_problems"][0]
        assert b"holdfast_disk_full 1.0" in up.anonymous()("GET", "/metrics").body
        assert client("POST", "/v2/t/a/blobs/uploads/").status == 503

        assert client("GET", f"/v2/t/a/blobs/{sha256(big)}").body == big
        for number in range(20):
            assert put(client, "t/a", f"tag-{number}", pushed).status == 201, "commits go on"
        assert client("DELETE", "/v2/t/a/manifests/tag-1").status == 202
        clock.ahead_seconds += 40 * 86_400
        work = asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop)
        assert work.result(30).blobs == 1, "the collection goes on"

        make_room(up)
        assert up.anonymous()("GET", "/readyz/write").status == 200
        assert (small / "data" / "reserve").stat().st_size == 2 * MIB
        push_blob(client, "t/a", os.urandom(MIB))
    assert care.fsck(small / "data").is_sound


def test_a_commit_that_finds_no_room_is_done_in_the_reserve(small: Path) -> None:
    with running(settings(small / "data", create_on_push="MUTABLE", reserve_mib="2")) as up:
        client = up.client()
        pushed = image(b"kept")
        push(client, "t/a", "v1", pushed)
        fill(small / "filler")
        for number in range(25):
            assert put(client, "t/a", f"tag-{number}", pushed).status == 201
        assert up.holdfast._reserve.is_full
        assert not up.holdfast.failed.is_set()
        (small / "filler").unlink()
        make_room(up)
        assert not up.holdfast._reserve.is_full
        push(client, "t/a", "v2", image())
    assert care.fsck(small / "data").is_sound


def test_without_any_room_a_commit_is_refused_whole_and_the_server_lives(small: Path) -> None:
    with running(settings(small / "data", create_on_push="MUTABLE", reserve_mib="0")) as up:
        client = up.client()
        pushed = image(b"kept")
        push(client, "t/a", "v1", pushed)
        fill(small / "filler")
        answers = [put(client, "t/a", f"tag-{number}", pushed) for number in range(200)]
        assert 503 in {one.status for one in answers} <= {201, 503}
        assert client("GET", "/v2/t/a/manifests/v1").status == 200
        assert not up.holdfast.failed.is_set()
        (small / "filler").unlink()
        assert put(client, "t/a", "at-last", pushed).status == 201
        bound = [f"tag-{number}" for number, one in enumerate(answers) if one.status == 201]
        assert sorted([*bound, "at-last", "v1"]) == client("GET", "/v2/t/a/tags/list?n=1000").json()["tags"]
    assert care.fsck(small / "data").is_sound


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def test_a_start_without_room_for_the_reserve_serves_pulls(small: Path) -> None:
    with running(settings(small / "data", create_on_push="MUTABLE", reserve_mib="4")) as up:
        push(up.client(), "t/a", "v1", image())
    (small / "data" / "reserve").unlink()
    with (small / "filler").open("wb") as file:
        file.write(b"\0" * (shutil.disk_usage(small).free - 6 * MIB))
    with running(settings(small / "data", create_on_push="MUTABLE", reserve_mib="4")) as up:
        assert up.client()("GET", "/v2/t/a/manifests/v1").status == 200
        assert up.client()("POST", "/v2/t/a/blobs/uploads/").status == 503


def test_the_reserve_is_made_given_up_once_and_made_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", MIB)
    assert (reserve.is_full, reserve.release()) == (False, False)
    assert reserve.make()
    assert reserve.held_bytes == MIB
    assert reserve.release()
    assert not reserve.release()
    assert reserve.is_full
    assert reserve.make()
    assert not reserve.is_full
    assert Reserve(tmp_path / "reserve", 0).make()
    assert not (tmp_path / "reserve").exists(), "a reserve that is not wanted any more gives its room back"
