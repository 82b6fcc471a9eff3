"""Replication as an administrator sees it: its configuration, its peers, what became of each image, backfills.

The copying itself stands in `replicator.py`. Source: Amazon ECR API, PutReplicationConfiguration,
DescribeImageReplicationStatus, StartReplicationBackfill and its neighbours.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import (
    BackfillEnded,
    BackfillInProgress,
    BackfillNotFound,
    LimitExceeded,
    ManifestNotFound,
    ParameterInvalid,
    PeerNotFound,
    UpstreamUnsupported,
)
from holdfast.core.replication import (
    MAX_BACKFILLS,
    Configuration,
    Destination,
    kept_configuration,
    parse_configuration,
)
from holdfast.core.upstream import parse_upstream
from holdfast.registry.binding import Act, require_repository
from holdfast.registry.image_pages import ImageId
from holdfast.store import bindings, entries, manifests, replications
from holdfast.store.entries import EntryKind
from holdfast.store.replications import Backfill, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.remotes import Credentials
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction
    from holdfast.store.replications import Replication

MAX_PEERS: Final = 100
BACKFILL_KEPT_MICROSECONDS: Final = 90 * 24 * 3600 * 1_000_000
"""How long a backfill that ended is told of. Source: Amazon ECR API, ListReplicationBackfills."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is."""

    total: int
    completed: int
    failed: int
    failure_codes: list[str]


