"""A network that cuts, loses, delays and repeats: a proxy between clients and the server, told by a seed what to do.

What it repeats, it repeats later, when the client has long gone on. Every request and every repetition is in the
history that is checked for an order.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from torture.histories import KINDS, PUSHED, REPOSITORY, Recorder, prepare
from torture.inspect_data import inspect
from torture.linear import Call, Tag
from torture.model import Op, Violation
from torture.process import Server
from torture.user import User, act, day, fresh, look_at_everything

if TYPE_CHECKING:
    from torture.part import Round

FATES = ("pass", "delay", "cut the request", "lose the answer", "cut the answer", "repeat")
CLIENTS = 4
MOST_DELAY_SECONDS = 0.02
MOST_TURNS = 20
"""How often a request is sent again; the last time, the network works."""


@dataclass
class Proxy:
    """Stands before a server for one client, which says beforehand what becomes of its next connection."""

    target: tuple[str, int]
    chance: random.Random
    fate: str = "pass"
    repeated: list[tuple[float, float]] = field(default_factory=list)
    """When repetitions were sent and ended."""
    _served: threading.Condition = field(default_factory=threading.Condition)
    _announced: int = 0
    _done: int = 0
    _later: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()
        # A listening socket that is shut down wakes who waits at it.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def let(self, fate: str) -> None:
        """Say what becomes of the next connection."""
        with self._served:
            # The connection before may still be served: its fate is its own.
            self._served.wait_for(lambda: self._done >= self._announced, 60)
            self._announced += 1
            self.fate = fate

    def settle(self) -> None:
        """Wait until the last connection is served, and for all repetitions."""
        with self._served:
            self._served.wait_for(lambda: self._done >= self._announced, 60)
        for thread in self._later:
            thread.join()
        self._later.clear()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client, suppress(OSError):
                self._serve(client, self.fate)
            with self._served:
                self._done += 1
                self._served.notify_all()

    def _serve(self, client: socket.socket, fate: str) -> None:
        with socket.create_connection(self.target, timeout=30) as server:
            if fate == "delay":
                time.sleep(self.chance.uniform(0, MOST_DELAY_SECONDS))
            cut_after = self.chance.randrange(1, 1_500) if fate == "cut the request" else None
            sent = bytearray()
            forward = threading.Thread(target=self._forward, args=(client, server, sent, cut_after))
            forward.start()
            self._answer(client, server, fate)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            forward.join()
        if fate == "repeat":
            thread = threading.Thread(target=self._repeat, args=(bytes(sent), self.chance.uniform(0, 0.1)))
            thread.start()
            self._later.append(thread)

    def _forward(self, client: socket.socket, server: socket.socket, sent: bytearray, cut_after: int | None) -> None:
        with suppress(OSError):
            while piece := client.recv(700):
                sent += piece
                if cut_after is not None and len(sent) > cut_after:
                    server.sendall(piece[: max(1, len(piece) // 2)])
                    server.shutdown(socket.SHUT_WR)
                    return
                server.sendall(piece)
            server.shutdown(socket.SHUT_RDWR)  # the client has gone

    def _answer(self, client: socket.socket, server: socket.socket, fate: str) -> None:
        """Pass the answer on; one that is lost is waited for all the same, so that the server has done with it."""
        server.settimeout(30)
        while piece := server.recv(65_536):
            if fate in {"lose the answer", "cut the request"}:
                return
            if fate == "cut the answer":
                # Never within the head: Python's client takes the half of a head for a whole one.
                head, end, body = piece.partition(b"\r\n\r\n")
                client.sendall(head + end + body[: len(body) // 2] if len(body) > 1 else head[:5])
                return
            client.sendall(piece)

    def _repeat(self, request: bytes, wait_seconds: float) -> None:
        time.sleep(wait_seconds)
        began = time.monotonic()
        with suppress(OSError), socket.create_connection(self.target, timeout=30) as server:
            server.sendall(request)
            server.recv(65_536)
        self.repeated.append((began, time.monotonic()))


def histories(given: Round) -> None:
    """Let many clients work through bad networks, and check that there was an order."""
    for _ in range(given.size(2, 12)):
        with given.fresh() as data, Server(data) as server:
            held = given.chance.random() < 0.7
            prepare(server, "IMMUTABLE" if held else "MUTABLE")
            recorder = Recorder(("v1", "v2", "v3"))
            seeds = [given.chance.getrandbits(32) for _ in range(CLIENTS)]
            with ThreadPoolExecutor(CLIENTS) as pool:
                work = [pool.submit(_client, server, recorder, seed, 25) for seed in seeds]
                given.tally.kills += sum(one.result() for one in work)
            user = server.user()
            for tag in recorder.tags:
                recorder.ask(user, Op("get", REPOSITORY, tags=(tag,), how="GET"))
            given.tally.operations += user.sent + CLIENTS * 25
            user.close()
            if server.stop() != 0:
                msg = "a server behind a bad network did not end well"
                raise Violation(msg)
            inspect(data)
            recorder.check(Tag(held=held))
        given.tally.runs += 1


def _client(server: Server, recorder: Recorder, seed: int, count: int) -> int:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    harms = 0
    with Proxy((server.host, server.port), chance) as proxy:
        for _ in range(count):
            kind = chance.choices(("put", "get", "delete_tag"), (5, 3, 2))[0]
            op = Op(
                kind,
                REPOSITORY,
                chance.choice(PUSHED),
                (chance.choice(recorder.tags),),
                how="GET" if kind == "get" else "",
            )
            proxy.let(chance.choices(FATES, (6, 2, 1, 1, 1, 2))[0])
            harms += proxy.fate not in {"pass", "delay"}
            user = User("127.0.0.1", proxy.port)
            asked = time.monotonic()
            recorder.ask(user, op)
            user.close()
            if proxy.fate == "repeat" and kind != "get":
                proxy.settle()  # what it came to is the server's; when, is between these two
                value = op.digest if kind == "put" else None
                recorder.note(op, Call(KINDS[kind], value, asked, time.monotonic(), known=False))
    return harms


def days(given: Round) -> None:
    """Live through days over a network that cuts and loses; every request is sent again until it is answered."""
    for _ in range(given.size(1, 6)):
        belief = fresh()
        with given.fresh() as data, Server(data) as server:
            server.start()
            with Proxy((server.host, server.port), given.chance) as proxy:
                for op in day(given.chance):
                    if op.kind == "pass_time":
                        server.pass_time(op.hours)
                        belief.certain(op, ())
                        continue
                    for turn in range(MOST_TURNS):
                        proxy.let(given.chance.choice(FATES[:-1]) if turn < MOST_TURNS - 1 else "pass")
                        user = User("127.0.0.1", proxy.port)
                        answered = act(user, belief, op)
                        given.tally.operations += user.sent
                        user.close()
                        given.tally.kills += not answered
                        if answered:
                            break
            user = server.user()
            look_at_everything(user, belief)
            user.close()
            server.kill()
            inspect(data)
        given.tally.runs += 1
