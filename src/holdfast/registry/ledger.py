"""The ledger: entries get their places in a Merkle tree, the tree is signed and published, and nobody can take it back.

Acts write their entries in their own transactions, without a place. One sequencer gives places to what waits, grows the
tree, and signs it, at the end of the commit that the acts are in, so that both are one visit to the disk; then it
publishes: entries to files, cosignatures of witnesses if the policy asks for them, the checkpoint last. Each step can
be done again after a crash, by the same code: what has no place gets one, what is not published is published.

A checkpoint that was published is never taken back. So at a start the state is compared with what was published; one
that is behind it, or beside it, signs nothing and closes the gate, until `holdfast ledger recover` has replayed what is
missing. Why it is done so: `docs/decisions/0008-ledger.md`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from holdfast.core import merkle, tiles
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.errors import ConfigurationInvalid, HoldfastError, ManifestNotFound
from holdfast.core.merkle import HASH_BYTES, Frontier, leaf_hash
from holdfast.core.signed_note import Note, NoteInvalid, write_note
from holdfast.core.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileReader, width_of
from holdfast.core.tlog_proof import TlogProof
from holdfast.store import ledger as statements
from holdfast.store.entries import EntryKind
from holdfast.store.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.core.signed_note import Signer, VerifierKey
    from holdfast.registry.gate import Gate
    from holdfast.registry.ledger_keys import LedgerKeys
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.ledger_files import LedgerFiles

BATCH_ENTRIES: Final = 5_000
WATCH_SECONDS: Final = 0.1
"""How long an entry that nobody waits for may stay without a place."""

WAIT_SECONDS: Final = 5.0
"""How long an answer waits for its entries to be published; then it goes out and says that they are pending."""

RETRY_SECONDS: Final = 1.0
CLOSED_BY: Final = "the ledger"
"""Who closes the gate."""

_PASSES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""No room, no descriptor: what passes by itself. Every other error of the disk ends the server."""
_LOGGER: Final = logging.getLogger("holdfast.ledger")
_NAMING: Final = (EntryKind.TAG_BOUND, EntryKind.TAG_MOVED, EntryKind.TAG_RESTORED, EntryKind.TAG_DELETED)


Places: TypeAlias = tuple[int, ...] | None
"""Places of entries in the tree; None while they are pending, empty when nobody waits."""

Included: TypeAlias = "Callable[[Sequence[int]], Awaitable[Places]]"


class LedgerDiverged(Exception):
    """The state is not what was published, or what a witness saw: signing would fork the ledger."""


class QuorumMissing(Exception):
    """Too few witnesses have cosigned; it is tried again."""