class Replications:
    """The use cases over replication."""

    def __init__(
        self,
        database: Database,
        access: Access,
        credentials: Credentials,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._credentials = credentials
        self._clock = clock

    # --- the configuration -------------------------------------------------------------------------------------------

    async def configure(
        self, caller: Caller, registry: Registry, document: Mapping[str, Any], *, through: str
    ) -> Configuration:
        """Replace the configuration; images pushed from now on go by it."""
        self._access.require(caller, registry, "ecr:PutReplicationConfiguration")
        wanted = parse_configuration(document, Destination(registry.region, registry.account_id))
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Configuration:
            before = kept_configuration(replications.configuration(txn, registry.id))
            if before != wanted:
                replications.write_configuration(txn, registry.id, wanted.text(), at=act.at)
                body = act.body(before=before.document(), after=wanted.document())
                entries.append(txn, registry.id, EntryKind.REPLICATION_CONFIGURED, body)
            return wanted

        return await self._database.write(job)

    def configuration(self, caller: Caller, registry: Registry) -> Configuration:
        """Return the configuration."""
        self._access.require(caller, registry, "ecr:DescribeRegistry")
        return kept_configuration(replications.configuration(self._database, registry.id))

    async def put_peer(
        self,
        caller: Caller,
        registry: Registry,
        destination: Destination,
        url: str,
        credential: str | None,
        *,
        through: str,
    ) -> Peer:
        """Say where a destination is that this server does not host."""
        self._access.require(caller, registry, "holdfast:PutReplicationPeer")
        upstream = parse_upstream(url)
        if upstream is None:
            raise UpstreamUnsupported(url)
        act = Act(caller, self._clock(), through)
        peer = Peer(destination, upstream.url, credential, act.at)

        def job(txn: Transaction) -> None:
            if replications.hosted(txn, destination) is not None:
                why = "This server hosts that registry itself; it needs no peer"
                raise ParameterInvalid("registryId", why)
            if credential is not None:
                self._credentials.find(txn, registry, credential)
            kept = {one.destination: one for one in replications.peers(txn, registry.id)}
            if destination not in kept and len(kept) >= MAX_PEERS:
                what = "replication peers"
                raise LimitExceeded(what, MAX_PEERS)
            replications.write_peer(txn, registry.id, peer)
            before = kept.get(destination)
            body = act.body(**_place(destination), before=before and _told(before), after=_told(peer))
            entries.append(txn, registry.id, EntryKind.REPLICATION_PEER_CHANGED, body)

        await self._database.write(job)
        return peer

    async def delete_peer(self, caller: Caller, registry: Registry, destination: Destination, *, through: str) -> None:
        """Forget where a destination is. Raises PeerNotFound."""
        self._access.require(caller, registry, "holdfast:DeleteReplicationPeer")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            kept = {one.destination: one for one in replications.peers(txn, registry.id)}
            if destination not in kept:
                msg = f"No peer is set for {destination.account_id} in {destination.region}."
                raise PeerNotFound(msg)
            replications.delete_peer(txn, registry.id, destination)
            body = act.body(**_place(destination), before=_told(kept[destination]), after=None)
            entries.append(txn, registry.id, EntryKind.REPLICATION_PEER_CHANGED, body)

        await self._database.write(job)

    def peers(self, caller: Caller, registry: Registry) -> list[Peer]:
        """List where destinations are that this server does not host."""
        self._access.require(caller, registry, "holdfast:ListReplicationPeers")
        return replications.peers(self._database, registry.id)

    # --- what became of it -------------------------------------------------------------------------------------------

    def status(
        self, caller: Caller, registry: Registry, repository: str, image_id: ImageId
    ) -> tuple[ImageId, list[Replication]]:
        """Return how an image stands at each destination: what was asked for last, the worst of its tags.

        Raises ManifestNotFound, RepositoryNotFound.
        """
        self._access.require(caller, registry, "ecr:DescribeImageReplicationStatus", repository)
        found = self._identify(registry, repository, image_id)
        latest: dict[tuple[Destination, str], Replication] = {}
        for one in replications.of_image(self._database, registry.id, repository, found.digest or ""):
            if image_id.tag is None or one.tag in {image_id.tag, ""}:
                latest[one.destination, one.tag] = one
        worst: dict[Destination, Replication] = {}
        for one in latest.values():
            known = worst.get(one.destination)
            if known is None or _badness(one) > _badness(known):
                worst[one.destination] = one
        return found, [worst[destination] for destination in sorted(worst)]

    def _identify(self, registry: Registry, repository: str, image_id: ImageId) -> ImageId:
        """Find the digest of an image that is there; raises ManifestNotFound with ECR's sentence."""
        repo = require_repository(self._database, registry, repository)
        digest = image_id.digest
        if image_id.tag is not None:
            bound = bindings.live(self._database, repo.id, image_id.tag)
            digest = bound.digest if bound is not None and digest in {None, bound.digest} else None
        if digest is None or manifests.image(self._database, repo.id, digest) is None:
            error = ManifestNotFound(image_id.tag or image_id.digest or "")
            error.message = (
                f"The image with imageId {{imageDigest:'{image_id.digest or 'null'}', "
                f"imageTag:'{image_id.tag or 'null'}'}} does not exist within the repository with name "
                f"'{repository}' in the registry with id '{registry.account_id}'"
            )
            raise error
        return ImageId(digest, image_id.tag)

    def page(
        self,
        caller: Caller,
        registry: Registry,
        *,
        repository: str | None,
        status: str | None,
        before: int,
        limit: int,
    ) -> list[Replication]:
        """List replications, newest first, those before an id, at most `limit`."""
        self._access.require(caller, registry, "holdfast:ListReplications", repository)
        return replications.page(
            self._database, registry.id, repository=repository, status=status, before=before, limit=limit
        )

    # --- backfills ---------------------------------------------------------------------------------------------------

    async def start_backfill(
        self, caller: Caller, registry: Registry, destination: Destination, *, through: str
    ) -> Backfill:
        """Begin to replicate what is there to one destination of the configuration.

        Raises BackfillInProgress for a second one to a region, and LimitExceeded for too many at one time.
        """
        self._access.require(caller, registry, "ecr:StartReplicationBackfill")
        act = Act(caller, self._clock(), through)
        made = Backfill(str(uuid.uuid4()), registry.id, destination, "PREPARING", None, act.at, None)

        def job(txn: Transaction) -> Backfill:
            if not kept_configuration(replications.configuration(txn, registry.id)).has(destination):
                why = "The destination is not configured in the replication configuration of the registry"
                raise ParameterInvalid("destination", why)
            running = replications.unfinished_backfills(txn, registry.id)
            if any(one.destination.region == destination.region for one in running):
                raise BackfillInProgress(destination.region)
            if len(running) >= MAX_BACKFILLS:
                what = "replication backfills in progress"
                raise LimitExceeded(what, MAX_BACKFILLS)
            replications.insert_backfill(txn, made)
            body = act.body(**_place(destination), backfill=made.id, status=made.status)
            entries.append(txn, registry.id, EntryKind.REPLICATION_BACKFILL, body)
            return made

        return await self._database.write(job)

    async def stop_backfill(self, caller: Caller, registry: Registry, identity: str, *, through: str) -> Backfill:
        """Stop a backfill; what it has begun is finished. Raises BackfillNotFound, BackfillEnded."""
        self._access.require(caller, registry, "ecr:StopReplicationBackfill")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Backfill:
            found = self._backfill(registry, identity)
            if found.status not in {"PREPARING", "IN_PROGRESS"}:
                raise BackfillEnded(identity, found.status)
            replications.drop_waiting(txn, identity)
            is_running = replications.progress(txn, identity).get(replications.RUNNING, 0) > 0
            status = "STOPPING" if is_running else "STOPPED"
            replications.set_backfill(txn, identity, status, ended_at=None if is_running else act.at)
            body = act.body(**_place(found.destination), backfill=identity, status=status)
            entries.append(txn, registry.id, EntryKind.REPLICATION_BACKFILL, body)
            return self._backfill(registry, identity, txn)

        return await self._database.write(job)

    def backfills(
        self, caller: Caller, registry: Registry, *, before: tuple[int, str], limit: int
    ) -> list[tuple[Backfill, Progress | None]]:
        """List backfills, newest first, those before (start, id), at most `limit`."""
        self._access.require(caller, registry, "ecr:ListReplicationBackfills")
        since = self._clock() - BACKFILL_KEPT_MICROSECONDS
        found = replications.backfills(self._database, registry.id, since=since, before=before, limit=limit)
        return [(one, self._progress(one)) for one in found]

    def results(
        self, caller: Caller, registry: Registry, identity: str, *, status: str | None, after: int, limit: int
    ) -> tuple[Backfill, Progress | None, list[Replication]]:
        """Return a backfill and, once it has ended, what it did: those after an id, at most `limit`."""
        self._access.require(caller, registry, "ecr:DescribeReplicationBackfillResults")
        found = self._backfill(registry, identity)
        done = (
            replications.results(self._database, identity, status=status, after=after, limit=limit)
            if found.ended_at is not None
            else []
        )
        return found, self._progress(found), done

    def _backfill(self, registry: Registry, identity: str, reader: Transaction | None = None) -> Backfill:
        found = replications.backfill(reader or self._database, identity)
        if found is None or found.registry_id != registry.id:
            raise BackfillNotFound(identity)
        return found

    def _progress(self, backfill: Backfill) -> Progress | None:
        if backfill.status == "PREPARING":
            return None
        counts = replications.progress(self._database, backfill.id)
        codes = replications.failure_codes(self._database, backfill.id)
        return Progress(sum(counts.values()), counts.get("COMPLETE", 0), counts.get("FAILED", 0), codes)


def _badness(one: Replication) -> int:
    return {replications.COMPLETE: 0, replications.WAITING: 1, replications.RUNNING: 1, replications.FAILED: 2}[
        one.status
    ]


def _place(destination: Destination) -> dict[str, str]:
    return {"region": destination.region, "account": destination.account_id}


def _told(peer: Peer) -> dict[str, str | None]:
    return {"url": peer.url, "credential": peer.credential}
