"""Images: manifests put, got, listed and deleted, under their tags and digests.

A push is one transaction: the parts are there, the manifest is kept, the tags are bound or refused, the record is
written. A refused push keeps its manifest under its digest: the bytes are accepted, the label refuses to move.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from holdfast.core import mutability
from holdfast.core.digest import DEFAULT_ALGORITHM, Digest
from holdfast.core.errors import (
    BlobCorrupt,
    BlobsMissing,
    ChildrenMissing,
    DigestInvalid,
    ManifestInvalid,
    ManifestNotFound,
    ReferencedByIndex,
    RepositoryNotFound,
    TagHeld,
)
from holdfast.core.lifecycle import ImageStatus
from holdfast.core.lifecycle_errors import ImageArchived
from holdfast.core.manifest import Kind, Manifest
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.quota import Amount
from holdfast.registry.binding import Act, Outcome, Refusal, bind_tags, require_repository, unbind
from holdfast.registry.outgoing import note_deletion, note_push
from holdfast.registry.quotas import require_room
from holdfast.registry.resting import revive
from holdfast.registry.scan_start import scan_pushed
from holdfast.store import bindings, catalog, content, manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.mutability import Decision
    from holdfast.core.preconditions import Precondition
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.ledger import Included, Places
    from holdfast.registry.pulls import Pulls
    from holdfast.registry.repositories import Repositories
    from holdfast.store.bindings import Binding
    from holdfast.store.catalog import Registry
    from holdfast.store.content import Blob
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.manifests import StoredManifest

MAX_TAGS_PER_PUSH: Final = 32
"""Tags in one `?tag=` push. The OCI specification asks for at least ten."""

_LARGE_MANIFEST_BYTES: Final = 64 * 1024
"""A larger manifest is parsed in a thread, so that it holds up nobody else."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push that was accepted."""

    manifest: Manifest
    is_new: bool
    decisions: tuple[tuple[str, Decision], ...]
    ledger: Places = ()

    @property
    def changed(self) -> bool:
        """Whether the push changed anything: a new manifest, or a tag that names another digest than before."""
        return self.is_new or any(decision.action is not mutability.Action.KEEP for _, decision in self.decisions)


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that has a subject, and its status: an archived one is known and not given to pulls."""

    manifest: Manifest
    status: str


class Images:
    """The use cases over manifests and tags."""

    def __init__(
        self,
        database: Database,
        access: Access,
        repositories: Repositories,
        clock: Callable[[], int],
        *,
        is_there: Callable[[Blob], bool],
        pulls: Pulls,
        included: Included,
    ) -> None:
        """`clock` gives microseconds since the epoch; `is_there`: whether the file of a blob can be served.

        `included` waits until the entries of an act are in the published ledger.
        """
        self._included = included
        self._is_there = is_there
        self._database = database
        self._access = access
        self._repositories = repositories
        self._clock = clock
        self.note_pull = pulls.note
        """Note that a caller was given a manifest; see `pulls`."""

    # --- put ---------------------------------------------------------------------------------------------------------

    async def put(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        payload: bytes,
        content_type: str | None,
        *,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        precondition: Precondition | None = None,
        through: str,
    ) -> Pushed:
        """Keep a manifest and make the tags name it, all of them or none.

        Raises ManifestInvalid, ManifestTooLarge, DigestInvalid (the bytes have another digest), BlobsMissing,
        ChildrenMissing, RepositoryNotFound, AccessDenied, QuotaExceeded, PreconditionFailed (of a condition on each of
        the tags), and TagHeld: then the manifest is kept, and no tag moved.
        """
        self._access.require(caller, registry, "ecr:PutImage", repository)
        algorithm = digest.algorithm if digest else DEFAULT_ALGORITHM
        if len(payload) > _LARGE_MANIFEST_BYTES:
            manifest = await asyncio.to_thread(parse_manifest, payload, content_type, algorithm=algorithm)
        else:
            manifest = _parsed(payload, content_type, algorithm)
        if digest is not None and manifest.digest != digest:
            msg = f"The manifest was pushed as {digest}, but its bytes hash to {manifest.digest}."
            raise DigestInvalid(msg, {"digest": str(digest), "computed": str(manifest.digest)})
        await self._repositories.ensure(caller, registry, repository, through=through)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> tuple[bool, Outcome]:
            found = require_repository(txn, registry, repository)
            is_new = keep_manifest(txn, found.id, manifest, act, self._is_there) or revive(
                txn, registry, found, str(manifest.digest), act
            )
            current = catalog.registry(txn, registry.id)
            if is_new:
                scan_pushed(txn, registry, found, manifest, act)
            outcome = bind_tags(txn, current, found, manifest, tags, act, precondition=precondition)
            changed = [tag for tag, one in outcome.decisions if one.action is not mutability.Action.KEEP]
            if not outcome.refusals and (changed or is_new):
                note_push(txn, registry, found, str(manifest.digest), changed, act)
            return is_new, outcome

        is_new, outcome = await self._database.write(job)
        places = await self._included(act.entries)
        if outcome.refusals:
            error = refusal_error(outcome.refusals[0], registry)
            error.ledger = places
            raise error
        return Pushed(manifest, is_new, outcome.decisions, places)

    # --- get ---------------------------------------------------------------------------------------------------------

    def require_readable(self, caller: Caller, registry: Registry, repository: str) -> None:
        """Raise AccessDenied unless the caller may read images of the repository: what `get` requires."""
        self._access.require(caller, registry, "ecr:BatchGetImage", repository)

    def get(self, caller: Caller, registry: Registry, repository: str, reference: str | Digest) -> StoredManifest:
        """Return the manifest that a tag or digest names, its bytes checked against the digest.

        Raises ManifestNotFound, ImageArchived, RepositoryNotFound, AccessDenied.
        """
        self.require_readable(caller, registry, repository)
        if isinstance(reference, Digest):
            stored = manifests.manifest_by_digest(self._database, registry.id, repository, str(reference))
        else:
            stored = manifests.manifest_by_tag(self._database, registry.id, repository, reference)
        if stored is None:
            self._require_repository(registry, repository)
            raise ManifestNotFound(str(reference))
        if stored.status != ImageStatus.ACTIVE:
            raise ImageArchived(stored.digest, stored.status)
        return verified(stored)

    def tags(self, caller: Caller, registry: Registry, repository: str, *, after: str, limit: int) -> list[str]:
        """List live tags in byte order, those after a tag, at most `limit`."""
        self._access.require(caller, registry, "ecr:ListImages", repository)
        identity = self._require_repository(registry, repository)
        return bindings.tags(self._database, identity, after=after, limit=limit)

    def referrers(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        subject: Digest,
        *,
        artifact_types: Sequence[str] = (),
        status: str | None = ImageStatus.ACTIVE,
        in_repository: bool = False,
        after: str,
        limit: int,
    ) -> list[Referrer]:
        """List the manifests whose subject is a digest, read anew from their own bytes; at most `limit`.

        Those of a status, of any for None; archived ones cannot be pulled, so that who does not ask is not told.

        The subject need not be there, nor the repository: the list is then empty (OCI distribution specification,
        "Listing Referrers": a registry that has this API never answers 404). With `in_repository` the repository must
        be there, as ECR's API asks: RepositoryNotFound; its operation has a right of its own. Artifact types narrow the
        list to those.
        """
        action = "ecr:ListImageReferrers" if in_repository else "ecr:BatchGetImage"
        self._access.require(caller, registry, action, repository)
        identity = catalog.repository_id(self._database, registry.id, repository)
        if identity is None:
            if in_repository:
                raise RepositoryNotFound(repository, registry.account_id)
            return []
        stored = manifests.referrers(
            self._database,
            identity,
            str(subject),
            artifact_types=artifact_types,
            status=status,
            after=after,
            limit=limit,
        )
        return [
            Referrer(
                parse_manifest(one.payload, one.media_type, algorithm=Digest.parse(one.digest).algorithm), one.status
            )
            for one in map(verified, stored)
        ]

    # --- delete ------------------------------------------------------------------------------------------------------

    async def delete_tag(
        self, caller: Caller, registry: Registry, repository: str, tag: str, *, through: str
    ) -> Places:
        """Delete a tag; the manifest stays. A held tag leaves a tombstone. Returns the places in the ledger."""
        self._access.require(caller, registry, "ecr:BatchDeleteImage", repository)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = require_repository(txn, registry, repository)
            bound = bindings.live(txn, found.id, tag)
            if bound is None:
                raise ManifestNotFound(tag)
            unbind(txn, catalog.registry(txn, registry.id), found, bound, act, why="the tag was deleted")
            note_deletion(txn, registry, found, bound.digest, tag, act)

        await self._database.write(job)
        return await self._included(act.entries)

    async def delete(
        self, caller: Caller, registry: Registry, repository: str, digest: Digest, *, through: str
    ) -> Places:
        """Delete a manifest with all its tags. Held tags leave tombstones. Returns the places in the ledger.

        Raises ReferencedByIndex while an index of the repository lists the manifest.
        """
        self._access.require(caller, registry, "ecr:BatchDeleteImage", repository)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = require_repository(txn, registry, repository)
            delete_manifest(txn, catalog.registry(txn, registry.id), found, str(digest), act)

        await self._database.write(job)
        return await self._included(act.entries)

    def _require_repository(self, registry: Registry, repository: str) -> int:
        identity = catalog.repository_id(self._database, registry.id, repository)
        if identity is None:
            raise RepositoryNotFound(repository, registry.account_id)
        return identity


def delete_manifest(
    txn: Transaction,
    registry: Registry,
    repository: catalog.Repository,
    digest: str,
    act: Act,
    *,
    why: str = "its image was deleted",
) -> list[Binding]:
    """Delete a manifest with all its tags, inside a transaction; return the tags that it had."""
    if manifests.image(txn, repository.id, digest) is None:
        raise ManifestNotFound(digest)
    parents = manifests.parents(txn, repository.id, digest)
    if parents:
        raise ReferencedByIndex(parents)
    bound = bindings.live_of_digest(txn, repository.id, digest)
    for one in bound:
        unbind(txn, registry, repository, one, act, why=why)
    manifests.delete_manifest(txn, repository.id, digest)
    note_deletion(txn, registry, repository, digest, None, act)
    manifests.delete_unused_payload(txn, digest)
    return bound


@functools.lru_cache(maxsize=256)
def _parsed(payload: bytes, content_type: str | None, algorithm: str) -> Manifest:
    """Read a small manifest; clients push one under several tags in a row."""
    return parse_manifest(payload, content_type, algorithm=algorithm)


def verified(stored: StoredManifest) -> StoredManifest:
    """Return the manifest if its bytes hash to its digest; a manifest is never served otherwise."""
    if not Digest.parse(stored.digest).matches(stored.payload):
        raise BlobCorrupt(stored.digest)
    return stored


def keep_manifest(
    txn: Transaction, repository_id: int, manifest: Manifest, act: Act, is_there: Callable[[Blob], bool]
) -> bool:
    """Write the manifest unless it is there, its parts being there with the sizes that it says.

    A blob whose file was set aside as damaged is missing, also for a manifest that is there: nobody could pull it.
    """
    image_bytes = _blob_bytes(txn, repository_id, manifest, is_there)
    if manifests.image(txn, repository_id, str(manifest.digest)) is not None:
        return False
    require_room(txn, repository_id, Amount(images=1, bytes=len(manifest.payload)))
    if manifest.kind is Kind.INDEX:
        image_bytes = _largest_child(txn, repository_id, manifest)
    manifests.insert_manifest(txn, repository_id, manifest, image_bytes=image_bytes, at=act.at, by=act.caller.arn)
    return True


def _blob_bytes(reader: Reader, repository_id: int, manifest: Manifest, is_there: Callable[[Blob], bool]) -> int:
    wanted = dict.fromkeys(str(one.digest) for one in manifest.blobs)
    found = content.blobs(reader, repository_id, list(wanted))
    missing = [digest for digest in wanted if digest not in found or not is_there(found[digest])]
    if missing:
        raise BlobsMissing(missing)
    for one in manifest.blobs:
        size = found[str(one.digest)].size_bytes
        if size != one.size_bytes:
            msg = f"The manifest says that {one.digest} has {one.size_bytes} bytes; it has {size}."
            raise ManifestInvalid(msg, {"digest": str(one.digest), "size": size})
    return sum(blob.size_bytes for blob in found.values())


def _largest_child(reader: Reader, repository_id: int, manifest: Manifest) -> int:
    """Return the size of the largest image of an index: what ECR reports as the index's own size."""
    wanted = dict.fromkeys(str(one.digest) for one in manifest.children)
    found = manifests.image_sizes(reader, repository_id, list(wanted))
    missing = [digest for digest in wanted if digest not in found]
    if missing:
        raise ChildrenMissing(missing)
    for child in manifest.children:
        payload_bytes, _, media_type = found[str(child.digest)]
        if payload_bytes != child.size_bytes or media_type != child.media_type:
            msg = (
                f"The index says that {child.digest} is {child.media_type} of {child.size_bytes} bytes; "
                f"it is {media_type} of {payload_bytes}."
            )
            raise ManifestInvalid(msg, {"digest": str(child.digest)})
    return max((image_bytes for _, image_bytes, _ in found.values()), default=0)


