"""Which repositories are ready to be made immutable, which need work first, and which are better left: with reasons.

Pure. This file alone decides the verdict. Reasons are in a table of codes, each with a sentence in plain words that
names the tags, how often, and who. What the past shows counts; a name alone only asks for a look. Where no past is
known that is said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core.mutability import TagMutability
from holdfast.govern.events import Event, Kind, Origin, Outcome
from holdfast.govern.simulate import TAG_ERRORS
from holdfast.govern.tag_kinds import POINTERS, TagKind, kind_of, short_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from holdfast.govern.estate import Inventory, RegistryRecord, RepositoryRecord

_SHOWN: Final = 3
_FLIP_WITHIN: Final = timedelta(hours=1)
_HOLDING: Final = frozenset({TagMutability.IMMUTABLE, TagMutability.IMMUTABLE_WITH_EXCLUSION})


class Verdict(StrEnum):
    """What to do with a repository."""

    READY = "ready"
    """Can be switched now: nothing that is known would break."""

    NEEDS_WORK = "needs work"
    """Something would break, or it is not known whether it would."""

    LEAVE = "leave"
    """Its tags move because others' do, or it holds already."""


class Code(StrEnum):
    """A reason."""

    HOLDS_ALREADY = "holds-already"
    PULL_THROUGH = "pull-through"
    REPLICA = "replica"
    CACHE_REPOSITORY = "cache-repository"
    REUSED_TAGS = "reused-tags"
    REFUSED_ALREADY = "refused-already"
    DELETE_THEN_PUSH = "delete-then-push"
    FLIP_PUSH_FLIP = "flip-push-flip"
    SAME_DIGEST = "same-digest"
    SIGNATURE_TAGS = "signature-tags"
    POINTER_TAGS = "pointer-tags"
    LEFT_BEHIND = "left-behind"
    UNKNOWN_PAST = "unknown-past"
    TEMPLATE_MUTABLE = "template-mutable"
    REPLICATED = "replicated"
    QUIET = "quiet"
    CLEAN = "clean"


WORK: Final = frozenset(
    {
        Code.REUSED_TAGS,
        Code.REFUSED_ALREADY,
        Code.DELETE_THEN_PUSH,
        Code.FLIP_PUSH_FLIP,
        Code.SIGNATURE_TAGS,
        Code.POINTER_TAGS,
        Code.LEFT_BEHIND,
        Code.UNKNOWN_PAST,
    }
)
"""Reasons that ask for work before the switch; the others are told beside."""

