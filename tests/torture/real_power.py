"""Real power cuts: a server on ext4 or xfs, the file system shut down under it, mounted again, and looked at."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.mounts import on_a_loop
from torture.process import Server
from torture.user import NoAnswer, any_op, day, fresh, look_at_everything

if TYPE_CHECKING:
    from torture.model import Belief
    from torture.mounts import Mount
    from torture.part import Round
    from torture.user import User

MOST_SECONDS = 1.0
"""A day takes about this long; the power goes at any moment of it."""


def _cuts(given: Round, kind: str) -> None:
    with on_a_loop(kind) as mount:
        for _ in range(given.size(1, 12)):
            with Server(mount.path / f"data{given.tally.runs}") as server:
                _lives(given, mount, server)
            given.tally.runs += 1


def _lives(given: Round, mount: Mount, server: Server) -> None:
    belief = fresh()
    for life in range(given.size(2, 4)):
        _live(given, mount, server, belief, first=life == 0)
    server.start()
    belief.unknown(Op("collect"))
    user = server.user()
    look_at_everything(user, belief)
    user.close()
    if server.stop() != 0:
        msg = "a server on a disk that works did not end well"
        raise Violation(msg)
    inspect(server.data)


def _live(given: Round, mount: Mount, server: Server, belief: Belief, *, first: bool) -> None:
    """Live until the power goes."""
    server.start()
    belief.unknown(Op("collect"))
    cut = threading.Timer(given.chance.uniform(0.02, MOST_SECONDS), mount.cut_the_power)
    cut.start()
    user = server.user()
    ops = [*(day(given.chance) if first else ()), *(any_op(given.chance) for _ in range(400))]
    for op in ops:
        if op.kind == "pass_time":
            server.pass_time(op.hours)
            belief.certain(op, ())
        elif not _act(user, belief, op, mount):
            break
    given.tally.operations += user.sent
    user.close()
    cut.join()
    server.kill()
    mount.unmount()
    mount.mount()
    given.tally.kills += 1
    if (server.data / "holdfast.db").exists():
        inspect(server.data)


def _act(user: User, belief: Belief, op: Op, mount: Mount) -> bool:
    """Carry out an operation; what was answered while the power went, or after, counts as not answered."""
    try:
        answer = user.perform(op)
    except NoAnswer:
        belief.unknown(op)
        return False
    if mount.is_cut:
        belief.unknown(op)
        return False
    belief.certain(op, answer)
    return True


ext4 = partial(_cuts, kind="ext4")
xfs = partial(_cuts, kind="xfs")
