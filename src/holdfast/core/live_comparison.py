"""The ledger beside the live registry: does what clients see now follow from the entries?

This file alone decides what counts as a difference. Both sides come in as values. What was touched by entries that came
while the registry was looked at cannot be compared, and is counted instead of reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.replay import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from holdfast.core.mutability import MutabilitySettings
    from holdfast.core.replay import Interval, RepositoryPast

_SLACK: Final = 1_000
"""Microseconds: over the wire, times come to the millisecond."""


@dataclass(frozen=True, slots=True)
class LiveBinding:
    """One binding as the registry tells it; times in microseconds."""

    tag: str
    digest: str
    since: int
    by: str | None
    until: int | None
    ended_by: str | None
    cause: str | None


@dataclass(slots=True)
class Live:
    """What comparing found."""

    repositories: int = 0
    bindings: int = 0
    skipped: int = 0
    findings: list[Finding] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"repositories": self.repositories, "bindings": self.bindings, "skipped": self.skipped}


def compare(
    into: Live,
    past: RepositoryPast,
    settings: MutabilitySettings | None,
    bindings: Iterable[LiveBinding],
    touched: Collection[str],
) -> None:
    """Compare one repository; `touched` are tags that entries named since the look at the registry began.

    `settings` are those of the live repository, None when it is not there. A repository that was made, switched or
    ended meanwhile is for the caller to leave out.
    """
    into.repositories += 1
    if settings != past.settings:
        told = str(past.settings.mode) if past.settings else "no such repository"
        live = str(settings.mode) if settings else "no such repository"
        message = f"the registry has {live}, and the ledger says {told}, or other filters"
        _find(into, "live-settings-differ", message, past, None)
    there: dict[str, list[LiveBinding]] = {}
    for one in bindings:
        there.setdefault(one.tag, []).append(one)
    for interval in past.intervals:
        if interval.tag in touched:
            into.skipped += 1
            continue
        found = _take(there.get(interval.tag, []), interval)
        into.bindings += 1
        if found is None:
            message = f"the ledger says that the tag named {interval.digest}; the registry has no record of it"
            _find(into, "live-binding-missing", message, past, interval)
        elif not _same(interval, found):
            message = (
                f"the ledger says {interval.digest}{_ending(interval.cause, interval.ended_by)}, "
                f"bound by {interval.by}; the registry says "
                f"{found.digest}{_ending(found.cause, found.ended_by)}, bound by {found.by}"
            )
            _find(into, "live-binding-differs", message, past, interval)
    for one in (one for left in there.values() for one in left):
        if one.tag not in touched:
            message = f"the registry says that the tag named {one.digest}; no entry of the ledger does"
            into.findings.append(Finding("live-binding-unknown", message, None, past.registry, past.name, one.tag))


def _take(left: list[LiveBinding], interval: Interval) -> LiveBinding | None:
    """Take what was bound at the same time out of the list, one of the same digest first."""
    near = [one for one in left if abs(one.since - interval.since) <= _SLACK]
    found = min(near, key=lambda one: one.digest != interval.digest, default=None)
    if found is not None:
        left.remove(found)
    return found


def _same(interval: Interval, live: LiveBinding) -> bool:
    ended = (interval.until is None) == (live.until is None)
    if ended and interval.until is not None and live.until is not None:
        ended = abs(interval.until - live.until) <= _SLACK
    ours = (interval.digest, interval.by, interval.cause, interval.ended_by)
    return ended and ours == (live.digest, live.by, live.cause, live.ended_by)


def _ending(cause: str | None, by: str | None) -> str:
    return f" until it was {cause} by {by}" if cause else ""


def _find(into: Live, code: str, message: str, past: RepositoryPast, interval: Interval | None) -> None:
    index, tag = (interval.index, interval.tag) if interval else (None, None)
    into.findings.append(Finding(code, message, index, past.registry, past.name, tag))