LEFT: Final = frozenset({Code.HOLDS_ALREADY, Code.PULL_THROUGH, Code.REPLICA, Code.CACHE_REPOSITORY})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for programs and for people."""

    code: Code
    sentence: str
    tags: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Reuse:
    """A tag that came to name another image."""

    tag: str
    moves: int
    kind: TagKind
    pipelines: tuple[str, ...]
    last: datetime


@dataclass(frozen=True, slots=True)
class Triage:
    """The verdict on one repository."""

    account: str
    region: str
    repository: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    reused: tuple[Reuse, ...] = ()
    keep: tuple[str, ...] = ()
    """Tags that exclusion filters would have to keep movable, if nothing else is changed."""

    hold: tuple[str, ...] = ()
    """All other tags that are known."""

    kinds: dict[str, int] = field(default_factory=dict)
    """What its live tags seem to be for -> how many."""


@dataclass(slots=True)
class _Past:
    """What the events of one repository show."""

    moves: Counter[str] = field(default_factory=Counter)
    last: dict[str, datetime] = field(default_factory=dict)
    who: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    repeated: Counter[str] = field(default_factory=Counter)
    after_delete: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    flips: list[Event] = field(default_factory=list)
    pushes: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, str | None] = field(default_factory=dict)
    opened: Event | None = None
    moved_while_open: bool = False


def past_of(events: Iterable[Event]) -> _Past:
    """Read what the events of one repository, in the order of time, show of its tags."""
    past = _Past()
    for event in events:
        if event.kind is Kind.PUSH and event.tag is not None and event.digest is not None:
            _pushed(past, event, event.tag, event.digest)
        elif event.outcome is not Outcome.DONE:
            continue
        elif event.kind in {Kind.DELETE, Kind.EXPIRE}:
            for tag in [event.tag] if event.tag else [one for one, was in past.seen.items() if was == event.digest]:
                past.deleted[tag] = past.seen.pop(tag, None)
        elif event.kind is Kind.DROP:
            past.deleted |= dict(past.seen)
            past.seen.clear()
        elif event.kind is Kind.SET_MUTABILITY:
            _switched(past, event)
    return past


def _pushed(past: _Past, event: Event, tag: str, digest: str) -> None:
    if event.outcome is Outcome.REFUSED:
        if event.error in TAG_ERRORS:
            past.refused[tag] += 1
            past.who[tag][event.actor.label] += 1
        return
    if event.origin is not Origin.RESIDUE:
        past.pushes += 1
    before = past.seen.get(tag) or event.previous
    if before is not None and before != digest:
        past.moves[tag] += 1
        past.last[tag] = event.at
        past.who[tag][event.actor.label] += 1
        past.moved_while_open = True
    elif before == digest and event.origin is not Origin.RESIDUE:
        past.repeated[tag] += 1
    elif tag in past.deleted and past.deleted[tag] != digest:
        past.after_delete[tag] += 1
        past.last[tag] = event.at
        past.who[tag][event.actor.label] += 1
        past.moved_while_open = True
    past.deleted.pop(tag, None)
    past.seen[tag] = digest


def _switched(past: _Past, event: Event) -> None:
    if event.mode is None:
        return
    if event.mode not in _HOLDING:
        past.opened, past.moved_while_open = event, False
    elif past.opened is not None:
        if past.moved_while_open and event.at - past.opened.at <= _FLIP_WITHIN:
            past.flips.append(event)
        past.opened = None


def triage(
    repository: RepositoryRecord,
    registry: RegistryRecord | None,
    events: Sequence[Event],
    *,
    replicas: Iterable[tuple[str, str, str]] = (),
    is_known: bool = True,
) -> Triage:
    """Judge one repository by its events in the order of time.

    `replicas` are (account, region, prefix) that replication writes to; `is_known`: a history of this place was read.
    """
    past = past_of(events)
    reasons = [
        *_standing(repository, registry, replicas),
        *_moving(past),
        *_naming(repository, past),
        *_unknown(repository, past, is_known=is_known),
    ]
    codes = {one.code for one in reasons}
    if codes & LEFT:
        verdict = Verdict.LEAVE
    elif codes & WORK:
        verdict = Verdict.NEEDS_WORK
    else:
        verdict = Verdict.READY
        reasons.append(_clean(past))
    moved = past.moves + past.after_delete
    reused = tuple(
        Reuse(tag, count, kind_of(tag), tuple(name for name, _ in past.who[tag].most_common()), past.last[tag])
        for tag, count in sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    )
    live = {one.tag for one in repository.live_tags or ()}
    named = {tag for tag in live if kind_of(tag) in POINTERS and not past.pushes}
    keep = set(moved) | set(past.refused) | named
    known = live | past.seen.keys() | past.deleted.keys()
    return Triage(
        *repository.key,
        verdict,
        tuple(reasons),
        reused,
        tuple(sorted(keep)),
        tuple(sorted(known - keep)),
        dict(sorted(Counter(str(kind_of(tag)) for tag in live).items())),
    )


def triage_all(
    inventory: Inventory, events: Iterable[Event], *, known: Iterable[tuple[str, str]] | None = None
) -> list[Triage]:
    """Judge every repository of an inventory by the events of all, in the order of time.

    `known` are the places whose history was read; None: those that any event is of.
    """
    by_repository: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for event in events:
        by_repository[event.key].append(event)
        if event.origin is not Origin.RESIDUE:
            seen.add((event.account, event.region))
    places = seen if known is None else set(known)
    registries = {(one.account, one.region): one for one in inventory.registries}
    replicas = [
        (account, region, prefix)
        for one in inventory.registries
        for rule in one.replication or ()
        for account, region in rule.destinations
        for prefix in rule.prefixes or ("",)
    ]
    return [
        triage(
            one,
            registries.get((one.account, one.region)),
            by_repository.get(one.key, ()),
            replicas=replicas,
            is_known=(one.account, one.region) in places,
        )
        for one in inventory.repositories
    ]


# --- reasons ---------------------------------------------------------------------------------------------------------


def _standing(
    repository: RepositoryRecord, registry: RegistryRecord | None, replicas: Iterable[tuple[str, str, str]]
) -> Iterable[Reason]:
    """What the settings around it say."""
    if repository.mode is TagMutability.IMMUTABLE:
        yield Reason(Code.HOLDS_ALREADY, "It is IMMUTABLE already: nothing is to be done.")
    if any(
        (account, region) == repository.key[:2] and repository.name.startswith(prefix)
        for account, region, prefix in replicas
    ):
        yield Reason(Code.REPLICA, "Replication writes to it: hold the tags where they are pushed, then here.")
    live = repository.live_tags or ()
    if live and all(kind_of(one.tag) is TagKind.CACHE for one in live):
        why = "Every tag in it is a build cache, written again with each build: nothing is deployed from it."
        yield Reason(Code.CACHE_REPOSITORY, why, tuple(one.tag for one in live))
    if registry is not None:
        yield from _around(repository, registry)


def _around(repository: RepositoryRecord, registry: RegistryRecord) -> Iterable[Reason]:
    """What the registry's rules say of a repository. A cache without a prefix says nothing of a name."""
    for cache in registry.pull_through or ():
        if _below(repository.name, cache.prefix):
            why = f"It is a cache of {cache.upstream}: its tags move when those of upstream do, and would go stale."
            yield Reason(Code.PULL_THROUGH, why)
            break
    for rule in registry.replication or ():
        if not rule.prefixes or any(repository.name.startswith(prefix) for prefix in rule.prefixes):
            to = ", ".join(sorted(f"{account}/{region}" for account, region in rule.destinations))
            yield Reason(Code.REPLICATED, f"Its images are copied to {to}, where repositories have their own settings.")
            break
    for template in registry.templates or ():
        if template.mode not in _HOLDING and (template.prefix == "ROOT" or _below(repository.name, template.prefix)):
            why = f"The creation template {template.prefix} makes new repositories beside it {template.mode}."
            yield Reason(Code.TEMPLATE_MUTABLE, why)
            break


