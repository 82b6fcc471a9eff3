"""The use cases over the ledger: who may read it, receipts, and the keys that it signs with."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from holdfast.core.errors import ParameterInvalid
from holdfast.registry.binding import Act
from holdfast.store import entries
from holdfast.store import ledger as statements
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.tlog_proof import TlogProof
    from holdfast.registry.access import Access, Caller, Connection
    from holdfast.registry.ledger import Ledger
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

READ: str = "holdfast:ReadLedger"


class Readers(StrEnum):
    """Who may read the public files: the setting ledger_readers."""

    RIGHT = "right"
    LOGGED_IN = "logged-in"
    PUBLIC = "public"


class LedgerUse:
    """The use cases over the ledger."""

    def __init__(
        self, database: Database, access: Access, ledger: Ledger, clock: Callable[[], int], *, readers: Readers
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._ledger = ledger
        self._clock = clock
        self._readers = readers

    def admit(self, authorization: str | None, connection: Connection, registry: Registry) -> None:
        """Let somebody read the files of the ledger. Raises Unauthenticated, AccessDenied."""
        if self._readers is Readers.PUBLIC:
            self._access.admit_stranger(connection.source)
            return
        caller = self._access.authenticate(authorization, connection)
        if self._readers is Readers.RIGHT:
            self._access.require(caller, registry, READ)

    def document(self, sha256: str) -> bytes | None:
        """Return what was too large for an entry; the caller was admitted."""
        return entries.document(self._database, sha256)

    def receipt(self, caller: Caller, registry: Registry, repository: str, tag: str) -> TlogProof:
        """Make the receipt of what a tag names, or of its deletion. Raises AccessDenied, ManifestNotFound."""
        self._access.require(caller, registry, "holdfast:GetTagReceipt", repository)
        return self._ledger.receipt_of_tag(registry.id, repository, tag)

    def status(self, caller: Caller, registry: Registry) -> dict[str, Any]:
        """Tell the origin, how far the ledger is, and the keys. Raises AccessDenied."""
        self._access.require(caller, registry, "holdfast:GetLedgerStatus")
        return {**self._ledger.status(), "keys": self._ledger.keys()}

    async def add_key(self, caller: Caller, registry: Registry, *, through: str) -> str:
        """Let a new key sign beside those that do; return its vkey. Raises AccessDenied."""
        self._access.require(caller, registry, "holdfast:AddLedgerKey")
        act = Act(caller, self._clock(), through)
        signer = self._ledger.make_key()
        vkey = str(signer.verifier)

        def job(txn: Transaction) -> None:
            statements.add_key(txn, vkey, act.at)
            act.record(txn, registry, EntryKind.LEDGER_KEY_ADDED, vkey=vkey, signing=_signing(txn))

        await self._database.write(job)
        self._ledger.sign_with(signer)
        await self._ledger.included(act.entries)
        return vkey

    async def retire_key(self, caller: Caller, registry: Registry, vkey: str, *, through: str) -> None:
        """Let a key sign no more; another one must. Raises AccessDenied, ParameterInvalid."""
        self._access.require(caller, registry, "holdfast:RetireLedgerKey")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            signing = _signing(txn)
            name = "vkey"
            if vkey not in signing:
                why = "Member must be a key that signs"
                raise ParameterInvalid(name, why)
            if len(signing) == 1:
                why = "The last key cannot be retired: add another one first"
                raise ParameterInvalid(name, why)
            statements.end_key(txn, vkey, act.at)
            act.record(txn, registry, EntryKind.LEDGER_KEY_RETIRED, vkey=vkey, signing=_signing(txn))

        await self._database.write(job)
        self._ledger.sign_without(vkey)
        await self._ledger.included(act.entries)


def _signing(txn: Transaction) -> list[str]:
    return [row.vkey for row in statements.keys(txn) if row.ended_at is None]
