"""The orphan report: images that no tag reaches, what they take on the disk, and what a policy would free.

Reached is what a tag names, what a reached index lists, and what refers to something reached (signatures, SBOMs). All
else lies there for nobody, unless somebody pulls it by digest: the report tells when it was pulled last. Bytes are told
twice: all that an image has, and those that would be freed, which no image that stays and no other repository has. The
report changes nothing; a lifecycle policy does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.core.lifecycle import Outcome
from holdfast.registry.binding import require_repository
from holdfast.registry.lifecycle_plans import ROWS_PER_STEP, holds
from holdfast.store import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.core.lifecycle import Decision, Image
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.lifecycle_plans import Plan, Planner
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database

DIGESTS_PER_QUESTION: Final = 500
KEEP_MICROSECONDS: Final = 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Orphan:
    """An image that no tag reaches."""

    image: Image
    image_bytes: int
    """Its manifest and all its blobs, shared ones included."""
    decision: Decision | None
    """What the policy says of it; None without a policy."""


@dataclass(frozen=True, slots=True)
class OrphanReport:
    """The orphans of a repository, the largest first; sizes in bytes."""

    images: int
    orphans: list[Orphan]
    orphan_bytes: int
    """What the orphans have in all, each blob counted once."""
    freed_bytes: int
    """What would be freed if they were deleted."""
    policy_expires: int
    """Images of the repository that the policy would expire now, orphans or not."""
    policy_expires_orphans: int
    policy_frees_bytes: int
    has_policy: bool


class Orphans:
    """Finds what no tag reaches."""

    def __init__(self, database: Database, access: Access, planner: Planner, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._planner = planner
        self._clock = clock
        self._kept: tuple[tuple[int, str | None], int, OrphanReport] | None = None

    async def page(
        self, caller: Caller, registry: Registry, repository: str, text: str | None, *, after: int | None
    ) -> OrphanReport:
        """Report, for one page of it: the pages after the first are of the same report for a minute."""
        self._access.require(caller, registry, "holdfast:GetOrphanReport", repository)
        key = (require_repository(self._database, registry, repository).id, text)
        now = self._clock()
        if after is None or self._kept is None or self._kept[0] != key or now > self._kept[1]:
            report = await self.report(caller, registry, repository, text)
            self._kept = (key, now + KEEP_MICROSECONDS, report)
            return report
        return self._kept[2]

    async def report(self, caller: Caller, registry: Registry, repository: str, text: str | None) -> OrphanReport:
        """Report about a repository, with what a policy would free: the one given, or the repository's own, if any.

        Raises ParameterInvalid, RepositoryNotFound, AccessDenied.
        """
        self._access.require(caller, registry, "holdfast:GetOrphanReport", repository)
        found = require_repository(self._database, registry, repository)
        row = lifecycle.policy(self._database, found.id)
        text = text if text is not None else (row.policy if row is not None else None)
        allowed = lifecycle.expires_held(self._database, registry.id)
        plan = await self._planner.plan(found, text, expires_held=allowed) if text is not None else None
        if plan is None:
            images = await self._planner.images(found, holds(found))
        else:
            images = [one.image for one in plan.decisions]
        sizes = await self._sizes(found.id)
        found_out = await asyncio.to_thread(_sum_up, images, plan, sizes)
        return replace(
            found_out.report,
            freed_bytes=await self._freed(found.id, found_out.freed),
            policy_frees_bytes=await self._freed(found.id, found_out.freed_by_policy),
        )

    async def _sizes(self, repository_id: int) -> _Sizes:
        """Read what everything takes."""
        sizes = _Sizes()
        after = ""
        while page := lifecycle.size_rows(self._database, repository_id, after=after, limit=ROWS_PER_STEP):
            sizes.manifests |= {digest: payload for digest, payload, _ in page}
            after = page[-1][0]
            await asyncio.sleep(0)  # let others have the loop
        place = ("", "")
        while rows := lifecycle.blob_rows(self._database, repository_id, after=place, limit=ROWS_PER_STEP):
            for manifest, blob, size in rows:
                sizes.blobs[blob] = size
                sizes.parts.setdefault(manifest, []).append(blob)
            place = rows[-1][:2]
            await asyncio.sleep(0)
        return sizes

    async def _freed(self, repository_id: int, unneeded: dict[str, int]) -> int:
        """Return the bytes of those that no other repository has either."""
        total = 0
        wanted = list(unneeded)
        for start in range(0, len(wanted), DIGESTS_PER_QUESTION):
            some = wanted[start : start + DIGESTS_PER_QUESTION]
            elsewhere = lifecycle.held_elsewhere(self._database, repository_id, some)
            total += sum(unneeded[digest] for digest in some if digest not in elsewhere)
            await asyncio.sleep(0)
        return total


@dataclass(slots=True)
class _Sizes:
    """What the images of a repository take: bytes of manifests, of blobs, and which image names which blobs."""

    manifests: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)

    def of(self, digests: Iterable[str]) -> int:
        """Return the bytes of some images, each blob counted once."""
        found: set[str] = set()
        total = 0
        for digest in digests:
            total += self.manifests.get(digest, 0)
            found.update(self.parts.get(digest, ()))
        return total + sum(self.blobs[blob] for blob in found)

    def without(self, gone: set[str]) -> dict[str, int]:
        """Return what only these images need in this repository: digest -> bytes."""
        stay: set[str] = set()
        for manifest, blobs in self.parts.items():
            if manifest not in gone:
                stay.update(blobs)
        left = {digest: self.manifests[digest] for digest in gone if digest in self.manifests}
        for digest in gone:
            left |= {blob: self.blobs[blob] for blob in self.parts.get(digest, ()) if blob not in stay}
        return left


@dataclass(frozen=True, slots=True)
class _Summed:
    """A report that lacks what other repositories share, and what only the repository itself does not need."""

    report: OrphanReport
    freed: dict[str, int]
    freed_by_policy: dict[str, int]


def _sum_up(images: list[Image], plan: Plan | None, sizes: _Sizes) -> _Summed:
    unreached = {image.digest for image in images} - reached(images)
    expired = {one.image.digest for one in plan.going if one.outcome is Outcome.EXPIRE} if plan is not None else set()
    decided = {one.image.digest: one for one in plan.decisions} if plan is not None else {}
    orphans = [
        Orphan(image, sizes.of([image.digest]), decided.get(image.digest))
        for image in images
        if image.digest in unreached
    ]
    report = OrphanReport(
        len(images),
        sorted(orphans, key=lambda one: (-one.image_bytes, one.image.digest)),
        orphan_bytes=sizes.of(unreached),
        freed_bytes=0,
        policy_expires=len(expired),
        policy_expires_orphans=len(expired & unreached),
        policy_frees_bytes=0,
        has_policy=plan is not None,
    )
    return _Summed(report, sizes.without(unreached), sizes.without(expired))


def reached(images: Iterable[Image]) -> set[str]:
    """Return the digests that a tag reaches: by itself, through an index, or as a referrer of something reached."""
    inner: dict[str, list[str]] = {}
    waiting: list[str] = []
    for image in images:
        if image.tags:
            waiting.append(image.digest)
        for parent in image.parents:
            inner.setdefault(parent, []).append(image.digest)
        if image.subject is not None:
            inner.setdefault(image.subject, []).append(image.digest)
    found: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            found.add(digest)
            waiting += inner.get(digest, ())
    return found
