"""C12: a client that only ever begins uploads is told to stop, and what it left goes away."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from held_ground import refused
from json_api import Clock, allow, person, policy, refusal
from running import RunningServer, running, settings
from volley import request, volley

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.wiring import Holdfast


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[tuple[RunningServer, Clock]]:
    """A server that lets a principal have 20 sessions open, for two hours."""
    clock = Clock()
    wanted = settings(tmp_path, create_on_push="MUTABLE", max_uploads="20", upload_hours="2")
    with running(wanted, clock=clock) as up:
        yield up, clock


def test_c12_sessions_without_data_are_limited_and_expire(bounded: tuple[RunningServer, Clock], tmp_path: Path) -> None:
    server, clock = bounded
    client = server.client()
    opened = [client("POST", f"/v2/c/{number % 3}/blobs/uploads/") for number in range(20)]
    assert {answer.status for answer in opened} == {202}
    for _ in range(3):
        told = refused(client("POST", "/v2/c/0/blobs/uploads/"), 429, "TOOMANYREQUESTS")
        assert told.headers["Retry-After"] == "60"
    assert list((tmp_path / "uploads").iterdir()) == [], "a session without data has no file"
    with closing(server.aws()) as ecr:
        ecr.meta.events.register("needs-retry.ecr.InitiateLayerUpload", lambda **_: None)
        assert refusal(ecr.initiate_layer_upload, repositoryName="c/0").code == "ThrottlingException"
    # Others are not hindered, nor is a whole blob in one request, which needs no session.
    with closing(server.aws("holdfast")) as holdfast:
        other = person(holdfast, policy(allow("ecr:*")))
    assert server.client(other.key_id, other.secret)("POST", "/v2/c/0/blobs/uploads/").status == 202
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert client("POST", f"/v2/c/0/blobs/uploads/?digest={empty}", b"").status == 201
    # A place is free again when one is cancelled or finished, and when they are too old.
    assert client("DELETE", opened[0].headers["Location"]).status == 204
    assert client("PUT", f"{opened[1].headers['Location']}?digest={empty}", b"").status == 201
    assert [client("POST", "/v2/c/0/blobs/uploads/").status for _ in range(3)] == [202, 202, 429]
    clock.ahead_seconds += 2 * 3_600 + 1
    assert swept(server.holdfast, server) >= 20
    assert client("POST", "/v2/c/0/blobs/uploads/").status == 202
    assert client("PATCH", opened[2].headers["Location"], b"late").status == 404


def swept(holdfast: Holdfast, server: RunningServer) -> int:
    """Collect as the server does by itself once an hour; return how many sessions went."""
    return asyncio.run_coroutine_threadsafe(holdfast.upkeep.collect(), server.loop).result(30).sessions


def test_c12_racing_beginnings_do_not_pass_the_limit(bounded: tuple[RunningServer, Clock]) -> None:
    server, _ = bounded
    server.client()("POST", "/v2/c/a/blobs/uploads/")
    answers = volley(server, [request("POST", "/v2/c/a/blobs/uploads/") for _ in range(40)])
    assert sorted(answer.status for answer in answers) == [202] * 19 + [429] * 21
