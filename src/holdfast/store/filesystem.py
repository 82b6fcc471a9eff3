"""Blobs on a local filesystem: the only file that touches the blobs' disk.

The layout, below the data directory:

    blobs/sha256/ab/abcd...ef.<generation>    a blob; the generation is random and never used twice
    uploads/<upload id>                       what an upload session received so far
    quarantine/                               files whose bytes do not hash to their name

The order of a commit, from which nothing may be taken away (each step was shown to lose data when left out, see
docs/decisions/0002): hash what was written, fsync the file, link it under its name without replacing anything, fsync
the folder. Only then may a database row name the blob, and only then may a client be told.

An error of fsync means that the kernel may have dropped what it could not write and will call the next fsync a
success; so it is never retried: `on_failure` is called, and the server stops writing. A file system that the system
made read-only calls none a success: `on_read_only` is called, and what was synced before is still given.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from holdfast.core.digest import HEX_LENGTHS, Digest, new_hasher
from holdfast.core.errors import BlobCorrupt, BlobNotFound, ReadOnly, StorageFailed, StorageFull, TooManyFiles
from holdfast.store.failpoints import reach
from holdfast.store.staged_file import REHASH_BYTES, StagedFile
from holdfast.store.syncing import SyncFailed, sync_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

_LOGGER: Final = logging.getLogger("holdfast.blobs")

READ_BYTES: Final = 512 * 1024
"""Size of one read; measured: smaller costs calls, larger falls out of the processor's cache."""

SEND_BYTES: Final = 1024 * 1024
"""Size of one piece sent from the page cache: what a socket takes at once."""

CHECK_BYTES: Final = 4 * 1024 * 1024
"""Size of one read of the scrub."""

DISK_THREADS: Final = 16
"""Threads that wait for the disk. Hashing is bound by cores, waiting for fsync is not."""

MAX_VERIFIED: Final = 1_000_000
"""Blobs remembered as verified in this process; one more forgets the oldest, which is then verified again."""

_READ_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_APART_BYTES: Final = 256 * 1024
"""Less than this is hashed where it is written: a second hand-over would cost more."""

_SHORTER: Final = "the stored file is shorter than it was"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_CROWDED: Final = {errno.EMFILE, errno.ENFILE}
"""No descriptor is left: of this process, of the whole system. Opening fails then, and nothing was done."""