class Cosigner(Protocol):
    """Gets witnesses to cosign.

    `prove` makes the proof that the tree continues that of an older size. Raises QuorumMissing, and LedgerDiverged when
    a witness has seen more than there is, or something else.
    """

    async def cosign(self, note: bytes, checkpoint: Checkpoint, prove: Callable[[int], Sequence[bytes]]) -> bytes:
        """Return the note with cosignatures that meet the policy's quorum."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiter:
    sequences: tuple[int, ...]
    done: asyncio.Future[tuple[int, ...]]


class Ledger:
    """The sequencer, and what it published."""

    def __init__(
        self,
        database: Database,
        files: LedgerFiles,
        keys: LedgerKeys,
        origin: str,
        gate: Gate,
        clock: Callable[[], int],
        *,
        waits: bool = True,
        cosigner: Cosigner | None = None,
    ) -> None:
        """`database` is the one that is not gated; `waits`: whether answers wait for their entries to be published."""
        self._database = database
        self._files = files
        self._keys = keys
        self.origin = origin
        self._gate = gate
        self._clock = clock
        self._waits = waits
        self._cosigner = cosigner
        self._is_confirmed = cosigner is None
        self._signers: list[Signer] = []
        self._waiters: list[_Waiter] = []
        self._kick = asyncio.Event()
        self._ending = False
        self._published: bytes | None = None
        self.published_size = 0
        self.problem: str | None = None
        """Why the ledger signs nothing; None while it does."""

    # --- the start ---------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Compare the state with what was published, and close the gate where it is behind or beside that.

        Raises ConfigurationInvalid for another origin than before and for keys that are missing.
        """
        rows = statements.keys(self._database)
        self._signers = self._keys.signers(row.vkey for row in rows if row.ended_at is None)
        tree = statements.tree(self._database)
        if tree is not None and tree.origin != self.origin:
            msg = (
                f"This ledger is {tree.origin!r}, and the setting ledger_origin says {self.origin!r}: a ledger keeps "
                "its origin, because everybody who verifies it knows it by that. Set ledger_origin back."
            )
            raise ConfigurationInvalid(msg)
        note = self._files.checkpoint()
        try:
            published = require_same(self._database, tree, note, self._keys.verifiers())
        except LedgerDiverged as error:
            self._stop(str(error))
            return
        self._published, self.published_size = note, published
        self._files.begin(published)
        if not self._is_confirmed:
            self._gate.close(CLOSED_BY, "the witnesses have not cosigned this state yet")
        if not rows:
            vkeys, now = [str(one.verifier) for one in self._signers], self._clock()
            await self._database.write(lambda txn: statements.add_keys(txn, vkeys, now))
        self._database.end_commits_with(self._place_at_once)

    def _stop(self, reason: str) -> None:
        self.problem = reason
        self._gate.close(CLOSED_BY, reason)
        _LOGGER.critical("the ledger signs nothing: %s", reason)

    # --- sequencing --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Give places, sign and publish, until cancelled, or until the state turns out not to be what was published.

        A disk that is full or read-only, a want of descriptors and witnesses that do not answer are waited for. Raises
        OSError when the disk fails.
        """
        seen = -1
        while self.problem is None and not (self._ending and self._is_at_rest()):
            if not self._kick.is_set() and self._database.commits == seen:
                await self._rest(WATCH_SECONDS)
                continue
            self._kick.clear()
            seen = self._database.commits
            try:
                await self.step()
            except LedgerDiverged as error:
                self._stop(str(error))
            except (QuorumMissing, HoldfastError, OSError) as error:
                if isinstance(error, OSError) and error.errno == errno.EROFS:
                    self._gate.close_for_disk(error)
                elif isinstance(error, OSError) and error.errno not in _PASSES:
                    raise
                _LOGGER.warning("the ledger is not published: %s", error)
                self._files.begin(self.published_size)  # what was half written is written anew
                if self._ending:
                    return
                seen = -1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                now = self._database.commits  # before the look: what is committed after it is seen next time
                if self._is_at_rest():  # and not, say, grown by a commit while the tree before it was published
                    seen = now

    def end(self) -> None:
        """Let `run` return once everything is published that can be."""
        self._ending = True
        self._kick.set()

    def _is_at_rest(self) -> bool:
        tree = statements.tree(self._database)
        known = tree.frontier.size if tree is not None else 0
        return known == self.published_size and not statements.pending(self._database, 1)

    async def _rest(self, seconds: float) -> None:
        """Wait until somebody waits for the ledger, or for as long as nobody need."""
        handle = asyncio.get_running_loop().call_later(seconds, self._kick.set)
        try:
            await self._kick.wait()
        finally:
            handle.cancel()
        self._kick.clear()
        if self._waiters:
            self._kick.set()

    async def step(self) -> None:
        """Give places to what waits, and publish what is not published yet."""
        if statements.pending(self._database, 1):  # of a start, or of a commit that had to do without `_place_at_once`
            await self._database.write(self._sequence)
        tree = statements.tree(self._database)
        if tree is not None and (tree.frontier.size > self.published_size or not self._is_confirmed):
            reach("ledger.sequenced")
            await self._publish(tree)
            if not self._is_confirmed:
                self._is_confirmed = True
                self._gate.open(CLOSED_BY)
            reach("ledger.published")
        self._tell()

    def _place_at_once(self, txn: Transaction) -> None:
        """Give places to the entries of the commit that is about to be made: one visit to the disk for both."""
        if self.problem is None and statements.pending(txn, 1):
            self._sequence(txn)

    def _sequence(self, txn: Transaction) -> None:
        waiting = statements.pending(txn, BATCH_ENTRIES)
        known = statements.tree(txn) or statements.Tree(self.origin, Frontier(), b"", 0)
        first = known.frontier.size
        statements.place(txn, (sequence for sequence, _ in waiting), first)
        frontier = grow(txn, known.frontier, [body for _, body in waiting])
        note = self._signed(Checkpoint(self.origin, frontier.size, frontier.root()))
        statements.set_tree(txn, statements.Tree(self.origin, frontier, note, self.published_size))

    def _signed(self, checkpoint: Checkpoint) -> bytes:
        text = checkpoint.text()
        return write_note(text, [signer.sign(text) for signer in self._signers])

    async def _publish(self, tree: statements.Tree) -> None:
        size, note = tree.frontier.size, tree.note
        if self._cosigner is not None:
            read = self.reader(size)
            checkpoint = Checkpoint.of(Note.parse(note))
            note = await self._cosigner.cosign(note, checkpoint, lambda old: merkle.consistency_proof(old, size, read))
        start = self._files.end
        if start == size:  # no new entry: other signatures alone
            await asyncio.to_thread(self._write, [], note)
        while start < size:
            end = min(size, start + BATCH_ENTRIES)
            pages = range(start, end, TILE_WIDTH)
            entries = [one for at in pages for one in statements.bundle(self._database, at, min(end, at + TILE_WIDTH))]
            if len(entries) != end - start:
                msg = f"entries between {start} and {end} are not in the database any more"
                raise LedgerDiverged(msg)
            await asyncio.to_thread(self._write, entries, note if end == size else None)
            start = end
        self._published, self.published_size = note, size

    def _write(self, entries: list[bytes], note: bytes | None) -> None:
        """Publish entries, and then the checkpoint that covers them: one visit to the disk."""
        self._files.extend(entries)
        reach("ledger.entries-written")
        if note is not None:
            self._files.publish(note)

    def make_key(self) -> Signer:
        """Make a key that does not sign yet."""
        return self._keys.make()

    def sign_with(self, signer: Signer) -> None:
        """Let a key that was written down sign from the next checkpoint on."""
        self._signers = [*self._signers, signer]

    def sign_without(self, vkey: str) -> None:
        """Let a key sign no more."""
        self._signers = [signer for signer in self._signers if str(signer.verifier) != vkey]

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def included(self, sequences: Sequence[int]) -> Places:
        """Wait until entries are published; return their places, None when they are still pending after a while.

        Nothing to wait for, or answers that do not wait, give an empty tuple.
        """
        if not sequences or not self._waits:
            return ()
        waiter = _Waiter(tuple(sequences), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._kick.set()
        try:
            await asyncio.wait({waiter.done}, timeout=WAIT_SECONDS if self.problem is None else 0)
        finally:
            self._waiters.remove(waiter)
        return waiter.done.result() if waiter.done.done() else None

    def _tell(self) -> None:
        wanted = sorted({sequence for waiter in self._waiters for sequence in waiter.sequences})
        places: dict[int, int] = {}
        for start in range(0, len(wanted), BATCH_ENTRIES):
            places |= statements.places_of(self._database, wanted[start : start + BATCH_ENTRIES])
        for waiter in self._waiters:
            known = tuple(places.get(sequence, self.published_size) for sequence in waiter.sequences)
            if max(known) < self.published_size and not waiter.done.done():
                waiter.done.set_result(known)

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> bytes | None:
        """The checkpoint that was published last, a signed note; None before the first."""
        return self._published

    def file(self, tile: Tile) -> bytes | None:
        """Return a public file: hashes, or entries; None when it is not (or not so wide) in what was published."""
        if tile.width > width_of(tile.level, tile.number, self.published_size):
            return None
        if tile.level is not None:
            hashes = statements.tile(self._database, tile.level, tile.number)
            return None if hashes is None else hashes[: tile.width * HASH_BYTES]
        return tiles.join_bundle(statements.bundle(self._database, tile.first_leaf, tile.first_leaf + tile.width))

    def reader(self, size: int) -> TileReader:
        """Return what reads hashes of the tree at a size: for proofs."""
        return tile_reader(self._database, size)

    def receipt(self, index: int) -> TlogProof:
        """Make the receipt of an entry, against the checkpoint published last. Raises ManifestNotFound."""
        if self._published is None or not 0 <= index < self.published_size:
            raise ManifestNotFound(str(index))
        proof = merkle.inclusion_proof(index, self.published_size, self.reader(self.published_size))
        return TlogProof(index, tuple(proof), self._published, *statements.bundle(self._database, index, index + 1))

    def receipt_of_tag(self, registry_id: int, repository: str, tag: str) -> TlogProof:
        """Make the receipt of the entry that says what a tag names, or that it was deleted. Raises ManifestNotFound."""
        index = statements.last_of_tag(self._database, registry_id, repository, tag, tuple(_NAMING))
        if index is None:
            raise ManifestNotFound(tag)
        return self.receipt(index)

    def keys(self) -> list[statements.KeyRow]:
        """List the keys that sign or signed."""
        return statements.keys(self._database)

    def status(self) -> dict[str, Any]:
        """Tell how far the ledger is."""
        tree = statements.tree(self._database)
        return {
            "origin": self.origin,
            "size": tree.frontier.size if tree else 0,
            "published_size": self.published_size,
            "problem": self.problem,
        }


def grow(txn: Transaction, frontier: Frontier, entries: Sequence[bytes]) -> Frontier:
    """Append entries to the tree and to its tiles; return the tree."""
    grown, made = frontier.extend(map(leaf_hash, entries), TILE_HEIGHT)
    numbers: dict[int, int] = {}
    tails: dict[tuple[int, int], list[bytes]] = {}
    for height, node in made:
        number = numbers.setdefault(height, frontier.size >> height)
        tails.setdefault((height // TILE_HEIGHT, number // TILE_WIDTH), []).append(node)
        numbers[height] = number + 1
    for (level, number), nodes in tails.items():
        statements.grow_tile(txn, level, number, b"".join(nodes))
    return grown


def tile_reader(reader: Reader, size: int) -> TileReader:
    """Return what reads hashes of the tree at a size out of the database."""
    return TileReader(size, lambda tile: statements.tile(reader, tile.level or 0, tile.number) or b"")


def require_same(
    reader: Reader, tree: statements.Tree | None, note: bytes | None, verifiers: Sequence[VerifierKey]
) -> int:
    """Check that a state continues what was published; return the size that was. Raises LedgerDiverged."""
    size = tree.frontier.size if tree is not None else 0
    if note is None:
        if tree is not None and tree.published_size:
            msg = (
                f"the files of the ledger are gone: the database knows that {tree.published_size} entries were "
                "published. Restore the folder 'ledger', or write it anew with: holdfast ledger recover"
            )
            raise LedgerDiverged(msg)
        return 0
    try:
        parsed = Note.parse(note)
        checkpoint = Checkpoint.of(parsed)
        signed = bool(parsed.verify(verifiers))
    except NoteInvalid as error:
        msg = f"the published checkpoint cannot be read: {error}"
        raise LedgerDiverged(msg) from None
    if not signed:
        msg = "the published checkpoint is not signed by a key of this data directory"
        raise LedgerDiverged(msg)
    if checkpoint.size > size:
        msg = (
            f"the database knows {size} entries, and {checkpoint.size} were published: it is an older state, as after "
            "a restore from a backup. Replay what is missing with: holdfast ledger recover"
        )
        raise LedgerDiverged(msg)
    try:
        root = merkle.root_of(checkpoint.size, tile_reader(reader, checkpoint.size))
        grown = merkle.root_of(size, tile_reader(reader, size))
    except tiles.BundleInvalid as error:
        msg = f"the tiles of the ledger are damaged: {error}"
        raise LedgerDiverged(msg) from None
    if root != checkpoint.root or (tree is not None and grown != tree.frontier.root()):
        msg = (
            f"the first {checkpoint.size} entries are not those that were published: the database was changed by "
            "other means than this program, or comes from elsewhere"
        )
        raise LedgerDiverged(msg)
    return checkpoint.size
