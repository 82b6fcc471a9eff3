"""The orphan report: images that no tag reaches, what they take on the disk, and what a policy would free.

Reached is what a tag names, what a reached index lists, and what refers to something reached (signatures, SBOMs). All
else lies there for nobody, unless somebody pulls it by digest: the report tells when it was pulled last. Bytes are told
twice: all that an image has, and those that would be freed, which no image that stays and no other repository has. The
report changes nothing; a lifecycle policy does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.lifecycle import Outcome
from holdfast.registry.binding import require_repository
from holdfast.registry.lifecycle_plans import ROWS_PER_STEP, holds
from holdfast.store import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.core.lifecycle import Decision, Image
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.lifecycle_plans import Planner
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
        manifests, parts = await self._sizes(found.id)
        unreached = {image.digest for image in images} - reached(images)
        expired = (
            {one.image.digest for one in plan.going if one.outcome is Outcome.EXPIRE} if plan is not None else set()
        )
        decided = {one.image.digest: one for one in plan.decisions} if plan is not None else {}
        orphans = [
            Orphan(image, manifests.get(image.digest, 0) + _sum(parts, [image.digest]), decided.get(image.digest))
            for image in images
            if image.digest in unreached
        ]
        return OrphanReport(
            len(images),
            sorted(orphans, key=lambda one: (-one.image_bytes, one.image.digest)),
            sum(manifests.get(digest, 0) for digest in unreached) + _sum(parts, unreached),
            await self._freed(found.id, manifests, parts, unreached),
            len(expired),
            len(expired & unreached),
            await self._freed(found.id, manifests, parts, expired),
            plan is not None,
        )

    async def _sizes(self, repository_id: int) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Return manifest -> its own bytes, and manifest -> blob -> bytes."""
        manifests: dict[str, int] = {}
        after = ""
        while page := lifecycle.size_rows(self._database, repository_id, after=after, limit=ROWS_PER_STEP):
            manifests |= {digest: payload for digest, payload, _ in page}
            after = page[-1][0]
            await asyncio.sleep(0)  # let others have the loop
        parts: dict[str, dict[str, int]] = {}
        place = ("", "")
        while rows := lifecycle.blob_rows(self._database, repository_id, after=place, limit=ROWS_PER_STEP):
            for manifest, blob, size in rows:
                parts.setdefault(manifest, {})[blob] = size
            place = rows[-1][:2]
            await asyncio.sleep(0)
        return manifests, parts

    async def _freed(
        self, repository_id: int, manifests: dict[str, int], parts: dict[str, dict[str, int]], gone: set[str]
    ) -> int:
        """Return the bytes that nobody would need any more, here or in another repository."""
        stay: set[str] = set()
        for manifest, blobs in parts.items():
            if manifest not in gone:
                stay.update(blobs)
        sizes = {digest: manifests[digest] for digest in gone if digest in manifests}
        for digest in gone:
            sizes |= {blob: size for blob, size in parts.get(digest, {}).items() if blob not in stay}
        total = 0
        wanted = list(sizes)
        for start in range(0, len(wanted), DIGESTS_PER_QUESTION):
            some = wanted[start : start + DIGESTS_PER_QUESTION]
            elsewhere = lifecycle.held_elsewhere(self._database, repository_id, some)
            total += sum(sizes[digest] for digest in some if digest not in elsewhere)
            await asyncio.sleep(0)
        return total


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


def _sum(parts: dict[str, dict[str, int]], digests: Iterable[str]) -> int:
    blobs: dict[str, int] = {}
    for digest in digests:
        blobs |= parts.get(digest, {})
    return sum(blobs.values())
