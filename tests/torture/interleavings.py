"""Orders of two things that storms hit once in a million, made certain: one is held at a named place meanwhile.

Each says in its name what must come of it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.store import failpoints
from holdfast.wiring import microseconds_now
from images import push_blob, sha256
from running import RunningServer, running, settings
from torture.inspect_data import inspect
from torture.model import Violation
from torture.process import HOUR_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from torture.part import Round

CONTENT = b"comes and goes" * 100
WAIT_SECONDS = 10
SILENCE_SECONDS = 0.2
"""How long a client listens for an answer that must not come; one that comes takes a hundredth of it."""


class _Scene:
    """A server whose leases can be put forward, and a collection that can be held in its tracks."""

    def __init__(self, up: RunningServer, ahead: list[int]) -> None:
        self.server = up
        self.client = up.client()
        self._ahead = ahead

    def pass_time(self, hours: int) -> None:
        self._ahead[0] += hours

    def collect(self) -> Future[object]:
        """Begin a collection; its future ends with it."""
        return asyncio.run_coroutine_threadsafe(self.server.holdfast.upkeep.collect(), self.server.loop)

    def require(self, digest: str, status: int = 200) -> None:
        """Look at a blob as clients do."""
        answer = self.client("GET", f"/v2/t/a/blobs/{digest}")
        if answer.status != status or (status == 200 and answer.body != CONTENT):
            msg = f"the blob was answered {answer.status}, not {status}"
            raise Violation(msg)


@contextmanager
def _held_at(name: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the first thread that comes to a place: yields what says that it came, and what lets it go."""
    came, go = threading.Event(), threading.Event()

    def hold(_name: str) -> None:
        if not came.is_set():
            came.set()
            go.wait(WAIT_SECONDS)

    failpoints.on(name, hold)
    try:
        yield came, go
    finally:
        go.set()
        failpoints.clear()


def _pushed_while_its_old_file_is_removed(scene: _Scene) -> None:
    """The file of the old generation goes; that of the new one must stay."""
    digest = push_blob(scene.client, "t/a", CONTENT)
    scene.pass_time(30)
    with _held_at("blob.before-delete") as (came, go):
        collection = scene.collect()
        _require(came)
        push_blob(scene.client, "t/a", CONTENT)
        scene.require(digest)
        go.set()
        collection.result(WAIT_SECONDS)
    scene.require(digest)


def _told_of_while_the_collection_waits(scene: _Scene) -> None:
    """A collection that was begun before HEAD answered must not take what HEAD told of."""
    digest = push_blob(scene.client, "t/a", CONTENT)
    other = push_blob(scene.client, "t/b", b"another")
    scene.pass_time(30)
    with _held_at("commit.begun") as (came, go):
        asked = threading.Thread(target=lambda: scene.client("HEAD", f"/v2/t/b/blobs/{other}"))
        asked.start()
        _require(came)
        go.set()
        asked.join()
    told = scene.client("HEAD", f"/v2/t/a/blobs/{digest}").status
    scene.collect().result(WAIT_SECONDS)
    scene.require(digest, told)
    scene.client("DELETE", f"/v2/t/b/blobs/{other}")


def _two_pushes_of_one_content(scene: _Scene) -> None:
    """Both have their file; one row names one of them, the other file goes, and the blob is whole."""
    with _held_at("blob.after-folder-sync") as (came, go):
        client = scene.server.client()
        first = threading.Thread(target=push_blob, args=(client, "t/a", CONTENT))
        first.start()
        _require(came)
        digest = push_blob(scene.client, "t/a", CONTENT)
        go.set()
        first.join()
    scene.require(digest)
    files = [one for one in (scene.server.holdfast.settings.data / "blobs").rglob("*.*") if one.stat().st_size > 100]
    if len(files) != 1:
        msg = f"two pushes of one content left {len(files)} files"
        raise Violation(msg)


def _swept_before_its_row_is_there(scene: _Scene) -> None:
    """A file whose row is about to be written is nobody's left-over."""
    push_blob(scene.client, "t/a", b"makes the repository")
    client = scene.server.client()
    with _held_at("blob.after-folder-sync") as (came, go):
        pushing = threading.Thread(target=push_blob, args=(client, "t/a", CONTENT))
        pushing.start()
        _require(came)
        upkeep = scene.server.holdfast.upkeep
        asyncio.run_coroutine_threadsafe(upkeep.sweep_files(), scene.server.loop).result(WAIT_SECONDS)
        go.set()
        pushing.join()
    scene.require(sha256(CONTENT))


def _not_answered_before(name: str) -> Callable[[_Scene], None]:
    """Nobody may hear of a push while what makes it durable is still to come."""

    def scene(scene: _Scene) -> None:
        push_blob(scene.client, "t/a", b"makes the repository")
        client = scene.server.client()
        with _held_at(name) as (came, go):
            pushing = threading.Thread(target=push_blob, args=(client, "t/a", CONTENT))
            pushing.start()
            _require(came)
            pushing.join(SILENCE_SECONDS)
            if not pushing.is_alive():
                msg = f"a push was answered at {name}"
                raise Violation(msg)
            go.set()
            pushing.join()

    return scene


def _require(event: threading.Event) -> None:
    if not event.wait(WAIT_SECONDS):
        msg = "nobody came to the place"
        raise Violation(msg)


SCENES: tuple[Callable[[_Scene], None], ...] = (
    *map(_not_answered_before, ("blob.before-sync", "blob.after-sync", "blob.after-link", "commit.before")),
    _pushed_while_its_old_file_is_removed,
    _told_of_while_the_collection_waits,
    _two_pushes_of_one_content,
    _swept_before_its_row_is_there,
)


def all_of_them(given: Round) -> None:
    """Play every scene, each on a server of its own."""
    for scene in SCENES:
        ahead = [0]

        def leases(ahead: list[int] = ahead) -> int:
            return microseconds_now() + ahead[0] * HOUR_MICROSECONDS

        with given.fresh() as data:
            with running(settings(data, create_on_push="MUTABLE"), lease_clock=leases) as up:
                scene(_Scene(up, ahead))
            inspect(data)
        given.tally.runs += 1
