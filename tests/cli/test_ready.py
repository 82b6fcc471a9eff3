"""`holdfast ready` is a health check: no credentials, an exit code, a sentence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from running import running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import RunningServer


def test_a_server_that_is_up_is_ready(holdfast: Commands) -> None:
    ran = holdfast("ready", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert (ran.code, ran.out) == (0, "ready\n")
    assert holdfast("ready", "--write", "--json").json()["ready"] is True


def test_a_health_check_has_the_servers_own_settings(holdfast: Commands, server: RunningServer) -> None:
    told = holdfast("ready", "--json", HOLDFAST_ENDPOINT=None, HOLDFAST_PORT=str(server.port)).json()
    assert (told["endpoint"], told["ready"]) == (f"http://127.0.0.1:{server.port}", True)
    ran = holdfast("ready", HOLDFAST_ENDPOINT=None, HOLDFAST_PORT=str(server.port), HOLDFAST_TLS_CERT="cert.pem")
    assert ran.code == 3
    assert f"https://127.0.0.1:{server.port} does not answer" in ran.err


def test_a_server_that_says_no_is_told_with_its_reason(holdfast: Commands, tmp_path: Path) -> None:
    with running(settings(tmp_path, read_only="yes")) as up:
        assert holdfast("ready", "--endpoint", up.url).code == 0
        ran = holdfast("ready", "--endpoint", up.url, "--write")
        assert ran.code == 1
        assert ran.out.startswith("not ready: read-only")
        fail(up)
        ran = holdfast("ready", "--endpoint", up.url, "--json")
        assert (ran.code, ran.json()["ready"]) == (1, False)
        assert "disk" in ran.json()["problems"][0]


def fail(server: RunningServer) -> None:
    """Let the server believe that its disk failed."""
    server.loop.call_soon_threadsafe(server.holdfast.failed.set)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), server.loop).result(5)


def test_nobody_there_and_somebody_else_there(holdfast: Commands, server: RunningServer) -> None:
    for endpoint in ("http://127.0.0.1:1", "ftp://x", "nonsense", f"https://127.0.0.1:{server.port}"):
        ran = holdfast("ready", "--endpoint", endpoint)
        assert (ran.code, ran.out) == (3, ""), endpoint
        assert "does not answer" in ran.err
