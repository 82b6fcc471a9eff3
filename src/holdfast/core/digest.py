"""Digests: the one place that knows their grammar and which algorithms we compute.

Source: OCI image specification, descriptor.md, "Digests". Registered algorithms: sha256 and sha512.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple, Protocol, TypeAlias

from holdfast.core.errors import DigestInvalid

Content: TypeAlias = bytes | bytearray | memoryview

HEX_LENGTHS: Final = {"sha256": 64, "sha512": 128}
"""Algorithm -> number of hexadecimal digits."""

_HASHERS: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}

DEFAULT_ALGORITHM: Final = "sha256"

_DIGEST_MAX_CHARACTERS: Final = 256
_GRAMMAR: Final = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX: Final = re.compile(r"[a-f0-9]+", re.ASCII)


class Hasher(Protocol):
    """What we use of a hashlib object."""

    def update(self, data: Content, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in lower-case hexadecimal."""


class Digest(NamedTuple):
    """A parsed digest of an algorithm that we compute."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`; raises DigestInvalid, never anything else."""
        algorithm, _, encoded = text.partition(":")
        if HEX_LENGTHS.get(algorithm) == len(encoded) and _HEX.fullmatch(encoded):
            return cls(algorithm, encoded)
        raise DigestInvalid(_what_is_wrong(text, algorithm), {"digest": text[:_DIGEST_MAX_CHARACTERS]})

    @classmethod
    def of(cls, content: Content, algorithm: str = DEFAULT_ALGORITHM) -> Digest:
        """Compute the digest of content."""
        return cls(algorithm, new_hasher(algorithm, content).hexdigest())

    def matches(self, content: Content) -> bool:
        """Whether content hashes to this digest."""
        return new_hasher(self.algorithm, content).hexdigest() == self.hex


def new_hasher(algorithm: str, content: Content = b"") -> Hasher:
    """Start a hash; raises DigestInvalid for an algorithm that we do not compute."""
    make = _HASHERS.get(algorithm)
    if make is None:
        msg = f"The digest algorithm '{algorithm[:64]}' is not supported; use sha256 or sha512."
        raise DigestInvalid(msg, {"algorithm": algorithm[:64]})
    return make(content)


def _what_is_wrong(text: str, algorithm: str) -> str:
    if len(text) > _DIGEST_MAX_CHARACTERS or not _GRAMMAR.fullmatch(text):
        return "The digest is malformed; it must look like sha256:<64 hexadecimal digits>."
    if algorithm not in HEX_LENGTHS:
        return f"The digest algorithm '{algorithm}' is not supported; use sha256 or sha512."
    return f"A {algorithm} digest has exactly {HEX_LENGTHS[algorithm]} lower-case hexadecimal digits."
