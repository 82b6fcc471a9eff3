"""The one function that binds tags, and the one that unbinds them.

Every writer of tags goes through here (a tag push, `?tag=`, PutImage, and whatever comes later), inside a transaction:
the mode is read, the rule in `core.mutability` is asked, the unique key of the bindings decides between racers, and the
act and its entry in the record are written together. Nothing else in Holdfast begins or ends a binding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.core import mutability
from holdfast.core.digest import Digest
from holdfast.core.errors import PreconditionFailed, RepositoryNotFound, TagHeld
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.mutability import Action
from holdfast.store import bindings, catalog, entries, manifests
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.manifest import Manifest
    from holdfast.core.mutability import Decision
    from holdfast.core.preconditions import Precondition
    from holdfast.registry.access import Caller
    from holdfast.store.bindings import Binding, Tombstone
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, when (microseconds since the epoch), through which interface."""

    caller: Caller
    at: int
    through: str
    entries: list[int] = field(default_factory=list, compare=False)
    """Sequence numbers of the entries that the act wrote by `record`: what its answer waits for."""

    def record(
        self,
        txn: Transaction,
        registry: Registry,
        kind: EntryKind,
        *,
        repository: str | None = None,
        tag: str | None = None,
        **facts: Any,  # noqa: ANN401 - JSON values of many kinds
    ) -> None:
        """Write the entry of the act, in the act's own transaction."""
        sequence = entries.append(txn, registry.id, kind, self.body(**facts), repository=repository, tag=tag)
        self.entries.append(sequence)

    def body(self, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of many kinds
        """Return the body of an entry: who, when, from where, and the facts given."""
        return {
            "at": self.at,
            "principal": self.caller.arn,
            "access_key": self.caller.access_key_id,
            "source": self.caller.source,
            "through": self.through,
            **({"behalf": self.caller.behalf} if self.caller.behalf else {}),
            **facts,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A tag that did not move, and everything that a person would ask about it."""

    repository: str
    tag: str
    decision: Decision
    bound: Binding | None
    tombstone: Tombstone | None
    pushed: Digest
    is_child_of_pushed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the tags of one push: all of them bound, or none and the refusals."""

    decisions: tuple[tuple[str, Decision], ...]
    refusals: tuple[Refusal, ...]


def bind_tags(
    txn: Transaction,
    registry: Registry,
    repository: Repository,
    manifest: Manifest,
    tags: Sequence[str],
    act: Act,
    *,
    precondition: Precondition | None = None,
) -> Outcome:
    """Make tags name a manifest that the repository has: all of them, or none when one is refused.

    Raises PreconditionFailed when a tag does not meet the push's condition. A refusal comes before it: a condition is
    of no account where the push would not be done without it either (RFC 9110 section 13.2.1).
    """
    judged = [(tag, *_judge(txn, registry, repository, manifest, tag)) for tag in dict.fromkeys(tags)]
    decisions = tuple((tag, decision) for tag, decision, _, _ in judged)
    refusals = tuple(
        Refusal(repository.name, tag, decision, bound, tombstone, manifest.digest, _is_child(manifest, bound))
        for tag, decision, bound, tombstone in judged
        if decision.action is Action.REFUSE
    )
    for refusal in refusals:
        _record_refusal(txn, registry, manifest, refusal, act)
    if not refusals:
        _require(precondition, manifest, judged)
        for tag, decision, bound, tombstone in judged:
            _apply(txn, registry, repository, manifest, tag, (decision, bound, tombstone), act)
    return Outcome(decisions, refusals)


def unbind(txn: Transaction, registry: Registry, repository: Repository, bound: Binding, act: Act, *, why: str) -> None:
    """End a live binding; a held tag leaves a tombstone, so that only its digest may take the name again."""
    verdict = repository.mutability.judge(bound.tag)
    if verdict.held and registry.holds_deleted_tags:
        _bury(txn, registry, repository.name, bound, act)
    bindings.end(txn, bound.id, at=act.at, by=act.caller.arn, cause="deleted")
    act.record(
        txn,
        registry,
        EntryKind.TAG_DELETED,
        repository=repository.name,
        tag=bound.tag,
        digest=bound.digest,
        held=verdict.held,
        why=why,
    )


def forget(txn: Transaction, registry: Registry, repository: str, tag: str, act: Act) -> bool:
    """Give up the name of a held tag that was deleted, so that any digest may take it; say whether it waited."""
    found = bindings.tombstone(txn, registry.id, repository, tag)
    if found is None:
        return False
    bindings.close_tombstone(txn, found.id, at=act.at, by=act.caller.arn, cause="forgotten")
    act.record(txn, registry, EntryKind.TAG_FORGOTTEN, repository=repository, tag=tag, digest=found.digest)
    return True


def require_repository(reader: Reader, registry: Registry, name: str) -> Repository:
    """Find a repository, or raise RepositoryNotFound."""
    repository = catalog.repository(reader, registry.id, name)
    if repository is None:
        raise RepositoryNotFound(name, registry.account_id)
    return repository


def _judge(
    txn: Transaction, registry: Registry, repository: Repository, manifest: Manifest, tag: str
) -> tuple[Decision, Binding | None, Tombstone | None]:
    bound = bindings.live(txn, repository.id, tag)
    tombstone = bindings.tombstone(txn, registry.id, repository.name, tag) if bound is None else None
    if not registry.holds_deleted_tags:
        tombstone = None
    decision = mutability.decide(
        repository.mutability,
        tag,
        manifest.digest,
        bound=Digest.parse(bound.digest) if bound else None,
        tombstone=Digest.parse(tombstone.digest) if tombstone else None,
        appends=bound is not None and _appends(txn, repository, manifest, bound),
    )
    return decision, bound, tombstone


def _require(
    precondition: Precondition | None,
    manifest: Manifest,
    judged: Sequence[tuple[str, Decision, Binding | None, Tombstone | None]],
) -> None:
    for tag, _, bound, _ in judged if precondition is not None else ():
        names = Digest.parse(bound.digest) if bound is not None else None
        if precondition is not None and not precondition.holds(names, manifest.digest):
            raise PreconditionFailed(tag, str(names) if names else None)


def _appends(txn: Transaction, repository: Repository, manifest: Manifest, bound: Binding) -> bool:
    if not mutability.is_signature_tag(bound.tag):
        return False
    stored = manifests.payload(txn, repository.id, bound.digest)
    if stored is None:
        return False
    return manifest.keeps_every_descriptor_of(parse_manifest(stored.payload, stored.media_type))


def _is_child(manifest: Manifest, bound: Binding | None) -> bool:
    return bound is not None and any(str(child.digest) == bound.digest for child in manifest.children)


def _apply(
    txn: Transaction,
    registry: Registry,
    repository: Repository,
    manifest: Manifest,
    tag: str,
    judged: tuple[Decision, Binding | None, Tombstone | None],
    act: Act,
) -> None:
    decision, bound, tombstone = judged
    digest, by = str(manifest.digest), act.caller.arn
    if decision.action is Action.KEEP:
        return
    if decision.action is Action.MOVE and bound is not None:
        cause = "appended" if decision.rule is mutability.Rule.APPEND_ONLY else "moved"
        bindings.end(txn, bound.id, at=act.at, by=by, cause=cause)
    if not bindings.begin(txn, repository.id, tag, digest, at=act.at, by=by):
        # The writer runs one transaction at a time, so nobody can have come between; fail closed all the same.
        raise TagHeld(mutability.refusal_sentence(tag, repository.name))
    if tombstone is not None:
        bindings.close_tombstone(txn, tombstone.id, at=act.at, by=by, cause="restored")
    kind = {
        Action.BIND: EntryKind.TAG_BOUND,
        Action.RESTORE: EntryKind.TAG_RESTORED,
        Action.MOVE: EntryKind.TAG_MOVED,
    }[decision.action]
    act.record(
        txn,
        registry,
        kind,
        repository=repository.name,
        tag=tag,
        digest=digest,
        media_type=manifest.media_type,
        bytes=len(manifest.payload),
        before=bound.digest if bound else None,
        held=repository.mutability.judge(tag).held,
        rule=decision.rule,
        reason=decision.reason,
    )


def _record_refusal(txn: Transaction, registry: Registry, manifest: Manifest, refusal: Refusal, act: Act) -> None:
    holds = refusal.bound or refusal.tombstone
    act.record(
        txn,
        registry,
        EntryKind.TAG_REFUSED,
        repository=refusal.repository,
        tag=refusal.tag,
        pushed=str(manifest.digest),
        media_type=manifest.media_type,
        digest=holds.digest if holds else None,
        rule=refusal.decision.rule,
        reason=refusal.decision.reason,
    )


def _bury(txn: Transaction, registry: Registry, repository: str, bound: Binding, act: Act) -> None:
    open_one = bindings.tombstone(txn, registry.id, repository, bound.tag)
    if open_one is not None:
        # Left open by a time in which names of deleted tags were free: the digest that was held last counts.
        if open_one.digest == bound.digest:
            return
        bindings.close_tombstone(txn, open_one.id, at=act.at, by=act.caller.arn, cause="forgotten")
    bindings.bury(txn, registry.id, repository, bound.tag, bound.digest, at=act.at, by=act.caller.arn)
