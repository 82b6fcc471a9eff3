"""Lifecycle policies at work: previews, runs on command, and runs in the background.

A run applies a plan in small transactions, each with its entries, so that pushes and pulls go on beside it. Inside the
transaction each image is looked at once more: one that was tagged, untagged, pulled, listed, restored or archived since
the plan was made is spared. Where a rule counts images, whatever went meanwhile makes the plan stale: it is made anew
before anything more goes. Tags end through the one function that ends them, so that held names stay with their digests.

Previews and the states of runs are kept in memory: they are gone after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from holdfast.core import lifecycle_policy
from holdfast.core.errors import HoldfastError
from holdfast.core.lifecycle import ImageStatus, Outcome
from holdfast.core.lifecycle_errors import (
    LifecyclePreviewInProgress,
    LifecyclePreviewNotFound,
    LifecycleRunNotFound,
)
from holdfast.registry.binding import Act, require_repository
from holdfast.registry.images import delete_manifest
from holdfast.registry.lifecycle import require_policy
from holdfast.registry.lifecycle_plans import Plan, Planner, Preview, Status, holds
from holdfast.registry.resting import change
from holdfast.registry.storage_class import server_itself
from holdfast.store import catalog, entries, lifecycle
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.core.lifecycle import Decision, Image
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.pulls import Pulls
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Transaction
    from holdfast.store.lifecycle import PolicyRow

PERIOD_MICROSECONDS: Final = 6 * 3600 * 1_000_000
"""A policy runs this often, give or take a tenth. AWS says within 24 hours."""

LOOK_SECONDS: Final = 30
IMAGES_PER_TRANSACTION: Final = 100
MAX_PLANS: Final = 50
"""Plans of one run; a repository that changes faster is gone on with at the next run."""

MAX_PREVIEWED_IMAGES: Final = 200_000
"""Images in all previews that are remembered; past it the oldest are EXPIRED, but the last one always stands."""

MAX_REMEMBERED: Final = 1_000
PREVIEW_MICROSECONDS: Final = 24 * 3600 * 1_000_000
THROUGH: Final = "lifecycle"

T = TypeVar("T")
_CHANCE: Final = random.SystemRandom()
"""Not the module's own chance, whose state a test in this process may count on."""

_LOGGER: Final = logging.getLogger("holdfast.lifecycle")


@dataclass(slots=True)
class Run:
    """A run: how far it is, and what it did."""

    started_at: int
    status: Status = Status.IN_PROGRESS
    finished_at: int | None = None
    examined: int = 0
    planned: int = 0
    """Images that the last plan lets go or archives, done ones included."""
    expired: int = 0
    archived: int = 0
    spared: int = 0
    """Images that changed between plan and act."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction did. `removals` is the number at which the plan stands now, None when it is stale."""

    removals: int | None
    expired: int = 0
    archived: int = 0
    spared: int = 0


