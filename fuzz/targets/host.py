"""A Host header names a registry, the API or neither, and what it names is a part of it."""

from __future__ import annotations

from holdfast.faces.hosts import parse_host

SEEDS = (
    b"123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    b"123456789012.dkr-ecr.us-east-1.on.aws:443",
    b"api.ecr.us-east-1.example:5000",
    b"ecr.us-east-1.api.aws",
    b"127.0.0.1:5000",
)
WORDS = (b".dkr.ecr.", b".dkr-ecr.", b"-fips", b"api.ecr.", b".api.", b"123456789012", b":", b"[::1]")
COVERS = ("faces/hosts.py",)
PARSERS = ("faces.hosts.parse_host",)


def check(data: bytes) -> None:
    """Read it, and look for what was found."""
    text = data.decode("latin-1")
    host = parse_host(text)
    assert host.name == text.lower()
    assert (host.region is None) == (host.suffix is None)
    if host.account_id is not None:
        assert host.account_id.isascii()
        assert host.account_id.isdigit()
        assert host.name.startswith(f"{host.account_id}.")
    for part in (host.region, host.suffix):
        assert part is None or part in host.name
