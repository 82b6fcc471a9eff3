"""Uploads: sessions that receive bytes and become blobs.

A session belongs to one repository and one principal; to anyone else it is not there. Its row says that it exists, its
file how far it got, so that it goes on after a restart. Its bytes are hashed as they come; what a restart left is
hashed again at the end. Only bytes that hash to the digest named become a blob.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from holdfast.core.digest import Digest
from holdfast.core.errors import (
    BlobTooLarge,
    DigestInvalid,
    HoldfastError,
    LayerAlreadyExists,
    LayerPartTooSmall,
    QuotaExceeded,
    StorageFailed,
    TooManyUploads,
    UploadBusy,
    UploadEmpty,
    UploadNotFound,
    UploadRangeInvalid,
    UploadSizeInvalid,
)
from holdfast.core.quota import Amount
from holdfast.registry.binding import require_repository
from holdfast.registry.blobs import LEASE_MICROSECONDS
from holdfast.registry.quotas import give_blob, require_room, room_bytes
from holdfast.store import content
from holdfast.store.content import Blob, Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.gate import Gate
    from holdfast.registry.repositories import Repositories
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction
    from holdfast.store.filesystem import FilesystemBlobs
    from holdfast.store.staged_file import StagedFile

MAX_BLOB_BYTES: Final = 52_000 * 1024 * 1024
"""ECR's quota for one layer: 52,000 MiB."""

LEAST_PART_BYTES: Final = 5 * 1024 * 1024
"""Least size of a part in ECR's layer API, but for the last. Source: ECR service quotas."""

APPEND_BYTES: Final = 128 * 1024
"""Bytes that are waited for before a thread is woken to write them: a client that compresses what it pushes sends few
at a time, and a visit to the thread costs more than writing them. So much a connection that stalls holds in memory."""

MAX_OPEN_SESSIONS: Final = 256
"""Sessions whose file stays open between requests; others are opened, and hashed, again when they go on."""

SESSION_SECONDS: Final = 7 * 24 * 3600
"""A session that was begun longer ago is swept away, by default. Source: CNCF distribution's `uploadpurging`, 168 h."""

MAX_SESSIONS_PER_PRINCIPAL: Final = 2_000
"""Sessions of one principal at one time, by default: four hundred pushes of five layers each, all at once."""

RETRY_SECONDS: Final = 60
"""What one with too many sessions is told to wait: about what the pushes under way need to finish."""

_MICROSECONDS: Final = 1_000_000


class Incoming(Protocol):
    """Bytes on their way in."""

    length: int | None
    """How many are announced, None when that is not known."""

    async def pieces(self, least_bytes: int = 1) -> list[bytes]:
        """Return what came, an empty list at the end. Raises when the rest is lost.

        Waits for so many bytes if it can: each return is a visit to the disk.
        """
        ...


