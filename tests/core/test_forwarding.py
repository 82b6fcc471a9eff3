"""What proxies say of their clients is believed as far as the proxies are ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.forwarding import client_of, is_trusted, networks, scheme_of

OURS = networks("10.0.0.0/8, ::1, 192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.1.1.1", None, "10.1.1.1"),
        ("10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("::1", "2001:DB8::1", "2001:db8::1"),
        ("::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "198.51.100.1, unknown", "10.1.1.1"),
        ("10.1.1.1", "198.51.100.1:443", "10.1.1.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", " , ", "10.1.1.1"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy(peer: str, header: str | None, client: str) -> None:
    assert client_of(peer, header, OURS) == client


@given(st.text(), st.text())
def test_a_stranger_is_itself_whatever_it_says(header: str, proto: str) -> None:
    assert client_of("203.0.113.5", header, OURS) == "203.0.113.5"
    assert scheme_of("203.0.113.5", "http", proto, OURS) == "http"
    found = client_of("10.1.1.1", header, OURS)
    assert "\n" not in found
    assert scheme_of("10.1.1.1", "http", proto, OURS) in {"http", "https"}


def test_a_proxy_says_the_scheme() -> None:
    assert scheme_of("10.1.1.1", "http", "https", OURS) == "https"
    assert scheme_of("10.1.1.1", "http", "http, HTTPS", OURS) == "https"
    assert scheme_of("10.1.1.1", "http", "https, ftp", OURS) == "http"
    assert scheme_of("10.1.1.1", "https", None, OURS) == "https"


@pytest.mark.parametrize("text", ["", "*", "0.0.0.0/0", "::/0", "10.0.0.1/8", "proxy.example", "10.0.0.0/8,,"])
def test_what_names_no_proxy_or_everybody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        networks(text)


def test_what_is_no_address_is_nobody() -> None:
    assert not is_trusted("", OURS)
    assert not is_trusted("unix:/run/x", OURS)
    assert is_trusted("fe80::1%eth0", networks("fe80::/10"))
