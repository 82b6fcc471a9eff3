"""What a policy would do to a repository now: the one plan that previews tell and runs apply.

Images are read in pages beside pushes and pulls, the rules are evaluated in a thread. A plan is therefore no snapshot;
a run asks about each image once more, inside the transaction that lets it go.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core import lifecycle_policy
from holdfast.core.lifecycle import Outcome, containers_first, evaluate, oldest_first
from holdfast.core.lifecycle_policy import CountType
from holdfast.core.long_lists import let_go
from holdfast.store import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.lifecycle import Decision, Image
    from holdfast.core.lifecycle_policy import Policy
    from holdfast.registry.pulls import Pulls
    from holdfast.store.catalog import Repository
    from holdfast.store.database import Database, Row

ROWS_PER_STEP: Final = 500
"""Images read at a time: a few milliseconds, so that no push or pull waits long."""


class Status(StrEnum):
    """How far a preview or run is. Source: Amazon ECR API, LifecyclePolicyPreviewStatus."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of every image of a repository under a policy, the oldest first."""

    decisions: list[Decision] = field(default_factory=list)
    going: list[Decision] = field(default_factory=list)
    """Those that are expired or archived."""
    archiving: int = 0
    """How many of these are archived."""
    steps: list[list[Decision]] = field(default_factory=list)
    """Those again, in the order of a run: groups that go together."""
    counts_images: bool = False
    """Whether a rule counts images, so that what goes meanwhile changes what may go."""

    async def let_go(self) -> None:
        """Forget what it says, in short steps: nobody needs the plan any more."""
        await asyncio.to_thread(let_go, self.steps, self.going, self.decisions)


@dataclass(slots=True)
class Preview:
    """A preview: its policy, how far it is, and in the end its plan."""

    policy: str
    started_at: int
    status: Status = Status.IN_PROGRESS
    plan: Plan = field(default_factory=Plan)


class Planner:
    """Makes plans."""

    def __init__(self, database: Database, pulls: Pulls, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._pulls = pulls
        self._clock = clock

    async def note_pulls(self) -> None:
        """Write the pulls that were noted, as plans depend on them."""
        await self._pulls.flush()

    async def plan(self, repository: Repository, text: str, *, expires_held: bool) -> Plan:
        """Say what becomes of each image. Raises ParameterInvalid for a text that is no policy."""
        policy = lifecycle_policy.parse(text)
        await self.note_pulls()
        pages = await self._pages(repository)
        return await asyncio.to_thread(_decide, policy, pages, repository, self._clock(), expires_held=expires_held)

    async def images(self, repository: Repository, is_held: Callable[[str], bool]) -> list[Image]:
        """Return every image of a repository as a policy sees it."""
        await self.note_pulls()
        return await asyncio.to_thread(_images, await self._pages(repository), is_held)

    async def _pages(self, repository: Repository) -> list[list[Row]]:
        pages: list[list[Row]] = []
        after = ""
        while True:
            page = lifecycle.image_rows(self._database, repository.id, after=after, limit=ROWS_PER_STEP)
            pages.append(page)
            if len(page) < ROWS_PER_STEP:
                return pages
            after = str(page[-1][0])
            await asyncio.sleep(0)  # let others have the loop


def holds(repository: Repository) -> Callable[[str], bool]:
    """Return what judges whether a tag is held in a repository."""
    return lambda tag: repository.mutability.judge(tag).held


def _images(pages: list[list[Row]], is_held: Callable[[str], bool]) -> list[Image]:
    """Make images of rows, which are let go page by page."""
    images: list[Image] = []
    for page in pages:
        images += [lifecycle.image_of(row, is_held) for row in page]
        page.clear()
    return images


def _decide(policy: Policy, pages: list[list[Row]], repository: Repository, now: int, *, expires_held: bool) -> Plan:
    by_default = repository.mutability.mode.holds_by_default
    is_held = holds(repository) if repository.mutability.filters else lambda _: by_default
    decisions = oldest_first(evaluate(policy, _images(pages, is_held), now, expires_held=expires_held))
    going = [one for one in decisions if one.outcome is not Outcome.KEEP]
    expiring = [one for one in going if one.outcome is Outcome.EXPIRE]
    archiving = [[one] for one in going if one.outcome is Outcome.ARCHIVE]
    return Plan(
        decisions,
        going,
        len(archiving),
        [*containers_first(expiring), *archiving],
        any(rule.count_type is CountType.MORE_THAN for rule in policy.rules),
    )
