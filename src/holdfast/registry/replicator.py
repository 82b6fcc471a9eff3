"""The replicator: one worker that does what `outgoing` noted, at the registries hosted here and at peers.

Each act is idempotent, so that it may run twice: after a crash, or when an answer was lost. What it does is looked up
at the source at that moment, so that the order of two acts on one tag does not matter: a tag is copied only while it
names the image, and deleted elsewhere only while it is gone here. Digests are kept; blobs are linked between registries
hosted here, not copied. Tags go through the one function that binds tags, as a principal of the service: a tag that
holds at the destination holds, and the replication FAILED.

What may pass (a peer does not answer, a disk is full) is tried again, with longer and longer pauses. What may not is
FAILED at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    AccessDenied,
    BlobNotFound,
    CredentialNotFound,
    DatabaseBusy,
    HoldfastError,
    ManifestNotFound,
    ReferencedByIndex,
    StorageFull,
    TagHeld,
    TooManyFiles,
)
from holdfast.core.manifest import parse as parse_manifest
from holdfast.core.replication import MAX_ATTEMPTS, gives_up, kept_configuration, pause_seconds
from holdfast.registry.binding import Act, bind_tags, unbind
from holdfast.registry.blobs import LEASE_MICROSECONDS
from holdfast.registry.images import delete_manifest, keep_manifest, refusal_error, verified
from holdfast.registry.outgoing import COPY, DELETE_TAG, THROUGH
from holdfast.registry.quotas import give_blob
from holdfast.registry.remotes import RemoteError, service_caller
from holdfast.registry.replication import BACKFILL_KEPT_MICROSECONDS
from holdfast.registry.scan_start import scan_pushed
from holdfast.registry.templates import Occasion
from holdfast.store import bindings, catalog, content, entries, manifests, replications
from holdfast.store.entries import EntryKind
from holdfast.store.replications import COMPLETE, FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.manifest import Manifest
    from holdfast.registry.access import Access
    from holdfast.registry.remotes import Credentials, Remote, Remotes
    from holdfast.registry.templates import Templates
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.content import Blob
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.filesystem import FilesystemBlobs
    from holdfast.store.replications import Backfill, Peer, Replication

_LOGGER: Final = logging.getLogger("holdfast.replication")

AT_ONCE: Final = 8
"""Replications at one time, to all destinations."""

BLOBS_AT_ONCE: Final = 4
LOOK_SECONDS: Final = 0.2
"""How often it is seen whether anything was committed since; only then the queue is looked at."""

REST_SECONDS: Final = 5
"""How long the queue is left alone when nothing could be written."""

ROWS_PER_STEP: Final = 500
TIDY_SECONDS: Final = 3_600
_MICROSECONDS: Final = 1_000_000

_CODES: Final = {
    "held": "ImageTagAlreadyExists",
    "missing": "RepositoryNotFound",
    "denied": "AccessDenied",
    "busy": "TooManyRequests",
    "unreachable": "DestinationUnavailable",
}
_MAY_PASS: Final = (StorageFull, TooManyFiles, DatabaseBusy, ReferencedByIndex)
"""Errors of ours that pass by themselves; an index that is to be deleted, too, goes before what it lists."""


class Failed(Exception):
    """A replication that did not succeed: an exception's name for machines, and a sentence."""

    def __init__(self, code: str, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.may_pass = may_pass


class Replicator:
    """Works off the queue; `run` until it is cancelled, then what it had begun waits for the next start."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        is_there: Callable[[Blob], bool],
        access: Access,
        templates: Templates,
        credentials: Credentials,
        remotes: Remotes,
        clock: Callable[[], int],
        lease_clock: Callable[[], int],
    ) -> None:
        """`clock` and `lease_clock` give microseconds since the epoch; the latter does not jump.

        `is_there` says whether the file of a blob is there: one that was damaged was set aside.
        """
        self._is_there = is_there
        self._database = database
        self._store = store
        self._access = access
        self._templates = templates
        self._credentials = credentials
        self._remotes = remotes
        self._clock = clock
        self._lease_clock = lease_clock
        self._running: dict[int, asyncio.Task[None]] = {}
        self._done = asyncio.Event()
        self._moved_on_at = 0.0
        self._backfills_wait = False
        self._lost = True

    async def run(self) -> None:
        """Work until cancelled."""
        seen, due, tidied = -1, None, -TIDY_SECONDS * _MICROSECONDS
        try:
            while True:
                is_due = due is not None and due <= self._clock()
                if seen != self._database.commits or is_due or self._backfills_wait:
                    seen = self._database.commits
                    await self._look_again()
                    due = replications.next_due(self._database)
                if self._clock() - tidied > TIDY_SECONDS * _MICROSECONDS:
                    tidied = self._clock()
                    await self._tidy()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._done.wait(), LOOK_SECONDS)
                self._done.clear()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _look_again(self) -> None:
        """Look at the queue; while nothing can be written (the registry rests, the disk is full) nothing is done."""
        try:
            if self._lost and not self._running:
                await self._database.write(replications.release)
                self._lost = False
            await self._look()
        except HoldfastError as error:
            _LOGGER.warning("replication waits: %s", error.message)
            await asyncio.sleep(REST_SECONDS)

    async def _look(self) -> None:
        """Begin what is due, as far as there are hands free, and move backfills on."""
        moment = asyncio.get_running_loop().time()
        self._backfills_wait = moment - self._moved_on_at < LOOK_SECONDS
        if not self._backfills_wait:
            self._moved_on_at = moment
            for backfill in replications.unfinished_backfills(self._database):
                self._backfills_wait = True
                await self._move_on(backfill)
        free = AT_ONCE - len(self._running)
        for one in replications.due(self._database, self._clock(), limit=free) if free else []:
            if one.id not in self._running and await self._database.write(partial(replications.claim, identity=one.id)):
                task = self._running[one.id] = asyncio.create_task(self._work(one))
                task.add_done_callback(partial(self._ended, one.id))

    def _ended(self, identity: int, _: asyncio.Task[None]) -> None:
        self._running.pop(identity, None)
        self._done.set()

    async def _tidy(self) -> None:
        """Forget what nobody can ask for any more."""
        before = self._clock() - BACKFILL_KEPT_MICROSECONDS
        try:
            await self._database.write(lambda txn: replications.forget_backfills(txn, ended_before=before))
            while await self._database.write(partial(replications.forget_gone, limit=ROWS_PER_STEP)):
                continue
        except HoldfastError as error:
            _LOGGER.warning("tidying the queue waits: %s", error.message)

    # --- one replication ---------------------------------------------------------------------------------------------

    async def _work(self, one: Replication) -> None:
        try:
            try:
                await self._do(one)
            except Failed as failure:
                await self._failed(one, failure)
            except _MAY_PASS as error:
                await self._failed(one, Failed(type(error).__name__, error.message, may_pass=True))
            except HoldfastError as error:
                code = _CODES["held"] if isinstance(error, TagHeld) else type(error).__name__
                await self._failed(one, Failed(code, error.message))
        except HoldfastError as error:
            self._lost = True
            _LOGGER.warning("the outcome of a replication could not be kept; it is done again: %s", error.message)

    async def _do(self, one: Replication) -> None:
        hosted = replications.hosted(self._database, one.destination)
        if hosted is not None:
            await self._locally(one, hosted)
            return
        peer = next(
            (
                peer
                for peer in replications.peers(self._database, one.registry_id)
                if peer.destination == one.destination
            ),
            None,
        )
        if peer is None:
            reason = (
                f"No registry of {one.destination.account_id} in {one.destination.region} is here, and no peer is set "
                "for it. Say where it is with: holdfast replication peer set"
            )
            raise Failed("DestinationNotFound", reason)
        await self._at_peer(one, peer)

    async def _failed(self, one: Replication, failure: Failed) -> None:
        now = self._clock()
        if failure.may_pass and one.attempts + 1 < MAX_ATTEMPTS:
            due_at = now + pause_seconds(one.attempts) * _MICROSECONDS
            await self._database.write(
                lambda txn: replications.put_off(
                    txn, one.id, code=failure.code, reason=failure.reason, due_at=due_at, at=now
                )
            )
            return

        def job(txn: Transaction) -> None:
            if replications.finish(txn, one.id, FAILED, code=failure.code, reason=failure.reason, at=now):
                source = catalog.registry(txn, one.registry_id)
                body = self._act(source).body(**_told(one), code=failure.code, reason=failure.reason)
                entries.append(
                    txn, source.id, EntryKind.REPLICATION_FAILED, body, repository=one.repository, tag=one.tag or None
                )

        await self._database.write(job)

    def _act(self, registry: Registry) -> Act:
        return Act(service_caller(registry, THROUGH), self._clock(), THROUGH)

    # --- between registries hosted here ------------------------------------------------------------------------------

    async def _locally(self, one: Replication, there: Registry) -> None:
        """Do it in one transaction: the parts, the tag, the entry, and that it is done."""
        source = catalog.registry(self._database, one.registry_id)
        self._require_permission(source, there, one.repository)

        def job(txn: Transaction) -> HoldfastError | None:
            act, now_there = self._act(there), catalog.registry(txn, there.id)
            refused = (
                self._copy(txn, one, source, now_there, act)
                if one.act == COPY
                else _delete(txn, one, source, now_there, act)
            )
            if refused is None:
                replications.finish(txn, one.id, COMPLETE, at=act.at)
            return refused

        refused = await self._database.write(job)
        if refused is not None:
            raise refused

    def _require_permission(self, source: Registry, there: Registry, repository: str) -> None:
        """Raise Failed unless the destination lets the source replicate into it.

        Within an account it may. Into another account's registry only what that registry's policy allows the source's
        account: ecr:ReplicateImage, and ecr:CreateRepository where the repository is not there. Source: Amazon ECR
        user guide, "Private registry permissions". Guardrails hold for what replication makes, too.
        """
        is_new = catalog.repository_id(self._database, there.id, repository) is None
        by, keys = service_caller(source, THROUGH), self._templates.keys(there, repository, Occasion.REPLICATION)
        try:
            if source.account_id != there.account_id:
                self._access.require(by, there, "ecr:ReplicateImage", repository)
                if is_new:
                    self._access.require(by, there, "ecr:CreateRepository", repository, keys=keys)
            if is_new:
                self._access.require(
                    service_caller(there, THROUGH), there, "ecr:CreateRepository", repository, keys=keys
                )
        except AccessDenied as error:
            raise Failed("AccessDenied", error.message) from None

    def _copy(
        self, txn: Transaction, one: Replication, source: Registry, there: Registry, act: Act
    ) -> HoldfastError | None:
        """Copy an image; return why its tag did not move: the image stays there under its digest, as in ECR."""
        here = _source_of(txn, one)
        repository = catalog.repository(txn, there.id, one.repository)
        if repository is None:
            origin = {"source": source.arn_of(one.repository)}
            repository = self._templates.make(txn, there, one.repository, Occasion.REPLICATION, act, facts=origin)
        assert repository is not None  # noqa: S101 - replication has defaults
        until = self._lease_clock() + LEASE_MICROSECONDS
        manifest = _link(txn, here, there, repository, one.digest, act, until, self._is_there)
        outcome = bind_tags(txn, there, repository, manifest, _tags(txn, here, one), act)
        body = act.body(digest=one.digest, source=source.arn_of(one.repository))
        entries.append(txn, there.id, EntryKind.IMAGE_REPLICATED, body, repository=repository.name, tag=one.tag or None)
        return refusal_error(outcome.refusals[0], there) if outcome.refusals else None

    # --- at peers ----------------------------------------------------------------------------------------------------

    async def _at_peer(self, one: Replication, peer: Peer) -> None:
        source = catalog.registry(self._database, one.registry_id)
        try:
            login = self._credentials.login(source, peer.credential)
        except CredentialNotFound as error:
            raise Failed("AccessDenied", error.message) from error
        remote = self._remotes.open(peer.url, login, only_pulls=False)
        try:
            if one.act == COPY:
                await self._send(one, remote)
            elif one.act != DELETE_TAG:
                if not _is_here(self._database, one):
                    await remote.delete_manifest(one.repository, Digest.parse(one.digest))
            elif _live(self._database, one) is None:
                there = await remote.resolve(one.repository, one.tag)
                if there is not None and str(there) == one.digest:
                    await remote.delete_manifest(one.repository, one.tag)
        except RemoteError as error:
            code = _CODES.get(error.code, "DestinationRefused")
            raise Failed(code, f"{peer.url}: {error.message}", may_pass=error.may_pass) from error
        finally:
            remote.close()

        def job(txn: Transaction) -> None:
            act = self._act(source)
            if replications.finish(txn, one.id, COMPLETE, at=act.at):
                body = act.body(**_told(one), url=peer.url)
                entries.append(
                    txn, source.id, EntryKind.IMAGE_REPLICATED, body, repository=one.repository, tag=one.tag or None
                )

        await self._database.write(job)

    async def _send(self, one: Replication, remote: Remote) -> None:
        """Push an image with its parts: blobs first, what an index lists before it, the tag last."""
        here = _source_of(self._database, one)
        everything = _tree([], one.digest, partial(_manifest, self._database, here))
        turns = asyncio.Semaphore(BLOBS_AT_ONCE)
        wanted = dict.fromkeys(str(blob.digest) for manifest in everything for blob in manifest.blobs)
        try:
            async with asyncio.TaskGroup() as group:
                for digest in wanted:
                    group.create_task(self._send_blob(one, here, remote, digest, turns))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        for manifest in everything[:-1]:
            await remote.push_manifest(one.repository, manifest.digest, manifest.payload, manifest.media_type)
        root = everything[-1]
        tags: list[str | Digest] = [*_tags(self._database, here, one)]
        for reference in tags or [root.digest]:
            await remote.push_manifest(one.repository, reference, root.payload, root.media_type)

    async def _send_blob(
        self, one: Replication, here: Repository, remote: Remote, digest: str, turns: asyncio.Semaphore
    ) -> None:
        async with turns:
            blob = content.blob(self._database, here.id, digest)
            if blob is None:
                raise BlobNotFound(digest)
            opener = partial(self._store.open_file, Digest.parse(digest), blob.generation)
            await remote.push_blob(one.repository, Digest.parse(digest), blob.size_bytes, opener)

    # --- backfills ---------------------------------------------------------------------------------------------------

    async def _move_on(self, backfill: Backfill) -> None:
        """Gather what a new backfill is about; end one that is done, or of which half failed."""
        if backfill.status == "PREPARING":
            await self._prepare(backfill)
            return
        counts = replications.progress(self._database, backfill.id)
        completed, failed = counts.get(COMPLETE, 0), counts.get(FAILED, 0)
        open_ones = sum(counts.values()) - completed - failed
        status = code = None
        if backfill.status == "STOPPING":
            status = None if counts.get(replications.RUNNING) else "STOPPED"  # what waits to be tried again is dropped
        elif gives_up(completed, failed):
            status, code = "FAILED", "TooManyFailures"
        elif not open_ones:
            status = "COMPLETE"
        if status is None:
            return
        final, why = status, code

        def job(txn: Transaction) -> None:
            act = self._act(catalog.registry(txn, backfill.registry_id))
            replications.drop_waiting(txn, backfill.id)
            replications.set_backfill(txn, backfill.id, final, code=why, ended_at=act.at)
            body = act.body(backfill=backfill.id, status=final, completed=completed, failed=failed)
            entries.append(txn, backfill.registry_id, EntryKind.REPLICATION_BACKFILL, body)

        await self._database.write(job)

    async def _prepare(self, backfill: Backfill) -> None:
        """Put every image that the configuration sends to the destination into the queue, page by page."""
        configuration = kept_configuration(replications.configuration(self._database, backfill.registry_id))
        after = ""
        while names := catalog.repository_names(self._database, backfill.registry_id, after=after, limit=ROWS_PER_STEP):
            after = names[-1]
            for name in names:
                if backfill.destination in configuration.destinations(name):
                    await self._prepare_repository(backfill, name)

        def job(txn: Transaction) -> None:
            now = replications.backfill(txn, backfill.id)
            if now is not None and now.status == "PREPARING":
                replications.set_backfill(txn, backfill.id, "IN_PROGRESS")

        await self._database.write(job)

    async def _prepare_repository(self, backfill: Backfill, name: str) -> None:
        identity = catalog.repository_id(self._database, backfill.registry_id, name)
        after: tuple[str, str] | None = ("", "")
        while identity is not None and after is not None:
            ids = manifests.image_ids(self._database, identity, tagged=None, after=after, limit=ROWS_PER_STEP)
            after = (ids[-1][0], ids[-1][1] or "") if len(ids) == ROWS_PER_STEP else None

            def job(txn: Transaction, ids: list[tuple[str, str | None]] = ids) -> None:
                now = replications.backfill(txn, backfill.id)
                if now is None or now.status != "PREPARING":
                    return  # it was stopped meanwhile
                for digest, tag in ids:
                    replications.enqueue(
                        txn,
                        backfill.registry_id,
                        name,
                        COPY,
                        digest,
                        tag or "",
                        backfill.destination,
                        backfill=backfill.id,
                        at=self._clock(),
                    )

            await self._database.write(job)


# --- what is here at this moment -------------------------------------------------------------------------------------


def _source_of(reader: Reader, one: Replication) -> Repository:
    """Find the repository that an image goes out from; raises Failed when either is gone."""
    found = catalog.repository(reader, one.registry_id, one.repository)
    if found is None or manifests.image(reader, found.id, one.digest) is None:
        raise Failed("ImageNotFound", "The image was deleted before it was replicated.")
    return found


def _live(reader: Reader, one: Replication) -> str | None:
    """Return what the tag of a replication names at its source now."""
    found = catalog.repository_id(reader, one.registry_id, one.repository)
    bound = bindings.live(reader, found, one.tag) if found is not None else None
    return bound.digest if bound is not None else None


def _is_here(reader: Reader, one: Replication) -> bool:
    return manifests.manifest_by_digest(reader, one.registry_id, one.repository, one.digest) is not None


def _tags(reader: Reader, here: Repository, one: Replication) -> list[str]:
    """Return the tag to bind: none when the source's tag names something else by now, which follows by itself."""
    bound = bindings.live(reader, here.id, one.tag) if one.tag else None
    return [one.tag] if bound is not None and bound.digest == one.digest else []


def _manifest(reader: Reader, here: Repository, digest: str) -> Manifest:
    stored = manifests.payload(reader, here.id, digest)
    if stored is None:
        raise ManifestNotFound(digest)
    return parse_manifest(verified(stored).payload, stored.media_type, algorithm=Digest.parse(digest).algorithm)


def _tree(found: list[Manifest], digest: str, get: Callable[[str], Manifest]) -> list[Manifest]:
    """Gather an image and what it lists, each after what it lists."""
    manifest = get(digest)
    for child in manifest.children:
        if not any(one.digest == child.digest for one in found):
            _tree(found, str(child.digest), get)
    found.append(manifest)
    return found


def _link(
    txn: Transaction,
    here: Repository,
    registry: Registry,
    there: Repository,
    digest: str,
    act: Act,
    until: int,
    is_there: Callable[[Blob], bool],
) -> Manifest:
    """Give a repository an image of another one, with its parts; nothing is copied, the bytes are shared.

    What is new there is scanned as a push would be, by the rules of that registry.
    """
    everything = _tree([], digest, partial(_manifest, txn, here))
    for manifest in everything:
        if manifests.image(txn, there.id, str(manifest.digest)) is not None:
            continue
        for blob in dict.fromkeys(str(blob.digest) for blob in manifest.blobs):
            found = content.blob(txn, here.id, blob)
            if found is None:
                raise BlobNotFound(blob)
            give_blob(txn, there.id, found, until=until)
        if keep_manifest(txn, there.id, manifest, act, is_there):
            scan_pushed(txn, registry, there, manifest, act)
    return everything[-1]


def _delete(txn: Transaction, one: Replication, source: Registry, there: Registry, act: Act) -> HoldfastError | None:
    """Delete what was deleted at the source, a tag only while it names the same. A held one leaves a tombstone."""
    repository = catalog.repository(txn, there.id, one.repository)
    if repository is None:
        return None
    why = f"it was deleted in {source.arn_of(one.repository)}"
    if one.act == DELETE_TAG:
        bound = bindings.live(txn, repository.id, one.tag)
        if bound is not None and bound.digest == one.digest and _live(txn, one) is None:
            unbind(txn, there, repository, bound, act, why=why)
        return None
    if not _is_here(txn, one) and manifests.image(txn, repository.id, one.digest) is not None:
        try:
            delete_manifest(txn, there, repository, one.digest, act)
        except ReferencedByIndex as error:
            return error
    return None


def _told(one: Replication) -> dict[str, str]:
    return {
        "digest": one.digest,
        "what": one.act,
        "region": one.destination.region,
        "account": one.destination.account_id,
    }
