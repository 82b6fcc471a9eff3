"""Images listed and described by pages, and found by the identifiers of ECR's API: digest, tag, or both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid, ManifestNotFound, ParameterInvalid, ReferencedByIndex
from holdfast.core.lifecycle_errors import ImageArchived
from holdfast.registry.binding import Act, require_repository, unbind
from holdfast.registry.images import delete_manifest, verified
from holdfast.registry.outgoing import note_deletion
from holdfast.store import bindings, catalog, manifests, scans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.ledger import Included, Places
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.manifests import Image, StoredManifest
    from holdfast.store.scans import Scan


MANIFESTS_PER_STEP: Final = 2_000
"""Looked at in one statement while a page is filled with images that have a tag, or have none. Where hardly any is
such, a page is a look at the whole repository, and nobody shall wait for that."""

_LAST_TAG: Final = "\x7f"
"""Comes after every tag."""


@dataclass(frozen=True, slots=True)
class ImageId:
    """How ECR's API names an image: by digest, by tag, or by both, which must then agree."""

    digest: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one identifier of a batch could not be served; the code and the sentence are ECR's."""

    image_id: ImageId
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """An image found for one identifier: its manifest and one of its tags, or none."""

    stored: StoredManifest
    tag: str | None


class Described(NamedTuple):
    """An image, all its tags, and its scan if there is one."""

    image: Image
    tags: list[str]
    scan: Scan | None


class ImagePages:
    """The use cases over many images at once."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int], *, included: Included) -> None:
        """`clock` gives microseconds since the epoch; `included` waits for entries to be published in the ledger."""
        self._included = included
        self._database = database
        self._access = access
        self._clock = clock

    async def list_ids(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        *,
        tagged: bool | None,
        status: str | None = None,
        after: tuple[str, str],
        limit: int,
    ) -> list[ImageId]:
        """List a digest with each of its tags, and untagged digests alone; those after (digest, tag)."""
        self._access.require(caller, registry, "ecr:ListImages", repository)
        found = require_repository(self._database, registry, repository)
        rows: list[tuple[str, str | None]] = []
        async for until in self._steps(found, after[0], tagged=tagged):
            rows += manifests.image_ids(
                self._database,
                found.id,
                tagged=tagged,
                status=status,
                after=after,
                until=until,
                limit=limit - len(rows),
            )
            if until is None or len(rows) >= limit:
                break
            after = (until, _LAST_TAG)
        return [ImageId(digest, tag) for digest, tag in rows]

    async def describe_page(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        *,
        tagged: bool | None,
        status: str | None = None,
        after: str,
        limit: int,
    ) -> list[Described]:
        """Describe images by digest, those after one, at most `limit`."""
        self._access.require(caller, registry, "ecr:DescribeImages", repository)
        found = require_repository(self._database, registry, repository)
        images: list[Image] = []
        async for until in self._steps(found, after, tagged=tagged):
            images += manifests.images(
                self._database,
                found.id,
                tagged=tagged,
                status=status,
                after=after,
                until=until,
                limit=limit - len(images),
            )
            if until is None or len(images) >= limit:
                break
            after = until
        return _with_tags(self._database, found, images)

    async def _steps(self, found: Repository, after: str, *, tagged: bool | None) -> AsyncIterator[str | None]:
        """Tell up to which digest to look next, and let others have the loop between; None: to the end."""
        while tagged is not None:
            until = manifests.end_of_step(self._database, found.id, after=after, rows=MANIFESTS_PER_STEP)
            if until is None:
                break
            yield until
            after = until
            await asyncio.sleep(0)
        yield None

    def describe(
        self, caller: Caller, registry: Registry, repository: str, image_ids: Sequence[ImageId]
    ) -> list[Described]:
        """Describe the images named; raises ManifestNotFound, with ECR's sentence, for the first that is not there."""
        self._access.require(caller, registry, "ecr:DescribeImages", repository)
        found = require_repository(self._database, registry, repository)
        images: dict[str, Image] = {}
        for image_id in image_ids:
            digest, _ = _resolve(self._database, found, image_id)
            image = manifests.image(self._database, found.id, digest) if digest else None
            if image is None:
                raise _no_image(registry, found, image_id)
            images[image.digest] = image
        return _with_tags(self._database, found, list(images.values()))

    def get_batch(
        self, caller: Caller, registry: Registry, repository: str, image_ids: Sequence[ImageId]
    ) -> tuple[list[Found], list[Failure]]:
        """Return the manifests named: one for each tag when named by digest; what is not there is a failure."""
        self._access.require(caller, registry, "ecr:BatchGetImage", repository)
        repo = require_repository(self._database, registry, repository)
        found: list[Found] = []
        failures: list[Failure] = []
        for image_id in image_ids:
            digest, failure = _resolve(self._database, repo, image_id)
            if failure is not None or digest is None:
                failures.append(failure or _not_found(image_id))
                continue
            stored = manifests.payload(self._database, repo.id, digest)
            if stored is None:
                failures.append(_not_found(image_id))
                continue
            if stored.status != "ACTIVE":
                reason = ImageArchived(stored.digest, stored.status).message
                failures.append(Failure(image_id, "ImageInaccessible", reason))
                continue
            stored = verified(stored)
            tags: list[str | None] = [image_id.tag]
            if image_id.tag is None:
                live = bindings.live_of_digest(self._database, repo.id, digest)
                tags = [one.tag for one in live] or [None]
            found += [Found(stored, tag) for tag in tags]
        return found, failures

    async def delete_batch(
        self, caller: Caller, registry: Registry, repository: str, image_ids: Sequence[ImageId], *, through: str
    ) -> tuple[list[ImageId], list[Failure], Places]:
        """Delete the images named; by tag only the tag goes, and with its last tag the image, as in ECR.

        Held tags leave tombstones. What cannot be deleted is a failure; the others are deleted all the same. Returned
        with them are the places in the ledger.
        """
        self._access.require(caller, registry, "ecr:BatchDeleteImage", repository)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> tuple[list[ImageId], list[Failure]]:
            repo = require_repository(txn, registry, repository)
            current = catalog.registry(txn, registry.id)
            deleted: list[ImageId] = []
            failures: list[Failure] = []
            for image_id in image_ids:
                try:
                    done = _delete_one(txn, current, repo, image_id, act)
                except ReferencedByIndex as error:
                    failures.append(Failure(image_id, "ImageReferencedByManifestList", error.message))
                    continue
                if isinstance(done, Failure):
                    failures.append(done)
                else:
                    deleted += done
            return deleted, failures

        deleted, failures = await self._database.write(job)
        return deleted, failures, await self._included(act.entries)


