"""Images go to rest and come back, inside a transaction and on record; and what goes with them.

Who may ask for it, and the check of the bytes before an image comes back, stand in `storage_class.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core.lifecycle import ImageStatus
from holdfast.store import bindings, entries, lifecycle, manifests
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from holdfast.registry.binding import Act
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Reader, Transaction


def archive_image(
    txn: Transaction, registry: Registry, repository: Repository, digest: str, act: Act, *, why: str
) -> None:
    """Archive an image with what belongs to it, inside a transaction."""
    for one in belonging(txn, repository, digest, ImageStatus.ACTIVE):
        change(txn, registry, repository, one, ImageStatus.ARCHIVED, act, why=why)


def revive(txn: Transaction, registry: Registry, repository: Repository, digest: str, act: Act) -> bool:
    """Make an image that was pushed again active at once, with what belongs to it; say whether it was not."""
    image = manifests.image(txn, repository.id, digest)
    if image is None or image.status == ImageStatus.ACTIVE:
        return False
    wanted = {digest: None} | dict.fromkeys(belonging(txn, repository, digest, ImageStatus(image.status)))
    for one in wanted:
        change(txn, registry, repository, one, ImageStatus.ACTIVE, act, why="it was pushed again")
    return True


def belonging(reader: Reader, repository: Repository, digest: str, status: ImageStatus) -> list[str]:
    """Return an image and what goes with it into or out of the archive: those of them that have this status."""
    found: dict[str, None] = {}
    waiting = [digest]
    while waiting:
        one = waiting.pop()
        if one in found or not has_status(reader, repository, one, status):
            continue
        found[one] = None
        waiting += lifecycle.referrers(reader, repository.id, one)
        for child in lifecycle.children(reader, repository.id, one):
            if status is not ImageStatus.ACTIVE or _goes_along(reader, repository, child, found):
                waiting.append(child)
    return list(found)


def _goes_along(reader: Reader, repository: Repository, child: str, going: dict[str, None]) -> bool:
    """Whether an image is of use only through the indexes that go into the archive."""
    if bindings.live_of_digest(reader, repository.id, child):
        return False
    parents = manifests.parents(reader, repository.id, child)
    return all(parent in going or not has_status(reader, repository, parent, "ACTIVE") for parent in parents)


def has_status(reader: Reader, repository: Repository, digest: str, status: str) -> bool:
    """Whether an image is there with this status."""
    image = manifests.image(reader, repository.id, digest)
    return image is not None and image.status == status


def change(
    txn: Transaction,
    registry: Registry,
    repository: Repository,
    digest: str,
    status: ImageStatus,
    act: Act,
    *,
    why: str,
) -> None:
    """Change the status of one image, on record, inside a transaction."""
    before = manifests.image(txn, repository.id, digest)
    if status is ImageStatus.ARCHIVED and before is not None and before.status == ImageStatus.ACTIVATING:
        lifecycle.set_resting(txn, repository.id, digest)
    else:
        lifecycle.set_status(txn, repository.id, digest, status, at=act.at)
    kind = EntryKind.IMAGE_ARCHIVED if status is ImageStatus.ARCHIVED else EntryKind.IMAGE_RESTORED
    if status is ImageStatus.ACTIVATING:
        kind = EntryKind.IMAGE_RESTORING
    entries.append(txn, registry.id, kind, act.body(digest=digest, why=why), repository=repository.name)
