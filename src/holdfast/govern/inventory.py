"""The inventory: every repository of many accounts and regions, read through Amazon ECR's API and written as it comes.

This file alone decides what is asked for, in which order, how much at once, and what becomes of what cannot be read: it
is named, and the rest goes on. How a place is entered is `places`; what replies mean is `reading`. Nothing is changed.

Memory is bounded by one page of repositories for each place that is being read: records leave at once.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.govern import reading
from holdfast.govern.estate import Failure, RegistryRecord, RepositoryRecord
from holdfast.govern.failing import ENDS_PLACE, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from holdfast.client.aws import Caller
    from holdfast.govern.places import Place

PAGE: Final = 1_000
"""Of DescribeRepositories and DescribeImages; the most that ECR takes."""

IMAGES_AT_ONCE: Final = 100
"""Of BatchGetImage; the most that ECR takes."""

DENIED_ENOUGH: Final = 3
"""An operation that was denied for so many repositories of a place, and never allowed, is not asked for again there."""

_GONE: Final = "RepositoryNotFoundException"
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied"})


class Sink(Protocol):
    """Takes what was found, from many threads at once."""

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        """Keep a record."""


class Watcher(Protocol):
    """Is told how far it is, from many threads at once."""

    def begin(self, place: Place) -> None:
        """A place is being read."""

    def listed(self, place: Place, repositories: int) -> None:
        """So many more repositories are known."""

    def read(self, place: Place, repositories: int) -> None:
        """So many more are done with."""

    def end(self, place: Place) -> None:
        """The place is done with."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, and how much at once."""

    images: bool = True
    """Images and tags: one call a repository and page of 1,000 images."""

    policies: bool = True
    """Lifecycle policy, repository policy and resource tags: three calls a repository."""

    places_at_once: int = 8
    repositories_at_once: int = 4
    """In each place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended."""

    repositories: int
    gone: int
    """Deleted while they were read; they are left out."""

    failures: int
    calls: int
    throttled: int
    """Calls that the service refused as too many, and that were made again."""


def take(
    places: Sequence[Place],
    sink: Sink,
    wish: Wish,
    watcher: Watcher,
    *,
    done: Collection[tuple[str, str, str]] = frozenset(),
    stop: threading.Event | None = None,
) -> Outcome:
    """Read every repository of the places. `done` are those that were read before; `stop` ends it early.

    Raises nothing for what cannot be read: that is a record of its own.
    """
    runs = [_Run(place, sink, wish, watcher, done, stop or threading.Event()) for place in places]
    with ThreadPoolExecutor(max(1, min(wish.places_at_once, len(runs))), "inventory") as pool:
        for future in [pool.submit(run.go) for run in runs]:
            future.result()
    return Outcome(
        sum(run.repositories for run in runs),
        sum(run.gone for run in runs),
        sum(run.failures for run in runs),
        sum(run.calls for run in runs),
        sum(run.throttled for run in runs),
    )


class _Stop(Exception):
    """The rest of the place cannot be read, or shall not be."""


