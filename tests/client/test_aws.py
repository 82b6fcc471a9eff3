"""Calls that are signed and sent without botocore's client are signed as botocore signs them; paces keep to a rate."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.aws import sign
from holdfast.client.pacing import LEAST_PER_SECOND, Pace

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(st.binary(max_size=100), words, words, st.none() | words, st.integers(1_450_000_000, 4_000_000_000))
def test_signatures_are_botocores(body: bytes, key_id: str, secret: str, token: str | None, at: int) -> None:
    now = datetime.fromtimestamp(at, UTC)
    headers = sign(
        host="api.ecr.eu-central-1.amazonaws.com",
        target="AmazonEC2ContainerRegistry_V20150921.DescribeImages",
        body=body,
        key=(key_id, secret, token),
        place=("eu-central-1", "ecr"),
        now=now,
    )
    request = AWSRequest(
        "POST",
        "https://api.ecr.eu-central-1.amazonaws.com/",
        {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": headers["x-amz-target"]},
        body,
    )
    with patch.object(auth, "get_current_datetime", lambda *_args, **_more: now.replace(tzinfo=None)):
        auth.SigV4Auth(Credentials(key_id, secret, token), "ecr", "eu-central-1").add_auth(request)
    assert headers["Authorization"] == request.headers["Authorization"]


def test_a_pace_is_free_until_it_is_refused_and_then_finds_what_is_allowed() -> None:
    """A service that allows 20 a second, simulated: nearly all of it is used, and few calls are refused."""
    pace, now, tokens, filled, done, refused = Pace(), 0.0, 20.0, 0.0, 0, 0
    while now < 120:
        now += pace.reserve(now) + 0.001
        tokens, filled = min(20.0, tokens + (now - filled) * 20), now
        if tokens >= 1:
            tokens -= 1
            done += 1
        else:
            refused += now > 10
            pace.refused(now)
    assert done > 120 * 20 * 0.6
    assert refused < done * 0.02, "once it has found the rate"


def test_a_pace_never_stops() -> None:
    pace = Pace()
    for second in range(100):
        pace.refused(float(second * 2))
    assert pace.per_second == LEAST_PER_SECOND
    assert pace.reserve(1000.0) <= 1 / LEAST_PER_SECOND


def test_a_known_limit_is_kept() -> None:
    pace, now, calls = Pace(2.0), 0.0, 0
    while now < 30:
        now += pace.reserve(now)
        calls += 1
    assert calls <= 62
