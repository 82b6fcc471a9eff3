"""What has to flow out: noted in the transaction of the push or the deletion, so that neither is ever forgotten.

This file alone decides which acts are replicated. An image that came by replication goes no further, as in ECR: what
replication writes is not noted. Deleting a repository is not replicated, deleting its images one by one is, where
a rule says so. Source: Amazon ECR user guide, "Private image replication" and "Replicating image deletions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.replication import kept_configuration
from holdfast.store import replications

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.registry.binding import Act
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Transaction

THROUGH: Final = "replication"
"""What the record says replication's own acts came through."""

COPY: Final = "copy"
DELETE_TAG: Final = "delete-tag"
DELETE_IMAGE: Final = "delete-image"


def note_push(
    txn: Transaction, registry: Registry, repository: Repository, digest: str, tags: Sequence[str], act: Act
) -> None:
    """Note that an image has to go out, under each of the tags or, without any, under its digest."""
    text = replications.configuration(txn, registry.id)
    if text is None or act.through == THROUGH:
        return
    for destination in kept_configuration(text).destinations(repository.name):
        for tag in tags or [""]:
            replications.enqueue(txn, registry.id, repository.name, COPY, digest, tag, destination, at=act.at)


def note_deletion(
    txn: Transaction, registry: Registry, repository: Repository, digest: str, tag: str | None, act: Act
) -> None:
    """Note that a tag, or without one an image with all its tags, has to go elsewhere too."""
    text = replications.configuration(txn, registry.id)
    if text is None or act.through == THROUGH:
        return
    what = DELETE_TAG if tag is not None else DELETE_IMAGE
    for destination in kept_configuration(text).destinations(repository.name, deletes=True):
        replications.enqueue(txn, registry.id, repository.name, what, digest, tag or "", destination, at=act.at)
