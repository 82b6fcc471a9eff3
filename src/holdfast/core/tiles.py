"""Tiles: the public files that a ledger is read from, and the proofs that are made of them.

This file alone decides which file holds which hashes and entries, and how the names of the files are written. It reads
and writes nothing itself: bytes in, bytes out.

Source: C2SP tlog-tiles v0.1.0 (paths, widths, entry bundles).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.merkle import HASH_BYTES, perfect_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_LEVEL: Final = 63
MAX_ENTRY_BYTES: Final = 65_535
"""An entry's length is written in two bytes."""

_DIGITS: Final = 1_000
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class BundleInvalid(Exception):
    """Bytes that are not a sequence of entries."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: hashes at a level, or with level None the entries themselves; `width` below 256 is a partial one."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The name of the file below the ledger's prefix."""
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{encode_number(self.number)}{partial}"

    @property
    def first_leaf(self) -> int:
        """The first leaf under it."""
        return self.number << TILE_HEIGHT * ((self.level or 0) + 1)

    @classmethod
    def parse(cls, path: str) -> Tile | None:
        """Read a name; None for what is no file of a ledger. Names have one form only."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        pieces = found["number"].split("/")
        if (len(pieces) > 1 and pieces[0] == "x000") or len(pieces) > 6:  # noqa: PLR2004 - 10^18 is beyond any ledger
            return None
        number = int("".join(piece.removeprefix("x") for piece in pieces))
        level = None if found["level"] == "entries" else int(found["level"])
        width = int(found["width"] or TILE_WIDTH)
        if (level or 0) > MAX_LEVEL or (found["width"] and width >= TILE_WIDTH):
            return None
        return cls(level, number, width)


def encode_number(number: int) -> str:
    """Write a tile's number as path elements of three digits: 1234067 is x001/x234/067."""
    text = f"{number % _DIGITS:03d}"
    while number := number // _DIGITS:
        text = f"x{number % _DIGITS:03d}/{text}"
    return text


def width_of(level: int | None, number: int, size: int) -> int:
    """Return how many hashes (entries) a tile has in a tree of `size` leaves; 0 when it is not there."""
    hashes = size >> TILE_HEIGHT * (level or 0)
    return max(0, min(TILE_WIDTH, hashes - number * TILE_WIDTH))


def tiles_of(size: int, after: int = 0) -> Iterable[Tile]:
    """List the hash tiles of a tree of `size` leaves that are not, as wide, in that of its first `after` leaves."""
    level = 0
    while hashes := size >> TILE_HEIGHT * level:
        known = after >> TILE_HEIGHT * level
        for number in range(known // TILE_WIDTH, -(-hashes // TILE_WIDTH)):
            width = min(TILE_WIDTH, hashes - number * TILE_WIDTH)
            if width > max(0, known - number * TILE_WIDTH):
                yield Tile(level, number, width)
        level += 1


def bundles_of(size: int, after: int = 0) -> Iterable[Tile]:
    """List the entry bundles of a tree of `size` leaves that hold more than those of its first `after` leaves."""
    for number in range(after // TILE_WIDTH, -(-size // TILE_WIDTH)):
        yield Tile(None, number, min(TILE_WIDTH, size - number * TILE_WIDTH))


def join_bundle(entries: Iterable[bytes]) -> bytes:
    """Write entries one after the other, each behind its length."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_bundle(bundle: bytes) -> list[bytes]:
    """Read entries; raises BundleInvalid."""
    entries, at, end = [], 0, len(bundle)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > end or at > end:
            msg = "an entry bundle ends in the middle of an entry"
            raise BundleInvalid(msg)
        entries.append(bundle[start:at])
    return entries


def split_hashes(tile: bytes, width: int) -> list[bytes]:
    """Read the hashes of a tile that is at least `width` wide; raises BundleInvalid."""
    if len(tile) < width * HASH_BYTES or len(tile) % HASH_BYTES:
        msg = f"a tile of {width} hashes has {width * HASH_BYTES} bytes, not {len(tile)}"
        raise BundleInvalid(msg)
    return [tile[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]


class TileReader:
    """Reads hashes of whole subtrees out of the tiles of one tree: what proofs are made of.

    `fetch` gets the tile with the width that it has in this tree; what it gives may be wider. Each tile is asked for
    once.
    """

    def __init__(self, size: int, fetch: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, height: int, index: int) -> bytes:
        """Return the hash of a whole subtree: a `merkle.NodeReader`. Raises BundleInvalid."""
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above
        hashes = self._hashes(level, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        return perfect_root(hashes[at : at + (1 << above)])

    def _hashes(self, level: int, number: int) -> list[bytes]:
        known = self._tiles.get((level, number))
        if known is None:
            width = width_of(level, number, self._size)
            known = split_hashes(self._fetch(Tile(level, number, width)), width)
            self._tiles[level, number] = known
        return known
