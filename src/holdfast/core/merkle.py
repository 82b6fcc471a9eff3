"""The Merkle tree of the ledger: hashes, proofs, and their verification, as RFC 6962 defines the tree.

This file alone decides what a root commits to. It knows nothing of files, databases, signatures or entries: leaves are
bytes, and whoever asks for a proof hands in a way to read the hashes of whole subtrees.

Sources: RFC 6962 section 2.1 (hashing, proofs); RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
MAX_PROOF_HASHES: Final = 63
"""Longer than any proof of a tree that has fewer than 2^63 leaves. Source: C2SP tlog-witness."""

NodeReader = Callable[[int, int], bytes]
"""(height, index) -> the hash of the whole subtree over leaves index * 2^height to (index + 1) * 2^height."""


class ProofInvalid(Exception):
    """A proof that does not prove what it should; the text says which step failed."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2^n hashes of one height."""
    layer = list(hashes)
    while len(layer) > 1:
        layer = [node_hash(layer[at], layer[at + 1]) for at in range(0, len(layer), 2)]
    return layer[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree as far as appending needs it: its size, and the roots of its whole subtrees from left to right."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.roots) != self.size.bit_count():
            msg = f"a tree of {self.size} leaves has {self.size.bit_count()} whole subtrees, not {len(self.roots)}"
            raise ValueError(msg)

    def extend(self, hashes: Iterable[bytes], step: int = 0) -> tuple[Frontier, list[tuple[int, bytes]]]:
        """Append leaf hashes; return the tree, and what became whole at heights that are multiples of `step`.

        The nodes are (height, hash) in the order of their becoming, the leaves themselves included; none when `step`
        is 0.
        """
        roots, size = list(self.roots), self.size
        made: list[tuple[int, bytes]] = []
        for leaf in hashes:
            node, height = leaf, 0
            if step:
                made.append((0, leaf))
            while size >> height & 1:
                node = node_hash(roots.pop(), node)
                height += 1
                if step and height % step == 0:
                    made.append((height, node))
            roots.append(node)
            size += 1
        return Frontier(size, tuple(roots)), made

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.roots:
            return EMPTY_ROOT
        node = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            node = node_hash(left, node)
        return node


def subtree_root(start: int, end: int, read: NodeReader) -> bytes:
    """Return the root over leaves `start` to `end`, where `start` is aligned as every subtree of a proof is."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return read(height, start >> height)
    middle = start + _split(count)
    return node_hash(subtree_root(start, middle, read), subtree_root(middle, end, read))


def root_of(size: int, read: NodeReader) -> bytes:
    """Return the root of the first `size` leaves."""
    return subtree_root(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Prove that leaf `index` is in the tree of `size` leaves: sibling hashes from the leaf up."""
    if not 0 <= index < size:
        msg = f"leaf {index} is not in a tree of {size}"
        raise ValueError(msg)
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(subtree_root(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, size: int, read: NodeReader) -> list[bytes]:
    """Prove that the tree of `size` leaves continues the tree of its first `old` leaves; empty for 0 and for equal."""
    if not 0 <= old <= size:
        msg = f"a tree of {size} leaves does not continue one of {old}"
        raise ValueError(msg)
    if old in {0, size}:
        return []
    proof: list[bytes] = []
    start, end = 0, size
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(subtree_root(start, middle, read))
            start = middle
    if start:
        proof.append(subtree_root(start, end, read))
    return proof[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to; raises ProofInvalid when it has the wrong length."""
    if not 0 <= index < size:
        msg = f"entry {index} is not in a tree of {size}"
        raise ProofInvalid(msg)
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            msg = "the inclusion proof is too long"
            raise ProofInvalid(msg)
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last:
        msg = "the inclusion proof is too short"
        raise ProofInvalid(msg)
    return node


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash stands at `index` in the tree with this root; raises ProofInvalid."""
    if root_from_inclusion(leaf, index, size, proof) != root:
        msg = f"the inclusion proof of entry {index} does not lead to the root of the checkpoint"
        raise ProofInvalid(msg)


def verify_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """Check that the tree with `root` continues the one with `old_root`; raises ProofInvalid.

    Every tree continues the empty one, and only itself when the sizes are equal: both with an empty proof.
    """
    if not 0 <= old <= size:
        msg = f"a tree of {size} entries does not continue one of {old}"
        raise ProofInvalid(msg)
    if old in {0, size}:
        if proof:
            msg = "a consistency proof from nothing, or to the same size, is empty"
            raise ProofInvalid(msg)
        if old == size and old_root != root:
            msg = f"two different trees of {size} entries: the ledger was forked"
            raise ProofInvalid(msg)
        if old == 0 and old_root != EMPTY_ROOT:
            msg = "the root of an empty tree is not what it must be"
            raise ProofInvalid(msg)
        return
    if _climb(old, size, proof, old_root) != (old_root, root):
        msg = f"the tree of {size} entries does not continue the tree of {old}: the ledger was forked"
        raise ProofInvalid(msg)


def _climb(old: int, size: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Return the old and the new root that a consistency proof leads to."""
    # An old tree that is one whole subtree is its own first hash.
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not hashes:
        msg = "the consistency proof is too short"
        raise ProofInvalid(msg)
    position, last = old - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            msg = "the consistency proof is too long"
            raise ProofInvalid(msg)
        if position & 1 or position == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        position >>= 1
        last >>= 1
    if last:
        msg = "the consistency proof is too short"
        raise ProofInvalid(msg)
    return older, newer


def _split(count: int) -> int:
    """Return the largest power of two that is less than `count`."""
    return 1 << (count - 1).bit_length() - 1
