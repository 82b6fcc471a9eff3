"""A name, tag or reference that is taken matches the specification's own grammar; all else is refused as what it is."""

from __future__ import annotations

import re

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid, NameInvalid, TagInvalid
from holdfast.core.reference import parse_reference, parse_repository_name, parse_tag

SEEDS = (b"demo/app", b"a-b/c__d.e", b"v1.0", b"latest", b"_x", b"sha256:" + b"a" * 64, b"a" * 257, b"A/b", b"a//b")
WORDS = (b"/", b"--", b"__", b".", b"_", b"-", b":", b"@", b"\n", b"%2f", b"..", b"\xd0\xb0", b"a" * 130)
COVERS = ("core/reference.py",)
PARSERS = (
    "core.reference.parse_reference",
    "core.reference.parse_repository_name",
    "core.reference.parse_tag",
)

# Source: OCI distribution specification, "Pulling manifests".
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*\Z", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z", re.ASCII)


def check(data: bytes) -> None:
    """Read it as each of the three."""
    for text in {data.decode("latin-1"), data.decode("utf-8", "replace")}:
        try:
            assert parse_repository_name(text) == text
            assert _NAME.match(text)
        except NameInvalid:
            assert not _NAME.match(text) or not 2 <= len(text) <= 256
        try:
            assert parse_tag(text) == text
            assert _TAG.match(text)
        except TagInvalid:
            assert not _TAG.match(text)
        try:
            read = parse_reference(text)
        except (DigestInvalid, TagInvalid):
            continue
        assert isinstance(read, Digest) == (":" in text)
        assert str(read) == text
