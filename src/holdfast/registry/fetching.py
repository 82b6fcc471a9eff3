"""Pulling through the cache: what a pull asks for and is not here comes from upstream, whole, before it is answered.

An image comes with everything that it names, is checked, and is bound through the one function that binds tags, as a
principal of the service. So what was answered once for a held tag is what it names from then on. When a tag that came
from upstream is pulled again, upstream is asked at most once a day whether it still names the same. A tag that may move
follows; one that is held does not: that upstream drifted is recorded, counted and told, and nothing else. When upstream
does not answer, what is here is served.

Many may pull the same at once: one fetches, all wait. A fetch goes on when those who waited are gone.

Source of the pace: Amazon ECR user guide, "Pulling an image with a pull through cache rule" (once in 24 hours).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    BlobTooLarge,
    CredentialNotFound,
    DigestInvalid,
    HoldfastError,
    ManifestInvalid,
    NameInvalid,
    TagHeld,
    UpstreamFailed,
)
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.prefixes import upstream_name
from holdfast.core.reference import parse_repository_name
from holdfast.registry.binding import Act
from holdfast.registry.remotes import RemoteError, service_caller
from holdfast.registry.templates import Occasion
from holdfast.store import bindings, catalog, content, entries, flows, manifests
from holdfast.store.entries import EntryKind
from holdfast.store.flows import UpstreamTag

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.core.manifest import Descriptor, Manifest
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.images import Images
    from holdfast.registry.pull_through import PullThroughRules
    from holdfast.registry.remotes import Remote
    from holdfast.registry.templates import Templates
    from holdfast.registry.uploads import Uploads
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Transaction
    from holdfast.store.flows import PullThroughRule

T = TypeVar("T")

_LOGGER: Final = logging.getLogger("holdfast.pull-through")

THROUGH: Final = "pull-through"
CHECK_MICROSECONDS: Final = 24 * 3600 * 1_000_000
"""How long a tag that came from upstream is served before upstream is asked again."""

PAUSE_MICROSECONDS: Final = 60 * 1_000_000
"""How long upstream is left alone, for one tag, after it did not answer."""

ABSENT_MICROSECONDS: Final = 5 * 1_000_000
"""How long upstream is not asked again for what it did not have: whoever waits for an image, or looks for a signature
that nobody made, asks again and again. No longer, as a push upstream may come at any moment."""

MAX_ABSENT: Final = 1_000
"""References remembered so; past it all are forgotten."""

CHECK_SECONDS: Final = 15
"""How long a pull of what is here waits for upstream's answer."""

WAIT_SECONDS: Final = 900
"""How long a pull waits for a fetch; it goes on all the same, and the next pull finds more of it here."""

MAX_FETCHES: Final = 64
"""Of different images at one time; more are told to try again."""

BLOBS_AT_ONCE: Final = 4
MAX_DEPTH: Final = 4
"""Indexes within indexes. Real ones have two levels."""

MAX_MANIFESTS: Final = 1_000
"""Of one fetch."""