class LifecycleRuns:
    """Previews and runs."""

    def __init__(self, database: Database, access: Access, pulls: Pulls, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self.planner = self._planner = Planner(database, pulls, clock)
        self._clock = clock
        self._previews: OrderedDict[int, Preview] = OrderedDict()
        self._runs: OrderedDict[int, Run] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.totals = {"runs": 0, "failed": 0, "expired": 0, "archived": 0, "spared": 0}
        """What runs did since the start: for metrics."""

    # --- previews ----------------------------------------------------------------------------------------------------

    def start_preview(self, caller: Caller, registry: Registry, repository: str, text: str | None) -> Preview:
        """Begin a preview of a policy, of the repository's own for None. Nothing is changed by it.

        Raises ParameterInvalid, LifecyclePolicyNotFound, LifecyclePreviewInProgress, RepositoryNotFound, AccessDenied.
        """
        self._access.require(caller, registry, "ecr:StartLifecyclePolicyPreview", repository)
        found = require_repository(self._database, registry, repository)
        before = self._previews.get(found.id)
        if before is not None and before.status is Status.IN_PROGRESS:
            raise LifecyclePreviewInProgress(repository, registry.account_id)
        if text is None:
            text = require_policy(self._database, registry, found).policy
        else:
            lifecycle_policy.parse(text)
        if before is not None:
            self._forget(before)
        preview = Preview(text, self._clock())
        _remember(self._previews, found.id, preview)
        self._begin(self._preview(registry, found, preview))
        return preview

    def preview(
        self, caller: Caller, registry: Registry, repository: str, *, right: str = "ecr:GetLifecyclePolicyPreview"
    ) -> Preview:
        """Return the last preview of a repository. Raises LifecyclePreviewNotFound and what `start_preview` does."""
        self._access.require(caller, registry, right, repository)
        found = require_repository(self._database, registry, repository)
        preview = self._previews.get(found.id)
        if preview is None:
            raise LifecyclePreviewNotFound(repository, registry.account_id)
        if preview.status is Status.COMPLETE and self._clock() - preview.started_at > PREVIEW_MICROSECONDS:
            self._forget(preview)
        return preview

    async def _preview(self, registry: Registry, repository: Repository, preview: Preview) -> None:
        try:
            allowed = lifecycle.expires_held(self._database, registry.id)
            preview.plan = await self._planner.plan(repository, preview.policy, expires_held=allowed)
            preview.status = Status.COMPLETE
            self._make_room(preview)
        except Exception:
            preview.status = Status.FAILED
            raise

    def _make_room(self, newest: Preview) -> None:
        images = 0
        for preview in reversed(self._previews.values()):
            images += len(preview.plan.decisions)
            if images > MAX_PREVIEWED_IMAGES and preview is not newest:
                self._forget(preview)

    def _forget(self, preview: Preview) -> None:
        self._begin(preview.plan.let_go())
        preview.plan, preview.status = Plan(), Status.EXPIRED

    # --- runs --------------------------------------------------------------------------------------------------------

    def start_run(self, caller: Caller, registry: Registry, repository: str, *, through: str) -> Run:
        """Begin to apply a repository's policy; one that is applied already goes on.

        Raises LifecyclePolicyNotFound, RepositoryNotFound, AccessDenied.
        """
        self._access.require(caller, registry, "holdfast:RunLifecyclePolicy", repository)
        found = require_repository(self._database, registry, repository)
        require_policy(self._database, registry, found)
        running = self._runs.get(found.id)
        if running is not None and running.status is Status.IN_PROGRESS:
            return running
        run = Run(self._clock())
        _remember(self._runs, found.id, run)
        self._begin(self._run(registry, repository, run, Act(caller, run.started_at, through), is_asked=True))
        return run

    def run_of(self, caller: Caller, registry: Registry, repository: str) -> Run:
        """Return the last run of a repository. Raises LifecycleRunNotFound, RepositoryNotFound, AccessDenied."""
        self._access.require(caller, registry, "holdfast:GetLifecycleRun", repository)
        found = require_repository(self._database, registry, repository)
        run = self._runs.get(found.id)
        if run is None:
            raise LifecycleRunNotFound(repository)
        return run

    async def run(self) -> None:
        """Apply the policies that are due, one after the other, for ever."""
        while True:
            try:
                await self.run_due()
            except HoldfastError as error:
                _LOGGER.warning("a lifecycle policy could not be applied: %s", error.message)
            except Exception:  # it outlives any one failure
                _LOGGER.exception("a lifecycle policy could not be applied")
            await asyncio.sleep(LOOK_SECONDS * _CHANCE.uniform(0.8, 1.2))

    async def run_due(self) -> int:
        """Apply the policies that are due; return how many."""
        done = 0
        while (due := lifecycle.due(self._database, self._clock())) is not None:
            registry = catalog.registry(self._database, due.registry_id)
            found = require_repository(self._database, registry, due.repository)
            running = self._runs.get(found.id)
            if running is not None and running.status is Status.IN_PROGRESS:
                return done  # asked for by somebody; when it is done, the policy is due no more
            run = Run(self._clock())
            _remember(self._runs, found.id, run)
            act = Act(server_itself(registry, THROUGH), run.started_at, THROUGH)
            await self._run(registry, due.repository, run, act, is_asked=False)
            done += 1
        return done

    async def stop(self) -> None:
        """Stop what runs; what was done stays done, and the rest is done at the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        async def watched() -> None:
            try:
                await work
            except HoldfastError as error:
                _LOGGER.warning("lifecycle: %s", error.message)
            except Exception:  # told in the state of the preview or run as well
                _LOGGER.exception("lifecycle work failed")

        task = asyncio.create_task(watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, registry: Registry, repository: str, run: Run, act: Act, *, is_asked: bool) -> None:
        self.totals["runs"] += 1
        try:
            await self._database.write(lambda _txn: None)  # where nothing may be written, nothing need be planned
            for _ in range(MAX_PLANS):
                if await self._apply_one_plan(registry, repository, run, act):
                    break
            await self._conclude(registry, repository, run, act, is_asked=is_asked)
            run.status = Status.COMPLETE
        except (asyncio.CancelledError, Exception) as error:
            run.status = Status.FAILED
            run.error = error.message if isinstance(error, HoldfastError) else type(error).__name__
            self.totals["failed"] += 1
            with contextlib.suppress(HoldfastError):
                await self._put_off(registry, repository)
            raise
        finally:
            run.finished_at = self._clock()
            for name in ("expired", "archived", "spared"):
                self.totals[name] += getattr(run, name)

    async def _apply_one_plan(self, registry: Registry, repository: str, run: Run, act: Act) -> bool:
        """Make a plan and apply it; return False when it became stale on the way."""
        found = require_repository(self._database, registry, repository)
        row = require_policy(self._database, registry, found)
        allowed = lifecycle.expires_held(self._database, registry.id)
        plan = await self._planner.plan(found, row.policy, expires_held=allowed)
        run.examined = len(plan.decisions)
        run.planned = run.expired + run.archived + len(plan.going)
        removals: int | None = row.removals
        try:
            for batch in _batches(plan.steps):
                step = await self._apply(registry, found, row, plan, batch, removals, allowed=allowed, act=act)
                run.expired += step.expired
                run.archived += step.archived
                run.spared += step.spared
                removals = step.removals
                if removals is None:
                    return False
        finally:
            await plan.let_go()
        return True

    async def _apply(
        self,
        registry: Registry,
        repository: Repository,
        row: PolicyRow,
        plan: Plan,
        batch: Sequence[list[Decision]],
        removals: int | None,
        *,
        allowed: bool,
        act: Act,
    ) -> _Step:
        await self._planner.note_pulls()
        now = replace(act, at=self._clock())

        def job(txn: Transaction) -> _Step:
            current = require_policy(txn, registry, repository)
            again = require_repository(txn, registry, repository.name)
            same = current.policy == row.policy and again.id == repository.id
            if not same or again.mutability != repository.mutability:
                return _Step(None)
            if lifecycle.expires_held(txn, registry.id) != allowed:
                return _Step(None)
            if plan.counts_images and current.removals != removals:
                return _Step(None)
            done = [_let_go(txn, catalog.registry(txn, registry.id), again, group, now) for group in batch]
            return _Step(
                require_policy(txn, registry, repository).removals,
                sum(one.expired for one in done),
                sum(one.archived for one in done),
                sum(one.spared for one in done),
            )

        return await self._database.write(job)

    async def _conclude(self, registry: Registry, repository: str, run: Run, act: Act, *, is_asked: bool) -> None:
        now = replace(act, at=self._clock())

        def job(txn: Transaction) -> None:
            found = require_repository(txn, registry, repository)
            lifecycle.note_evaluated(txn, found.id, at=now.at, due_at=now.at + _period())
            if is_asked or run.expired or run.archived:
                facts = {"examined": run.examined, "expired": run.expired, "archived": run.archived}
                body = now.body(**facts, spared=run.spared)
                entries.append(txn, registry.id, EntryKind.LIFECYCLE_RUN, body, repository=repository)

        await self._database.write(job)

    async def _put_off(self, registry: Registry, repository: str) -> None:
        """Let a policy that could not be applied be due again later, so that it keeps none of the others waiting."""
        at = self._clock()

        def job(txn: Transaction) -> None:
            found = catalog.repository(txn, registry.id, repository)
            row = lifecycle.policy(txn, found.id) if found is not None else None
            if row is not None:
                lifecycle.put_off(txn, row.repository_id, due_at=at + _period())

        await self._database.write(job)


def _period() -> int:
    return int(PERIOD_MICROSECONDS * _CHANCE.uniform(0.9, 1.1))


def _remember(kept: OrderedDict[int, T], key: int, value: T) -> None:
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)


def _batches(groups: Sequence[list[Decision]]) -> list[list[list[Decision]]]:
    batches: list[list[list[Decision]]] = []
    images = IMAGES_PER_TRANSACTION
    for group in groups:
        if images >= IMAGES_PER_TRANSACTION:
            batches.append([])
            images = 0
        batches[-1].append(group)
        images += len(group)
    return batches


def _let_go(txn: Transaction, registry: Registry, repository: Repository, group: list[Decision], act: Act) -> _Step:
    """Let go or archive what belongs together, in order; what changed is spared, and all after it."""
    expired = archived = 0
    for place, one in enumerate(group):
        digest = one.image.digest
        found = lifecycle.image(txn, repository.id, digest, holds(repository))
        if found is None or not _is_as_planned(found, one):
            return _Step(None, expired, archived, len(group) - place)
        rule = one.rule.priority if one.rule is not None else None
        if one.outcome is Outcome.ARCHIVE:
            change(txn, registry, repository, digest, ImageStatus.ARCHIVED, act, why=f"lifecycle: {one.reason}")
            archived += 1
            continue
        delete_manifest(txn, registry, repository, digest, act, why=f"lifecycle rule {rule} expired its image")
        facts = {"digest": digest, "rule": rule, "reason": one.reason, "tags": list(one.image.tags)}
        entries.append(txn, registry.id, EntryKind.IMAGE_EXPIRED, act.body(**facts), repository=repository.name)
        expired += 1
    return _Step(None, expired, archived, 0)


def _is_as_planned(found: Image, one: Decision) -> bool:
    """Whether an image is still what the plan was made for: only indexes that listed it may be gone."""
    if one.outcome is Outcome.EXPIRE and found.parents:
        return False
    return set(found.parents) <= set(one.image.parents) and replace(found, parents=()) == replace(one.image, parents=())
