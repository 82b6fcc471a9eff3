"""`holdfast upstream` and `holdfast replication`, against a server and a second one."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest

from images import digest_of, image, push
from json_api import Clock
from running import ACCOUNT, KEY_ID, SECRET, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands import Commands
    from running import RunningServer

FAR = "us-west-2"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Another server, of another account, that makes MUTABLE repositories on push."""
    wanted = settings(tmp_path_factory.mktemp("other"), create_on_push="MUTABLE", account_id="999999999999")
    with running(wanted) as up:
        yield up


def sealed(holdfast: Commands, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Set the other server's credential."""
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    ran = holdfast("upstream", "credential", "set", name, "--username", KEY_ID, "--password-stdin", "--json")
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out
    return str(ran.json()["credential_arn"])


def test_an_upstream_from_its_credential_to_its_drift(
    holdfast: Commands, other: RunningServer, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = sealed(holdfast, monkeypatch, "far")
    assert "secret:ecr-pullthroughcache/far" in arn
    assert holdfast("upstream", "credential", "list").out.count("far") == 2
    assert holdfast("upstream", "add", "far", other.url, "--credential", "far").code == 0
    assert other.url in holdfast("upstream", "list").out
    assert holdfast("upstream", "check", "far").out == f"{other.url} answers.\n"
    pushed = image(b"cli")
    push(other.client(), "demo/app", "v1", pushed)
    assert digest_of(server.client(), "far/demo/app", "v1") == pushed.digest
    assert holdfast("upstream", "drift").code == 0
    assert holdfast("upstream", "credential", "delete", "far").code == 0
    broken = holdfast("upstream", "check", "far")
    assert (broken.code, "no upstream credential" in broken.out) == (1, True)
    assert holdfast("upstream", "remove", "far", "--yes", "--json").json() == {"prefix": "far", "removed": True}
    gone = holdfast("upstream", "remove", "far", "--yes")
    assert (gone.code, "upstream list" in gone.err) == (3, True)
    wrong = holdfast("upstream", "add", "bad", "ftp://x")
    assert (wrong.code, "is invalid" in wrong.err) == (2, True)
    assert holdfast("upstream", "add", "bad", "ghcr.io", "--credential", "lost").code == 3


def test_drift_is_found(
    other: RunningServer,
    holdfast: Commands,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("drift")), clock=clock) as cache:
        mine = {"HOLDFAST_ENDPOINT": cache.url}
        monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
        assert (
            holdfast("upstream", "credential", "set", "o", "--username", KEY_ID, "--password-stdin", **mine).code == 0
        )
        assert holdfast("upstream", "add", "oo", other.url, "--credential", "o", **mine).code == 0
        ecr = cache.aws()
        ecr.create_repository_creation_template(
            prefix="oo", appliedFor=["PULL_THROUGH_CACHE"], imageTagMutability="IMMUTABLE"
        )
        ecr.close()
        first, moved = image(b"1"), image(b"2")
        push(other.client(), "drifts", "v1", first)
        assert digest_of(cache.client(), "oo/drifts", "v1") == first.digest
        push(other.client(), "drifts", "v1", moved)
        clock.ahead_seconds = 25 * 3600
        assert digest_of(cache.client(), "oo/drifts", "v1") == first.digest
        clock.ahead_seconds = 0
        ran = holdfast("upstream", "drift", **mine)
        assert ran.code == 1
        assert "oo/drifts:v1" in ran.out
        (told,) = holdfast("upstream", "drift", "--json", **mine).json()["drift"]
        assert (told["digest"], told["upstream_digest"]) == (first.digest, moved.digest)


def test_replication_is_told_done_and_failed(
    holdfast: Commands, other: RunningServer, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(holdfast, monkeypatch, "peer")
    assert holdfast("replication", "peer", "set", f"{FAR}/{ACCOUNT}", other.url, "--credential", "peer").code == 0
    assert other.url in holdfast("replication", "peer", "list").out
    ecr = server.aws()
    rule = {
        "destinations": [{"region": one, "registryId": ACCOUNT} for one in (FAR, "xx-none-1")],
        "repositoryFilters": [{"filter": "cli-replicated/", "filterType": "PREFIX_MATCH"}],
    }
    ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})
    try:
        assert f"{FAR}/{ACCOUNT}" in holdfast("replication", "rules").out
        pushed = image(b"replicated")
        push(server.client(), "cli-replicated/app", "v1", pushed)
        until = time.monotonic() + 30
        while b"holdfast_replications_waiting 0" not in server.anonymous()("GET", "/metrics").body:
            assert time.monotonic() < until
            time.sleep(0.05)
        ran = holdfast("replication", "status", "cli-replicated/app")
        assert ran.code == 1
        assert ran.out.count("COMPLETE") == 1
        assert "no peer is set" in ran.out
        (failed,) = holdfast("replication", "status", "cli-replicated/app", "--failed", "--json").json()["replications"]
        assert failed["code"] == "DestinationNotFound"
        assert digest_of(other.client(), "cli-replicated/app", "v1") == pushed.digest
    finally:
        ecr.put_replication_configuration(replicationConfiguration={"rules": []})
        ecr.close()
    assert holdfast("replication", "peer", "delete", f"{FAR}/{ACCOUNT}").code == 0
    assert holdfast("replication", "peer", "delete", f"{FAR}/{ACCOUNT}").code == 3
    assert holdfast("replication", "rules").out == "Nothing is replicated.\n"
    assert holdfast("replication", "status", "Not/A/Name").code == 2
