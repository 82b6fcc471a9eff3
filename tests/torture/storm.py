"""Pushes, mounts, HEAD-then-skip, deletes and collections at once, while leases end as fast as they may.

Whoever was told that a blob is there must be able to push a manifest over it, and what was pushed must be whole.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

from images import Image, image, sha256
from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.process import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from torture.part import Round
    from torture.user import User

PUSHERS = 4
LAYERS = [bytes([number]) * 500 for number in range(6)]
STEP_HOURS = 4
"""A push sees at most two such steps, and a blob that one was told of is kept for twelve hours."""


class _Storm:
    """What the threads share."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pushes = [0] * PUSHERS
        self.sent = 0
        self.failures: list[str] = []
        self.over = threading.Event()


def rage(given: Round) -> None:
    """Let the storm rage over one server, with kills between its gusts in the long form."""
    with given.fresh() as data, Server(data) as server:
        for gust in range(given.size(1, 4)):
            server.start()
            _gust(given, server, given.size(30, 120), first=gust == 0)
            server.kill()
            inspect(data)
            given.tally.runs += 1
            given.tally.kills += 1


def _gust(given: Round, server: Server, pushes: int, *, first: bool) -> None:
    if first:
        user = server.user()
        for name in ("t/a", "t/b"):
            user.perform(Op("create", name, mode="MUTABLE"))
        user.close()
    storm = _Storm(server)
    seeds = [given.chance.getrandbits(32) for _ in range(PUSHERS)]
    pushers = [
        threading.Thread(target=_guarded, args=(storm, _push_and_delete, number, seed, pushes))
        for number, seed in enumerate(seeds)
    ]
    others = [threading.Thread(target=_guarded, args=(storm, _collect)), threading.Thread(target=_hurry, args=(storm,))]
    for thread in (*pushers, *others):
        thread.start()
    for thread in pushers:
        thread.join()
    storm.over.set()
    for thread in others:
        thread.join()
    given.tally.operations += storm.sent
    if storm.failures:
        raise Violation("; ".join(storm.failures[:5]))


def _guarded(storm: _Storm, work: Callable[..., None], *values: int) -> None:
    user = storm.server.user()
    try:
        work(storm, user, *values)
    except Exception as error:  # noqa: BLE001 - told by the thread that waits
        storm.failures.append(f"{type(error).__name__}: {error}")
    finally:
        storm.sent += user.sent
        user.close()


def _push_and_delete(storm: _Storm, user: User, number: int, seed: int, pushes: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    try:
        for turn in range(pushes):
            name = chance.choice(("t/a", "t/b"))
            # The config is this pusher's own, so that nobody else deletes its manifest; the layers are everybody's.
            wanted = image(*chance.sample(LAYERS, 2), config=b'{"pusher":%d,"n":%d}' % (number, chance.randrange(4)))
            _push_parts(user, name, wanted)
            path = f"/v2/{name}/manifests/p{number}-{turn}"
            answer = user.http("PUT", path, wanted.manifest, Content_Type=wanted.media_type)
            if answer.status != 201:
                storm.failures.append(f"a push was answered {answer.status} {answer.body!r}")
            _check_whole(storm, user, name, wanted)
            if chance.random() < 0.7:
                user.http("DELETE", f"/v2/{name}/manifests/{wanted.digest}")
            storm.pushes[number] += 1
    finally:
        storm.pushes[number] = 1 << 30  # nobody waits for it any more


def _push_parts(user: User, name: str, wanted: Image) -> None:
    other = "t/b" if name == "t/a" else "t/a"
    for blob in wanted.blobs:
        digest = sha256(blob)
        if user.http("HEAD", f"/v2/{name}/blobs/{digest}").status == 200:
            continue
        if user.http("POST", f"/v2/{name}/blobs/uploads/?mount={digest}&from={other}").status == 201:
            continue
        user.http("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", blob)


def _check_whole(storm: _Storm, user: User, name: str, wanted: Image) -> None:
    for blob in wanted.blobs:
        answer = user.http("GET", f"/v2/{name}/blobs/{sha256(blob)}")
        if answer.status != 200 or answer.body != blob:
            storm.failures.append(f"a blob of an image that was pushed is answered {answer.status}")


def _collect(storm: _Storm, user: User) -> None:
    while not storm.over.is_set():
        user.perform(Op("collect"))


def _hurry(storm: _Storm) -> None:
    """Put leases forward each time that every pusher has finished a push since the last time."""
    before = list(storm.pushes)
    while not storm.over.wait(0.002):
        if all(now > then or now >= 1 << 30 for now, then in zip(storm.pushes, before, strict=True)):
            before = list(storm.pushes)
            storm.server.pass_time(STEP_HOURS)