class FilesystemBlobs:
    """A blob store in a folder. Methods that wait for the disk are coroutines and run in threads."""

    def __init__(
        self,
        root: Path,
        *,
        on_failure: Callable[[BaseException], None] | None = None,
        on_full: Callable[[], object] | None = None,
        on_read_only: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Open the folder, made when it is not there.

        `on_full` hears when the disk has no room, `on_read_only` when its file system is not to be written any more.
        """
        self._root = root
        self._on_failure = on_failure
        self._on_full = on_full
        self._on_read_only = on_read_only
        self._unrecorded: set[tuple[Digest, str]] = set()
        self.damaged = 0
        """Files that were found damaged and set aside since the start."""
        self._verified: dict[tuple[Digest, str], None] = {}
        self._threads = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="holdfast-disk")
        self._make_folders()

    # --- receiving -----------------------------------------------------------------------------------------------

    def staged_bytes(self, upload_id: str) -> int:
        """Return how many bytes an upload session has received, 0 when none came yet."""
        try:
            return os.stat(self._staging_path(upload_id), follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    async def open_staged(self, upload_id: str) -> StagedFile:
        """Open what an upload session has received so far, to add to it; made when nothing came yet.

        Raises StorageFull, TooManyFiles, StorageFailed: what the session has stays as it is.
        """
        with self._disk_errors():
            return await self._in_thread(StagedFile, self._staging_path(upload_id))

    async def append(self, staged: StagedFile, pieces: Sequence[bytes]) -> None:
        """Add bytes to a session. On an error the session ends where it ended before.

        Much at once is written in one thread and hashed in another at the same time.
        """
        with self._disk_errors():
            if sum(map(len, pieces)) < _APART_BYTES:
                await self._in_thread(staged.append, pieces)
                return
            hashing = staged.hashing(pieces)
            written, _ = await asyncio.gather(
                self._in_thread(staged.write, pieces), self._in_thread(hashing), return_exceptions=True
            )
            if isinstance(written, BaseException):
                staged.forget_hash()  # it covers bytes that are not there
                raise written

    async def sync(self, staged: StagedFile) -> None:
        """Make what a session received durable: what we tell a client to have must be there after a power cut."""
        with self._disk_errors(fatal=True):
            await self._in_thread(self._sync_staged, staged)

    async def commit(self, staged: StagedFile, digest: Digest) -> str | None:
        """Turn a session's bytes into a blob; return its generation, or None when the bytes hash to another digest.

        When the call returns a generation, the blob is durable under its name; the session's own file is gone. The
        caller says by `recorded` when a row names it, or that none will: until then nothing sweeps the file.
        """
        with self._disk_errors(fatal=True):
            return await self._in_thread(self._commit, staged, digest)

    def recorded(self, digest: Digest, generation: str) -> None:
        """Hear that a row names a blob that was committed, or that none ever will."""
        self._unrecorded.discard((digest, generation))

    async def discard(self, upload_id: str) -> None:
        """Delete what a session received."""
        reach("upload.before-discard")
        with self._disk_errors():
            await self._in_thread(_unlink, self._staging_path(upload_id))

    async def unknown_uploads(self, is_known: Callable[[str], bool]) -> list[str]:
        """List what sessions left behind that nobody knows any more."""
        names = await self._in_thread(os.listdir, self._root / "uploads")
        return [name for name in names if not is_known(name)]

    async def sweep_uploads(self, is_known: Callable[[str], bool]) -> int:
        """Delete what sessions left behind that nobody knows any more; return how many."""
        gone = await self.unknown_uploads(is_known)
        for name in gone:
            await self.discard(name)
        return len(gone)

    def _sync_staged(self, staged: StagedFile) -> None:
        staged.sync()
        if not staged.is_named:
            sync_folder(os.path.dirname(staged.path))  # the bytes are durable; their name is only now
            staged.is_named = True
        reach("upload.after-sync")

    def _commit(self, staged: StagedFile, digest: Digest) -> str | None:
        if not staged.hashes_to(digest):
            return None
        reach("blob.before-sync")
        staged.sync()
        reach("blob.after-sync")
        generation = secrets.token_hex(8)
        path = self._blob_path(digest, generation)
        self._unrecorded.add((digest, generation))
        os.link(staged.path, path, follow_symlinks=False)
        reach("blob.after-link")
        sync_folder(os.path.dirname(path))
        reach("blob.after-folder-sync")
        staged.close()
        _unlink(staged.path)
        reach("blob.after-unstage")
        self._remember(digest, generation)
        return generation

    # --- giving --------------------------------------------------------------------------------------------------

    def open(
        self, digest: Digest, generation: str, *, start: int = 0, end: int | None = None, size_bytes: int | None = None
    ) -> BlobReader:
        """Open a blob, or the bytes [start, end) of it, for reading.

        The first reader of a blob in this process verifies its digest: its last bytes are held back until the whole was
        hashed, and reading them raises BlobCorrupt when it does not fit. Raises BlobNotFound without a file, or, given
        the size that it must have, with one of another size; and TooManyFiles.
        """
        path = self._blob_path(digest, generation)
        try:
            descriptor = os.open(path, _READ_FILE)
        except FileNotFoundError:
            raise BlobNotFound(str(digest)) from None
        except OSError as error:
            if error.errno in _CROWDED:
                raise TooManyFiles from None
            raise
        size = os.fstat(descriptor).st_size
        if size_bytes is not None and size != size_bytes:
            os.close(descriptor)
            raise BlobNotFound(str(digest))
        stop = size if end is None else end
        if (digest, generation) in self._verified:
            return BlobReader(descriptor, start, stop, self._threads)
        return VerifyingReader(descriptor, start, stop, self._threads, _Verification(self, digest, generation, size))

    def open_file(self, digest: Digest, generation: str) -> BinaryIO:
        """Open a blob's file for one who has its digest checked where the bytes go; raises BlobNotFound."""
        try:
            return open(self._blob_path(digest, generation), "rb")
        except FileNotFoundError:
            raise BlobNotFound(str(digest)) from None

    async def check(self, digest: Digest, generation: str, pace: Callable[[int], Awaitable[None]]) -> bool | None:
        """Read a blob and say whether it hashes to its name; None without a file. A damaged file is set aside.

        `pace` is awaited with the number of bytes after each piece. Raises OSError when the disk does not give them.
        """
        try:
            descriptor = os.open(self._blob_path(digest, generation), _READ_FILE)
        except FileNotFoundError:
            return None
        hasher, position = new_hasher(digest.algorithm), 0

        def step() -> int:
            piece = os.pread(descriptor, CHECK_BYTES, position)
            hasher.update(piece)
            return len(piece)

        try:
            while count := await self._in_thread(step):
                position += count
                await pace(count)
        finally:
            os.close(descriptor)
        intact = hasher.hexdigest() == digest.hex
        self.verified(digest, generation, intact=intact)
        return intact

    async def unrecorded_files(self) -> AsyncIterator[tuple[Digest, str]]:
        """List the files of blobs, but for those whose row is being written at this moment: digest and generation."""
        for algorithm, length in HEX_LENGTHS.items():
            for number in range(256):
                names = await self._in_thread(os.listdir, self._root / "blobs" / algorithm / f"{number:02x}")
                for name in names:
                    digits, _, generation = name.partition(".")
                    found = (Digest(algorithm, digits), generation)
                    if len(digits) == length and generation and found not in self._unrecorded:
                        yield found

    def has(self, digest: Digest, generation: str, size_bytes: int) -> bool:
        """Whether the file of a blob is there, with the size that it must have."""
        try:
            return os.stat(self._blob_path(digest, generation)).st_size == size_bytes
        except FileNotFoundError:
            return False

    def set_aside(self, digest: Digest, generation: str) -> None:
        """Move the file of a blob, which is not what it should be, where nothing serves it; none is no error."""
        self._verified.pop((digest, generation), None)
        set_aside(self._root, digest, generation)

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete a blob that no row names any more. Raises ReadOnly, StorageFailed: a start deletes it then."""
        self._verified.pop((digest, generation), None)
        with self._disk_errors():
            await self._in_thread(_delete, self._blob_path(digest, generation))

    def verified(self, digest: Digest, generation: str, *, intact: bool) -> None:
        """Note what a verification found; a damaged file is set aside, so that it is never served again."""
        if intact:
            self._remember(digest, generation)
            return
        self.damaged += 1
        _LOGGER.error("the stored bytes of %s are damaged; the file was set aside", digest)
        set_aside(self._root, digest, generation)

    def close(self) -> None:
        """Let the threads finish."""
        self._threads.shutdown()

    def _remember(self, digest: Digest, generation: str) -> None:
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.pop(next(iter(self._verified)), None)
        self._verified[digest, generation] = None

    # --- the disk ------------------------------------------------------------------------------------------------

    def _blob_path(self, digest: Digest, generation: str) -> str:
        return blob_path(self._root, digest, generation)

    def _staging_path(self, upload_id: str) -> str:
        return f"{self._root}/uploads/{upload_id}"

    def _make_folders(self) -> None:
        """Make all folders at once and sync them, so that a commit need not ask whether its folder is durable.

        They are synced at every start: a process that was killed here may have left folders that are not.
        """
        below = [f"blobs/{algorithm}/{number:02x}" for algorithm in HEX_LENGTHS for number in range(256)]
        for one in ("uploads", "quarantine", *below):
            (self._root / one).mkdir(mode=0o700, parents=True, exist_ok=True)
        reach("start.folders-made")
        for algorithm in HEX_LENGTHS:
            sync_folder(self._root / "blobs" / algorithm)
        sync_folder(self._root / "blobs")
        sync_folder(self._root)
        with contextlib.suppress(PermissionError):  # the folder above is somebody else's
            sync_folder(self._root.parent)

    async def _in_thread(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)

    @contextlib.contextmanager
    def _disk_errors(self, *, fatal: bool = False) -> Iterator[None]:
        """Turn the system's errors into ours; a fatal one stops all writing."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL and not isinstance(error, SyncFailed):
                if self._on_full is not None:
                    self._on_full()
                raise StorageFull from error
            if error.errno in _CROWDED:
                raise TooManyFiles from error
            if error.errno == errno.EROFS:
                if self._on_read_only is not None:
                    self._on_read_only(error)
                raise ReadOnly.of_the_disk() from error
            if (fatal or isinstance(error, SyncFailed)) and self._on_failure is not None:
                self._on_failure(error)
            msg = "The registry's disk refused to store the data. Nothing was kept; ask its operator."
            raise StorageFailed(msg) from error


class BlobReader:
    """The bytes [start, end) of a blob that was verified, piece by piece.

    A piece is a view into a buffer of this reader, valid until the next read: whoever sends it must have sent all of it
    before asking on.
    """

    def __init__(self, descriptor: int, start: int, end: int, threads: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = end
        self._threads = threads
        self.length = end - start
        self._buffer: memoryview | None = None

    def send_nowait(self, socket: int) -> int | None:
        """Copy the next piece from the page cache into a socket; None when the disk must be asked.

        That its first and last byte are there is taken for all: where that is wrong, the disk is waited for.
        """
        want = min(SEND_BYTES, self._end - self._position)
        try:
            ends = [
                os.preadv(self._descriptor, [bytearray(1)], at, os.RWF_NOWAIT)
                for at in (self._position, self._position + want - 1)
            ]
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
                return None
            raise
        if not all(ends):
            raise OSError(errno.EIO, _SHORTER)
        count = os.sendfile(socket, self._descriptor, self._position, want)
        self._position += count
        return count

    def read_nowait(self) -> memoryview | None:
        """Return the next piece if it lies in the page cache, None when the disk must be asked; empty at the end."""
        want = self._wanted()
        if not want:
            return want
        try:
            count = os.preadv(self._descriptor, [want], self._position, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
                return None
            raise
        return self._taken(count, want)

    async def read(self) -> memoryview:
        """Return the next piece, waiting for the disk in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read)

    def _read(self) -> memoryview:
        want = self._wanted()
        return self._taken(os.preadv(self._descriptor, [want], self._position), want) if want else want

    def _wanted(self) -> memoryview:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(min(READ_BYTES, max(self.length, 1))))
        return self._buffer[: self._end - self._position]

    def _taken(self, count: int, into: memoryview) -> memoryview:
        if count == 0:
            raise OSError(errno.EIO, _SHORTER)
        self._position += count
        return into[:count]

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class _Verification:
    """What a first reader needs to judge a blob and to tell the store what it found."""

    def __init__(self, store: FilesystemBlobs, digest: Digest, generation: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self.hasher = new_hasher(digest.algorithm)
        self._store = store
        self._generation = generation

    def conclude(self) -> None:
        intact = self.hasher.hexdigest() == self.digest.hex
        self._store.verified(self.digest, self._generation, intact=intact)
        if not intact:
            raise BlobCorrupt(str(self.digest))


class VerifyingReader(BlobReader):
    """The first reader of a blob since the start: hashes as it reads, and gives the last piece only if the whole fits.

    For a part of a blob the whole is hashed before the first byte.
    """

    def __init__(
        self, descriptor: int, start: int, end: int, threads: ThreadPoolExecutor, verification: _Verification
    ) -> None:
        super().__init__(descriptor, start, end, threads)
        self._verification = verification
        self._partial = (start, end) != (0, verification.size)  # also of a file that has lost its end
        self._concluded = False

    def send_nowait(self, socket: int) -> int | None:
        """Return None until the verdict is in, as `read_nowait` does."""
        return super().send_nowait(socket) if self._concluded else None

    def read_nowait(self) -> memoryview | None:
        """Return None, as hashing is for a thread; once the verdict is in, as any reader."""
        return super().read_nowait() if self._concluded else None

    def _read(self) -> memoryview:
        if self._concluded:
            return super()._read()
        if self._partial or self.length == 0:
            self._hash_whole()
            self._conclude()
            return super()._read()
        piece = super()._read()
        self._verification.hasher.update(piece)
        if self._position == self._end:
            self._conclude()
        return piece

    def _hash_whole(self) -> None:
        position = 0
        while piece := os.pread(self._descriptor, REHASH_BYTES, position):
            self._verification.hasher.update(piece)
            position += len(piece)

    def _conclude(self) -> None:
        self._concluded = True
        self._verification.conclude()


def blob_path(root: Path | str, digest: Digest, generation: str) -> str:
    """Return where the file of a blob lies."""
    return f"{root}/blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}.{generation}"


def set_aside(root: Path, digest: Digest, generation: str) -> None:
    """Move a damaged file into quarantine: nothing serves it there, and it stays as evidence."""
    path = blob_path(root, digest, generation)
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, root / "quarantine" / os.path.basename(path))


def _delete(path: str) -> None:
    reach("blob.before-delete")
    _unlink(path)
    reach("blob.after-delete")


def _unlink(path: str | Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
