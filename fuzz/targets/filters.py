"""A filter matches a tag just as a slow twin says, in linear time, and settings that cannot be are ParameterInvalid."""

from __future__ import annotations

from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import matches, parse_settings

SEEDS = (b"latest*\nlatest-1", b"*a*b*c\nxaxbxc", b"dev-*\ndev-", b"*\n", b"v*.*\nv1.2")
WORDS = (b"*", b"**", b".", b"a" * 40, b"?", b"[a]", b"\n", b"*a" * 20)
COVERS = ("core/mutability.py",)
PARSERS = ("core.mutability.matches", "core.mutability.parse_settings")


def check(data: bytes) -> None:
    """Read a filter and a tag."""
    pattern, _, tag = data.decode("latin-1").partition("\n")
    pattern, tag = pattern[:128], tag[:300]
    assert matches(pattern, tag) == _twin(pattern, tag)
    for mode in ("IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION", "MUTABLE", pattern):
        try:
            settings = parse_settings(mode, [pattern, tag])
        except ParameterInvalid:
            continue
        assert settings.judge(tag).held in {True, False}


def _twin(pattern: str, tag: str) -> bool:
    """Match by a table: row by row, which beginnings of the tag the beginning of the pattern matches."""
    row = [True] + [False] * len(tag)
    for one in pattern:
        if one == "*":
            first = row.index(True) if True in row else len(row)
            row = [place >= first for place in range(len(row))]
        else:
            row = [False, *(row[place] and tag[place] == one for place in range(len(tag)))]
    return row[-1]
