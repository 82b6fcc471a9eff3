"""Limits of rate: principals and strangers that come too often wait, and nobody else does."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from held_ground import refused
from holdfast.core.errors import RateExceeded
from holdfast.registry.rates import MAX_BUCKETS, RateLimits
from json_api import Api, Clock, Refusal, allow, person, policy
from running import KEY_ID, SECRET, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Still(Clock):
    """A clock that stands still unless it is put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.began = super().__call__()

    def __call__(self) -> int:
        return self.began + int(self.ahead_seconds * 1_000_000)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[RunningServer, Clock]]:
    """A server that takes 2 requests a second of each principal and 1 of each stranger: 20 and 10 at once."""
    clock = Still()
    wanted = settings(tmp_path, requests_per_second="2", stranger_requests_per_second="1")
    with running(wanted, clock=clock) as up:
        yield up, clock


def test_a_principal_that_comes_too_often_waits_and_no_other_does(limited: tuple[RunningServer, Clock]) -> None:
    server, clock = limited
    with closing(server.aws("holdfast")) as holdfast:
        other = person(holdfast, policy(allow("ecr:*")))
    clock.ahead_seconds += 60
    client = server.client()
    for _ in range(20):
        assert client("GET", "/v2/").status == 200
    told = refused(client("GET", "/v2/"), 429, "TOOMANYREQUESTS")
    assert told.headers["Retry-After"] == "1"
    assert told.message.startswith("Rate exceeded")
    refused(client("PUT", "/v2/a/b/manifests/v1", b"x" * 100_000), 429, "TOOMANYREQUESTS")
    assert server.client(other.key_id, other.secret)("GET", "/v2/").status == 200
    clock.ahead_seconds += 0.5
    assert client("GET", "/v2/").status == 200
    assert client("GET", "/v2/").status == 429
    text = server.anonymous()("GET", "/metrics").body.decode()
    assert 'holdfast_rate_limited_total{whose="principal"} 3.0' in text


def test_both_apis_share_a_principals_bucket_and_sdks_are_told_to_try_again(
    limited: tuple[RunningServer, Clock],
) -> None:
    server, clock = limited
    client = server.client()
    for _ in range(20):
        client("GET", "/v2/")
    with closing(Api(server, now=clock.now)) as api:
        reply = api("DescribeRepositories")
        assert reply.refusal.code == "ThrottlingException"
        assert reply.refusal == Refusal(
            "ThrottlingException", "Rate exceeded: 2 requests a second are allowed. Wait 1 s, then try again."
        )
        assert reply.headers["Retry-After"] == "1"


def test_who_cannot_sign_takes_nothing_out_of_a_principals_bucket(limited: tuple[RunningServer, Clock]) -> None:
    server, clock = limited
    with closing(Api(server, KEY_ID, "not the secret", now=clock.now)) as forger:
        for _ in range(9):
            forger("DescribeRepositories")
    client = server.client()
    assert [client("GET", "/v2/").status for _ in range(20)] == [200] * 20


def test_a_stranger_that_comes_too_often_waits_and_no_principal_does(limited: tuple[RunningServer, Clock]) -> None:
    server, clock = limited
    stranger = server.anonymous()
    for _ in range(10):
        assert stranger("GET", "/v2/").status == 401
    assert refused(stranger("GET", "/v2/r/a/tags/list"), 429, "TOOMANYREQUESTS").headers["Retry-After"] == "1"
    assert stranger("GET", "/token").status == 429
    assert stranger("GET", "/livez").status == 200
    wrong = server.client(KEY_ID, "wrong")
    assert wrong("GET", "/v2/").status == 429
    assert server.client()("GET", "/v2/").status == 200
    clock.ahead_seconds += 1
    assert stranger("GET", "/v2/").status == 401


def test_a_rate_of_none_limits_nobody(tmp_path: Path) -> None:
    wanted = settings(tmp_path, requests_per_second="0", stranger_requests_per_second="0")
    with running(wanted, clock=Still()) as server:
        client, stranger = server.client(), server.anonymous()
        assert {client("GET", "/v2/").status for _ in range(500)} == {200}
        assert {stranger("GET", "/v2/").status for _ in range(500)} == {401}


def test_the_buckets_are_bounded_and_ipv6_counts_by_networks() -> None:
    limits = RateLimits(Still(), stranger_per_second=1)
    for _ in range(10):
        limits.admit_stranger("2001:db8::1")
    with pytest.raises(RateExceeded):
        limits.admit_stranger("2001:db8::ffff:2")
    limits.admit_stranger("2001:db8:0:1::1")
    limits.admit_stranger("fe80::1%eth0")
    for number in range(MAX_BUCKETS):
        limits.admit_stranger(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    buckets = limits._strangers
    assert buckets is not None
    assert len(buckets._full_at) == MAX_BUCKETS


def test_a_token_is_the_principal_that_it_was_made_for(limited: tuple[RunningServer, Clock]) -> None:
    server, _ = limited
    client = server.client()
    token = client("GET", "/token").json()["token"]
    bearer = server.anonymous()
    for _ in range(19):
        assert bearer("GET", "/v2/", headers={"Authorization": f"Bearer {token}"}).status == 200
    assert bearer("GET", "/v2/", headers={"Authorization": f"Bearer {token}"}).status == 429
    assert bearer("GET", "/v2/", headers={"Authorization": basic(KEY_ID, SECRET)}).status == 429
