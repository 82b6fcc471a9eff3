"""The audit of a ledger: is everything that it publishes what its checkpoint signs, and does the past keep the rules?

This file alone decides what is examined: every entry, every hash tile and every document is read, the root is built
anew from the entries alone, and each entry is replayed (`core/replay`). Older checkpoints are compared with the root of
the same size, which is stronger than a proof of consistency. It reads through a function that it is given, so that a
folder, a server and a test are the same to it. Whether a checkpoint is to be believed is for `core/tlog_policy`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import entry as entries
from holdfast.core.merkle import HASH_BYTES, Frontier, leaf_hash
from holdfast.core.replay import Finding, Replay
from holdfast.core.tiles import TILE_HEIGHT, TILE_WIDTH, BundleInvalid, Tile, bundles_of, split_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.core.checkpoint import Checkpoint
    from holdfast.core.entry import Entry

_REFERENCE: Final = frozenset({"sha256", "bytes"})
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAMED: Final = 5
"""Of many entries with the same fault, so many are named one by one."""


class FileMissing(Exception):
    """A file that must be there is not; raised by what reads for an audit."""


if TYPE_CHECKING:
    Fetch = Callable[[str], bytes]


@dataclass(slots=True)
class Examination:
    """What was examined, and what was found."""

    size: int = 0
    tiles: int = 0
    documents: int = 0
    findings: list[Finding] = field(default_factory=list)
    replay: Replay = field(default_factory=Replay)

    @property
    def all_findings(self) -> list[Finding]:
        """What is not as it must be: in the files, then in the past."""
        return [*self.findings, *self.replay.findings]


def document_path(sha256: str) -> str:
    """Return where a document stands that was too large for its entry."""
    return f"document/{sha256}"


def references(facts: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """List the documents that an entry refers to, by SHA-256 and length in bytes."""
    for value in facts.values():
        if isinstance(value, dict) and value.keys() == _REFERENCE and _HEX.fullmatch(str(value["sha256"])):
            yield value["sha256"], value["bytes"]


class Auditor:
    """Examines a ledger, from its first entry to its last; `follow` goes on behind them."""

    def __init__(self, fetch: Fetch, *, told: Callable[[int, Entry], None] | None = None) -> None:
        """`told` is called for every entry that can be read, in order: for whoever wants more of them."""
        self._fetch = fetch
        self.told = told
        self._frontier = Frontier()
        self._tails: dict[int, list[bytes]] = {}
        self._chains: dict[tuple[str, str | None], tuple[int, str]] = {}
        self.done = Examination()

    def follow(
        self, checkpoint: Checkpoint, earlier: Sequence[Checkpoint] = (), progress: Callable[[int], None] | None = None
    ) -> Examination:
        """Read on to a checkpoint; `earlier` are others whose trees this one must continue.

        What the function that fetches raises, other than FileMissing, goes through.
        """
        start = self._frontier.size
        if checkpoint.size < start:
            message = f"the checkpoint is of {checkpoint.size} entries, after one of {start}: the ledger became shorter"
            self._find("ledger-shortened", message)
            return self.done
        if checkpoint.size == start and start:
            self._compare(checkpoint)
            return self.done
        stops = {one.size: one for one in earlier if start <= one.size <= checkpoint.size}
        self._compare(stops.get(start))
        for bundle in bundles_of(checkpoint.size, start):
            known = max(start - bundle.first_leaf, 0)
            read = self._entries(bundle)
            if read is None:
                self._find("root-not-rebuilt", "the root cannot be built anew: entries are missing")
                return self.done
            self._extend(bundle.first_leaf + known, read[known:], stops)
            if progress is not None:
                progress(self._frontier.size)
        self._finish(checkpoint, earlier)
        return self.done

    def _entries(self, bundle: Tile) -> list[bytes] | None:
        try:
            read = split_bundle(self._fetch(bundle.path))
        except FileMissing as error:
            self._find("file-missing", f"{error}")
            return None
        except BundleInvalid as error:
            self._find("bundle-broken", f"{bundle.path}: {error}", bundle.first_leaf)
            return None
        if len(read) < bundle.width:
            message = f"{bundle.path} has {len(read)} entries, not {bundle.width}: some were taken away"
            self._find("entries-missing", message, bundle.first_leaf + len(read))
            return None
        if len(read) > bundle.width:
            message = f"{bundle.path} has {len(read)} entries, not {bundle.width}: some were put in"
            self._find("entries-added", message, bundle.first_leaf + bundle.width)
        return read[: bundle.width]

    def _extend(self, first: int, read: list[bytes], stops: dict[int, Checkpoint]) -> None:
        at = 0
        cuts = sorted(size - first for size in stops if first < size <= first + len(read))
        for cut in [*cuts, len(read)]:
            some = read[at:cut]
            hashes = [leaf_hash(one) for one in some]
            self._frontier, made = self._frontier.extend(hashes, TILE_HEIGHT)
            for height, node in made:
                self._tails.setdefault(height // TILE_HEIGHT, []).append(node)
            for place, (content, leaf) in enumerate(zip(some, hashes, strict=True), start=first + at):
                self._examine(place, content, leaf)
            at = cut
            if some:
                self._compare(stops.get(self._frontier.size))
        self._compare_tiles(whole=True)

    # --- entries -----------------------------------------------------------------------------------------------------

    def _examine(self, index: int, content: bytes, leaf: bytes) -> None:
        try:
            entry = entries.read(content)
        except entries.EntryInvalid as error:
            self._find("entry-unreadable", f"entry {index}: {error}", index)
            return
        chain = (entry.registry, entry.repository)
        number, previous = self._chains.get(chain, (0, None))
        if entry.number != number + 1 or entry.previous != previous:
            whose = entry.repository or "the registry"
            message = f"entry {index} is number {entry.number} of {whose}, and does not follow number {number}"
            self._find("chain-broken", message, index)
        self._chains[chain] = entry.number, leaf.hex()
        for sha256, count in references(entry.facts):
            self._check_document(index, sha256, count)
        self.done.replay.take(index, entry)
        if self.told is not None:
            self.told(index, entry)

    def _check_document(self, index: int, sha256: str, count: int) -> None:
        path = document_path(sha256)
        try:
            content = self._fetch(path)
        except FileMissing as error:
            self._find("file-missing", f"{error}; entry {index} refers to it", index)
            return
        self.done.documents += 1
        if hashlib.sha256(content).hexdigest() != sha256 or len(content) != count:
            self._find("document-changed", f"{path} is not what entry {index} refers to", index)

    # --- the tree ----------------------------------------------------------------------------------------------------

    def _compare_tiles(self, *, whole: bool) -> None:
        """Compare hash tiles with what the entries give: those that became whole, or else the rest."""
        for level, tail in self._tails.items():
            hashes = self._frontier.size >> TILE_HEIGHT * level
            while len(tail) >= TILE_WIDTH or (tail and not whole):
                number = (hashes - len(tail)) // TILE_WIDTH
                width = min(len(tail), TILE_WIDTH)
                self._compare_tile(Tile(level, number, width), tail[:width])
                if width < TILE_WIDTH:
                    break
                del tail[:width]

    def _compare_tile(self, tile: Tile, hashes: list[bytes]) -> None:
        try:
            content = self._fetch(tile.path)
        except FileMissing as error:
            self._find("file-missing", str(error))
            return
        self.done.tiles += 1
        if content == b"".join(hashes):
            return
        wrong = [at for at, one in enumerate(hashes) if content[at * HASH_BYTES : (at + 1) * HASH_BYTES] != one]
        if not wrong:
            self._find("tile-changed", f"{tile.path} has {len(content)} bytes, not {len(hashes) * HASH_BYTES}")
        for at in wrong[:_NAMED]:
            place = (tile.number * TILE_WIDTH) + at
            what = f"entry {place}" if tile.level == 0 else f"hash {place} of level {tile.level}"
            message = f"{tile.path} does not have the hash of {what}: the entry or the tile was changed"
            self._find("tile-differs", message, place if tile.level == 0 else None)
        if len(wrong) > _NAMED:
            self._find("tile-differs", f"{tile.path} differs in {len(wrong)} hashes in all")

    def _compare(self, earlier: Checkpoint | None) -> None:
        if earlier is not None and self._frontier.root() != earlier.root:
            message = (
                f"the first {earlier.size} entries are not those of the earlier checkpoint of that size: the ledger "
                "was forked or rewritten"
            )
            self._find("forked", message)

    def _finish(self, checkpoint: Checkpoint, earlier: Sequence[Checkpoint]) -> None:
        self._compare_tiles(whole=False)
        self.done.size = self._frontier.size
        if self._frontier.root() != checkpoint.root:
            message = (
                f"the root built anew from {checkpoint.size} entries is not the root that was signed: entries were "
                "changed, put in another order, or exchanged"
            )
            self._find("root-differs", message)
        for one in earlier:
            if one.size > checkpoint.size:
                message = f"an earlier checkpoint is of {one.size} entries; there are {checkpoint.size} now"
                self._find("ledger-shortened", message)

    def _find(self, code: str, message: str, index: int | None = None) -> None:
        self.done.findings.append(Finding(code, message, index))
