"""Acts done again, as entries tell of them: what a state that is behind the published ledger is brought up to date by.

Together with `binding.py`, this is the only place that begins or ends a binding. Nothing is judged anew: what stands in
the ledger happened. Two things a ledger cannot give back: content that is gone (a tag that held then keeps its name for
its digest), and settings that have no row here (they are told, to be set by hand).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.core.mutability import MutabilitySettings, Rule, TagMutability
from holdfast.store import accounts, bindings, catalog, manifests
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.entry import Entry
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Transaction

_LEDGER: Final = "ledger recovery"


@dataclass(slots=True)
class Replayed:
    """What a replay did."""

    acts: int = 0
    lost: list[tuple[int, str, str, str]] = field(default_factory=list)
    """Registry, repository, tag, digest: tags whose content is gone, and whose names wait for it."""
    by_hand: list[str] = field(default_factory=list)
    """Acts that only their kind of use case could do again, a sentence each."""


class Replay:
    """Does acts again inside one transaction."""

    def __init__(self, txn: Transaction, at: int) -> None:
        """`at`: now, in microseconds since the epoch."""
        self._txn = txn
        self._at = at
        self.done = Replayed()

    def entry(self, index: int, entry: Entry) -> None:
        """Do one act again."""
        account_id, _, region = entry.registry.partition("/")
        registry = catalog.ensure_registry(self._txn, account_id, region, self._at)
        act = _ACTS.get(entry.kind)
        if act is not None:
            act(self, registry, entry)
            self.done.acts += 1
        elif entry.kind not in _WITHOUT_EFFECT:
            where = ":".join(one for one in (entry.repository, entry.tag) if one is not None)
            self.done.by_hand.append(f"entry {index}: {entry.kind}{' of ' + where if where else ''}")

    def forget_lost(self) -> None:
        """Nothing is left to do for lost tags that came back later in the ledger."""
        still = []
        for registry_id, repository, tag, digest in self.done.lost:
            found = bindings.tombstone(self._txn, registry_id, repository, tag)
            if found is not None and found.digest == digest:
                still.append((registry_id, repository, tag, digest))
        self.done.lost = still

    # --- tags --------------------------------------------------------------------------------------------------------

    def _bound(self, registry: Registry, entry: Entry) -> None:
        repository = self._repository(registry, entry)
        tag, digest = str(entry.tag), str(entry.facts["digest"])
        at, by = int(entry.facts["at"]), str(entry.facts["principal"])
        if repository is None:
            return
        live = bindings.live(self._txn, repository.id, tag)
        if live is not None and live.digest == digest:
            return
        if live is not None:
            cause = "appended" if entry.facts.get("rule") == Rule.APPEND_ONLY else "moved"
            bindings.end(self._txn, live.id, at=at, by=by, cause=cause)
        tombstone = bindings.tombstone(self._txn, registry.id, repository.name, tag)
        if tombstone is not None and tombstone.digest != digest:
            bindings.close_tombstone(self._txn, tombstone.id, at=at, by=by, cause="forgotten")
            tombstone = None
        if manifests.image(self._txn, repository.id, digest) is not None:
            bindings.begin(self._txn, repository.id, tag, digest, at=at, by=by)
            if tombstone is not None:
                bindings.close_tombstone(self._txn, tombstone.id, at=at, by=by, cause="restored")
        elif entry.facts.get("held"):
            if tombstone is None:
                bindings.bury(self._txn, registry.id, repository.name, tag, digest, at=self._at, by=_LEDGER)
            self.done.lost.append((registry.id, repository.name, tag, digest))

    def _unbound(self, registry: Registry, entry: Entry) -> None:
        repository = self._repository(registry, entry)
        tag, digest = str(entry.tag), str(entry.facts["digest"])
        at, by = int(entry.facts["at"]), str(entry.facts["principal"])
        held = bool(entry.facts.get("held"))
        known = bindings.tombstone(self._txn, registry.id, str(entry.repository), tag)
        if held and registry.holds_deleted_tags and known is None:
            bindings.bury(self._txn, registry.id, str(entry.repository), tag, digest, at=at, by=by)
        elif not held and known is not None:
            bindings.close_tombstone(self._txn, known.id, at=at, by=by, cause="forgotten")
        live = bindings.live(self._txn, repository.id, tag) if repository is not None else None
        if live is not None:
            bindings.end(self._txn, live.id, at=at, by=by, cause="deleted")
        self.done.lost = [one for one in self.done.lost if one[:3] != (registry.id, entry.repository, tag)]

    def _forgotten(self, registry: Registry, entry: Entry) -> None:
        known = bindings.tombstone(self._txn, registry.id, str(entry.repository), str(entry.tag))
        if known is not None:
            at, by = int(entry.facts["at"]), str(entry.facts["principal"])
            bindings.close_tombstone(self._txn, known.id, at=at, by=by, cause="forgotten")

    # --- repositories and settings -----------------------------------------------------------------------------------

    def _repository(self, registry: Registry, entry: Entry) -> Repository | None:
        return catalog.repository(self._txn, registry.id, str(entry.repository))

    def _created(self, registry: Registry, entry: Entry) -> None:
        if self._repository(registry, entry) is None:
            catalog.insert_repository(
                self._txn,
                registry.id,
                str(entry.repository),
                _settings(entry.facts),
                scan_on_push=False,
                encryption={"encryptionType": "AES256"},
                created_at=int(entry.facts["at"]),
                created_by=str(entry.facts["principal"]),
            )

    def _deleted(self, registry: Registry, entry: Entry) -> None:
        repository = self._repository(registry, entry)
        if repository is not None:
            at, by = int(entry.facts["at"]), str(entry.facts["principal"])
            catalog.end_repository(self._txn, repository.id, at=at, by=by)

    def _switched(self, registry: Registry, entry: Entry) -> None:
        repository = self._repository(registry, entry)
        if repository is not None:
            catalog.set_mutability(self._txn, repository.id, _settings(entry.facts["after"]))

    def _configured(self, registry: Registry, entry: Entry) -> None:
        after = entry.facts["after"]
        catalog.set_registry(
            self._txn,
            registry.id,
            refusal_style=str(after.get("refusal_style", registry.refusal_style)),
            deleted_tags=str(after.get("deleted_tags", registry.deleted_tags)),
        )

    # --- people ------------------------------------------------------------------------------------------------------

    def _principal_deleted(self, registry: Registry, entry: Entry) -> None:
        accounts.delete_principal(self._txn, f"arn:aws:iam::{registry.account_id}:user/{entry.facts['name']}")

    def _key_deleted(self, _registry: Registry, entry: Entry) -> None:
        accounts.delete_access_key(self._txn, str(entry.facts["deleted_key"]))


def _settings(facts: dict[str, object]) -> MutabilitySettings:
    filters = facts.get("filters")
    return MutabilitySettings(TagMutability(str(facts["mode"])), tuple(filters) if isinstance(filters, list) else ())


_ACTS: Final[dict[str, Callable[[Replay, Registry, Entry], None]]] = {
    EntryKind.TAG_BOUND: Replay._bound,  # noqa: SLF001 - the table of this class
    EntryKind.TAG_RESTORED: Replay._bound,  # noqa: SLF001
    EntryKind.TAG_MOVED: Replay._bound,  # noqa: SLF001
    EntryKind.TAG_DELETED: Replay._unbound,  # noqa: SLF001
    EntryKind.TAG_FORGOTTEN: Replay._forgotten,  # noqa: SLF001
    EntryKind.REPOSITORY_CREATED: Replay._created,  # noqa: SLF001
    EntryKind.REPOSITORY_DELETED: Replay._deleted,  # noqa: SLF001
    EntryKind.MUTABILITY_CHANGED: Replay._switched,  # noqa: SLF001
    EntryKind.REGISTRY_CHANGED: Replay._configured,  # noqa: SLF001
    EntryKind.PRINCIPAL_DELETED: Replay._principal_deleted,  # noqa: SLF001
    EntryKind.ACCESS_KEY_DELETED: Replay._key_deleted,  # noqa: SLF001
}
"""Kind -> what does it again."""

_WITHOUT_EFFECT: Final = frozenset(
    {
        EntryKind.TAG_REFUSED,
        EntryKind.REGISTRY_CREATED,
        EntryKind.ROLE_ASSUMED,
        EntryKind.SCAN_STARTED,
        EntryKind.LIFECYCLE_RUN,
        EntryKind.IMAGE_EXPIRED,
        EntryKind.UPSTREAM_DRIFTED,
        EntryKind.REPLICATION_BACKFILL,
        EntryKind.IMAGE_REPLICATED,
        EntryKind.REPLICATION_FAILED,
        EntryKind.LEDGER_RECOVERED,
        EntryKind.SEAL_KEY_ROTATED,
    }
)
"""Kinds that changed nothing that a replay would have to change again."""
