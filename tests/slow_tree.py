"""The Merkle tree once more, slowly, straight from the text of RFC 6962 section 2.1: the judge of the quick one.

Nothing here is shared with the program: lists are cut and hashed anew at every step.
"""

from __future__ import annotations

import hashlib


def _k(n: int) -> int:
    """Return k, the largest power of two smaller than n: k < n <= 2k."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    """MTH(D[n])."""
    if not d:
        return hashlib.sha256(b"").digest()
    if len(d) == 1:
        return hashlib.sha256(b"\x00" + d[0]).digest()
    k = _k(len(d))
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(d) == 1:
        return []
    k = _k(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), for 0 < m < n."""
    return _subproof(m, d, whole=True)


def _subproof(m: int, d: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [mth(d)]
    k = _k(len(d))
    if m <= k:
        return [*_subproof(m, d[:k], whole=whole), mth(d[k:])]
    return [*_subproof(m - k, d[k:], whole=False), mth(d[:k])]


def tile(level: int, number: int, d: list[bytes]) -> bytes:
    """Return the hashes of a tile, by the formula of C2SP tlog-tiles."""
    hashes = []
    for i in range(256):
        start, end = (number * 256 + i) * 256**level, (number * 256 + i + 1) * 256**level
        if end > len(d):
            break
        hashes.append(mth(d[start:end]))
    return b"".join(hashes)
