"""Drift: what is less protected now than it was agreed to be.

Pure. This file alone decides what counts as drift and how grave it is. What was agreed is an inventory that was looked
at, and over it the plans that were approved. What is now is another inventory, or events one by one.

Gravity as in `core/alerts`: `warning`, tags that held may move now; `notice`, lawful, but worth a look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern.events import Event, Kind, Outcome
from holdfast.govern.plan import Does, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.govern.estate import Inventory
    from holdfast.govern.plan import Key, Plan


class Drifted(StrEnum):
    """What happened."""

    WEAKENED = "weakened"
    """It was to hold, and holds less: another mode, or more filters."""

    NEW_MUTABLE = "new-mutable"
    """Nobody knew it, and its tags may move."""

    TEMPLATE_WEAKENED = "template-weakened"
    TEMPLATE_GONE = "template-gone"
    """Without it, replication makes mutable repositories."""

    DELETED = "deleted"
    """It held, and is not there: its names are free on AWS."""

    NOT_FLIPPED = "not-flipped"
    """The plan was to make it hold, and it still is as it was."""

    STRENGTHENED = "strengthened"
    """It holds more than was agreed."""


GRAVITY = {
    Drifted.WEAKENED: "warning",
    Drifted.NEW_MUTABLE: "warning",
    Drifted.TEMPLATE_WEAKENED: "warning",
    Drifted.TEMPLATE_GONE: "warning",
    Drifted.DELETED: "warning",
    Drifted.NOT_FLIPPED: "notice",
    Drifted.STRENGTHENED: "notice",
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as agreed."""

    what: Drifted
    account: str
    region: str
    name: str
    message: str
    by: str | None = None

    @property
    def gravity(self) -> str:
        """How grave it is."""
        return GRAVITY[self.what]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same drift when it is seen again."""
        return self.what, self.account, self.region, f"{self.name} {self.message}"

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "gravity": self.gravity,
            "code": str(self.what),
            "account": self.account,
            "region": self.region,
            "name": self.name,
            "message": self.message,
            "by": self.by,
        }


@dataclass(slots=True)
class Agreed:
    """What was agreed: settings by repository and by template, and what plans are still to be applied."""

    repositories: dict[Key, Settings] = field(default_factory=dict)
    templates: dict[Key, Settings] = field(default_factory=dict)
    planned: dict[Key, Settings] = field(default_factory=dict)

    @classmethod
    def of(cls, inventory: Inventory, plans: Iterable[Plan] = ()) -> Agreed:
        """Take an inventory for agreed, and what plans made of it."""
        made = cls(
            {one.key: Settings.of(one.settings) for one in inventory.repositories},
            {
                (registry.account, registry.region, one.prefix): Settings(one.mode, one.filters)
                for registry in inventory.registries
                for one in registry.templates or ()
            },
        )
        for plan in plans:
            for step in plan.steps:
                key = step.account, step.region, step.name
                wanted = made.templates if step.does is Does.TEMPLATE else made.planned
                wanted[key] = step.read_back
        return made

    def expected(self, key: Key) -> Settings | None:
        """Return what a repository shall be; None for one that nobody knew."""
        return self.planned.get(key) or self.repositories.get(key)

    def learn(self, key: Key, settings: Settings | None) -> None:
        """Take what was told for known, so that it is told once."""
        if settings is None:
            self.repositories.pop(key, None)
            self.planned.pop(key, None)
        else:
            self.repositories[key] = settings


def weaker(now: MutabilitySettings, agreed: MutabilitySettings) -> bool:
    """Whether settings may let a tag move that the agreed ones hold. Filters count as text: more is weaker."""
    if agreed.mode is TagMutability.MUTABLE:
        return False
    if agreed.mode is TagMutability.MUTABLE_WITH_EXCLUSION:
        # What its filters match holds. Filters that exclude may match the same tags: then it may be weaker.
        if now.mode.holds_by_default:
            return bool(now.filters)
        return bool(set(agreed.filters) - set(now.filters))
    return not now.mode.holds_by_default or bool(set(now.filters) - set(agreed.filters))


def compare(agreed: Agreed, now: Inventory) -> list[Drift]:
    """Compare everything. Places that could not be read are passed over: nothing is said of them."""
    unread = {(one.account, one.region) for one in now.failures} | {
        (one.account, "*") for one in now.failures if one.region == "*"
    }
    read = {(one.account, one.region) for one in now.registries} - unread
    found = [
        drift for one in now.repositories if (drift := judge(agreed, one.key, Settings.of(one.settings))) is not None
    ]
    there = {one.key for one in now.repositories}
    for key, settings in agreed.repositories.items():
        gone = key not in there and key[:2] in read and (key[0], "*") not in unread
        if gone and settings.mode.holds_by_default:
            found.append(Drift(Drifted.DELETED, *key, f"It was {settings}, and is not there any more."))
    return sorted([*found, *_templates(agreed, now)], key=lambda one: (one.gravity != "warning", one.key))


def _templates(agreed: Agreed, now: Inventory) -> list[Drift]:
    found = []
    read = {(one.account, one.region): one.templates for one in now.registries if one.templates is not None}
    for place, templates in read.items():
        for one in templates or ():
            settings = Settings(one.mode, one.filters)
            expected = agreed.templates.get((*place, one.prefix))
            if expected is None and not one.mode.holds_by_default:
                why = f"A new creation template makes repositories {settings}."
                found.append(Drift(Drifted.TEMPLATE_WEAKENED, *place, one.prefix, why))
            elif expected is not None and weaker(settings.rule, expected.rule):
                why = f"The creation template is {settings}, and was agreed to be {expected}."
                found.append(Drift(Drifted.TEMPLATE_WEAKENED, *place, one.prefix, why))
    for key, expected in agreed.templates.items():
        there = read.get(key[:2])
        if there is not None and key[2] not in {one.prefix for one in there} and expected.mode.holds_by_default:
            found.append(
                Drift(Drifted.TEMPLATE_GONE, *key, f"The creation template ({expected}) is not there any more.")
            )
    return found


def judge(agreed: Agreed, key: Key, now: Settings, by: str | None = None) -> Drift | None:
    """Judge what a repository is now; None when it is as agreed."""
    expected = agreed.expected(key)
    if expected is None:
        if now.mode.holds_by_default:
            return None
        return Drift(Drifted.NEW_MUTABLE, *key, f"A repository that nobody knew is {now}.", by)
    if now.same == expected.same:
        return None
    before = agreed.repositories.get(key)
    if key in agreed.planned and before is not None and before.same == now.same:
        return Drift(Drifted.NOT_FLIPPED, *key, f"It is {now}, and planned to be {expected}.", by)
    if weaker(now.rule, expected.rule):
        return Drift(Drifted.WEAKENED, *key, f"It is {now}, and was agreed to be {expected}.", by)
    return Drift(Drifted.STRENGTHENED, *key, f"It is {now}, and was agreed to be {expected}.", by)


def judge_event(agreed: Agreed, event: Event) -> Drift | None:
    """Judge what an event left behind; None when it is as agreed, or is no matter of this."""
    if event.outcome is not Outcome.DONE:
        return None
    by = event.actor.label
    if event.kind in {Kind.CREATE, Kind.SET_MUTABILITY}:
        return judge(agreed, event.key, Settings(event.mode or TagMutability.MUTABLE, event.filters), by)
    if event.kind is Kind.DROP:
        expected = agreed.expected(event.key)
        if expected is not None and expected.mode.holds_by_default:
            return Drift(Drifted.DELETED, *event.key, f"It was {expected}, and was deleted.", by)
    if event.kind is Kind.SET_TEMPLATE:
        expected = agreed.templates.get(event.key)
        if event.mode is None:
            gone = f"The creation template ({expected}) was deleted." if expected is not None else None
            return Drift(Drifted.TEMPLATE_GONE, *event.key, gone, by) if gone else None
        now = Settings(event.mode, event.filters)
        if weaker(now.rule, (expected or Settings(TagMutability.IMMUTABLE)).rule):
            return Drift(Drifted.TEMPLATE_WEAKENED, *event.key, f"The creation template makes repositories {now}.", by)
    return None
