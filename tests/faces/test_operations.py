"""What operators see: liveness, readiness, metrics with bounded labels, and logs without secrets."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from holdfast.cli.serve import JSONLines
from images import image, push, put
from running import KEY_ID, SECRET, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from running import Client


def test_a_server_that_is_up_is_alive_and_ready(server: RunningServer) -> None:
    client = server.anonymous()
    assert client("GET", "/livez").body == b"ok\n"
    answer = client("GET", "/readyz")
    assert (answer.status, answer.json()) == (
        200,
        {"ready": True, "problems": [], "writable": True, "write_problems": []},
    )
    assert client("POST", "/livez").status == 405


def test_a_server_whose_disk_failed_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as up:
        up.loop.call_soon_threadsafe(up.holdfast.failed.set)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), up.loop).result(5)
        answer = up.anonymous()("GET", "/readyz")
        assert answer.status == 503
        assert answer.json()["problems"] == ["the disk refused to store; the server is stopping"]
        assert up.anonymous()("GET", "/livez").status == 200
        assert b"holdfast_write_disabled 1.0" in up.anonymous()("GET", "/metrics").body


def test_metrics_count_requests_with_labels_of_a_closed_set(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="IMMUTABLE")) as up:
        client = up.client()
        push(client, "t/a", "v1", image())
        another = image()
        assert put(client, "t/a", "v1", another).status == 400, "its parts are not there"
        push(client, "t/a", "v2", another)
        client("GET", "/v2/t/a/manifests/v1")
        client("OPTIONS", "/v2/t/a/manifests/v1")
        text = up.anonymous()("GET", "/metrics").body.decode()
        assert 'holdfast_http_requests_total{face="oci",method="GET",status="200"} 1.0' in text
        assert 'method="other"' in text
        assert "t/a" not in text, "names of repositories are no labels: there is no end of them"
        assert 'holdfast_http_request_duration_seconds_bucket{face="oci",le="+Inf"}' in text


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as `holdfast serve` writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JSONLines())
    root = logging.getLogger("holdfast")  # the clients of this test log too, in this same process
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def test_the_log_is_json_with_request_ids_and_holds_no_secret(
    server: RunningServer, client: Client, repository: str, log: io.StringIO
) -> None:
    push(client, repository, "v1", image())
    token = base64.b64decode(server.aws().get_authorization_token()["authorizationData"][0]["authorizationToken"])
    with_token = server.client("AWS", token.decode().partition(":")[2])
    assert with_token("GET", f"/v2/{repository}/manifests/v1?credential=in-a-query").status == 200
    server.client(KEY_ID, "a-wrong-password")("GET", f"/v2/{repository}/tags/list")
    key = server.aws("holdfast").create_access_key(name="administrator")
    said = log.getvalue()
    lines = [json.loads(line) for line in said.splitlines()]
    requests = [line for line in lines if line["logger"] == "holdfast.request"]
    assert requests
    assert all(line["request_id"] and line["peer"] == "127.0.0.1" for line in requests)
    secrets = (SECRET, token.decode(), "a-wrong-password", key["secretAccessKey"], "in-a-query", "Signature=")
    for secret in (*secrets, base64.b64encode(f"{KEY_ID}:{SECRET}".encode()).decode()):
        assert secret not in said
    server.aws("holdfast").delete_access_key(accessKeyId=key["accessKeyId"])


def test_control_characters_of_a_client_are_escaped_in_the_log(log: io.StringIO) -> None:
    logging.getLogger("holdfast.of-this-test").info("%s", "a\nb\x1b[31m", extra={"client": "x\r\ny"})
    # A server that other tests use logs beside.
    (line,) = [one for one in log.getvalue().splitlines() if json.loads(one)["logger"] == "holdfast.of-this-test"]
    assert json.loads(line)["message"] == "a\nb\x1b[31m"
    assert "\x1b" not in line
