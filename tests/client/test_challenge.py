"""WWW-Authenticate is read as RFC 9110 writes it, and never breaks its reader."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull",
                    },
                )
            ],
        ),
        (
            'Newauth realm="apps", type=1,   title="Login to \\"apps\\"", Basic realm="simple"',
            [
                Challenge("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
                Challenge("basic", {"realm": "simple"}),
            ],
        ),
        ("BEARER REALM = https", [Challenge("bearer", {"realm": "https"})]),
        ('Basic realm="x", , charset="UTF-8"', [Challenge("basic", {"realm": "x", "charset": "UTF-8"})]),
        ('Bearer realm="a",realm="b"', [Challenge("bearer", {"realm": "a"})]),
        ('Bearer realm="never closed', [Challenge("bearer")]),
        ("Negotiate, Basic", [Challenge("negotiate"), Challenge("basic")]),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected


@given(st.text(st.characters(codec="latin-1")))
def test_no_text_breaks_it(header: str) -> None:
    parse_challenges(header)


@pytest.mark.parametrize("piece", [" ", ",", '"', 'a="', "a=", 'a="\\', "Basic "])
def test_time_is_linear(piece: str) -> None:
    begun = time.perf_counter()
    parse_challenges("Bearer " + piece * 1_000_000)
    assert time.perf_counter() - begun < 1