def refusal_error(refusal: Refusal, registry: Registry) -> TagHeld:
    """Tell a person why the tag did not move, what it names, and the one command that publishes what was pushed.

    The first sentence is ECR's own; with the registry's refusal style 'ecr' it is the whole message.
    """
    sentence = mutability.refusal_sentence(refusal.tag, refusal.repository)
    command = f"holdfast tag {refusal.repository}@{refusal.pushed} NEW_TAG"
    holds = refusal.bound or refusal.tombstone
    detail: dict[str, object] = {
        "repository": refusal.repository,
        "tag": refusal.tag,
        "rule": refusal.decision.rule,
        "reason": refusal.decision.reason,
        "pushed_digest": str(refusal.pushed),
        "pushed_manifest": "kept under its digest",
        "next": command,
    }
    told = []
    if refusal.bound is not None:
        detail |= {
            "bound_digest": refusal.bound.digest,
            "bound_by": refusal.bound.bound_by,
            "bound_at": timestamp(refusal.bound.bound_at),
        }
        told.append(
            f"It names {refusal.bound.digest} since {timestamp(refusal.bound.bound_at)}, "
            f"bound by {refusal.bound.bound_by}."
        )
    elif refusal.tombstone is not None:
        detail |= {
            "bound_digest": refusal.tombstone.digest,
            "deleted_by": refusal.tombstone.deleted_by,
            "deleted_at": timestamp(refusal.tombstone.deleted_at),
        }
        told.append(
            f"It was deleted at {timestamp(refusal.tombstone.deleted_at)} and keeps its name for "
            f"{refusal.tombstone.digest}."
        )
    if refusal.is_child_of_pushed and holds is not None:
        hint = (
            "The tag names a platform image of the index that was pushed: docker before 28.2 and buildx before 0.22 "
            "push the platform images to the tag first. Update the client and push under a new tag."
        )
        detail["hint"] = hint
        told.append(hint)
    told.append(f"Your manifest is kept as {refusal.pushed}; name it anew with: {command}")
    message = sentence if registry.refusal_style == "ecr" else " ".join([sentence, *told])
    return TagHeld(message, detail)


def timestamp(microseconds: int) -> str:
    """Write a time as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
