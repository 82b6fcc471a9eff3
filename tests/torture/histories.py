"""Many clients push, read and delete the same few tags at once while modes are switched and the server is killed.

Everything asked and answered is written down, and each tag's history is checked for an order that explains it.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torture.inspect_data import inspect
from torture.linear import Call, Tag, why_not
from torture.model import Op, Violation
from torture.process import Server
from torture.user import IMAGES, NoAnswer, User, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torture.part import Round

REPOSITORY = "t/a"
CLIENTS = 6
PUSHED = tuple(digest for digest, one in IMAGES.items() if not one.children)
KINDS = {"put": "put", "get": "get", "delete_tag": "delete", "mode": "mode"}
ALLOWED = {"put": {201, 409}, "get": {200, 404}, "delete": {202, 404}, "mode": {200}}


@dataclass
class Recorder:
    """What all clients wrote down."""

    tags: tuple[str, ...]
    calls: list[tuple[str, Call]] = field(default_factory=list)
    _unanswered: list[tuple[str, Call]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, user: User, op: Op) -> bool:
        """Carry out an operation, write down when it was asked, when answered, and what; say whether it was."""
        kind = KINDS[op.kind]
        value = {"put": op.digest, "mode": "held" if op.mode == "IMMUTABLE" else "free"}.get(kind)
        asked = time.monotonic()
        try:
            status, *told = user.perform(op)
        except NoAnswer:
            self._add(op, self._unanswered, Call(kind, value, asked, asked, known=False))
            return False
        answered = time.monotonic()
        if status not in ALLOWED[kind]:
            msg = f"{op} was answered {status}"
            raise Violation(msg)
        answer = (told[0] if told else None) if kind == "get" else status in {200, 201, 202}
        self._add(op, self.calls, Call(kind, value, asked, answered, answer))
        return True

    def note(self, op: Op, call: Call) -> None:
        """Write down an operation that somebody else carried out, or may have."""
        self._add(op, self.calls, call)

    def _add(self, op: Op, where: list[tuple[str, Call]], call: Call) -> None:
        with self._lock:
            where.extend((tag, call) for tag in op.tags or self.tags)

    def nothing_happens_after(self, moment: float) -> None:
        """Know that what was not answered took place before this moment, or never: the server is dead."""
        self.calls += [(tag, replace(call, answered=moment)) for tag, call in self._unanswered]
        self._unanswered.clear()

    def require_answers(self) -> None:
        """Raise Violation when anything was not answered."""
        if self._unanswered:
            msg = f"{len(self._unanswered)} requests were not answered, the first: {self._unanswered[0]}"
            raise Violation(msg)

    def check(self, start: Tag) -> None:
        """Check every tag. Raises Violation."""
        self.nothing_happens_after(float("inf"))
        for tag in self.tags:
            reason = why_not([call for one, call in self.calls if one == tag], start)
            if reason is not None:
                msg = f"tag {tag}: {reason}"
                raise Violation(msg)


def client(user: User, recorder: Recorder, seed: int, count: int, going: Callable[[], bool]) -> int:
    """Be one of many clients; return how many requests were sent."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    weights = chance.choice(((6, 3, 2), (2, 6, 1), (4, 1, 4)))
    for _ in range(count):
        kind = chance.choices(("put", "get", "delete_tag"), weights)[0]
        how = {"put": ("", "query", "ecr"), "get": ("GET", "HEAD"), "delete_tag": ("",)}[kind]
        op = Op(kind, REPOSITORY, chance.choice(PUSHED), (chance.choice(recorder.tags),), how=chance.choice(how))
        if not recorder.ask(user, op) and not going():
            break
    user.close()
    return user.sent


def switcher(user: User, recorder: Recorder, modes: list[str], going: Callable[[], bool]) -> int:
    """Switch the mode of the repository now and then."""
    for mode in modes:
        time.sleep(0.01)  # spreads the switches over the history; nothing waits for it
        if not going() or not recorder.ask(user, Op("mode", REPOSITORY, mode=mode)):
            break
    user.close()
    return user.sent


def with_kills(given: Round) -> None:
    """Record histories over several lives of a server; each but the last ends by kill -9 at a random moment."""
    for _ in range(given.size(3, 10)):
        with given.fresh() as data, Server(data) as server:
            held = given.chance.random() < 0.7
            recorder = Recorder(tuple(f"v{number}" for number in range(given.size(3, 5))))
            prepare(server, "IMMUTABLE" if held else "MUTABLE")
            lives = given.size(3, 5)
            for life in range(lives):
                _live(given, server, recorder, is_last=life == lives - 1)
            server.kill()
            inspect(data)
            recorder.check(Tag(held=held))
        given.tally.kills += lives - 1
        given.tally.runs += 1


def with_stops(given: Round) -> None:
    """Stop the process in the midst of pushes and collections, and let it go on: all is answered, in an order."""
    for _ in range(given.size(1, 6)):
        with given.fresh() as data, Server(data) as server:
            recorder = Recorder(("v0", "v1", "v2"))
            prepare(server, "IMMUTABLE")
            going = threading.Event()
            going.set()
            with ThreadPoolExecutor(CLIENTS + 1) as pool:
                seeds = [given.chance.getrandbits(32) for _ in range(CLIENTS)]
                work = [
                    pool.submit(client, server.user(), recorder, seed, given.size(60, 200), lambda: False)
                    for seed in seeds
                ]
                work.append(pool.submit(_collector, server.user(), going.is_set))
                for _ in range(given.size(6, 20)):
                    time.sleep(given.chance.uniform(0.01, 0.15))  # the moment of the stop
                    server.pause(given.chance.uniform(0.05, given.size(1, 2)))
                    given.tally.kills += 1
                going.clear()
                given.tally.operations += sum(one.result() for one in work)
            recorder.require_answers()
            server.kill()
            inspect(data)
            recorder.check(Tag(held=True))
        given.tally.runs += 1


def _collector(user: User, going: Callable[[], bool]) -> int:
    while going():
        user.perform(Op("collect"))
    user.close()
    return user.sent


def prepare(server: Server, mode: str) -> None:
    """Start a server, make the repository, push all that manifests need."""
    server.start()
    user = server.user()
    user.perform(Op("create", REPOSITORY, mode=mode))
    for digest in PUSHED:
        for op in parts_of(REPOSITORY, digest):
            user.perform(op)
    user.close()


def _live(given: Round, server: Server, recorder: Recorder, *, is_last: bool) -> None:
    going = threading.Event()
    going.set()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        work = [
            pool.submit(client, server.user(), recorder, given.chance.getrandbits(32), 40, going.is_set)
            for _ in range(CLIENTS)
        ]
        modes = [given.chance.choice(("IMMUTABLE", "IMMUTABLE", "MUTABLE")) for _ in range(given.chance.randint(0, 6))]
        work.append(pool.submit(switcher, server.user(), recorder, modes, going.is_set))
        if not is_last:
            time.sleep(given.chance.uniform(0.01, 0.2))  # the moment of the kill
            going.clear()
            server.kill()
        dead_at = float("inf") if is_last else time.monotonic()
        given.tally.operations += sum(one.result() for one in work)
    recorder.nothing_happens_after(dead_at)
    if not is_last:
        inspect(server.data)
        server.start()
    user = server.user()
    for tag in recorder.tags:
        recorder.ask(user, Op("get", REPOSITORY, tags=(tag,), how="GET"))
    user.close()
