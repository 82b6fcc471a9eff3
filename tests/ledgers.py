"""Reads a ledger as an auditor would: over HTTP, with nothing believed but a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import slow_tree
from holdfast.core import entry, tiles
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import leaf_hash
from holdfast.core.signed_note import Note
from holdfast.core.tiles import Tile, TileReader

if TYPE_CHECKING:
    from holdfast.core.entry import Entry
    from running import Client


def checkpoint_of(client: Client) -> Checkpoint:
    """Return the published checkpoint; its signature is for others to check."""
    answer = client("GET", "/ledger/checkpoint")
    assert answer.status == 200, answer.body
    return Checkpoint.of(Note.parse(answer.body))


def tiles_over_http(client: Client, size: int) -> TileReader:
    """Return what reads hashes of the tree out of the public tiles."""

    def fetch(tile: Tile) -> bytes:
        answer = client("GET", f"/ledger/{tile.path}")
        assert answer.status == 200, tile
        return answer.body

    return TileReader(size, fetch)


@dataclass
class Ledger:
    """A whole ledger, fetched."""

    checkpoint: Checkpoint
    leaves: list[bytes]

    @property
    def entries(self) -> list[Entry]:
        """The entries, read."""
        return [entry.read(leaf) for leaf in self.leaves]

    def require_sound(self) -> None:
        """Check the root by the slow tree, and the chain of every repository."""
        assert slow_tree.mth(self.leaves) == self.checkpoint.root
        last: dict[tuple[str, str | None], tuple[int, str]] = {}
        for leaf, one in zip(self.leaves, self.entries, strict=True):
            number, digest = last.get((one.registry, one.repository), (0, None))
            assert (one.number, one.previous) == (number + 1, digest)
            last[one.registry, one.repository] = (one.number, leaf_hash(leaf).hex())


def ledger_of(client: Client) -> Ledger:
    """Fetch everything."""
    checkpoint = checkpoint_of(client)
    leaves: list[bytes] = []
    for tile in tiles.bundles_of(checkpoint.size):
        answer = client("GET", f"/ledger/{tile.path}")
        assert answer.status == 200, tile
        leaves += tiles.split_bundle(answer.body)
    return Ledger(checkpoint, leaves)