class Uploads:
    """The use cases over upload sessions."""

    def __init__(
        self,
        database: Database,
        store: FilesystemBlobs,
        access: Access,
        repositories: Repositories,
        clock: Callable[[], int],
        *,
        gate: Gate,
        max_sessions: int = MAX_SESSIONS_PER_PRINCIPAL,
        session_seconds: int = SESSION_SECONDS,
    ) -> None:
        """`clock` gives microseconds since the epoch; `max_sessions` is how many a principal may have open."""
        self._database = database
        self._store = store
        self._access = access
        self._repositories = repositories
        self._clock = clock
        self._gate = gate
        self._max_sessions = max_sessions
        self._session_seconds = session_seconds
        self._open: OrderedDict[str, StagedFile] = OrderedDict()
        self._busy: set[str] = set()

    async def start(self, caller: Caller, registry: Registry, repository: str, *, through: str) -> Upload:
        """Begin a session. Raises RepositoryNotFound, AccessDenied, TooManyUploads."""
        self._access.require(caller, registry, "ecr:InitiateLayerUpload", repository)
        self._gate.require_room()
        await self._repositories.ensure(caller, registry, repository, through=through)
        identity, now = str(uuid.uuid4()), self._clock()

        def job(txn: Transaction) -> Upload:
            found = require_repository(txn, registry, repository)
            if content.has_uploads(txn, caller.arn, self._max_sessions):
                raise TooManyUploads(self._max_sessions, RETRY_SECONDS)
            upload = Upload(identity, found.id, caller.arn, None, now)
            content.insert_upload(txn, upload)
            return upload

        return await self._database.write(job)

    def received(self, caller: Caller, registry: Registry, repository: str, upload_id: str) -> int:
        """Return how many bytes a session has received."""
        self._access.require(caller, registry, "ecr:UploadLayerPart", repository)
        self._session(caller, registry, repository, upload_id)
        return self._store.staged_bytes(upload_id)

    async def append(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        upload_id: str,
        incoming: Incoming,
        *,
        span: tuple[int, int] | None = None,
        is_part: bool = False,
    ) -> int:
        """Add bytes to a session and return how many it has now; all of them are durable then.

        `span` is the first and last byte that the client says it sends; it must begin where the session ends and fit
        what comes. `is_part`: ECR's rule applies that only the last part may be short. When the client goes away, what
        came is kept, and the session goes on from there. With QuotaExceeded the session ends, but for a part's.
        """
        self._access.require(caller, registry, "ecr:UploadLayerPart", repository)
        upload = self._session(caller, registry, repository, upload_id)
        async with self._claimed(upload_id) as staged:
            start = staged.size_bytes
            # AWS's clients send a part again after LimitExceededException: the session must still be there for it.
            async with self._dropped_on(() if is_part else QuotaExceeded, upload):
                await self._receive(upload, staged, incoming, span)
            await self._store.sync(staged)
            if is_part and upload.short_part_end is None and staged.size_bytes - start < LEAST_PART_BYTES:
                end = staged.size_bytes
                await self._database.write(lambda txn: content.note_short_part(txn, upload_id, end))
            return staged.size_bytes

    async def put(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        digest: Digest,
        incoming: Incoming,
        *,
        through: str,
    ) -> Blob:
        """Take a whole blob in one request, without a session. Raises what `finish` raises."""
        self._access.require(caller, registry, "ecr:InitiateLayerUpload", repository)
        self._access.require(caller, registry, "ecr:CompleteLayerUpload", repository)
        await self._repositories.ensure(caller, registry, repository, through=through)
        found = require_repository(self._database, registry, repository)
        upload = Upload(str(uuid.uuid4()), found.id, caller.arn, None, self._clock())
        async with self._claimed(upload.id) as staged:
            try:
                await self._receive(upload, staged, incoming, None, digest)
                return await self._commit(upload, staged, digest)
            finally:
                await self._drop(upload.id)

    async def finish(
        self,
        caller: Caller,
        registry: Registry,
        repository: str,
        upload_id: str,
        digest: Digest,
        incoming: Incoming | None = None,
        *,
        span: tuple[int, int] | None = None,
        in_parts: bool = False,
    ) -> Blob:
        """Add the last bytes, if any, and turn the session into a blob of the repository.

        Raises DigestInvalid when the bytes hash to another digest, and QuotaExceeded: the session is gone then, as
        nothing can mend it.
        """
        self._access.require(caller, registry, "ecr:CompleteLayerUpload", repository)
        upload = self._session(caller, registry, repository, upload_id)
        async with self._claimed(upload_id) as staged:
            if incoming is not None:
                async with self._dropped_on(QuotaExceeded, upload):
                    await self._receive(upload, staged, incoming, span, digest)
            if in_parts:
                _check_parts(upload, staged.size_bytes)
                had = content.blob(self._database, upload.repository_id, str(digest))
                if had is not None and self._is_there(had):
                    await self._forget(upload_id)
                    raise LayerAlreadyExists(str(digest), repository, registry.account_id)
            async with self._dropped_on((DigestInvalid, QuotaExceeded), upload):
                return await self._commit(upload, staged, digest)

    async def _commit(self, upload: Upload, staged: StagedFile, digest: Digest) -> Blob:
        size = staged.size_bytes
        damaged = content.blob_anywhere(self._database, str(digest))
        if damaged is not None and self._is_there(damaged):
            damaged = None
        generation = await self._store.commit(staged, digest)
        if generation is None:
            msg = f"The {size} bytes received do not hash to {digest}; the upload was dropped. Send it anew."
            raise DigestInvalid(msg, {"digest": str(digest), "received_bytes": size})
        self._open.pop(upload.id, None)
        try:
            kept = await self._record(upload, Blob(str(digest), size, generation), damaged)
        except StorageFailed:
            raise  # whether the row was written shows at the next start
        except HoldfastError:
            await self._store.delete(digest, generation)
            self._store.recorded(digest, generation)
            raise
        if kept.generation != generation:
            await self._store.delete(digest, generation)
        elif damaged is not None:
            self._store.set_aside(digest, damaged.generation)
        self._store.recorded(digest, generation)
        return kept

    def _is_there(self, blob: Blob) -> bool:
        """Whether the file is there: one that was damaged was set aside, and is taken anew."""
        return self._store.has(Digest.parse(blob.digest), blob.generation, blob.size_bytes)

    async def cancel(self, caller: Caller, registry: Registry, repository: str, upload_id: str) -> None:
        """End a session and drop what it received."""
        self._access.require(caller, registry, "ecr:UploadLayerPart", repository)
        self._session(caller, registry, repository, upload_id)
        if not await self._forget_idle(upload_id):
            raise UploadBusy

    async def left_behind(self) -> int:
        """Count what `sweep` would drop."""
        return len(self._old()) + len(await self._store.unknown_uploads(self._is_known))

    def _old(self) -> list[Upload]:
        before = self._clock() - self._session_seconds * _MICROSECONDS
        found = content.uploads_before(self._database, before, limit=1_000)
        return [one for one in found if one.id not in self._busy]

    async def sweep(self) -> int:
        """Drop sessions begun too long ago, and files that belong to no session; return how many."""
        dropped = [await self._forget_idle(upload.id) for upload in self._old()]
        return sum(dropped) + await self._store.sweep_uploads(self._is_known)

    def _is_known(self, upload_id: str) -> bool:
        return upload_id in self._busy or content.upload(self._database, upload_id) is not None

    def close(self) -> None:
        """Close the files of sessions."""
        while self._open:
            self._open.popitem()[1].close()

    def _session(self, caller: Caller, registry: Registry, repository: str, upload_id: str) -> Upload:
        """Find a session of this repository and principal; anyone else's is not there."""
        found = require_repository(self._database, registry, repository)
        upload = content.upload(self._database, upload_id)
        if upload is None or upload.repository_id != found.id or upload.principal != caller.arn:
            raise UploadNotFound(upload_id[:64], repository, registry.account_id)
        return upload

    @asynccontextmanager
    async def _claimed(self, upload_id: str) -> AsyncIterator[StagedFile]:
        """Have a session's file for oneself: two writers at once would mix their bytes."""
        self._gate.require_room()
        if upload_id in self._busy:
            raise UploadBusy
        self._busy.add(upload_id)
        try:
            staged = self._open.get(upload_id)
            if staged is None:
                staged = await self._store.open_staged(upload_id)
                self._open[upload_id] = staged
            self._open.move_to_end(upload_id)
            yield staged
        finally:
            self._busy.discard(upload_id)
            self._close_idle()

    def _close_idle(self) -> None:
        for upload_id in list(self._open)[: max(0, len(self._open) - MAX_OPEN_SESSIONS)]:
            if upload_id not in self._busy:
                self._open.pop(upload_id).close()

    @asynccontextmanager
    async def _dropped_on(
        self, kinds: type[BaseException] | tuple[type[BaseException], ...], upload: Upload
    ) -> AsyncIterator[None]:
        """Drop the session, and what it received, when this is raised: nothing can mend it."""
        try:
            yield
        except kinds:
            await self._forget(upload.id)
            raise

    async def _receive(
        self,
        upload: Upload,
        staged: StagedFile,
        incoming: Incoming,
        span: tuple[int, int] | None,
        digest: Digest | None = None,
    ) -> None:
        """Take the bytes of a request, and no more of them than there may be.

        Room is looked for before the bytes are kept, so that a disk is not filled by what is refused in the end; it is
        asked for once more, and surely, in the transaction that adds the blob. A blob that the repository has already,
        where its digest is known, needs none.
        """
        start = staged.size_bytes
        most = MAX_BLOB_BYTES if span is None else _end_of(span, start, incoming.length)
        if start + (incoming.length or 0) > MAX_BLOB_BYTES:
            raise BlobTooLarge(MAX_BLOB_BYTES)
        known = digest is not None and content.blob(self._database, upload.repository_id, str(digest)) is not None
        room = None if known else room_bytes(self._database, upload.repository_id)
        coming = start
        self._require_room(upload, start + (incoming.length or 0), room)
        while pieces := await incoming.pieces(least_bytes=APPEND_BYTES):
            coming += sum(map(len, pieces))
            if coming > most:
                if span is None:
                    raise BlobTooLarge(MAX_BLOB_BYTES)
                msg = "The body has more bytes than the range names."
                raise UploadSizeInvalid(msg)
            self._require_room(upload, coming, room)
            await self._store.append(staged, pieces)
        if span is not None and staged.size_bytes != most:
            msg = f"The range names {most - start} bytes, {staged.size_bytes - start} came; they are kept."
            raise UploadSizeInvalid(msg)

    def _require_room(self, upload: Upload, coming: int, room: int | None) -> None:
        """Raise QuotaExceeded when more comes than there was room for, and there is no more room by now."""
        if room is not None and coming > room:
            require_room(self._database, upload.repository_id, Amount(bytes=coming))

    async def _record(self, upload: Upload, blob: Blob, damaged: Blob | None) -> Blob:
        """Write the blob and give it to the repository, in one transaction; return the blob as it stands then.

        The same bytes may lie there already: that file is kept, unless it was set aside as damaged.
        """
        now = self._clock()

        def job(txn: Transaction) -> Blob:
            if not content.insert_blob(txn, blob, at=now) and damaged is not None:
                content.replace_blob(txn, damaged, blob)
            give_blob(txn, upload.repository_id, blob, until=now + LEASE_MICROSECONDS)
            content.delete_upload(txn, upload.id)
            return content.blob_anywhere(txn, blob.digest) or blob

        return await self._database.write(job)

    async def _forget_idle(self, upload_id: str) -> bool:
        """Drop a session unless somebody is writing to it; say whether it was dropped.

        Claimed meanwhile: whoever came to write while the row is being deleted would find the file closed under it.
        """
        if upload_id in self._busy:
            return False
        self._busy.add(upload_id)
        try:
            await self._forget(upload_id)
        finally:
            self._busy.discard(upload_id)
        return True

    async def _forget(self, upload_id: str) -> None:
        await self._database.write(lambda txn: content.delete_upload(txn, upload_id))
        await self._drop(upload_id)

    async def _drop(self, upload_id: str) -> None:
        staged = self._open.pop(upload_id, None)
        if staged is not None:
            staged.close()
        await self._store.discard(upload_id)


def _end_of(span: tuple[int, int], start: int, length: int | None) -> int:
    """Return where a chunk ends that must begin at `start` and be as long as its body."""
    first, last = span
    if first != start or last < first:
        raise UploadRangeInvalid(start)
    if length is not None and length != last + 1 - first:
        msg = f"The range names {last + 1 - first} bytes, the body has {length}."
        raise UploadSizeInvalid(msg)
    return last + 1


def _check_parts(upload: Upload, size: int) -> None:
    if size == 0:
        msg = "No parts were uploaded for this layer."
        raise UploadEmpty(msg)
    if upload.short_part_end is not None and upload.short_part_end < size:
        msg = (
            f"A layer part that is not the last must have at least {LEAST_PART_BYTES} bytes; the one before byte "
            f"{upload.short_part_end} has fewer."
        )
        raise LayerPartTooSmall(msg)
