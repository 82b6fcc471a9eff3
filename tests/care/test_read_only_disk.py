"""A file system that the system makes read-only under the server, after an error in it: pulls go on, changes do not."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import images
from holdfast import care
from json_api import Api
from running import running, settings
from torture.mounts import on_a_loop
from torture.part import NotHere
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from images import Image
    from running import RunningServer
    from torture.mounts import Mount

LAYER = os.urandom(300_000)


@pytest.fixture
def disk() -> Iterator[Mount]:
    """A disk of its own, with ext4."""
    try:
        with on_a_loop("ext4") as made:
            yield made
    except NotHere as why:
        pytest.skip(f"no file system can be mounted here: {why}")


def begin_upload(up: RunningServer, _: str, image: Image) -> Any:
    return up.client()("POST", f"/v2/t/app/blobs/uploads/?digest={images.sha256(image.blobs[0])}", image.blobs[0])


def go_on_with_upload(up: RunningServer, location: str, _: Image) -> Any:
    return up.client()("PATCH", location, LAYER)


def end_upload(up: RunningServer, location: str, _: Image) -> Any:
    return up.client()("PUT", f"{location}?digest={images.sha256(LAYER)}")


def bind_tag(up: RunningServer, _: str, image: Image) -> Any:
    return images.put(up.client(), "t/app", "v1-again", image)


@pytest.mark.parametrize("first", [begin_upload, go_on_with_upload, end_upload, bind_tag])
def test_pulls_go_on_and_changes_do_not(disk: Mount, first: Callable[[RunningServer, str, Image], Any]) -> None:
    """Whatever hears of it first: the database, the file of a session, a sync of one that is whole."""
    pushed, other = images.image(), images.image()
    wanted = settings(disk.path / "data", create_on_push="IMMUTABLE")
    with running(wanted) as up:
        client = up.client()
        assert images.push(client, "t/app", "v1", pushed).status == 201
        begun = client("POST", "/v2/t/app/blobs/uploads/").headers["Location"]
        location = client("PATCH", begun, LAYER).headers["Location"]
        disk.make_read_only()
        refused = first(up, location, pushed if first is bind_tag else other)
        assert (refused.status, refused.code) == (503, "UNAVAILABLE")
        eventually(lambda: client("GET", "/readyz/write").status == 503)
        ready = client("GET", "/readyz")
        assert (ready.status, b"its file system takes no writes" in ready.body) == (200, True)
        for attempt in (begin_upload, go_on_with_upload, end_upload, bind_tag):
            again = attempt(up, location, pushed if attempt is bind_tag else other)
            assert (again.status, again.code) == (503, "UNAVAILABLE")
            assert "read-only" in again.message
            assert again.headers["Retry-After"]
        created = Api(up)("CreateRepository", {"repositoryName": "t/other"})
        assert (created.status, created.code) == (503, "ServiceUnavailableException")
        assert client("GET", "/v2/t/app/manifests/v1").body == pushed.manifest
        for blob in pushed.blobs:
            assert client("GET", f"/v2/t/app/blobs/{images.sha256(blob)}").body == blob
        assert not up.holdfast.failed.is_set(), "the server goes on"
    disk.unmount()
    subprocess.run(["e2fsck", "-fy", str(disk.image)], check=False, capture_output=True)
    disk.mount()
    assert care.fsck(disk.path / "data").findings == []
    with running(wanted) as up:
        client = up.client()
        assert client("GET", "/readyz/write").status == 200
        assert client("GET", "/v2/t/app/manifests/v1").body == pushed.manifest
        assert images.push(client, "t/app", "v2", other).status == 201
