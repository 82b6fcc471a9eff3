"""Other registries through our own client: the adapter of the port in `registry/remotes`.

The client is synchronous; here it runs in threads, a bounded number of them, and blobs flow through a short queue, so
that a slow disk slows the download and a fast network fills no memory. This file alone joins `client` to `registry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast

from holdfast.client.oci import Content, RegistryClient, is_tag_refusal
from holdfast.client.transfer import CHUNK_BYTES, CHUNKED_FROM_BYTES
from holdfast.client.transport import AddressInvalid, ContentMismatch, Credentials, RegistryError, RegistryUnreachable
from holdfast.registry.remotes import RemoteError, RemoteManifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from holdfast.core.digest import Digest

T = TypeVar("T")

THREADS: Final = 16
"""Requests to other registries at one time, over all of them."""

MAX_PIECES_WAITING: Final = 8
"""Of one blob; a piece has 256 KiB."""

_UNAUTHORIZED: Final = (401, 403)
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_LEAST_SERVER_ERROR: Final = 500


class Outbound:
    """Opens other registries."""

    def __init__(self, *, ca_bundle: str | None = None) -> None:
        """`ca_bundle`: certificates (PEM) to trust instead of the system's."""
        self._ca_bundle = ca_bundle
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="holdfast-outbound")

    def open(self, url: str, login: tuple[str, str] | None, *, only_pulls: bool) -> OutboundRegistry:
        """Return the registry at an address; nothing is sent yet."""
        credentials = Credentials(*login) if login else None

        def connect() -> RegistryClient:
            return RegistryClient(url, credentials, ca_bundle=self._ca_bundle, only_pulls=only_pulls)

        return OutboundRegistry(connect, self._threads)

    def close(self) -> None:
        """Let go of the threads; what runs in them ends by its own time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class OutboundRegistry:
    """One other registry, spoken to as one user; see `holdfast.registry.remotes.Remote` for the promise."""

    def __init__(self, connect: Callable[[], RegistryClient], threads: ThreadPoolExecutor) -> None:
        self._connect = connect
        self._threads = threads
        self._idle: list[RegistryClient] = []
        self._lock = threading.Lock()

    async def check(self) -> None:
        """Log in, and see that a registry answers."""
        await self._do(lambda client: client.check())

    async def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Return the digest of what a tag or digest names, None when it names nothing."""
        return await self._do(lambda client: client.resolve(repository, reference))

    async def manifest(self, repository: str, reference: str | Digest) -> RemoteManifest:
        """Get a manifest."""
        found = await self._do(lambda client: client.manifest(repository, reference))
        return RemoteManifest(found.payload, found.media_type, found.digest)

    @contextlib.asynccontextmanager
    async def blob(self, repository: str, digest: Digest, size_bytes: int) -> AsyncIterator[_Incoming]:
        """Open a blob."""
        incoming = _Incoming(size_bytes, asyncio.get_running_loop())

        def pull(client: RegistryClient) -> None:
            client.pull_blob(repository, digest, cast("BinaryIO", incoming), size_bytes=size_bytes)

        pulling = asyncio.ensure_future(self._do(pull))
        pulling.add_done_callback(incoming.end)
        try:
            yield incoming
        finally:
            incoming.stop()
            with contextlib.suppress(RemoteError, asyncio.CancelledError):
                await pulling

    async def push_blob(self, repository: str, digest: Digest, size_bytes: int, opener: Callable[[], BinaryIO]) -> None:
        """Push a blob unless it is there."""

        def push(client: RegistryClient) -> None:
            if not client.has_blob(repository, digest):
                chunk = CHUNK_BYTES if size_bytes >= CHUNKED_FROM_BYTES else None
                client.push_blob(repository, Content(digest, size_bytes, opener), chunk_bytes=chunk)

        await self._do(push)

    async def push_manifest(self, repository: str, reference: str | Digest, payload: bytes, media_type: str) -> None:
        """Push a manifest under a tag or its digest."""
        await self._do(lambda client: client.put_manifest(repository, reference, payload, media_type))

    async def delete_manifest(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest with its tags."""
        await self._do(lambda client: client.delete_manifest(repository, reference))

    def close(self) -> None:
        """Close the connections that nobody uses; those in use are closed when they come back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    async def _do(self, act: Callable[[RegistryClient], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, act)

    def _run(self, act: Callable[[RegistryClient], T]) -> T:
        with _told(), self._client() as client:
            return act(client)

    @contextlib.contextmanager
    def _client(self) -> Iterator[RegistryClient]:
        """Have a connection for oneself: a client is for one thread at a time."""
        with self._lock:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = self._connect()
        try:
            yield client
        except BaseException:
            client.close()
            raise
        with self._lock:
            self._idle.append(client)


class _Incoming:
    """A blob on its way from a thread to the event loop; the thread writes, the loop takes."""

    def __init__(self, length: int, loop: asyncio.AbstractEventLoop) -> None:
        self.length: int | None = length
        self._loop = loop
        self._queue: asyncio.Queue[bytes | RemoteError | None] = asyncio.Queue(MAX_PIECES_WAITING)
        self._stopped = False

    def write(self, piece: bytes) -> int:
        """Hand a piece over, waiting while too many wait; called in the thread."""
        if self._stopped:
            raise RegistryUnreachable("nobody takes the blob any more")
        try:
            asyncio.run_coroutine_threadsafe(self._queue.put(piece), self._loop).result()
        except (FutureCancelled, RuntimeError) as error:
            raise RegistryUnreachable("the server stopped") from error
        return len(piece)

    async def pieces(self, least_bytes: int = 1) -> list[bytes]:  # noqa: ARG002 - it has what it has
        """Return the next piece; an empty list is the end."""
        piece = await self._queue.get()
        if isinstance(piece, RemoteError):
            raise piece
        return [] if piece is None else [piece]

    def end(self, pulling: asyncio.Future[None]) -> None:
        """Tell how it ended, after the last piece."""
        error = None if pulling.cancelled() else pulling.exception()
        last = error if isinstance(error, RemoteError) else None
        if error is not None and last is None:
            last = RemoteError("unreachable", f"The download broke off ({type(error).__name__}).")
        if not self._stopped:
            self._loop.create_task(self._queue.put(last))

    def stop(self) -> None:
        """Take no more: whoever writes is told so."""
        self._stopped = True
        while not self._queue.empty():
            self._queue.get_nowait()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn the client's errors into those of the port."""
    try:
        yield
    except AddressInvalid as error:
        raise RemoteError("refused", f"The address of the registry is not usable: {error}.") from error
    except ContentMismatch as error:
        raise RemoteError("mismatch", error.message) from error
    except RegistryUnreachable as error:
        raise RemoteError("unreachable", error.message) from error
    except RegistryError as error:
        raise RemoteError(_code(error), error.message) from error


def _code(error: Any) -> str:  # noqa: ANN401 - RegistryError, and what it carries
    if is_tag_refusal(error):
        return "held"
    status = error.status or 0
    if status == _NOT_FOUND:
        return "missing"
    if status in _UNAUTHORIZED or error.code in {"UNAUTHORIZED", "DENIED"}:
        return "denied"
    if status == _TOO_MANY:
        return "busy"
    return "unreachable" if status >= _LEAST_SERVER_ERROR else "refused"
