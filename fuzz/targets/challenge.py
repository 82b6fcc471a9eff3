"""A WWW-Authenticate header of any server is read without an error, into names in lower case, in linear time."""

from __future__ import annotations

from holdfast.client.challenge import MAX_CHARACTERS, parse_challenges

SEEDS = (
    b'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"',
    b'Basic realm="x", Bearer realm="y\\"z"',
    b"Negotiate",
    b'Basic realm="unfinished',
)
WORDS = (b'realm="', b"Bearer ", b"Basic ", b",", b'\\"', b'"', b"=", b"\\" * 50, b", " * 50, b"a=b," * 20)
COVERS = ("client/challenge.py",)
PARSERS = ("client.challenge.parse_challenges",)


def check(data: bytes) -> None:
    """Read it."""
    text = data.decode("latin-1")
    found = parse_challenges(text)
    assert sum(len(one.scheme) for one in found) <= min(len(text), MAX_CHARACTERS)
    for one in found:
        assert one.scheme == one.scheme.lower()
        assert all(name == name.lower() for name in one.parameters)
