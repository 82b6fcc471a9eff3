"""Text is a digest that is written as it was read, or it is refused with DigestInvalid."""

from __future__ import annotations

from holdfast.core.digest import HEX_LENGTHS, Digest
from holdfast.core.errors import DigestInvalid

SEEDS = (b"sha256:" + b"a" * 64, b"sha512:" + b"0" * 128, b"md5:" + b"f" * 32, b"sha256:" + b"A" * 64, b"")
WORDS = (b"sha256:", b"sha512:", b"sha384:", b"a" * 64, b"0" * 128, b"+", b":")
COVERS = ("core/digest.py",)
PARSERS = ("core.digest.Digest.parse",)


def check(data: bytes) -> None:
    """Read it."""
    text = data.decode("latin-1")
    try:
        read = Digest.parse(text)
    except DigestInvalid as error:
        assert error.message.isprintable()
        return
    assert str(read) == text
    assert len(read.hex) == HEX_LENGTHS[read.algorithm]
    assert not set(read.hex) - set("0123456789abcdef")
