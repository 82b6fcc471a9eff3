"""A blob as an HTTP answer: whole, a part of it, or not modified. Shared by every face that hands out blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from holdfast.core import ranges
from holdfast.faces.http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.core.digest import Digest
    from holdfast.faces.http import ResponseBody
    from holdfast.store.content import Blob

_API_VERSION: Final = ("Docker-Distribution-Api-Version", "registry/2.0")
FOR_EVER: Final = ("Cache-Control", "private, max-age=31536000, immutable")
"""For what a digest names: it cannot change. Private, as it was given to one who may."""


class Opener(Protocol):
    """Opens the blob, or the bytes of it that `select` picks, given its size."""

    def __call__(self, *, select: Callable[[int], tuple[int, int]] | None = None) -> tuple[Blob, ResponseBody]:
        """Open it."""


def has_current(request: Request, etag: str) -> bool:
    """Whether the client says that it has this already. Source: RFC 9110 section 13.1.2."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    return header.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in header.split(",")]


def blob_headers(digest: Digest) -> tuple[tuple[str, str], ...]:
    """Return the headers of a blob; its bytes are a stranger's, so nothing may render them."""
    return (
        _API_VERSION,
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", str(digest)),
        ("ETag", f'"{digest}"'),
        ("Accept-Ranges", "bytes"),
        FOR_EVER,
        ("Content-Disposition", "attachment"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )


def answer_blob(request: Request, digest: Digest, opener: Opener) -> Response:
    """Answer GET of a blob, with `Range`, `If-Range` and `If-None-Match`."""
    etag = f'"{digest}"'
    wanted = request.headers.get("range")
    if has_current(request, etag):
        opener()[1].close()
        return Response(304, blob_headers(digest))
    if wanted is None or request.headers.get("if-range") not in {None, etag}:
        return Response(200, blob_headers(digest), opener()[1])
    total = 0
    part: tuple[int, int] | None = None

    def select(size_bytes: int) -> tuple[int, int]:
        nonlocal part, total
        total = size_bytes
        part = ranges.select(wanted, size_bytes)
        return part or (0, size_bytes)

    try:
        _, reader = opener(select=select)
    except ranges.RangeUnsatisfiable:
        # Not the blob's headers: a cache may not keep this answer for those who ask for the whole.
        return Response(416, (_API_VERSION, ("Content-Range", f"bytes */{total}"), ("Cache-Control", "no-store")))
    if part is None:
        return Response(200, blob_headers(digest), reader)
    shown = ("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{total}")
    return Response(206, (*blob_headers(digest), shown), reader)