def _below(name: str, prefix: str) -> bool:
    return name.startswith(prefix.rstrip("/") + "/")


def _moving(past: _Past) -> Iterable[Reason]:
    """What the past shows."""
    signatures = {tag: count for tag, count in past.moves.items() if kind_of(tag) is TagKind.SIGNATURE}
    moves = Counter({tag: count for tag, count in past.moves.items() if tag not in signatures})
    told: tuple[tuple[Code, Counter[str], str], ...] = (
        (Code.REUSED_TAGS, moves, "{tags} came to name another image {times}, pushed by {who}."),
        (
            Code.SIGNATURE_TAGS,
            Counter(signatures),
            (
                "{tags} of signatures or attestations was written again {times} by {who}: each one after the first "
                "would be refused by Amazon ECR. Exclude sha256-*, or let the signer use OCI referrers."
            ),
        ),
        (
            Code.DELETE_THEN_PUSH,
            past.after_delete,
            (
                "{tags} was deleted and pushed again with another image {times} by {who}: that goes around "
                "immutability on Amazon ECR, and is refused by Holdfast."
            ),
        ),
        (Code.REFUSED_ALREADY, past.refused, "{tags} was refused already {times}; {who} tried."),
        (
            Code.SAME_DIGEST,
            past.repeated,
            (
                "{tags} was pushed again {times} with the image that it names: harmless, but an error on Amazon ECR "
                "once the tag holds."
            ),
        ),
    )
    for code, counts, sentence in told:
        if counts:
            yield _reason(past, code, counts, sentence)
    if past.flips:
        who = tuple(dict.fromkeys(one.actor.label for one in past.flips))
        count = len(past.flips)
        why = (
            f"{_some(who)} switched the repository to mutable, pushed over a tag and switched it back {_times(count)}: "
            "the pipeline must stop that before the switch means anything."
        )
        yield Reason(Code.FLIP_PUSH_FLIP, why, (), who, count)


def _reason(past: _Past, code: Code, counts: Counter[str], sentence: str) -> Reason:
    tags = tuple(tag for tag, _ in counts.most_common())
    who: Counter[str] = Counter()
    for tag in tags:
        who.update(past.who.get(tag, {}))
    names = tuple(name for name, _ in who.most_common())
    total = sum(counts.values())
    shown = _some([short_tag(tag) for tag in tags])
    return Reason(
        code, sentence.format(tags=shown, times=_times(total), who=_some(names) or "unknown"), tags, names, total
    )


def _naming(repository: RepositoryRecord, past: _Past) -> Iterable[Reason]:
    """What names alone ask for, where the past does not answer."""
    live = [one.tag for one in repository.live_tags or ()]
    pointers = tuple(tag for tag in live if kind_of(tag) in POINTERS and tag not in past.moves)
    if pointers and not past.pushes:
        why = f"{_some(pointers)} look like pointers that are meant to move, and no push is known that says if they do."
        yield Reason(Code.POINTER_TAGS, why, pointers)
    images = repository.images
    if images is not None and images.orphans and not past.moves and not past.after_delete:
        why = (
            f"{images.orphans} images are reached by no tag any more: tags moved or were deleted, at least so often, "
            "and the history that was read does not show it."
        )
        yield Reason(Code.LEFT_BEHIND, why, (), (), images.orphans)


def _unknown(repository: RepositoryRecord, past: _Past, *, is_known: bool) -> Iterable[Reason]:
    if is_known or past.pushes:
        return
    if repository.images is not None and repository.images.images == 0:
        yield Reason(Code.QUIET, "It has no images, so no push would be refused.")
        return
    yield Reason(
        Code.UNKNOWN_PAST, "No history of this account and region was read: what its pipelines do is not known."
    )


def _clean(past: _Past) -> Reason:
    if past.pushes:
        return Reason(Code.CLEAN, f"{past.pushes} pushes are known, and no tag ever came to name another image.")
    return Reason(Code.QUIET, "No push is known in the time that the history covers.")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
