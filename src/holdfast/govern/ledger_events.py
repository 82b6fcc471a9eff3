"""Entries of a Holdfast ledger, and what an inventory shows of the past, as events.

Pure. A ledger tells everything: each bind, move and refusal with what the tag named before. A push of what a tag
names already changes nothing, so a ledger has no entry of it.

An inventory shows what tags name now, and when that was pushed: a lower bound, and named so (`Origin.RESIDUE`). A tag
that moved left at most an image without a name behind, and a lifecycle policy may have removed that too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import TagMutability
from holdfast.govern.actors import actor_of_arn
from holdfast.govern.events import NOBODY, Event, Kind, Origin, Outcome
from holdfast.govern.members import RecordInvalid, maybe, part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.core.entry import Entry
    from holdfast.govern.estate import RepositoryRecord

_KINDS: Final = {
    "tag-bound": Kind.PUSH,
    "tag-moved": Kind.PUSH,
    "tag-restored": Kind.PUSH,
    "tag-refused": Kind.PUSH,
    "tag-deleted": Kind.DELETE,
    "repository-created": Kind.CREATE,
    "repository-deleted": Kind.DROP,
    "mutability-changed": Kind.SET_MUTABILITY,
    "template-changed": Kind.SET_TEMPLATE,
    "pull-through-rule-changed": Kind.SET_PULL_THROUGH,
    "replication-configured": Kind.SET_REPLICATION,
    "scanning-changed": Kind.SET_SCANNING,
    "lifecycle-policy-put": Kind.SET_LIFECYCLE,
    "lifecycle-policy-deleted": Kind.SET_LIFECYCLE,
    "repository-policy-changed": Kind.SET_POLICY,
    "registry-policy-changed": Kind.SET_POLICY,
}
_REFUSED: Final = "ImageTagAlreadyExistsException"


def events_of(index: int, entry: Entry) -> tuple[Event, ...]:
    """Read an entry of the ledger; none for what concerns no tag and no setting. Raises RecordInvalid."""
    kind = _KINDS.get(entry.kind)
    if kind is None:
        return ()
    facts = entry.facts
    at = facts.get("at")
    account, _, region = entry.registry.partition("/")
    if not isinstance(at, int) or isinstance(at, bool) or not region:
        msg = "an entry without a time or a registry"
        raise RecordInvalid(msg)
    principal = maybe(facts, "principal")
    try:
        moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        msg = f"{at} is no time"
        raise RecordInvalid(msg) from None
    event = Event(
        at=moment,
        account=account,
        region=region,
        repository=entry.repository or maybe(facts, "prefix") or "",
        kind=kind,
        origin=Origin.LEDGER,
        tag=entry.tag,
        digest=maybe(facts, "digest"),
        media_type=maybe(facts, "media_type"),
        actor=actor_of_arn(principal) if principal else NOBODY,
        source=maybe(facts, "source"),
        id=f"{entry.registry}#{index}",
    )
    if kind is Kind.PUSH:
        return (_push(entry, event),)
    if kind in {Kind.SET_MUTABILITY, Kind.CREATE}:
        mode, filters = _settings(part(facts, "after") if kind is Kind.SET_MUTABILITY else facts)
        return (replace(event, mode=mode, filters=filters),)
    if kind is Kind.DELETE and (maybe(facts, "why") or "").startswith("lifecycle"):
        return (replace(event, kind=Kind.EXPIRE),)
    return (event,)


def _push(entry: Entry, event: Event) -> Event:
    if entry.kind == "tag-refused":
        return replace(
            event,
            outcome=Outcome.REFUSED,
            error=_REFUSED,
            digest=maybe(entry.facts, "pushed"),
            previous=maybe(entry.facts, "digest"),
        )
    return replace(event, previous=maybe(entry.facts, "before"))


def _settings(told: dict[str, Any]) -> tuple[TagMutability, tuple[str, ...]]:
    filters = told.get("filters") or []
    try:
        mode = TagMutability(maybe(told, "mode") or "")
    except ValueError:
        msg = "settings of an unknown mode"
        raise RecordInvalid(msg) from None
    if not isinstance(filters, list) or not all(isinstance(one, str) for one in filters):
        msg = "filters that are no list of texts"
        raise RecordInvalid(msg)
    return mode, tuple(filters)


def residue_of(repositories: Iterable[RepositoryRecord]) -> Iterator[Event]:
    """Give what live tags show of the past: when what each of them names was pushed."""
    for one in repositories:
        for live in one.live_tags or ():
            if live.pushed_at is not None:
                yield Event(
                    at=live.pushed_at,
                    account=one.account,
                    region=one.region,
                    repository=one.name,
                    kind=Kind.PUSH,
                    origin=Origin.RESIDUE,
                    tag=live.tag,
                    digest=live.digest,
                    media_type=live.media_type,
                )
