"""The collection removes what nobody needs and nothing that anybody was told of. Its storm: tests/torture/storm.py."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from holdfast.registry.blobs import LEASE_MICROSECONDS
from holdfast.wiring import microseconds_now
from images import digest_of, image, push, push_blob, push_parts, put, sha256
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_SECONDS = 86_400


class SettableClock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0

    def __call__(self) -> int:
        """Return microseconds since the epoch."""
        return microseconds_now() + self.ahead_seconds * 1_000_000


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def own(tmp_path: Path, clock: SettableClock) -> Iterator[RunningServer]:
    """A server of this test alone, whose clock can be set."""
    with running(settings(tmp_path, create_on_push="MUTABLE"), clock=clock) as up:
        yield up


def files(server: RunningServer) -> set[str]:
    return {path.name for path in (server.holdfast.settings.data / "blobs").rglob("*.*") if path.is_file()}


def collect(server: RunningServer, *, dry_run: bool = False) -> dict[str, int]:
    """Collect on the server's own loop: a signed request would be refused, as the server's clock is put forward."""
    upkeep = server.holdfast.upkeep
    work = upkeep.rehearse() if dry_run else upkeep.collect()
    return asdict(asyncio.run_coroutine_threadsafe(work, server.loop).result(60))


NOTHING = {"links": 0, "blobs": 0, "blob_bytes": 0, "payloads": 0, "sessions": 0}


def test_a_blob_that_no_image_names_goes_when_its_lease_is_over(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    digest = push_blob(client, "t/a", b"nobody needs this")
    assert collect(own)["links"] == 0
    assert client("HEAD", f"/v2/t/a/blobs/{digest}").status == 200
    clock.ahead_seconds += 2 * LEASE_MICROSECONDS // 1_000_000
    expected = {**NOTHING, "links": 1, "blobs": 1, "blob_bytes": 17}
    assert collect(own, dry_run=True) == expected
    assert len(files(own)) == 1, "a dry run removes nothing"
    assert collect(own) == expected
    assert files(own) == set()
    assert client("HEAD", f"/v2/t/a/blobs/{digest}").status == 404


def test_to_be_told_that_a_blob_exists_keeps_it(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    pushed = image()
    push_parts(client, "t/a", pushed)
    clock.ahead_seconds += DAY_SECONDS * 9 // 10
    for blob in pushed.blobs:
        assert client("HEAD", f"/v2/t/a/blobs/{sha256(blob)}").status == 200
    clock.ahead_seconds += DAY_SECONDS * 4 // 10
    assert collect(own)["links"] == 0
    assert put(client, "t/a", "v1", pushed).status == 201


def test_an_answer_that_was_kept_does_not_outlive_the_lease(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    digest = push_blob(client, "t/a", b"asked for again and again")
    for _ in range(3):
        assert client("HEAD", f"/v2/t/a/blobs/{digest}").status == 200
    clock.ahead_seconds += DAY_SECONDS * 7 // 10
    assert client("HEAD", f"/v2/t/a/blobs/{digest}").status == 200
    clock.ahead_seconds += DAY_SECONDS * 7 // 10
    assert collect(own)["links"] == 0, "the second answer renewed the lease"


def test_what_an_image_names_stays_however_old(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    pushed = image()
    assert push(client, "t/a", "v1", pushed).status == 201
    clock.ahead_seconds += 1_000 * DAY_SECONDS
    assert collect(own) == NOTHING
    assert len(files(own)) == 2
    assert digest_of(client, "t/a", "v1") == pushed.digest


def test_one_repository_has_done_with_a_blob_that_another_needs(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    pushed = image(b"a shared layer")
    assert push(client, "t/a", "v1", pushed).status == 201
    push_blob(client, "t/b", b"a shared layer")
    clock.ahead_seconds += 2 * DAY_SECONDS
    assert collect(own) == {**NOTHING, "links": 1}
    assert client("GET", f"/v2/t/a/blobs/{sha256(b'a shared layer')}").body == b"a shared layer"


def test_a_deleted_repository_gives_back_its_room(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    assert push(client, "t/a", "v1", image()).status == 201
    own.aws().delete_repository(repositoryName="t/a", force=True)
    clock.ahead_seconds += 2 * DAY_SECONDS
    done = collect(own)
    assert (done["blobs"], done["payloads"]) == (2, 1)
    assert files(own) == set()


def test_a_session_left_behind_is_swept(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    location = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
    client("PATCH", location, b"half of it")
    assert collect(own, dry_run=True)["sessions"] == 0
    clock.ahead_seconds += 8 * DAY_SECONDS
    assert collect(own, dry_run=True)["sessions"] == 1
    assert collect(own)["sessions"] == 1
    assert client("GET", location).status == 404
    assert list((own.holdfast.settings.data / "uploads").iterdir()) == []


def test_a_dry_run_tells_exactly_what_the_run_does(own: RunningServer, clock: SettableClock) -> None:
    client = own.client()
    for number in range(4):
        push(client, f"t/{number % 2}", f"v{number}", image())
    own.aws().delete_repository(repositoryName="t/0", force=True)
    push_blob(client, "t/1", b"named by none")
    client("PATCH", client("POST", "/v2/t/1/blobs/uploads/").headers["Location"], b"half of it")
    clock.ahead_seconds += 8 * DAY_SECONDS
    client("PATCH", client("POST", "/v2/t/1/blobs/uploads/").headers["Location"], b"goes on")
    for name in ("of-no-session", "nor-this"):
        (own.holdfast.settings.data / "uploads" / name).write_bytes(b"left by a crash")
    before = files(own)
    told = collect(own, dry_run=True)
    assert files(own) == before
    assert all(told.values())
    assert told["sessions"] == 3
    assert collect(own) == told
    assert collect(own) == collect(own, dry_run=True) == NOTHING


def test_a_pushed_again_blob_is_not_hit_by_the_collection_of_the_old_one(
    own: RunningServer, clock: SettableClock
) -> None:
    client = own.client()
    digest = push_blob(client, "t/a", b"comes and goes")
    for _ in range(5):
        clock.ahead_seconds += 2 * DAY_SECONDS
        collect(own)
        assert push_blob(client, "t/a", b"comes and goes") == digest
        assert client("GET", f"/v2/t/a/blobs/{digest}").body == b"comes and goes"


def test_an_operator_collects_through_the_api(server: RunningServer) -> None:
    answer = server.aws("holdfast").collect_garbage(dryRun=True)
    assert answer["dryRun"] is True
    assert {"links", "blobs", "blobBytes", "manifests", "uploads"} <= set(answer)
