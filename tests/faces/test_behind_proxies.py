"""Behind reverse proxies: whose word is taken, who may read the metrics, and what every answer has for browsers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from holdfast.config import load
from holdfast.core.errors import ConfigurationInvalid
from images import image, push, push_blob
from json_api import allow, person, policy
from rawhttp import raw
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that believes proxies on this machine, says bearer, and limits strangers to ten at once."""
    wanted = settings(
        tmp_path,
        trusted_proxies="127.0.0.1",
        login="bearer",
        stranger_requests_per_second="1",
        create_on_push="MUTABLE",
    )
    with running(wanted) as up:
        yield up


def test_a_client_behind_a_proxy_is_told_the_scheme_that_it_used(proxied: RunningServer) -> None:
    told = raw(proxied, "GET", "/v2/", {"X-Forwarded-Proto": "https"}, authorization=None).headers["WWW-Authenticate"]
    assert told == 'Bearer realm="https://localhost/token",service="holdfast"'
    plain = raw(proxied, "GET", "/v2/", authorization=None).headers["WWW-Authenticate"]
    assert plain.startswith('Bearer realm="http://')


def test_clients_behind_one_proxy_are_told_apart(proxied: RunningServer) -> None:
    def ask(client: str) -> int:
        return raw(proxied, "GET", "/v2/", {"X-Forwarded-For": f"1.2.3.4, {client}"}, authorization=None).status

    assert [ask("198.51.100.1") for _ in range(12)].count(429) == 2
    assert ask("198.51.100.2") == 401


def test_nobody_is_believed_unless_named(server: RunningServer) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1"}
    told = raw(server, "GET", "/v2/", headers, authorization=None).headers["WWW-Authenticate"]
    assert 'realm="http://localhost/"' in told


@pytest.mark.parametrize("value", ["*", "0.0.0.0/0", "proxy.example"])
def test_to_trust_everybody_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="trusted_proxies"):
        load({"trusted_proxies": value}, {})


def test_metrics_are_for_this_machine_and_for_who_has_the_right(proxied: RunningServer) -> None:
    holdfast = proxied.aws("holdfast")
    reader = person(holdfast, policy(allow("holdfast:GetMetrics")))
    other = person(holdfast, policy(allow("ecr:*")))
    holdfast.close()
    far = {"X-Forwarded-For": "198.51.100.1"}
    assert proxied.anonymous()("GET", "/metrics").status == 200
    refused = proxied.anonymous()("GET", "/metrics", headers=far)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="metrics"'
    assert b"holdfast:GetMetrics" in refused.body
    assert proxied.client(other.key_id, other.secret)("GET", "/metrics", headers=far).status == 403
    assert proxied.client(reader.key_id, reader.secret)("GET", "/metrics", headers=far).status == 200
    assert [proxied.anonymous()("GET", "/metrics", headers=far).status for _ in range(11)][-1] == 429
    assert proxied.anonymous()("GET", "/livez", headers=far).status == 200


@pytest.mark.parametrize(("who", "status"), [("open", 200), ("authenticated", 401)])
def test_metrics_may_be_for_all_or_for_nobody_without_a_name(tmp_path: Path, who: str, status: int) -> None:
    with running(settings(tmp_path, metrics=who)) as up:
        assert up.anonymous()("GET", "/metrics").status == status
        assert up.client()("GET", "/metrics").status == 200


def test_metrics_say_what_there_is_and_what_was_refused(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="IMMUTABLE")) as up:
        client = up.client()
        pushed = image()
        push(client, "m/a", "v1", pushed)
        assert push(client, "m/a", "v1", image()).status == 409
        client("POST", "/v2/m/a/blobs/uploads/")
        text = up.anonymous()("GET", "/metrics").body.decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert float(values["holdfast_repositories"]) == 1
        assert float(values["holdfast_images"]) == 2
        assert float(values["holdfast_content_bytes"]) > 200
        assert float(values["holdfast_uploads"]) == 1
        assert float(values["holdfast_entries"]) >= 4
        assert float(values["holdfast_connections"]) >= 2
        assert float(values["holdfast_disk_free_bytes"]) > 0
        assert float(values['holdfast_errors_total{error="TagHeld"}']) == 1
        assert float(values['holdfast_errors_total{error="QuotaExceeded"}']) == 0
        assert float(values["process_resident_memory_bytes"]) > 1_000_000
        assert "m/a" not in text


def test_every_answer_forbids_sniffing_and_a_blob_is_never_rendered(server: RunningServer) -> None:
    client = server.client()
    digest = push_blob(client, "headers/a", b"<script>alert(1)</script>")
    for method, path in (
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/nothing"),
        ("GET", "/livez"),
        ("GET", "/v2/UPPER/tags/list"),
        ("POST", "/"),
    ):
        answer = client(method, path)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], path
        assert answer.headers["Strict-Transport-Security"] is None, "this is plain http"
    answer = client("GET", f"/v2/headers/a/blobs/{digest}")
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(b"no request at all\r\n\r\n")
        assert b"X-Content-Type-Options: nosniff\r\n" in connection.recv(4_096)
