"""What crashes and clients leave behind is swept, and nothing that is still of use to anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holdfast import care
from holdfast.registry.fsck import Problem
from holdfast.registry.uploads import APPEND_BYTES
from holdfast.store.data_directory import DataDirectory
from holdfast.wiring import microseconds_now
from images import push_blob, sha256
from ledger.test_kill import serve
from rawhttp import connected, head, read_answer
from running import RunningServer, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running import Client

HALF, REST = b"half of it, ", b"and the rest"
CONTENT = b"the only content here"
DAY_SECONDS = 86_400


class Clock:
    """A clock that a test can put forward."""

    ahead_seconds = 0

    def __call__(self) -> int:
        return microseconds_now() + self.ahead_seconds * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Iterator[RunningServer]:
    with running(settings(tmp_path / "data", create_on_push="MUTABLE"), clock=clock) as up:
        yield up


def killed_at(data: Path, plan: str, act: Callable[[Client], object]) -> None:
    """Serve until a failpoint kills the process under `act`."""
    process, client = serve(data, plan)
    assert process.stdout is not None
    try:
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as it comes
            act(client)
        assert process.wait(30) == -9
    finally:
        client.close_all()
        process.kill()
        process.stdout.close()
        process.wait(30)


def leftovers(data: Path) -> set[Problem]:
    report = care.fsck(data)
    assert report.findings == []
    return {one.problem for one in report.leftovers}


def blobs(data: Path) -> list[Path]:
    return [path for path in (data / "blobs").rglob("*.*") if path.is_file()]


def sweep(up: RunningServer) -> int | None:
    return asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.sweep_files(), up.loop).result(10)


def collect(up: RunningServer) -> int:
    """Collect; return how many sessions of uploads went."""
    return asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(10).sessions


# --- files of blobs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["blob.after-link", "blob.after-folder-sync", "blob.after-unstage"])
def test_a_start_sweeps_the_file_that_a_kill_left_without_a_row(tmp_path: Path, place: str) -> None:
    data = tmp_path / "data"
    killed_at(data, place, lambda client: push_blob(client, "t/a", CONTENT))
    (orphan,) = blobs(data)
    assert Problem.FILE_WITHOUT_BLOB in leftovers(data)
    with running(settings(data)) as up:
        eventually(lambda: not orphan.exists())
        assert up.client()("HEAD", f"/v2/t/a/blobs/{sha256(CONTENT)}").status == 404
        push_blob(up.client(), "t/a", CONTENT)
        assert up.client()("GET", f"/v2/t/a/blobs/{sha256(CONTENT)}").body == CONTENT
    assert leftovers(data) == set()


def test_a_sweep_that_a_backup_holds_up_is_done_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    killed_at(data, "blob.after-unstage", lambda client: push_blob(client, "t/a", CONTENT))
    (orphan,) = blobs(data)
    with DataDirectory(data).collection_paused():
        up = running(settings(data))
        server = up.__enter__()
        eventually(server.holdfast.collected_once.is_set)
        assert orphan.exists()
        assert sweep(server) is None
    assert orphan.exists()
    assert sweep(server) == 1
    assert not orphan.exists()
    up.__exit__(None, None, None)


# --- sessions of uploads ---------------------------------------------------------------------------------------------


def test_an_upload_goes_on_over_a_kill_and_the_sweep_of_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    location: list[str] = []

    def act(client: Client) -> None:
        location.append(client("POST", "/v2/t/a/blobs/uploads/").headers["Location"])
        client("PATCH", location[0], HALF)
        (data / "uploads" / "of-no-session").write_bytes(b"left")
        push_blob(client, "t/a", CONTENT)

    killed_at(data, "blob.before-sync", act)
    with running(settings(data)) as up:
        eventually(lambda: not (data / "uploads" / "of-no-session").exists())
        eventually(up.holdfast.collected_once.is_set)
        client = up.client()
        assert client("GET", location[0]).headers["Range"] == f"0-{len(HALF) - 1}"
        digest = sha256(HALF + REST)
        assert client("PUT", f"{location[0]}?digest={digest}", REST).status == 201
        assert client("GET", f"/v2/t/a/blobs/{digest}").body == HALF + REST
    assert leftovers(data) <= {Problem.UPLOAD_LEFT_BEHIND}


def test_the_session_of_an_ecr_upload_is_swept_too(own: RunningServer, clock: Clock) -> None:
    ecr = own.aws()
    ecr.create_repository(repositoryName="t/a")
    session = ecr.initiate_layer_upload(repositoryName="t/a")["uploadId"]
    ecr.upload_layer_part(
        repositoryName="t/a", uploadId=session, partFirstByte=0, partLastByte=len(HALF) - 1, layerPartBlob=HALF
    )
    assert len(staged(own)) == 1
    clock.ahead_seconds += 6 * DAY_SECONDS
    assert collect(own) == 0
    clock.ahead_seconds += 2 * DAY_SECONDS
    assert collect(own) == 1
    assert staged(own) == []


def test_an_upload_under_way_is_not_swept_however_old(own: RunningServer, clock: Clock) -> None:
    client = own.client()
    location = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
    idle = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
    half = HALF * (APPEND_BYTES // len(HALF) + 1)  # as much as is written before the rest is there
    length = str(len(half) + len(REST))
    with connected(own) as connection:
        connection.sendall(head("PATCH", location, {"Content-Length": length}) + half)
        eventually(lambda: sum(path.stat().st_size for path in staged(own)) == len(half))
        clock.ahead_seconds += 8 * DAY_SECONDS
        assert collect(own) == 1, "the idle one alone"
        assert client("GET", idle).status == 404
        connection.sendall(REST)
        assert read_answer(connection, "PATCH").status == 202
    digest = sha256(half + REST)
    assert client("PUT", f"{location}?digest={digest}").status == 201
    assert client("GET", f"/v2/t/a/blobs/{digest}").body == half + REST
    assert staged(own) == []


def staged(up: RunningServer) -> list[Path]:
    return list((up.holdfast.settings.data / "uploads").iterdir())
