"""The Merkle tree: against the reference vectors, against a second slow implementation, and against forgers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slow_tree
from holdfast.core import merkle, tiles
from holdfast.core.merkle import EMPTY_ROOT, Frontier, ProofInvalid, leaf_hash
from trees import Forest, forest, leaves_of

if TYPE_CHECKING:
    from collections.abc import Callable

# The leaves and roots that Certificate Transparency's implementations share as test vectors.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_roots_of_the_reference_vectors() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier, _ = frontier.extend([leaf_hash(leaf)])
        assert frontier.root().hex() == root


@pytest.mark.parametrize("size", [*range(40), 255, 256, 257, 511, 512, 700])
def test_quick_and_slow_agree_on_roots_and_proofs(size: int) -> None:
    leaves = leaves_of(size)
    made = forest(size)
    read = made.reader(size)
    root = slow_tree.mth(leaves)
    assert made.frontier.root() == root == merkle.root_of(size, read)
    some = range(size) if size < 40 else {0, 1, 2, 127, 128, size // 2, size - 2, size - 1, 254, 255} & set(range(size))
    for index in some:
        proof = merkle.inclusion_proof(index, size, read)
        assert proof == slow_tree.path(index, leaves)
        merkle.verify_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
    for old in some:
        old_root = slow_tree.mth(leaves[:old])
        proof = merkle.consistency_proof(old, size, read)
        assert proof == (slow_tree.proof(old, leaves) if old else [])
        merkle.verify_consistency(old, size, proof, old_root, root)


def test_tiles_hold_what_the_formula_says() -> None:
    leaves = leaves_of(70_000)
    made = forest(70_000)
    # The example of C2SP tlog-tiles: 273 full and one of 112, one full and one of 17, one of 1.
    widths = {tile: len(hashes) // 32 for tile, hashes in made.tiles.items() if len(hashes) // 32 < 256 or tile[0] > 0}
    assert widths == {(0, 273): 112, (1, 0): 256, (1, 1): 17, (2, 0): 1}
    for level, number in ((0, 0), (0, 273), (1, 1)):
        assert bytes(made.tiles[level, number]) == slow_tree.tile(level, number, leaves)
    assert [(tile.level, tile.number, tile.width) for tile in tiles.tiles_of(70_000, 69_999)] == [
        (0, 273, 112),
    ]


@given(st.lists(st.integers(1, 300), max_size=6))
@settings(max_examples=40, deadline=None)
def test_however_the_batches_fall_the_tree_is_the_same(batches: list[int]) -> None:
    made, total = Forest(), sum(batches)
    entries = leaves_of(total)
    at = 0
    for batch in batches:
        made.extend(entries[at : at + batch])
        at += batch
    whole = forest(total)
    assert made.frontier == whole.frontier
    assert made.tiles == whole.tiles


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_proof_that_was_touched_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600))
    made = forest(size)
    root = made.frontier.root()
    index = data.draw(st.integers(0, size - 1))
    leaf = leaf_hash(b"entry %d" % index)
    proof = merkle.inclusion_proof(index, size, made.reader(size))
    forged = data.draw(_tampering(proof))
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(leaf, index, size, forged, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index))
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(leaf, other, size, proof, root)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_forked_tree_is_never_consistent(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600))
    old = data.draw(st.integers(1, size - 1))
    made = forest(size)
    proof = merkle.consistency_proof(old, size, made.reader(size))
    honest, root = forest(old).frontier.root(), made.frontier.root()
    merkle.verify_consistency(old, size, proof, honest, root)
    forged = data.draw(_tampering(proof))
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, size, forged, honest, root)
    entries = leaves_of(old)
    entries[data.draw(st.integers(0, old - 1))] = b"what did not happen"
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, size, proof, slow_tree.mth(entries), root)


def _tampering(proof: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    def flipped(at: int) -> list[bytes]:
        return [bytes([one[0] ^ 1]) + one[1:] if number == at else one for number, one in enumerate(proof)]

    ways: list[st.SearchStrategy[list[bytes]]] = [st.just([*proof, b"\0" * 32])]
    if proof:
        ways += [st.integers(0, len(proof) - 1).map(flipped), st.just(proof[:-1]), st.just(proof[1:])]
    if len(set(proof)) > 1 and proof[::-1] != proof:
        ways.append(st.just(proof[::-1]))
    return st.one_of(ways)


@pytest.mark.parametrize(
    ("old", "size", "proof", "old_root", "root"),
    [
        (3, 2, [], b"a", b"b"),
        (2, 2, [b"\0" * 32], b"a" * 32, b"a" * 32),
        (2, 2, [], b"a" * 32, b"b" * 32),
        (0, 2, [b"\0" * 32], EMPTY_ROOT, b"a" * 32),
        (0, 2, [], b"a" * 32, b"a" * 32),
        (1, 2, [], b"a" * 32, b"b" * 32),
        (3, 4, [], b"a" * 32, b"b" * 32),
        (-1, 2, [], EMPTY_ROOT, b"b" * 32),
    ],
)
def test_consistency_at_its_edges(old: int, size: int, proof: list[bytes], old_root: bytes, root: bytes) -> None:
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, size, proof, old_root, root)


def test_every_tree_continues_the_empty_one_and_itself() -> None:
    root = forest(5).frontier.root()
    merkle.verify_consistency(0, 5, [], EMPTY_ROOT, root)
    merkle.verify_consistency(5, 5, [], root, root)
    merkle.verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)


@pytest.mark.parametrize(
    "ask",
    [
        lambda read: merkle.inclusion_proof(5, 5, read),
        lambda read: merkle.inclusion_proof(-1, 5, read),
        lambda read: merkle.consistency_proof(6, 5, read),
        lambda _: Frontier(3, (b"",)),
    ],
)
def test_what_cannot_be_asked(ask: Callable[[merkle.NodeReader], object]) -> None:
    with pytest.raises(ValueError, match=r"leaf|tree"):
        ask(forest(5).reader(5))


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0)])
def test_no_entry_stands_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        merkle.root_from_inclusion(b"\0" * 32, index, size, [])
