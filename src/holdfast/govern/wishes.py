"""Wishes: what each repository shall become, by its triage and by what a person said.

Pure. This file alone decides how a verdict becomes a wish. What a person names comes first; then what is ready is to
become IMMUTABLE, what needs work is left with its reasons, or gets the fewest exclusion filters that keep its pointers
moving if that was asked for, and what is better left is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.core.mutability import MAX_FILTERS, MutabilitySettings, TagMutability
from holdfast.govern.exclusions import synthesize
from holdfast.govern.plan import Wish, named
from holdfast.govern.triage import WORK, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.govern.estate import RepositoryRecord
    from holdfast.govern.plan import Key
    from holdfast.govern.triage import Triage

_IMMUTABLE = MutabilitySettings(TagMutability.IMMUTABLE)


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said, by patterns of names (see `plan.named`); the first that names a repository counts."""

    only: Sequence[str] = ()
    leave: Sequence[str] = ()
    hold: Sequence[str] = ()
    """Make these IMMUTABLE whatever the past shows."""

    keep: Sequence[tuple[str, MutabilitySettings]] = ()
    suggest: bool = False
    """Give what needs work the fewest exclusion filters that keep its pointers moving."""


def wishes_of(found: Iterable[tuple[RepositoryRecord, Triage]], said: Said) -> dict[Key, Wish]:
    """Return a wish for each repository."""
    return {repository.key: _wish(repository, triage, said) for repository, triage in found}


def _wish(repository: RepositoryRecord, triage: Triage, said: Said) -> Wish:
    key = repository.key
    if said.only and not any(named(one, key) for one in said.only):
        return Wish(None, "not among those that were asked for")
    if any(named(one, key) for one in said.leave):
        return Wish(None, "left, as asked")
    risk = float(sum(one.moves for one in triage.reused))
    kept = next((settings for pattern, settings in said.keep if named(pattern, key)), None)
    if kept is not None:
        return Wish(kept, "keeps what was named", risk)
    if any(named(one, key) for one in said.hold):
        return Wish(_IMMUTABLE, "as asked", risk)
    told = " ".join(one.sentence for one in triage.reasons)
    if triage.verdict is Verdict.READY:
        return Wish(_IMMUTABLE, told, risk)
    if triage.verdict is Verdict.LEAVE:
        return Wish(None, told)
    return _suggested(repository, triage, risk) if said.suggest else Wish(None, f"needs work: {told}")


def _suggested(repository: RepositoryRecord, triage: Triage, risk: float) -> Wish:
    """Wish for the fewest filters that keep what moved moving; what nobody knows is left."""
    unknown = [one.sentence for one in triage.reasons if one.code in WORK and not one.tags]
    if unknown:
        return Wish(None, f"needs work: {' '.join(unknown)}")
    live = [one.tag for one in repository.live_tags or ()]
    found = synthesize(triage.keep, triage.hold, live)
    if found.missed:
        return Wish(None, f"needs work: five filters do not keep {', '.join(found.missed[:5])} moving")
    if not found.filters:
        return Wish(_IMMUTABLE, found.sentence, risk)
    filters = found.filters
    if repository.mode is TagMutability.IMMUTABLE_WITH_EXCLUSION:
        # Somebody set filters: they stay, if there is room for all.
        both = tuple(dict.fromkeys((*repository.filters, *found.filters)))
        filters = both if len(both) <= MAX_FILTERS else filters
    return Wish(MutabilitySettings(TagMutability.IMMUTABLE_WITH_EXCLUSION, filters), found.sentence, risk)
