"""The statements over the ledger's tree: which entries have a place, the tiles, the last checkpoint, the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from holdfast.core.merkle import HASH_BYTES, Frontier
from holdfast.store.database import placeholders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree as far as appending needs it, with the checkpoint that was signed for it."""

    origin: str
    frontier: Frontier
    note: bytes
    published_size: int


def tree(reader: Reader) -> Tree | None:
    """Return the tree; None before the first entry got a place."""
    row = reader.row("SELECT origin, size, frontier, note, published_size FROM ledger_tree")
    if row is None:
        return None
    origin, size, roots, note, published_size = cast("tuple[str, int, bytes, bytes, int]", row)
    frontier = Frontier(size, tuple(roots[at : at + HASH_BYTES] for at in range(0, len(roots), HASH_BYTES)))
    return Tree(origin, frontier, note, published_size)


def set_tree(txn: Transaction, tree: Tree) -> None:
    """Write the tree."""
    values = (tree.frontier.size, b"".join(tree.frontier.roots), tree.note, tree.published_size)
    statement = "UPDATE ledger_tree SET size = ?, frontier = ?, note = ?, published_size = ? WHERE origin = ?"
    if not txn.run(statement, *values, tree.origin):
        statement = (
            "INSERT INTO ledger_tree (id, size, frontier, note, published_size, origin) VALUES (1, ?, ?, ?, ?, ?)"
        )
        txn.run(statement, *values, tree.origin)


def pending(reader: Reader, limit: int) -> list[tuple[int, bytes]]:
    """List entries without a place, the oldest first, at most `limit`: sequence number and bytes."""
    rows = reader.rows("SELECT sequence, body FROM entries WHERE leaf_index IS NULL ORDER BY sequence LIMIT ?", limit)
    return [(sequence, body.encode()) for sequence, body in cast("list[tuple[int, str]]", rows)]


def place(txn: Transaction, sequences: Iterable[int], first_index: int) -> None:
    """Give entries their places, one after the other."""
    for index, sequence in enumerate(sequences, first_index):
        txn.run("UPDATE entries SET leaf_index = ? WHERE sequence = ?", index, sequence)


def places_of(reader: Reader, sequences: Sequence[int]) -> dict[int, int]:
    """Return the places of those entries that have one; at most some thousand at once."""
    rows = reader.rows(
        f"SELECT sequence, leaf_index FROM entries WHERE sequence IN ({placeholders(sequences)}) "
        "AND leaf_index IS NOT NULL",
        *sequences,
    )
    return dict(cast("list[tuple[int, int]]", rows))


def bundle(reader: Reader, start: int, end: int) -> list[bytes]:
    """Return the entries with the places from `start` to `end`; at most 256 at once keep it quick."""
    rows = reader.rows(
        "SELECT body FROM entries WHERE leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index", start, end
    )
    return [cast("str", body).encode() for (body,) in rows]


def tile(reader: Reader, level: int, number: int) -> bytes | None:
    """Return the hashes of a tile, as many as there are."""
    row = reader.row("SELECT hashes FROM ledger_tiles WHERE level = ? AND number = ?", level, number)
    return cast("bytes", row[0]) if row else None


def grow_tile(txn: Transaction, level: int, number: int, hashes: bytes) -> None:
    """Append hashes to a tile."""
    known = tile(txn, level, number)
    if known is None:
        txn.run("INSERT INTO ledger_tiles (level, number, hashes) VALUES (?, ?, ?)", level, number, hashes)
        return
    # Put together here: SQL's || makes text of bytes.
    statement = "UPDATE ledger_tiles SET hashes = ? WHERE level = ? AND number = ?"
    txn.run(statement, known + hashes, level, number)


def last_of_tag(reader: Reader, registry_id: int, repository: str, tag: str, kinds: tuple[str, ...]) -> int | None:
    """Return the place of the newest entry of a tag that is of one of the kinds; None without one that has a place."""
    marks = ", ".join("?" * len(kinds))
    row = reader.row(
        f"SELECT leaf_index FROM entries WHERE registry_id = ? AND repository = ? AND tag = ? AND kind IN ({marks}) "
        "AND leaf_index IS NOT NULL ORDER BY sequence DESC LIMIT 1",
        registry_id,
        repository,
        tag,
        *kinds,
    )
    return cast("int", row[0]) if row else None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of the ledger; times in microseconds since the epoch."""

    vkey: str
    began_at: int
    ended_at: int | None


def keys(reader: Reader) -> list[KeyRow]:
    """List the keys, the oldest first."""
    rows = reader.rows("SELECT vkey, began_at, ended_at FROM ledger_keys ORDER BY began_at, vkey")
    return [KeyRow(*cast("tuple[Any, ...]", row)) for row in rows]


def add_key(txn: Transaction, vkey: str, at: int) -> None:
    """Write down that a key signs from now on."""
    txn.run("INSERT INTO ledger_keys (vkey, began_at) VALUES (?, ?) ON CONFLICT DO NOTHING", vkey, at)


def add_keys(txn: Transaction, vkeys: Iterable[str], at: int) -> None:
    """Write down the keys that sign from the beginning."""
    for vkey in vkeys:
        add_key(txn, vkey, at)


def end_key(txn: Transaction, vkey: str, at: int) -> None:
    """Write down that a key signs no more."""
    txn.run("UPDATE ledger_keys SET ended_at = ? WHERE vkey = ? AND ended_at IS NULL", at, vkey)
