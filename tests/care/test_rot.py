"""Bytes that rot: never served to their end, never built upon, healed by a push."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import shutil
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from holdfast import care
from holdfast.registry.fsck import Problem
from images import image, push, push_blob, push_parts, put, sha256
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAYER = b"a layer, long enough to be damaged somewhere in its middle"
PUSHED = image(LAYER)
DIGEST = sha256(LAYER)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with one image, stopped."""
    with running(settings(tmp_path / "data", create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", PUSHED)
    return tmp_path / "data"


@contextlib.contextmanager
def started(data: Path) -> Iterator[RunningServer]:
    with running(settings(data, create_on_push="MUTABLE")) as up:
        yield up


def blob_file(data: Path) -> Path:
    (found,) = (data / "blobs").rglob(f"{DIGEST.partition(':')[2]}.*")
    return found


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit flipped": lambda path: path.write_bytes(LAYER[:9] + bytes([LAYER[9] ^ 1]) + LAYER[10:]),
    "its end lost": lambda path: path.write_bytes(LAYER[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "grown": lambda path: path.write_bytes(LAYER + b"!"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_bytes_never_complete_an_answer_and_a_push_heals_them(
    data: Path, damage: Callable[[Path], object]
) -> None:
    damage(blob_file(data))
    with started(data) as up:
        client = up.client()
        for _ in range(2):
            try:
                answer = client("GET", f"/v2/t/a/blobs/{DIGEST}")
            except (http.client.HTTPException, OSError):
                continue
            assert answer.status in {404, 500}, answer.status
        assert client("HEAD", f"/v2/t/a/blobs/{DIGEST}").status == 404, "a client is told to send it again"
        assert (
            not up.aws()
            .batch_check_layer_availability(repositoryName="t/a", layerDigests=[DIGEST])["layers"][0]
            .get("layerSize")
        )

        refused = put(client, "t/a", "v2", image(LAYER, config=PUSHED.blobs[0], annotations={"a": "b"}))
        assert (refused.status, refused.code) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert DIGEST in refused.message
        assert put(client, "t/a", "v2", PUSHED).status == 400, "nobody could pull what the tag would name"
        with pytest.raises(ClientError) as caught:
            up.aws().put_image(repositoryName="t/a", imageManifest=PUSHED.manifest.decode(), imageTag="v3")
        assert caught.value.response["Error"]["Code"] == "LayersNotFoundException"

        push_blob(client, "t/a", LAYER)
        assert client("GET", f"/v2/t/a/blobs/{DIGEST}").body == LAYER
        assert put(client, "t/a", "v2", PUSHED).status == 201
    report = care.fsck(data)
    assert report.is_sound
    assert {one.problem for one in report.leftovers} <= {Problem.QUARANTINED}


def test_ecrs_layer_upload_heals_too(data: Path) -> None:
    blob_file(data).unlink()
    with started(data) as up:
        ecr = up.aws()
        session = ecr.initiate_layer_upload(repositoryName="t/a")["uploadId"]
        ecr.upload_layer_part(
            repositoryName="t/a", uploadId=session, partFirstByte=0, partLastByte=len(LAYER) - 1, layerPartBlob=LAYER
        )
        ecr.complete_layer_upload(repositoryName="t/a", uploadId=session, layerDigests=[DIGEST])
        assert up.client()("GET", f"/v2/t/a/blobs/{DIGEST}").body == LAYER


def test_one_damaged_blob_leaves_the_others_alone(data: Path) -> None:
    blob_file(data).write_bytes(b"rot")
    with started(data) as up:
        config = PUSHED.blobs[0]
        assert up.client()("GET", f"/v2/t/a/blobs/{sha256(config)}").body == config
        assert up.client()("GET", "/v2/t/a/manifests/v1").body == PUSHED.manifest


def sweep(up: RunningServer) -> int | None:
    return asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.sweep_files(), up.loop).result(10)


def test_a_file_that_a_crash_left_without_a_row_is_swept(data: Path) -> None:
    path = blob_file(data)
    orphan = path.with_suffix(".00000000000000aa")
    with started(data) as up:
        push_parts(up.client(), "t/a", image())
        shutil.copy(path, orphan)
        assert sweep(up) == 1
        assert not orphan.exists()
        assert path.exists()
        assert sweep(up) == 0


def test_files_of_another_database_are_not_swept(data: Path) -> None:
    for path in (data / "blobs").rglob("*.*"):
        for number in range(20):
            shutil.copy(path, path.with_suffix(f".{number:016x}"))
    before = sorted((data / "blobs").rglob("*.*"))
    with started(data) as up:
        assert sweep(up) == 0
    assert sorted((data / "blobs").rglob("*.*")) == before
