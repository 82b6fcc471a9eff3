"""A client of the OCI distribution API: what a tag names, manifests and blobs, in and out.

Everything that comes in is checked against its digest before it counts. What the registry refuses is a RegistryError
with its code, sentence and detail; see `transport` for logging in.

Source: OCI distribution specification 1.1.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self
from urllib.parse import quote, urljoin, urlsplit

from holdfast.client.transport import (
    PIECE_BYTES,
    Body,
    ContentMismatch,
    Credentials,
    RegistryError,
    RegistryUnreachable,
    Transport,
)
from holdfast.core import strict_json
from holdfast.core.digest import DEFAULT_ALGORITHM, Digest, new_hasher
from holdfast.core.errors import DigestInvalid
from holdfast.core.manifest import KINDS
from holdfast.core.manifest import MAX_BYTES as MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from holdfast.client.transport import Reply

TAGS_PER_PAGE: Final = 1_000
MAX_PAGES: Final = 100_000
"""Of one list; a registry whose pages never end is not followed for ever."""

_ACCEPT: Final = ", ".join(KINDS)
_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest as it came: its exact bytes, checked against the digest."""

    payload: bytes
    media_type: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes somewhere on this side, by their digest; `open` gives them from their beginning each time."""

    digest: Digest
    size_bytes: int
    open: Callable[[], BinaryIO]

    def pieces(self, start: int, most: int, on_progress: Callable[[int], None]) -> Iterator[bytes]:
        """Give `most` bytes from a place on, telling how many of the whole were given."""
        with self.open() as source:
            source.seek(start)
            done, end = start, start + most
            while done < end and (piece := source.read(min(PIECE_BYTES, end - done))):
                yield piece
                done += len(piece)
                on_progress(done)


def _ignore(_done_bytes: int) -> None:
    pass


class RegistryClient:
    """One registry, spoken to by one user. Not for several threads at once."""

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        ca_bundle: str | None = None,
        only_pulls: bool = False,
    ) -> None:
        """`ca_bundle`: certificates (PEM) to trust instead of the system's. Raises AddressInvalid.

        `only_pulls`: ask for no right to push; some registries refuse to give strangers a token that names one.
        """
        self._transport = Transport(address, credentials, ca_bundle=ca_bundle)
        self._rights = "pull" if only_pulls else "pull,push"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where the registry is."""
        return self._transport.address

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def check(self) -> None:
        """Log in and see that a registry answers; raises RegistryError."""
        self._transport.request("GET", "/v2/")

    def _scope(self, repository: str, *more: str) -> str:
        return f"repository:{repository}:{','.join((self._rights, *more))}"

    # --- manifests and tags ------------------------------------------------------------------------------------------

    def manifest(self, repository: str, reference: str | Digest) -> RemoteManifest:
        """Get a manifest; raises RegistryError, and ContentMismatch when the bytes are not those of the digest."""
        target = _manifest_path(repository, reference)
        reply = self._transport.request("GET", target, scope=self._scope(repository), headers={"Accept": _ACCEPT})
        if len(reply.content) > MAX_MANIFEST_BYTES:
            msg = f"The manifest of {repository} {reference} is larger than {MAX_MANIFEST_BYTES} bytes."
            raise ContentMismatch(msg)
        told = _told_digest(reply)
        wanted = reference if isinstance(reference, Digest) else told
        digest = wanted or Digest.of(reply.content)
        if not digest.matches(reply.content):
            msg = f"The manifest that came for {repository} {reference} does not hash to {digest}."
            raise ContentMismatch(msg)
        return RemoteManifest(reply.content, _media_type(reply), digest)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Return the digest of what a tag or digest names, None when it names nothing."""
        found = self.describe(repository, reference)
        return None if found is None else found[0]

    def describe(self, repository: str, reference: str | Digest) -> tuple[Digest, str] | None:
        """Return the digest and the media type of what a tag or digest names, None when it names nothing.

        It is asked by HEAD, which the limits of some registries do not count.
        """
        target = _manifest_path(repository, reference)
        reply = self._transport.request(
            "HEAD", target, scope=self._scope(repository), headers={"Accept": _ACCEPT}, accept=(_OK, _NOT_FOUND)
        )
        if reply.status == _NOT_FOUND:
            return None
        digest = _told_digest(reply)
        if digest is not None:
            return digest, _media_type(reply)
        manifest = self.manifest(repository, reference)
        return manifest.digest, manifest.media_type

    def put_manifest(self, repository: str, reference: str | Digest, payload: bytes, media_type: str) -> Digest:
        """Put a manifest under a tag or its digest; a held tag raises RegistryError (see `is_tag_refusal`)."""
        reply = self._transport.request(
            "PUT",
            _manifest_path(repository, reference),
            scope=self._scope(repository),
            headers={"Content-Type": media_type},
            body=Body.of(payload),
            accept=(_OK, _CREATED, _ACCEPTED),
        )
        algorithm = reference.algorithm if isinstance(reference, Digest) else DEFAULT_ALGORITHM
        digest = Digest.of(payload, algorithm)
        told = _told_digest(reply)
        if told is not None and told.algorithm == algorithm and told != digest:
            msg = f"The registry took the manifest as {told}, but its bytes hash to {digest}."
            raise ContentMismatch(msg)
        return digest

    def delete_manifest(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest with its tags; what is not there is deleted already."""
        self._transport.request(
            "DELETE",
            _manifest_path(repository, reference),
            scope=self._scope(repository, "delete"),
            accept=(_OK, _ACCEPTED, _NO_CONTENT, _NOT_FOUND),
        )

    def tags(self, repository: str) -> Iterator[str]:
        """List the tags of a repository, page by page."""
        target: str | None = f"/v2/{quote(repository)}/tags/list?n={TAGS_PER_PAGE}"
        seen: set[str] = set()
        while target is not None:
            if target in seen or len(seen) >= MAX_PAGES:
                msg = f"The list of tags of {repository} has no end; the registry's paging is broken."
                raise RegistryUnreachable(msg)
            seen.add(target)
            reply = self._transport.request("GET", target, scope=self._scope(repository))
            yield from _read_tags(reply, repository)
            target = self._next_page(target, reply)

    def _next_page(self, target: str, reply: Reply) -> str | None:
        link = reply.headers.get("link", "")
        address, bracket, parameters = link.strip().removeprefix("<").partition(">")
        if not bracket or 'rel="next"' not in parameters.replace("rel=next", 'rel="next"'):
            return None
        here = urljoin(self.address, target)
        there = urljoin(here, address)
        if urlsplit(there)[:2] != urlsplit(here)[:2]:
            msg = f"The next page of the list is at another host ({urlsplit(there).netloc}); this is not followed."
            raise RegistryUnreachable(msg)
        return there

    # --- blobs -------------------------------------------------------------------------------------------------------

    def has_blob(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has a blob."""
        reply = self._transport.request(
            "HEAD", f"/v2/{quote(repository)}/blobs/{digest}", scope=self._scope(repository), accept=(_OK, _NOT_FOUND)
        )
        return reply.status == _OK

    def push_blob(
        self,
        repository: str,
        content: Content,
        *,
        chunk_bytes: int | None = None,
        on_progress: Callable[[int], None] = _ignore,
    ) -> None:
        """Push a blob, in one piece or in chunks; `on_progress` hears how many bytes of it went out."""
        started = self._transport.request(
            "POST", f"/v2/{quote(repository)}/blobs/uploads/", scope=self._scope(repository), accept=(_ACCEPTED,)
        )
        location = self._location(started, self.address)
        try:
            position = 0
            if chunk_bytes is not None:
                least = started.headers.get("oci-chunk-min-length", "")
                chunk = max(chunk_bytes, int(least) if least.isdigit() and least.isascii() else 1)
                location = self._push_chunks(repository, content, location, chunk, on_progress)
                position = content.size_bytes
            body = _slice(content, position, content.size_bytes - position, on_progress)
            url = f"{location}{'&' if '?' in location else '?'}digest={quote(str(content.digest), safe='')}"
            self._transport.request(
                "PUT",
                url,
                scope=self._scope(repository),
                headers={"Content-Type": "application/octet-stream"},
                body=body,
                accept=(_CREATED, _NO_CONTENT),
            )
        except RegistryError:
            self._cancel(repository, location)
            raise

    def _push_chunks(
        self, repository: str, content: Content, location: str, chunk: int, on_progress: Callable[[int], None]
    ) -> str:
        for start in range(0, content.size_bytes, chunk):
            length = min(chunk, content.size_bytes - start)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{start}-{start + length - 1}",
            }
            reply = self._transport.request(
                "PATCH",
                location,
                scope=self._scope(repository),
                headers=headers,
                body=_slice(content, start, length, on_progress),
                accept=(_ACCEPTED,),
            )
            location = self._location(reply, location)
        return location

    def _location(self, reply: Reply, base: str) -> str:
        location = reply.headers.get("location")
        if not location:
            msg = f"{self.address} began an upload without telling where it goes on."
            raise RegistryUnreachable(msg)
        return urljoin(urljoin(self.address, base), location)

    def _cancel(self, repository: str, location: str) -> None:
        """Give the session up; that it may be gone already is no matter."""
        try:
            self._transport.request("DELETE", location, scope=self._scope(repository), accept=(_NO_CONTENT, _NOT_FOUND))
        except RegistryError:
            return

    def pull_blob(
        self,
        repository: str,
        digest: Digest,
        sink: BinaryIO,
        *,
        size_bytes: int | None = None,
        on_progress: Callable[[int], None] = _ignore,
    ) -> int:
        """Write a blob to a file and return its size; raises ContentMismatch, and then the file is of no worth.

        With `size_bytes`, what the descriptor says, not a byte more is read.
        """
        hasher, done = new_hasher(digest.algorithm), 0
        target = f"/v2/{quote(repository)}/blobs/{digest}"
        with self._transport.stream("GET", target, scope=self._scope(repository)) as response:
            for piece in self._transport.pieces(response):
                done += len(piece)
                if size_bytes is not None and done > size_bytes:
                    break
                hasher.update(piece)
                sink.write(piece)
                on_progress(done)
        if hasher.hexdigest() != digest.hex:
            msg = f"What came for {digest} ({done} bytes) does not hash to it."
            raise ContentMismatch(msg)
        return done


def is_tag_refusal(error: RegistryError) -> bool:
    """Whether a tag refused to move; the sentence is Amazon ECR's, which Holdfast uses to the letter."""
    held = "cannot be overwritten because the tag is immutable" in error.message
    return held and error.code in {"DENIED", "TAG_INVALID"}


def _slice(content: Content, start: int, length: int, on_progress: Callable[[int], None]) -> Body:
    return Body(length, lambda: itertools.chain(content.pieces(start, length, on_progress)))


def _manifest_path(repository: str, reference: str | Digest) -> str:
    return f"/v2/{quote(repository)}/manifests/{quote(str(reference), safe=':')}"


def _media_type(reply: Reply) -> str:
    return reply.headers.get("content-type", "").partition(";")[0].strip()


def _told_digest(reply: Reply) -> Digest | None:
    told = reply.headers.get("docker-content-digest")
    try:
        return Digest.parse(told) if told else None
    except DigestInvalid as error:
        msg = f"The registry names a digest that is none: {error.message}"
        raise RegistryUnreachable(msg) from None


def _read_tags(reply: Reply, repository: str) -> list[str]:
    document: Mapping[str, object] | object
    try:
        document = strict_json.parse(reply.content)
    except strict_json.StrictJSONError as error:
        msg = f"The list of tags of {repository} is not valid JSON: {error}."
        raise RegistryUnreachable(msg) from None
    tags = document.get("tags") if isinstance(document, dict) else None
    # A repository without tags is told as null by some registries (CNCF distribution before 3).
    if tags is None:
        tags = []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        msg = f"The list of tags of {repository} is not a list of text."
        raise RegistryUnreachable(msg)
    return tags
