"""Trees for tests, kept as the ledger keeps its own: a frontier, and tiles that grow."""

from __future__ import annotations

from holdfast.core.merkle import Frontier, leaf_hash
from holdfast.core.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileReader, width_of


def leaves_of(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


class Forest:
    """A tree kept as the ledger keeps it: a frontier, and tiles that grow."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.tiles: dict[tuple[int, int], bytearray] = {}

    def extend(self, entries: list[bytes]) -> None:
        self.frontier, made = self.frontier.extend(map(leaf_hash, entries), TILE_HEIGHT)
        numbers = {height: (self.frontier.size - len(entries)) >> height for height, _ in made}
        for height, node in made:
            tile = (height // TILE_HEIGHT, numbers[height] // TILE_WIDTH)
            self.tiles.setdefault(tile, bytearray()).extend(node)
            numbers[height] += 1

    def reader(self, size: int) -> TileReader:
        def fetch(tile: Tile) -> bytes:
            assert tile.level is not None
            assert tile.width == width_of(tile.level, tile.number, size)
            return bytes(self.tiles[tile.level, tile.number][: tile.width * 32])

        return TileReader(size, fetch)


def forest(count: int) -> Forest:
    return forest_of(leaves_of(count))


def forest_of(entries: list[bytes]) -> Forest:
    made = Forest()
    made.extend(entries)
    return made
