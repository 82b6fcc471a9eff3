"""fsck of the ledger: do the entries hash to the tree that is signed, and is that what was published?

This file alone decides what is compared: the entries, tiles and documents of the database with the checkpoint that the
database signed last (by `core/ledger_audit`, as an auditor would), and both with the files that were published. It
believes no column of the database but the bytes of the entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core import tiles
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.errors import ConfigurationInvalid
from holdfast.core.ledger_audit import Auditor, FileMissing, document_path
from holdfast.core.merkle import HASH_BYTES
from holdfast.core.signed_note import Note, NoteInvalid
from holdfast.core.tiles import TILE_WIDTH, BundleInvalid, Tile
from holdfast.registry.ledger import LedgerDiverged, require_same
from holdfast.store import entries
from holdfast.store import ledger as statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.core.signed_note import VerifierKey
    from holdfast.registry.ledger_keys import LedgerKeys
    from holdfast.store.database import Reader
    from holdfast.store.ledger_files import LedgerFiles

_CHECKPOINT: Final = "ledger/checkpoint"
_DATABASE: Final = "the ledger in the database"


class LedgerExamination:
    """The examination of the ledger of a data directory that no server has open."""

    def __init__(self, database: Reader, files: LedgerFiles, keys: LedgerKeys, *, is_restored: bool) -> None:
        """`is_restored`: it comes from a snapshot, which has no published files; without them nothing is compared."""
        self._database = database
        self._files = files
        self._keys = keys
        self._is_restored = is_restored

    def run(self, watch: Callable[[int], None]) -> Iterator[tuple[str, str]]:
        """Tell what does not fit: where, and what. `watch` is told how many entries were hashed."""
        try:
            tree, note = statements.tree(self._database), self._files.checkpoint()
            verifiers = self._keys.verifiers()
        except (ValueError, OSError) as error:
            yield _DATABASE, f"it cannot be read: {error}"
            return
        except ConfigurationInvalid as error:
            yield "the keys of the ledger", error.message
            return
        published = 0
        if note is not None or not self._is_restored:
            try:
                published = require_same(self._database, tree, note, verifiers)
            except LedgerDiverged as error:
                yield _CHECKPOINT, str(error)
        if tree is None:
            return
        try:
            signed = _believed(tree.note, verifiers)
        except NoteInvalid as error:
            yield _DATABASE, f"its last checkpoint is not to be believed: {error}"
            return
        if signed.size != tree.frontier.size:
            yield _DATABASE, f"its last checkpoint is of {signed.size} entries, and {tree.frontier.size} have a place"
        for finding in Auditor(self._fetch(signed.size)).follow(signed, progress=watch).findings:
            yield _DATABASE, finding.message
        yield from self._published(published)

    def _fetch(self, size: int) -> Callable[[str], bytes]:
        """Return what reads the public files of a ledger of `size` entries as the server would give them."""

        def fetch(path: str) -> bytes:
            tile = Tile.parse(path)
            if tile is None:
                found = entries.document(self._database, path.removeprefix(document_path("")))
            elif tile.level is None:
                end = min(size, tile.first_leaf + tile.width)
                found = tiles.join_bundle(statements.bundle(self._database, tile.first_leaf, end))
            else:
                known = statements.tile(self._database, tile.level, tile.number)
                found = known[: tile.width * HASH_BYTES] if known is not None else None
            if found is None:
                msg = f"{path} is missing"
                raise FileMissing(msg)
            return found

        return fetch

    def _published(self, size: int) -> Iterator[tuple[str, str]]:
        """Compare the entries that were published with those of the database, up to the published checkpoint."""
        mine: list[bytes] = []
        count = 0
        try:
            for index, one in enumerate(self._files.entries(size)):
                at = index % TILE_WIDTH
                if at == 0:
                    mine = statements.bundle(self._database, index, min(size, index + TILE_WIDTH))
                if at >= len(mine) or mine[at] != one:
                    yield "ledger/entries", f"entry {index} is not the one in the database"
                    return
                count += 1
        except (OSError, BundleInvalid) as error:
            yield "ledger/entries", f"the published entries cannot be read behind entry {count}: {error}"
            return
        if count != size:
            yield "ledger/entries", f"{size} entries were published, and {count} are there"


def _believed(note: bytes, verifiers: Sequence[VerifierKey]) -> Checkpoint:
    """Read a checkpoint that a key of this data directory has signed. Raises NoteInvalid."""
    parsed = Note.parse(note)
    if not parsed.verify(verifiers):
        msg = "no key of this data directory has signed it"
        raise NoteInvalid(msg)
    return Checkpoint.of(parsed)
