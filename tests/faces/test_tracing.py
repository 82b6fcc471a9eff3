"""Traces: off by default; on, a span for each request, joined to the client's trace, with nothing secret in it."""

from __future__ import annotations

import builtins
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from holdfast.core.errors import ConfigurationInvalid
from holdfast.faces import tracing
from holdfast.faces.http import Request
from holdfast.faces.tracing import Tracing, route_of
from images import image, push
from running import SECRET, running, settings

if TYPE_CHECKING:
    from pathlib import Path

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_spans_are_left_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("holdfast.wiring.Tracing", lambda: Tracing(exporter))
    with running(settings(tmp_path, tracing="yes", create_on_push="IMMUTABLE")) as up:
        client = up.client()
        push(client, "secret/name", "v1", image())
        client("GET", "/v2/secret/name/manifests/v1?token=hunter2", headers={"traceparent": PARENT})
        client("GET", "/v2/secret/name/manifests/nothing", headers={"traceparent": "garbage"})
        up.aws().describe_repositories()
    spans = exporter.get_finished_spans()
    joined = next(one for one in spans if one.parent is not None)
    assert joined.parent is not None
    assert joined.context is not None
    assert format(joined.context.trace_id, "032x") == PARENT.split("-")[1]
    assert format(joined.parent.span_id, "016x") == PARENT.split("-")[2]
    assert joined.name == "GET /v2/manifests"
    assert joined.attributes is not None
    assert joined.attributes["http.response.status_code"] == 200
    assert len(str(joined.attributes["holdfast.request_id"])) == 32
    missed = next(one for one in spans if one.attributes and one.attributes["http.response.status_code"] == 404)
    assert missed.parent is None
    assert "POST DescribeRepositories" in {one.name for one in spans}
    told = " ".join(one.to_json() for one in spans)
    for secret in (SECRET, "secret/name", "hunter2", "Basic "):
        assert secret not in told


def test_a_collector_that_is_down_delays_no_answer_and_the_stop_for_as_long_as_may_be_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")  # the library tells of each attempt
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # milliseconds: sending is tried while requests come
    with running(settings(tmp_path, tracing="yes", create_on_push="IMMUTABLE")) as up:
        client = up.client()
        pushed = image()
        assert push(client, "t/a", "v1", pushed).status == 201
        assert {client("GET", "/v2/t/a/manifests/v1").status for _ in range(200)} == {200}
        begun = time.monotonic()
    assert time.monotonic() - begun < 15


def test_nothing_of_opentelemetry_is_imported_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def watched(name: str, *rest: Any) -> Any:
        assert not name.startswith("opentelemetry"), "tracing is off"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", watched)
    with running(settings(tmp_path)) as up:
        assert up.client()("GET", "/v2/").status == 200


def test_without_the_library_the_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationInvalid, match=r"holdfast\[otel\]"):
        Tracing()


@pytest.mark.parametrize(
    ("method", "path", "target", "route"),
    [
        ("GET", "/v2/", "", "/v2/base"),
        ("GET", "/v2/a/b/blobs/sha256:00", "", "/v2/blobs"),
        ("GET", "/v2/%ff/manifests/%ff", "", "/v2/"),
        ("GET", "/download/abc", "", "/download/"),
        ("POST", "/", "AmazonEC2ContainerRegistry_V20150921.PutImage", "PutImage"),
        ("POST", "/", "x.a b\x00", "/"),
        ("GET", "/.env", "", "other"),
    ],
)
def test_a_route_is_one_of_few(method: str, path: str, target: str, route: str) -> None:
    assert route_of(Request(method, path, "", {"x-amz-target": target})) == route
    assert tracing.__doc__
