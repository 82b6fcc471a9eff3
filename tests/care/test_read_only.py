"""A registry that rests: every change is refused with its reason on both protocols, pulls go on, readiness says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from commands import environment
from holdfast.client.api import session_of
from holdfast.core.errors import ReadOnly
from images import digest_of, image, push, put, sha256
from json_api import Clock, allow, policy
from running import KEY_ID, REGION, SECRET, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from commands import Commands

PUSHED = image(b"lies there already")


@pytest.fixture
def resting(tmp_path: Path) -> Iterator[RunningServer]:
    """A server with one image that an administrator made read-only."""
    with running(settings(tmp_path / "data", create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", PUSHED)
        up.aws("holdfast").set_read_only(readOnly=True, reason="moving house")
        yield up


CHANGES: dict[str, Callable[[Any], object]] = {
    "an upload begins": lambda client: client("POST", "/v2/t/a/blobs/uploads/"),
    "a blob in one request": lambda client: client("POST", f"/v2/t/a/blobs/uploads/?digest={sha256(b'x')}", b"x"),
    "a mount": lambda client: client("POST", f"/v2/t/b/blobs/uploads/?mount={sha256(PUSHED.blobs[1])}&from=t/a"),
    "a new tag": lambda client: put(client, "t/a", "v2", PUSHED),
    "a tag that exists": lambda client: put(client, "t/a", "v1", PUSHED),
    "a repository made by a push": lambda client: client("POST", "/v2/t/new/blobs/uploads/"),
    "a tag deleted": lambda client: client("DELETE", "/v2/t/a/manifests/v1"),
    "an image deleted": lambda client: client("DELETE", f"/v2/t/a/manifests/{PUSHED.digest}"),
    "a blob deleted": lambda client: client("DELETE", f"/v2/t/a/blobs/{sha256(PUSHED.blobs[1])}"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_registry_protocol_refuses_changes(resting: RunningServer, change: Callable[[Any], Any]) -> None:
    answer = change(resting.client())
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "read-only: moving house" in answer.message
    assert answer.headers["Retry-After"]


def test_a_session_that_was_open_takes_no_more(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        client = up.client()
        location = client("POST", "/v2/t/a/blobs/uploads/").headers["Location"]
        path = location.partition(f":{up.port}")[2] or location
        up.aws("holdfast").set_read_only(readOnly=True)
        assert client("PATCH", path, b"more").status == 503
        assert client("GET", path).status == 204
        up.aws("holdfast").set_read_only(readOnly=False)
        assert client("PATCH", path, b"more").status == 202


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("ecr", "create_repository", {"repositoryName": "t/z"}),
        ("ecr", "delete_repository", {"repositoryName": "t/a", "force": True}),
        ("ecr", "initiate_layer_upload", {"repositoryName": "t/a"}),
        ("ecr", "put_image", {"repositoryName": "t/a", "imageManifest": PUSHED.manifest.decode(), "imageTag": "v3"}),
        ("ecr", "batch_delete_image", {"repositoryName": "t/a", "imageIds": [{"imageTag": "v1"}]}),
        ("ecr", "put_image_tag_mutability", {"repositoryName": "t/a", "imageTagMutability": "IMMUTABLE"}),
        ("holdfast", "create_principal", {"name": "x", "policies": [policy(allow("*"))]}),
        ("holdfast", "put_registry_settings", {"refusalStyle": "ecr"}),
        ("holdfast", "collect_garbage", {}),
    ],
)
def test_the_json_api_refuses_changes(
    resting: RunningServer, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    api = session_of().create_client(
        service,
        region_name=REGION,
        endpoint_url=resting.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(ClientError) as caught:
        getattr(api, operation)(**parameters)
    error = caught.value.response
    assert error["Error"]["Code"] in {"ServiceUnavailableException", "ServerException"}
    assert error["ResponseMetadata"]["HTTPStatusCode"] >= 500
    assert "read-only: moving house" in error["Error"]["Message"]


def test_pulls_go_on(resting: RunningServer) -> None:
    client = resting.client()
    assert digest_of(client, "t/a", "v1") == PUSHED.digest
    assert client("GET", "/v2/t/a/manifests/v1").body == PUSHED.manifest
    for blob in PUSHED.blobs:
        assert client("GET", f"/v2/t/a/blobs/{sha256(blob)}").body == blob
    assert client("GET", "/v2/t/a/tags/list").json()["tags"] == ["v1"]
    assert resting.aws().batch_get_image(repositoryName="t/a", imageIds=[{"imageTag": "v1"}])["images"]
    assert resting.aws().get_authorization_token()


def test_a_blob_whose_lease_is_over_is_told_of_all_the_same(tmp_path: Path) -> None:
    clock = Clock()
    with running(settings(tmp_path, create_on_push="MUTABLE", read_only="no"), clock=clock) as up:
        client = up.client()
        push(client, "t/a", "v1", PUSHED)
        up.aws("holdfast").set_read_only(readOnly=True)
        clock.ahead_seconds += 3 * 86_400
        assert client("HEAD", f"/v2/t/a/blobs/{sha256(PUSHED.blobs[1])}").status == 200
        with pytest.raises(ReadOnly):
            asyncio.run_coroutine_threadsafe(up.holdfast.upkeep.collect(), up.loop).result(10)


def test_readiness_and_metrics_show_it(resting: RunningServer) -> None:
    client = resting.anonymous()
    ready = client("GET", "/readyz")
    assert ready.status == 200
    assert ready.json()["writable"] is False
    assert ready.json()["write_problems"] == ["read-only: moving house (by an administrator)"]
    assert client("GET", "/readyz/write").status == 503
    assert b"holdfast_read_only 1.0" in client("GET", "/metrics").body


def test_it_holds_beyond_a_restart_and_is_on_record(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", PUSHED)
        up.aws("holdfast").set_read_only(readOnly=True, reason="moving house")
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        assert put(up.client(), "t/a", "v2", PUSHED).status == 503
        told = up.aws("holdfast").set_read_only(readOnly=False)
        assert (told["readOnly"], told["reasons"]) == (False, [])
        assert put(up.client(), "t/a", "v2", PUSHED).status == 201
        kinds = [row[0] for row in up.holdfast._database.rows("SELECT kind FROM entries ORDER BY sequence")]
        assert kinds.count("read-only-set") == 2


def test_the_setting_closes_it_and_the_switch_does_not_open_it(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", PUSHED)
    with running(settings(tmp_path, create_on_push="MUTABLE", read_only="yes")) as up:
        assert put(up.client(), "t/a", "v2", PUSHED).status == 503
        assert up.aws("holdfast").set_read_only(readOnly=False)["readOnly"] is True
        assert up.client()("GET", "/v2/t/a/manifests/v1").status == 200


def test_the_command(resting: RunningServer, holdfast: Commands) -> None:
    mine = environment(resting.url)
    assert holdfast("read-only", **mine).out == "Read-only: moving house (by an administrator).\n"
    assert holdfast("read-only", "off", "--json", **mine).json() == {"read_only": False, "reasons": []}
    assert holdfast("read-only", "on", **mine).out == "Read-only: no reason was given (by an administrator).\n"
    assert holdfast("read-only", "off", "--reason", "x", **mine).code == 2
