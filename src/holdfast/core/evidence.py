"""What a ledger is evidence of, over a period: figures, settings in force, refused attempts, and what they support.

This file alone decides what the evidence pack claims. It says "supports": no registry satisfies a control by itself.
Everything is derived from the entries and the period, so that whoever holds the ledger can derive it again.

Sources of the items: NIST SP 800-190 sections 3.2.2 and 4.2.2; NIST SP 800-53 Rev. 5 as AWS Security Hub maps ECR.2
(CA-9(1), CM-2, CM-8(1)); CIS Docker Benchmark 1.6; SLSA 1.1; AICPA trust services criteria; PCI DSS 4.0.1. The last two
are by our reading: AWS ties neither to immutable tags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.story import Event, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.core.entry import Entry
    from holdfast.core.mutability import MutabilitySettings
    from holdfast.core.replay import Replay, RepositoryPast

DAY_MICROSECONDS: Final = 86_400_000_000
FORM: Final = 1
"""Form and wording of report and page: a pack says which, since only a program of the same form derives the same."""

MAX_LISTED: Final = 1_000
"""Attempts and changes that are listed one by one; the figures count all, and the ledger has them."""

CHARTED: Final = {
    "tag-bound": "bound",
    "tag-moved": "moved",
    "tag-refused": "refused",
    "tag-deleted": "deleted",
}
_LISTED: Final = {
    "tag-refused": "refusals",
    "tag-forgotten": "releases",
    **dict.fromkeys(
        (
            "account-setting-changed",
            "ledger-key-added",
            "ledger-key-retired",
            "ledger-recovered",
            "lifecycle-policy-deleted",
            "lifecycle-policy-put",
            "mutability-changed",
            "pull-through-rule-changed",
            "read-only-set",
            "registry-changed",
            "registry-policy-changed",
            "replication-configured",
            "repository-created",
            "repository-deleted",
            "repository-policy-changed",
            "scanning-changed",
            "signing-changed",
            "template-changed",
        ),
        "changes",
    ),
}
"""Kind of an entry -> the list of the report that tells it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a framework, and by what the evidence supports it."""

    framework: str
    item: str
    supports: str
    shown_by: tuple[str, ...]
    """Parts of the report."""


MAPPING: Final = (
    Item(
        "NIST SP 800-190",
        "4.2.2 Stale images in registries",
        "supports: images are reached by immutable names that stand for discrete versions",
        ("held", "settings", "audit"),
    ),
    Item(
        "NIST SP 800-53 Rev. 5",
        "CM-2 Baseline configuration",
        "supports: what a released name stands for is fixed, and the past of it is on record",
        ("held", "audit"),
    ),
    Item(
        "NIST SP 800-53 Rev. 5",
        "CM-8(1) Updates during installation and removal",
        "supports: every binding and deletion of an image's name is recorded in the act's own transaction",
        ("activity",),
    ),
    Item(
        "NIST SP 800-53 Rev. 5",
        "CA-9(1) Compliance checks",
        "supports: the settings in force over time can be checked from the signed ledger",
        ("settings", "audit"),
    ),
    Item(
        "CIS Docker Benchmark 1.6",
        "5.28 latest version of the image; 4.5 content trust",
        "supports: names that were released resolve to the digest that was pushed (no item asks for immutable tags)",
        ("held",),
    ),
    Item(
        "SLSA 1.1",
        "Verifying artifacts; subjects are digests",
        "supports: the digest of each name is on record with who bound it, when, and from where",
        ("activity", "receipts"),
    ),
    Item(
        "SOC 2",
        "CC8.1 change management; CC7.1 detection of changes",
        "supports: changes of settings and refused replacements are recorded, and raise alerts (our reading)",
        ("changes", "refusals"),
    ),
    Item(
        "PCI DSS 4.0.1",
        "6.5.1 change procedures; 11.5.2 change detection",
        "supports: attempts to change released images are refused and recorded (our reading)",
        ("refusals", "audit"),
    ),
)


@dataclass(slots=True)
class Gathered:
    """What the entries of a period say; `take` is what an audit tells each entry to."""

    start: int
    end: int
    """Microseconds since the epoch; the end is not in the period."""

    days: dict[int, dict[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    listed: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"refusals": [], "changes": [], "releases": []}
    )
    receipts: list[int] = field(default_factory=list)
    receipts_due: int = 0
    """How many receipts there would be without a limit."""

    last_at: int | None = None
    """When the last entry of the ledger was written."""

    deleted_tags: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Registry -> whether names of deleted tags are kept for their digests: each change before the period ends."""

    def take(self, index: int, entry: Entry) -> None:
        """Read an entry."""
        at = entry.facts.get("at")
        if not isinstance(at, int):
            return
        self.last_at = max(at, self.last_at or at)
        if at >= self.end:
            return
        if entry.kind == "registry-changed":
            self._configured(index, at, entry)
        if at < self.start:
            return
        self.counts[entry.kind] = self.counts.get(entry.kind, 0) + 1
        charted = CHARTED.get(entry.kind)
        if charted is not None:
            day = self.days.setdefault(at // DAY_MICROSECONDS, {})
            day[charted] = day.get(charted, 0) + 1
        into = _LISTED.get(entry.kind)
        if into is not None and len(self.listed[into]) < MAX_LISTED:
            event = Event(entry.kind, at, entry.tag, entry.facts, index)
            where = {"registry": entry.registry, "repository": entry.repository, "tag": entry.tag}
            self.listed[into].append({"index": index, "at": at, "kind": entry.kind, **where, "told": sentence(event)})
        named = entry.kind in {"tag-bound", "tag-restored"} and entry.facts.get("held")
        if named or into is not None:
            self.receipts_due += 1
            if len(self.receipts) < MAX_LISTED:
                self.receipts.append(index)

    def _configured(self, index: int, at: int, entry: Entry) -> None:
        after = entry.facts.get("after")
        if isinstance(after, dict) and "deleted_tags" in after:
            change = {"from": at, "deleted_tags": after["deleted_tags"], "by": entry.facts.get("principal")}
            self.deleted_tags.setdefault(entry.registry, []).append({**change, "index": index})


def report(gathered: Gathered, replay: Replay, findings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the report: a value that is the same for everybody who has the ledger."""
    pasts = [replay.repositories[key] for key in sorted(replay.repositories)]
    repositories = [told for past in pasts if (told := _repository(past, gathered.start, gathered.end)) is not None]
    return {
        "form": FORM,
        "period": {"start": gathered.start, "end": gathered.end},
        "counts": dict(sorted(gathered.counts.items())),
        "days": [{"day": day, **gathered.days[day]} for day in sorted(gathered.days)],
        "last_entry_at": gathered.last_at,
        "registries": [_registry(name, gathered) for name in sorted({past.registry for past in pasts})],
        "repositories": repositories,
        "tags": sum(one["held"] + one["free"] for one in repositories),
        "held": sum(one["held"] for one in repositories),
        **gathered.listed,
        "receipts": gathered.receipts,
        "receipts_due": gathered.receipts_due,
        "listed_at_most": MAX_LISTED,
        "let_go_then_moved": [one.document() for one in replay.released],
        "findings": list(findings),
        "mapping": [
            {"framework": one.framework, "item": one.item, "supports": one.supports, "shown_by": list(one.shown_by)}
            for one in MAPPING
        ],
    }


def _registry(name: str, gathered: Gathered) -> dict[str, Any]:
    """Return what a registry did with the names of deleted tags in the period; at first they are held."""
    changes = gathered.deleted_tags.get(name, [])
    before = [one for one in changes if one["from"] < gathered.start][-1:]
    during = [one for one in changes if one["from"] >= gathered.start]
    first = before or [{"from": None, "deleted_tags": "held", "by": None, "index": None}]
    return {"registry": name, "settings": [*first, *during]}


def _repository(past: RepositoryPast, start: int, end: int) -> dict[str, Any] | None:
    """Return one repository as it was in the period; None when it was not there."""
    before = [one for one in past.changes if one.at < start][-1:]
    during = [one for one in past.changes if start <= one.at < end]
    if not during and (not before or before[0].settings is None):
        return None
    live = [one for one in past.intervals if one.since < end and (one.until is None or one.until >= end)]
    settings = (during or before)[-1].settings
    held = sum(settings.judge(one.tag).held for one in live) if settings is not None else 0
    return {
        "registry": past.registry,
        "repository": past.name,
        "settings": [
            {"from": one.at, "by": one.by, "index": one.index, **_told(one.settings)} for one in [*before, *during]
        ],
        "held": held,
        "free": len(live) - held,
    }


def _told(settings: MutabilitySettings | None) -> dict[str, Any]:
    if settings is None:
        return {"mode": None, "filters": []}
    return {"mode": str(settings.mode), "filters": list(settings.filters)}
