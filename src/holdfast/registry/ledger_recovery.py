"""Bringing a state that is behind the published ledger up to date, while no server runs.

What was published is the truth: entries that the database does not know are written into it as they were published, at
their places, and what they tell of is done again. A state that is not behind but beside the ledger is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import entry as entry_form
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import Frontier, leaf_hash
from holdfast.core.signed_note import Note, NoteInvalid
from holdfast.core.tiles import TILE_WIDTH, BundleInvalid
from holdfast.registry.binding import Act
from holdfast.registry.ledger import BATCH_ENTRIES, LedgerDiverged, grow, require_same
from holdfast.registry.replay import Replay
from holdfast.registry.storage_class import server_itself
from holdfast.store import catalog, entries
from holdfast.store import ledger as statements
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.core.signed_note import VerifierKey
    from holdfast.store.database import Reader, Transaction
    from holdfast.store.ledger_files import LedgerFiles

_THROUGH: Final = "ledger recover"
_ALL: Final = 2**62


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did."""

    known: int
    """Entries that the database had."""
    published: int
    """Entries that were published."""
    acts: int
    """Acts that were done again."""
    lost: list[str]
    """Tags, REPOSITORY:TAG DIGEST, whose content is gone; their names wait for it."""
    by_hand: list[str]
    """Entries whose acts are to be done again by hand."""


def recover(txn: Transaction, files: LedgerFiles, verifiers: Sequence[VerifierKey], now: int) -> Recovered:
    """Replay what the database does not know. Raises LedgerDiverged when the database, or the files, do not fit."""
    note = files.checkpoint()
    if note is None:
        msg = "there is no published checkpoint there: name the folder 'ledger' that has it with --from"
        raise LedgerDiverged(msg)
    checkpoint = _verified(note, verifiers)
    tree = statements.tree(txn) or statements.Tree(checkpoint.origin, Frontier(), b"", 0)
    known = tree.frontier.size
    if tree.origin != checkpoint.origin:
        msg = f"the published ledger is {checkpoint.origin!r}, the database's is {tree.origin!r}"
        raise LedgerDiverged(msg)
    if known >= checkpoint.size:
        require_same(txn, tree, note, verifiers)
        return Recovered(known, checkpoint.size, 0, [], [])
    replay = Replay(txn, now)
    frontier, index = Frontier(), 0
    pending = {body: sequence for sequence, body in statements.pending(txn, _ALL)}
    for some in _pages(files, checkpoint.size, known):
        if index < known:
            frontier, _ = frontier.extend(map(leaf_hash, some))
            if frontier.size == known and frontier.root() != tree.frontier.root():
                raise LedgerDiverged(_where(txn, files, known))
        else:
            _adopt(txn, replay, pending, some, index)
            frontier = grow(txn, frontier, some)
        index += len(some)
    if frontier.size != checkpoint.size or frontier.root() != checkpoint.root:
        msg = "the published entries do not hash to the published checkpoint: the files of the ledger are damaged"
        raise LedgerDiverged(msg)
    statements.set_tree(txn, statements.Tree(checkpoint.origin, frontier, note, checkpoint.size))
    replay.forget_lost()
    _record(txn, checkpoint, known, replay, now)
    lost = [f"{repository}:{tag} {digest}" for _, repository, tag, digest in replay.done.lost]
    return Recovered(known, checkpoint.size, replay.done.acts, lost, replay.done.by_hand)


def publish_anew(reader: Reader, files: LedgerFiles) -> int:
    """Write the files of the ledger from the database, which is taken for the newest there is; return the size."""
    tree = statements.tree(reader)
    if tree is None:
        return 0
    files.begin(0)
    for start in range(0, tree.frontier.size, BATCH_ENTRIES):
        end = min(tree.frontier.size, start + BATCH_ENTRIES)
        pages = range(start, end, TILE_WIDTH)
        files.extend([one for at in pages for one in statements.bundle(reader, at, min(end, at + TILE_WIDTH))])
    files.publish(tree.note)
    return tree.frontier.size


def _verified(note: bytes, verifiers: Sequence[VerifierKey]) -> Checkpoint:
    try:
        parsed = Note.parse(note)
        if parsed.verify(verifiers):
            return Checkpoint.of(parsed)
        why = "no key of this data directory has signed it"
    except NoteInvalid as error:
        why = str(error)
    msg = f"the published checkpoint is not to be believed: {why}"
    raise LedgerDiverged(msg)


def _pages(files: LedgerFiles, size: int, known: int) -> Iterator[list[bytes]]:
    """Read the published entries by pages; one page ends exactly where the database does."""
    page: list[bytes] = []
    count = 0
    try:
        for one in files.entries(size):
            page.append(one)
            count += 1
            if count == known or len(page) == BATCH_ENTRIES:
                yield page
                page = []
    except (OSError, BundleInvalid) as error:
        msg = f"the published entries cannot be read: {error}"
        raise LedgerDiverged(msg) from None
    if page:
        yield page


def _adopt(txn: Transaction, replay: Replay, pending: dict[bytes, int], some: list[bytes], first: int) -> None:
    for index, leaf in enumerate(some, first):
        sequence = pending.pop(leaf, None)
        if sequence is not None:
            statements.place(txn, (sequence,), index)
            continue
        try:
            entry = entry_form.read(leaf)
        except entry_form.EntryInvalid as error:
            msg = f"the published entry {index} cannot be read: {error}"
            raise LedgerDiverged(msg) from None
        replay.entry(index, entry)
        account_id, _, region = entry.registry.partition("/")
        registry = catalog.ensure_registry(txn, account_id, region, 0)
        sequence = entries.last_sequence(txn) + 1
        row = (sequence, registry.id, entry.kind, entry.repository, entry.tag, leaf.decode(), entry.number, index)
        entries.insert(txn, entries.Row(*row))


def _record(txn: Transaction, checkpoint: Checkpoint, known: int, replay: Replay, now: int) -> None:
    """Write down the recovery, and which tags lost their content by it."""
    registries = {registry.id: registry for registry in catalog.registries(txn)}
    for registry_id, repository, tag, digest in replay.done.lost:
        registry = registries[registry_id]
        act = Act(server_itself(registry, "recovery"), now, _THROUGH)
        facts: dict[str, Any] = {"digest": digest, "held": True, "why": "its content is not in the restored state"}
        act.record(txn, registry, EntryKind.TAG_DELETED, repository=repository, tag=tag, **facts)
    registry = registries[min(registries)]
    act = Act(server_itself(registry, "recovery"), now, _THROUGH)
    act.record(
        txn,
        registry,
        EntryKind.LEDGER_RECOVERED,
        known=known,
        published=checkpoint.size,
        acts=replay.done.acts,
        lost=len(replay.done.lost),
        by_hand=len(replay.done.by_hand),
    )


def _where(reader: Reader, files: LedgerFiles, known: int) -> str:
    """Say which entry is the first that differs."""
    at = 0
    page: list[bytes] = []
    for index, published in enumerate(files.entries(known)):
        if index % TILE_WIDTH == 0:
            page, at = statements.bundle(reader, index, min(known, index + TILE_WIDTH)), index
        mine = page[index - at] if index - at < len(page) else None
        if mine != published:
            return (
                f"entry {index} of the database is not the one that was published: the database was changed by other "
                "means than this program, or comes from elsewhere. It is not touched"
            )
    return "the tree of the database does not fit its own entries. It is not touched"