_CODES: Final = {"denied": "UpstreamAccessDenied", "busy": "UpstreamTooManyRequests"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image comes from and where it goes."""

    registry: Registry
    repository: str
    rule: PullThroughRule

    @property
    def upstream(self) -> str:
        """What the repository is called upstream."""
        return upstream_name(self.rule.prefix, self.rule.upstream_prefix, self.repository)


class Fetching:
    """Brings what a pull asks for and is not here."""

    def __init__(
        self,
        database: Database,
        access: Access,
        rules: PullThroughRules,
        templates: Templates,
        images: Images,
        blobs: Blobs,
        uploads: Uploads,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._rules = rules
        self._templates = templates
        self._images = images
        self._blobs = blobs
        self._uploads = uploads
        self._clock = clock
        self._flights: dict[tuple[int, str, str], asyncio.Task[None]] = {}
        self._left_alone: dict[tuple[int, str, str], int] = {}
        self._absent: dict[tuple[int, str, str], int] = {}

    async def ensure(self, caller: Caller, registry: Registry, repository: str, reference: str | Digest) -> float:
        """See that what a pull asks for is here, if it can be; to be called before each pull by tag or digest.

        Returns the time, in microseconds since the epoch, until which the answer of the pull stands without asking
        again. Raises AccessDenied when it would have to be fetched and the caller may not have that done, and
        UpstreamFailed when it is not here and upstream did not give it. What upstream does not have is not here.
        """
        rule = self._rules.rule_for(registry, repository)
        if rule is None or not self._access.allows(caller, registry, "ecr:BatchGetImage", repository):
            return float("inf")
        place = _Place(registry, repository, rule)
        if isinstance(reference, Digest):
            if manifests.manifest_by_digest(self._database, registry.id, repository, str(reference)) is None:
                await self._fetch(caller, place, reference)
            return float("inf")
        found = catalog.repository(self._database, registry.id, repository)
        bound = bindings.live(self._database, found.id, reference) if found is not None else None
        if found is None or bound is None:
            await self._fetch(caller, place, reference)
            return self._clock()
        seen = flows.upstream_tag(self._database, registry.id, repository, reference)
        if seen is None or seen.cached != bound.digest:
            return float("inf")  # pushed here, or over what came: this tag is no business of upstream's
        key = (registry.id, repository, reference)
        until = max(seen.checked_at + CHECK_MICROSECONDS, self._left_alone.get(key, 0))
        if self._clock() < until:
            return until
        if self._access.allows(caller, registry, "ecr:BatchImportUpstreamImage", repository):
            await self._refresh(caller, place, found, seen)
        return self._clock()

    async def stop(self) -> None:
        """End the fetches that run; what they stored is collected in time, or found by the next one."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    # --- one fetch for all who ask -----------------------------------------------------------------------------------

    async def _fetch(self, caller: Caller, place: _Place, reference: str | Digest) -> None:
        """Fetch what is not here, as far as the caller may have that done."""
        self._access.require(caller, place.registry, "ecr:BatchImportUpstreamImage", place.repository)
        if catalog.repository_id(self._database, place.registry.id, place.repository) is None:
            keys = self._templates.keys(place.registry, place.repository, Occasion.PULL_THROUGH_CACHE)
            self._access.require(caller, place.registry, "ecr:CreateRepository", place.repository, keys=keys)
        if self._clock() < self._absent.get((place.registry.id, place.repository, str(reference)), 0):
            return
        try:
            await self._joined(place, str(reference), lambda: self._import(caller, place, reference))
        except TagHeld:
            return  # the name waits for another digest; that upstream has this one is on record as a refusal

    async def _joined(self, place: _Place, what: str, start: Callable[[], Coroutine[None, None, None]]) -> None:
        """Wait for the fetch of something, begun now unless it runs already."""
        key = (place.registry.id, place.repository, what)
        flight = self._flights.get(key)
        if flight is None:
            if len(self._flights) >= MAX_FETCHES:
                msg = f"{MAX_FETCHES} images are being fetched from upstream at this moment. Try again."
                raise UpstreamFailed(msg, "UpstreamTooManyRequests")
            flight = self._flights[key] = asyncio.get_running_loop().create_task(start())
            flight.add_done_callback(lambda done: self._landed(key, done))
        done, _ = await asyncio.wait({flight}, timeout=WAIT_SECONDS)
        if not done:
            msg = f"{place.repository}:{what} is still being fetched from {place.rule.url}. Try again later."
            raise UpstreamFailed(msg)
        if flight.cancelled():
            msg = "The server is stopping."
            raise UpstreamFailed(msg)
        flight.result()

    def _landed(self, key: tuple[int, str, str], flight: asyncio.Task[None]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled() and (error := flight.exception()) is not None:
            _LOGGER.warning("fetching %s:%s failed: %s", key[1], key[2], error)

    async def _refresh(self, caller: Caller, place: _Place, found: Repository, seen: UpstreamTag) -> None:
        """Ask upstream whether a tag still names what came; follow if the tag may move, else record that it drifted."""
        try:
            await self._joined(place, f"{seen.tag} again", lambda: self._check(caller, place, found, seen))
        except HoldfastError:  # whatever it is (upstream, the disk, a registry that rests): what is here is served
            if len(self._left_alone) >= MAX_MANIFESTS:
                self._left_alone.clear()
            key = (place.registry.id, place.repository, seen.tag)
            self._left_alone[key] = self._clock() + PAUSE_MICROSECONDS

    async def _check(self, caller: Caller, place: _Place, found: Repository, seen: UpstreamTag) -> None:
        remote = self._open(place)
        try:
            now_named = await asyncio.wait_for(_answered(remote.resolve(place.upstream, seen.tag)), CHECK_SECONDS)
        except TimeoutError:
            msg = f"{place.rule.url} did not answer within {CHECK_SECONDS} seconds."
            raise UpstreamFailed(msg) from None
        finally:
            remote.close()
        names = str(now_named) if now_named is not None else None
        if names == seen.cached:
            await self._note(place, replace(seen, upstream=names, checked_at=self._clock(), drifted_at=None))
        elif names is None or found.mutability.judge(seen.tag).held:
            await self._drift(caller, place, seen, names)
        else:
            try:
                await self._import(caller, place, seen.tag)
            except TagHeld:  # it came to be held meanwhile
                await self._drift(caller, place, seen, names)

    async def _drift(self, caller: Caller, place: _Place, seen: UpstreamTag, names: str | None) -> None:
        act = self._act(caller, place)
        drifted = replace(seen, upstream=names, checked_at=act.at, drifted_at=seen.drifted_at or act.at)

        def job(txn: Transaction) -> None:
            found = catalog.repository(txn, place.registry.id, place.repository)
            if found is None:
                return
            flows.note_upstream_tag(txn, found.id, drifted)
            if seen.drifted_at is None or seen.upstream != names:
                body = act.body(digest=seen.cached, upstream=names, url=place.rule.url, name=place.upstream)
                entries.append(
                    txn, place.registry.id, EntryKind.UPSTREAM_DRIFTED, body, repository=place.repository, tag=seen.tag
                )

        await self._database.write(job)

    async def _note(self, place: _Place, seen: UpstreamTag) -> None:
        def job(txn: Transaction) -> None:
            found = catalog.repository_id(txn, place.registry.id, place.repository)
            if found is not None:
                flows.note_upstream_tag(txn, found, seen)

        await self._database.write(job)

    # --- one image ---------------------------------------------------------------------------------------------------

    async def _import(self, caller: Caller, place: _Place, reference: str | Digest) -> None:
        """Bring an image with all its parts, and bind the tag that was asked for."""
        remote = self._open(place)
        try:
            try:
                root = await self._manifest(place, remote, reference)
            except RemoteError as error:
                if error.code == "missing":
                    self._note_absent(place, str(reference))
                    return  # then it is not here either, which the pull tells in its own words
                raise
            await self._bring(self._act(caller, place), place, remote, root, reference)
        except RemoteError as error:
            msg = f"{place.rule.url} did not give {place.upstream} {reference}: {error.message}"
            raise UpstreamFailed(msg, _CODES.get(error.code, "UpstreamUnavailable")) from error
        except (ManifestInvalid, DigestInvalid, BlobTooLarge) as error:
            msg = f"What {place.rule.url} gave for {place.upstream} {reference} cannot be kept: {error.message}"
            raise UpstreamFailed(msg) from error
        finally:
            remote.close()

    def _note_absent(self, place: _Place, reference: str) -> None:
        if len(self._absent) >= MAX_ABSENT:
            self._absent.clear()
        self._absent[place.registry.id, place.repository, reference] = self._clock() + ABSENT_MICROSECONDS

    async def _bring(self, act: Act, place: _Place, remote: Remote, root: Manifest, reference: str | Digest) -> None:
        await self._database.write(lambda txn: self._made(txn, place, act))
        everything = [root]
        await self._below(place, remote, root, everything, 0)
        blobs = {blob.digest: blob for one in everything for blob in one.blobs}
        turns = asyncio.Semaphore(BLOBS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for blob in blobs.values():
                    group.create_task(self._blob(act, place, remote, blob, turns))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        for one in reversed(everything[1:]):  # what an index lists comes before it
            await self._put(act, place, one, [])
        if isinstance(reference, Digest):
            await self._put(act, place, root, [])
            return
        digest = str(root.digest)
        # Before the tag is bound: a tag that came from upstream is never without its note.
        await self._note(
            place, UpstreamTag(place.repository, reference, place.rule.url, digest, digest, self._clock(), None)
        )
        await self._put(act, place, root, [reference])

    def _made(self, txn: Transaction, place: _Place, act: Act) -> None:
        """Make the repository unless it is there."""
        if catalog.repository_id(txn, place.registry.id, place.repository) is None:
            self._templates.make(
                txn,
                place.registry,
                place.repository,
                Occasion.PULL_THROUGH_CACHE,
                act,
                facts={"upstream": place.rule.url},
            )

    async def _manifest(
        self, place: _Place, remote: Remote, reference: str | Digest, media_type: str | None = None
    ) -> Manifest:
        came = await remote.manifest(place.upstream, reference)
        return parse_manifest(came.payload, media_type or came.media_type, algorithm=came.digest.algorithm)

    async def _below(
        self, place: _Place, remote: Remote, parent: Manifest, everything: list[Manifest], depth: int
    ) -> None:
        """Gather the manifests below an index, each after its parent."""
        if parent.children and depth >= MAX_DEPTH:
            msg = f"Indexes are nested deeper than {MAX_DEPTH} levels."
            raise ManifestInvalid(msg)
        for child in parent.children:
            if len(everything) >= MAX_MANIFESTS:
                msg = f"The index has more than {MAX_MANIFESTS} images."
                raise ManifestInvalid(msg)
            found = await self._manifest(place, remote, child.digest, child.media_type)
            everything.append(found)
            await self._below(place, remote, found, everything, depth + 1)

    async def _blob(self, act: Act, place: _Place, remote: Remote, blob: Descriptor, turns: asyncio.Semaphore) -> None:
        """Bring a blob unless the repository has it. That another repository has it is no proof that upstream does."""
        async with turns:
            here = content.blob_of(self._database, place.registry.id, place.repository, str(blob.digest))
            if here is not None and await self._is_kept(act, place, blob):
                return
            async with remote.blob(place.upstream, blob.digest, blob.size_bytes) as incoming:
                await self._uploads.put(
                    act.caller, place.registry, place.repository, blob.digest, incoming, through=THROUGH
                )

    async def _is_kept(self, act: Act, place: _Place, blob: Descriptor) -> bool:
        """Whether a blob is here, kept from now on until its manifest comes."""
        found = await self._blobs.availability(act.caller, place.registry, place.repository, [blob.digest])
        return str(blob.digest) in found

    async def _put(self, act: Act, place: _Place, manifest: Manifest, tags: list[str]) -> None:
        await self._images.put(
            act.caller,
            place.registry,
            place.repository,
            manifest.payload,
            manifest.media_type,
            digest=manifest.digest,
            tags=tags,
            through=THROUGH,
        )

    def _open(self, place: _Place) -> Remote:
        try:
            parse_repository_name(place.upstream)
            return self._rules.remote(place.registry, place.rule)
        except (CredentialNotFound, NameInvalid) as error:
            raise UpstreamFailed(error.message, "UpstreamAccessDenied") from error

    def _act(self, caller: Caller, place: _Place) -> Act:
        """Act as the service, on behalf of whoever pulled."""
        service = replace(service_caller(place.registry, THROUGH), source=caller.source, behalf=caller.arn)
        return Act(service, self._clock(), THROUGH)


async def _answered(asking: Coroutine[None, None, T]) -> T:
    """Wait for another registry, whose failure is UpstreamFailed."""
    try:
        return await asking
    except RemoteError as error:
        raise UpstreamFailed(error.message, _CODES.get(error.code, "UpstreamUnavailable")) from error
