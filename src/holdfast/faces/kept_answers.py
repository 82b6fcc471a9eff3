"""Answers to reads, kept as long as nothing at all was written.

Most requests of a registry ask again for what was just asked. An answer is kept, encoded, with the number of commits
at which it was read, and given again only while that number stands: any commit, of whatever, lets all of them fall. So
a kept answer never outlives the tag, the repository or the manifest it speaks of. The right to read is not kept: it is
asked for each time, and it is the one that the answer needed in the first place.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from holdfast.faces.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Caller
    from holdfast.store.catalog import Registry

Require: TypeAlias = "Callable[[Caller, Registry, str], None]"
"""Raises AccessDenied unless the caller may read this of the repository."""

MAX_KEPT: Final = 4_096
MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of all bodies together; past either bound all are dropped, and the ones still asked for come back."""

MAX_BODY_BYTES: Final = 64 * 1024
"""A larger manifest is read anew each time."""


class Kept(NamedTuple):
    """An answer, the repository it is about, and what asks for the right to it."""

    repository: str
    require: Require
    response: Response
    commits: int
    until: float
    """Microseconds since the epoch from which it must be asked anew, though nothing was written."""
    pulled: str | None
    """The digest of the image that whoever gets this answer pulls."""


class KeptAnswers:
    """Answers by what was asked: the registry, the method and the path."""

    def __init__(self, commits: Callable[[], int], clock: Callable[[], int]) -> None:
        """`commits` gives a number that differs after each commit and is odd while one is under way."""
        self._commits = commits
        self._clock = clock
        self._kept: dict[tuple[int, str, str], Kept] = {}
        self._bytes = 0

    def get(self, registry: Registry, method: str, path: str) -> Kept | None:
        """Return the answer to this, if nothing was written since."""
        kept = self._kept.get((registry.id, method, path))
        if kept is None or kept.commits != self._commits() or self._clock() >= kept.until:
            return None
        return kept

    def before(self) -> int:
        """Return what `keep` wants to know: the number of commits before the answer was read."""
        return self._commits()

    def keep(
        self,
        registry: Registry,
        method: str,
        path: str,
        response: Response,
        before: int,
        *,
        repository: str,
        require: Require,
        until: float = inf,
        pulled: str | None = None,
    ) -> Response:
        """Keep an answer unless something was written while it was read, and return it."""
        if before % 2 or before != self._commits():
            return response
        size = len(response.body) if isinstance(response.body, bytes) else 0
        if size > MAX_BODY_BYTES:
            return response
        if len(self._kept) >= MAX_KEPT or self._bytes + size > MAX_KEPT_BYTES:
            self._kept.clear()
            self._bytes = 0
        self._bytes += size
        frozen = Response.frozen(
            response.status,
            response.headers,
            response.body if isinstance(response.body, bytes) else None,
            length=response.length,
        )
        self._kept[registry.id, method, path] = Kept(repository, require, frozen, before, until, pulled)
        return frozen
