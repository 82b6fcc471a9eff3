"""Nothing left: a disk that is full, a process without a file descriptor or memory to spare.

The server may refuse; it may not say what is not so, and it works again when there is room, without a restart where the
disk was merely full.
"""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from images import sha256
from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.mounts import small_tmpfs
from torture.process import Server
from torture.user import NoAnswer, act, any_op, day, fresh, look_at_everything

if TYPE_CHECKING:
    from pathlib import Path

    from torture.model import Belief
    from torture.part import Round

DISK_BYTES = 48 * 1024 * 1024
DESCRIPTORS = 90
MOST_TURNS = 200
TURN_SECONDS = 0.02
"""The server looks for room every few seconds, in these tests twenty times a second."""

SPARE_MEMORY_BYTES = (1 * 1024 * 1024, 64 * 1024 * 1024)


def full_disk(given: Round) -> None:
    """Fill the disk under a server at moments of a day, and make room again."""
    with small_tmpfs(DISK_BYTES) as folder:
        data = folder / "data"
        belief = fresh()
        with Server(data, {"reserve_mib": given.chance.choice(("0", "1"))}) as server:
            server.start()
            ops = [*day(given.chance), *(any_op(given.chance) for _ in range(given.size(60, 600)))]
            for op in ops:
                if given.chance.random() < 0.3:
                    _fill(folder, given.chance.randrange(0, 40_000))
                    given.tally.kills += 1
                answered = _do(given, server, belief, op)
                (folder / "filler").unlink(missing_ok=True)
                if not server.is_alive:
                    msg = f"{op}: a server whose disk was merely full ended itself"
                    raise Violation(msg)
                if not answered and not _again(given, server, belief, op):
                    msg = f"{op}: a server whose disk has room again refuses"
                    raise Violation(msg)
            user = server.user()
            look_at_everything(user, belief)
            user.close()
            server.kill()
            inspect(data)
        given.tally.runs += 1


def _fill(folder: Path, leave_bytes: int) -> None:
    room = os.statvfs(folder)
    size = max(0, room.f_bavail * room.f_frsize - leave_bytes)
    with (folder / "filler").open("wb") as filler, suppress(OSError):
        os.posix_fallocate(filler.fileno(), 0, max(1, size))


def _do(given: Round, server: Server, belief: Belief, op: Op) -> bool:
    if op.kind == "pass_time":
        server.pass_time(op.hours)
        belief.certain(op, ())
        return True
    user = server.user()
    answered = act(user, belief, op)
    given.tally.operations += user.sent
    user.close()
    return answered


def no_descriptors(given: Round) -> None:
    """Take all descriptors of a server by idle connections, and give them back."""
    belief = fresh()
    with (
        given.fresh() as data,
        Server(data, {"max_connections": "10000"}, {resource.RLIMIT_NOFILE: DESCRIPTORS}) as server,
    ):
        server.start()
        for op in [*day(given.chance), *(any_op(given.chance) for _ in range(given.size(20, 200)))]:
            crowd = given.chance.choice((0, 0, 40, 75, DESCRIPTORS + 20))
            with ExitStack() as stack:
                for _ in range(crowd):
                    with suppress(OSError):
                        idle = socket.create_connection((server.host, server.port), timeout=5)
                        stack.callback(idle.close)
                # Past all descriptors nobody gets through; the crowd goes, and the server is there again.
                answered = crowd < DESCRIPTORS and _do(given, server, belief, op)
            given.tally.kills += crowd > 0
            if not server.is_alive:
                msg = f"{op}: a server without descriptors ended"
                raise Violation(msg)
            if not answered and not _again(given, server, belief, op):
                msg = f"{op}: a server that has descriptors again refuses"
                raise Violation(msg)
        user = server.user()
        look_at_everything(user, belief)
        user.close()
        server.kill()
        inspect(data)
        given.tally.runs += 1


def _again(given: Round, server: Server, belief: Belief, op: Op) -> bool:
    """Ask until the server has noticed that there is room again."""
    for _ in range(MOST_TURNS):
        if _do(given, server, belief, op):
            return True
        time.sleep(TURN_SECONDS)
    return False


def no_memory(given: Round) -> None:
    """Give a server little memory and many large uploads at once; then all must be as it was."""
    belief = fresh()
    with given.fresh() as data, Server(data) as server:
        server.start()
        for op in day(given.chance):
            _do(given, server, belief, op)
        for _ in range(given.size(1, 10)):
            _spare(server.pid, given.chance.randrange(*SPARE_MEMORY_BYTES))
            _flood(server, given.size(8, 24), given.size(8, 32) * 1024 * 1024)
            given.tally.kills += 1
            if not _looks_well(given, server, belief):
                _revive(server, belief, given)
        server.kill()
        inspect(data)
        given.tally.runs += 1


def _spare(pid: int, spare_bytes: int) -> None:
    """Let a process have so much more than it has."""
    with open(f"/proc/{pid}/statm") as told:
        mapped = int(told.read().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (mapped + spare_bytes, resource.RLIM_INFINITY))


def _looks_well(given: Round, server: Server, belief: Belief) -> bool:
    """Look at everything; a server without memory may give no answer, but none that is wrong."""
    user = server.user()
    try:
        look_at_everything(user, belief)
    except NoAnswer:
        return False
    finally:
        given.tally.operations += user.sent
        user.close()
    return True


def _revive(server: Server, belief: Belief, given: Round) -> None:
    """A process may die for want of memory: then the next one must find everything."""
    server.kill()
    given.tally.kills += 1
    inspect(server.data)
    server.start()
    belief.unknown(Op("collect"))


def _flood(server: Server, clients: int, size_bytes: int) -> None:
    def upload(number: int) -> None:
        user = server.user()
        content = bytes([number]) * size_bytes
        with suppress(NoAnswer, OSError):
            user.http("POST", f"/v2/t/b/blobs/uploads/?digest={sha256(content)}", content)
        user.close()

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