class _Run:
    """One place."""

    def __init__(
        self,
        place: Place,
        sink: Sink,
        wish: Wish,
        watcher: Watcher,
        done: Collection[tuple[str, str, str]],
        stop: threading.Event,
    ) -> None:
        self._place = place
        self._sink = sink
        self._wish = wish
        self._watcher = watcher
        self._done = done
        self._stop = stop
        self._ended: Exception | None = None
        self._lock = threading.Lock()
        self._denied: dict[str, int] = {}
        self._allowed: set[str] = set()
        self._caller: Caller | None = None
        self.repositories = self.gone = self.failures = 0

    @property
    def calls(self) -> int:
        return self._caller.calls if self._caller else 0

    @property
    def throttled(self) -> int:
        return self._caller.throttled if self._caller else 0

    def go(self) -> None:
        """Read the registry, then its repositories, page by page."""
        if self._stop.is_set():
            return
        self._watcher.begin(self._place)
        try:
            self._caller = self._place.caller()
            self._caller.stopping = self._stop
            self._sink.add(self._registry(self._caller))
            with ThreadPoolExecutor(self._wish.repositories_at_once, f"inventory-{self._place}") as pool:
                for page in self._caller.pages("DescribeRepositories", "repositories", maxResults=PAGE):
                    self._watcher.listed(self._place, len(page))
                    for future in [pool.submit(self._one, told) for told in page]:
                        future.result()
                    if self._ended is not None:
                        raise self._ended
                    if self._stop.is_set():
                        return
        except (APIError, APIUnreachable, CallInvalid) as error:
            self._fail("ecr:DescribeRepositories" if self._ended is None else "ecr", error)
        finally:
            if self._caller is not None:
                self._caller.close()
            self._watcher.end(self._place)

    def _fail(self, what: str, error: Exception, repository: str | None = None, more: str = "") -> None:
        with self._lock:
            self.failures += 1
        told = failure_of(self._place.account, self._place.region, what, error, repository)
        self._sink.add(replace(told, sentence=told.sentence + more))

    # --- the registry ------------------------------------------------------------------------------------------------

    def _registry(self, caller: Caller) -> RegistryRecord:
        def rows(operation: str, key: str, make: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
            return lambda: tuple(make(one) for page in caller.pages(operation, key) for one in page)

        asked: tuple[tuple[str, str, Callable[[], Any]], ...] = (
            (
                "templates",
                "DescribeRepositoryCreationTemplates",
                rows("DescribeRepositoryCreationTemplates", "repositoryCreationTemplates", reading.template),
            ),
            (
                "pull_through",
                "DescribePullThroughCacheRules",
                rows("DescribePullThroughCacheRules", "pullThroughCacheRules", reading.pull_through),
            ),
            ("replication", "DescribeRegistry", lambda: reading.replication(caller.call("DescribeRegistry"))),
            (
                "scanning",
                "GetRegistryScanningConfiguration",
                lambda: reading.scanning(caller.call("GetRegistryScanningConfiguration")),
            ),
            ("policy", "GetRegistryPolicy", lambda: _text(caller, "GetRegistryPolicy", "policyText")),
        )
        found: dict[str, Any] = {}
        for member, operation, ask in asked:
            try:
                found[member] = ask()
            except APIError as error:
                if error.code in ENDS_PLACE:
                    raise
                self._fail(f"ecr:{operation}", error)
            except (KeyError, TypeError, ValueError) as error:
                self._fail(f"ecr:{operation}", error)
        return RegistryRecord(self._place.account, self._place.region, self._place.account_name, **found)

    # --- a repository ------------------------------------------------------------------------------------------------

    def _one(self, told: dict[str, Any]) -> None:
        try:
            if self._stop.is_set() or self._ended is not None:
                return
            record = reading.repository(told, self._place.account, self._place.region)
            if record.key in self._done:
                return
            self._sink.add(self._whole(record))
            with self._lock:
                self.repositories += 1
        except _Stop:
            pass
        except (KeyError, TypeError, ValueError) as error:
            self._fail("ecr:DescribeRepositories", error, str(told.get("repositoryName")))
        finally:
            self._watcher.read(self._place, 1)

    def _whole(self, record: RepositoryRecord) -> RepositoryRecord:
        caller, name = self._caller, record.name
        assert caller is not None  # noqa: S101 - `go` made it
        changes: dict[str, Any] = {}
        if self._wish.policies:
            parts: tuple[tuple[str, str, Callable[[], Any]], ...] = (
                (
                    "lifecycle_policy",
                    "GetLifecyclePolicy",
                    lambda: _text(caller, "GetLifecyclePolicy", "lifecyclePolicyText", repositoryName=name),
                ),
                (
                    "policy",
                    "GetRepositoryPolicy",
                    lambda: _text(caller, "GetRepositoryPolicy", "policyText", repositoryName=name),
                ),
                ("resource_tags", "ListTagsForResource", lambda: _tags(caller, record.arn)),
            )
            for member, operation, ask in parts:
                changes[member] = self._asked(name, operation, ask)
        if self._wish.images:
            found = self._asked(name, "DescribeImages", lambda: _images(caller, name))
            if found is not None:
                changes["images"], changes["live_tags"] = found
        return replace(record, **changes)

    def _asked(self, name: str, operation: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what was asked for
        """Ask for a part of a repository; None when it cannot be read, which was told then."""
        if self._denied.get(operation, 0) >= DENIED_ENOUGH and operation not in self._allowed:
            return None
        try:
            found = ask()
        except APIError as error:
            if error.code == _GONE:
                with self._lock:
                    self.gone += 1
                raise _Stop from None
            if error.code in ENDS_PLACE:
                self._ended = error
                raise _Stop from None
            more = self._count_denial(operation) if error.code in _DENIED else ""
            self._fail(f"ecr:{operation}", error, name, more)
            return None
        except (APIUnreachable, CallInvalid) as error:
            self._ended = error
            raise _Stop from None
        except (KeyError, TypeError, ValueError) as error:
            self._fail(f"ecr:{operation}", error, name)
            return None
        self._allowed.add(operation)
        return found

    def _count_denial(self, operation: str) -> str:
        with self._lock:
            count = self._denied[operation] = self._denied.get(operation, 0) + 1
        if count == DENIED_ENOUGH and operation not in self._allowed:
            return " It was never allowed here, so it was not asked for of the other repositories of this place."
        return ""


_ABSENT: Final = frozenset(
    {"LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException", "RegistryPolicyNotFoundException"}
)


def _text(caller: Caller, operation: str, member: str, **parameters: str) -> str:
    """Ask for a policy; "" when there is none."""
    try:
        return str(caller.call(operation, **parameters).get(member) or "")
    except APIError as error:
        if error.code in _ABSENT:
            return ""
        raise


def _tags(caller: Caller, arn: str) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in caller.call("ListTagsForResource", resourceArn=arn).get("tags") or ()}


def _images(caller: Caller, name: str) -> tuple[Any, Any]:
    pages = caller.pages("DescribeImages", "imageDetails", repositoryName=name, maxResults=PAGE)
    listed = [one for page in pages for one in page]
    named_by: dict[str, tuple[str, ...]] = {}
    indexes = reading.indexes_to_read(listed)
    for start in range(0, len(indexes), IMAGES_AT_ONCE):
        ids = [{"imageDigest": digest} for digest in indexes[start : start + IMAGES_AT_ONCE]]
        reply = caller.call(
            "BatchGetImage", repositoryName=name, imageIds=ids, acceptedMediaTypes=sorted(reading.INDEXES)
        )
        for one in reply.get("images") or ():
            named_by[one["imageId"]["imageDigest"]] = reading.children(one.get("imageManifest") or "")
    return reading.images(listed, named_by)