def require_image(reader: Reader, registry: Registry, repository: Repository, image_id: ImageId) -> Image:
    """Find the one image that an identifier names.

    Raises ParameterInvalid for an identifier that names none by its form, ManifestNotFound for one that is not there,
    or whose tag names another digest.
    """
    digest, failure = _resolve(reader, repository, image_id)
    if failure is not None and failure.code in {"MissingDigestAndTag", "InvalidImageDigest"}:
        parameter = "imageId"
        raise ParameterInvalid(parameter, failure.reason)
    image = manifests.image(reader, repository.id, digest) if digest else None
    if image is None:
        raise _no_image(registry, repository, image_id)
    return image


def _no_image(registry: Registry, repository: Repository, image_id: ImageId) -> ManifestNotFound:
    error = ManifestNotFound(image_id.tag or image_id.digest or "")
    error.message = (
        f"The image with imageId {{imageDigest:'{image_id.digest or 'null'}', imageTag:'{image_id.tag or 'null'}'}} "
        f"does not exist within the repository with name '{repository.name}' in the registry with id "
        f"'{registry.account_id}'"
    )
    return error


def _delete_one(
    txn: Transaction, registry: Registry, repository: Repository, image_id: ImageId, act: Act
) -> list[ImageId] | Failure:
    digest, failure = _resolve(txn, repository, image_id)
    if failure is not None or digest is None:
        return failure or _not_found(image_id)
    live = bindings.live_of_digest(txn, repository.id, digest)
    if image_id.tag is not None and len(live) > 1:
        bound = next(one for one in live if one.tag == image_id.tag)
        unbind(txn, registry, repository, bound, act, why="the tag was deleted")
        note_deletion(txn, registry, repository, digest, image_id.tag, act)
        return [ImageId(digest, image_id.tag)]
    if manifests.image(txn, repository.id, digest) is None:
        return _not_found(image_id)
    tags = [one.tag for one in delete_manifest(txn, registry, repository, digest, act)]
    return [ImageId(digest, tag) for tag in tags] or [ImageId(digest)]


def _resolve(reader: Reader, repository: Repository, image_id: ImageId) -> tuple[str | None, Failure | None]:
    """Find the digest that an identifier means, or why it means none."""
    if image_id.digest is None and image_id.tag is None:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return None, Failure(image_id, "MissingDigestAndTag", reason)
    if image_id.digest is not None:
        try:
            Digest.parse(image_id.digest)
        except DigestInvalid:
            reason = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
            return None, Failure(image_id, "InvalidImageDigest", reason)
    if image_id.tag is None:
        return image_id.digest, None
    bound = bindings.live(reader, repository.id, image_id.tag)
    if bound is None:
        return None, _not_found(image_id)
    if image_id.digest is not None and bound.digest != image_id.digest:
        reason = "Invalid request parameters: given tag does not map to the given digest"
        return None, Failure(image_id, "ImageTagDoesNotMatchDigest", reason)
    return bound.digest, None


def _not_found(image_id: ImageId) -> Failure:
    return Failure(image_id, "ImageNotFound", "Requested image not found")


def _with_tags(reader: Reader, repository: Repository, images: Sequence[Image]) -> list[Described]:
    digests = [image.digest for image in images]
    tags = bindings.tags_of_digests(reader, repository.id, digests)
    found = scans.scans_of_digests(reader, repository.id, digests)
    return [Described(image, tags.get(image.digest, []), found.get(image.digest)) for image in images]
