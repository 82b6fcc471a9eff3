"""Two headers are a condition that a repeated push always meets, or they are refused with PreconditionInvalid."""

from __future__ import annotations

from holdfast.core.digest import Digest
from holdfast.core.preconditions import PreconditionInvalid, parse

_A, _B = Digest.of(b"a"), Digest.of(b"b")
SEEDS = (b"*\n", b"\n*", f'"{_A}"\n'.encode(), f'\n"{_A}", W/"{_B}"'.encode(), b'"a","b"\n"c"')
WORDS = (b'"', b"W/", b"*", b", ", f'"{_A}"'.encode(), f'"{_B}"'.encode(), b'"",')
COVERS = ("core/preconditions.py",)
PARSERS = ("core.preconditions.parse",)


def check(data: bytes) -> None:
    """Read If-Match and If-None-Match, each absent when its line is empty."""
    first, _, second = data.decode("latin-1").partition("\n")
    try:
        found = parse(first or None, second or None)
    except PreconditionInvalid:
        return
    if found is None:
        assert not first
        assert not second
        return
    assert found.holds(_A, _A)
    if found.if_match is not None:
        assert not found.holds(None, _A)
    elif "*" in second and found.if_none_match == frozenset("*"):
        assert found.holds(None, _A)
        assert not found.holds(_B, _A)
