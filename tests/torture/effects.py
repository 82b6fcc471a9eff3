"""The n-th effect on the disk fails, for every n: lost, kept but reported lost, short, once or for good.

After each, the server is started again on a disk that works: every answered request must have its outcome, every other
one its whole outcome or none.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.process import Died, Server
from torture.user import act, day, fresh, look_at_everything

if TYPE_CHECKING:
    from torture.model import Belief
    from torture.part import Round

MODES = (
    ("lost", errno.EIO, False),
    ("kept", errno.EIO, False),
    ("lost", errno.ENOSPC, False),
    ("lost", errno.EIO, True),
    ("lost", errno.ENOSPC, True),
    ("kept", errno.ENOSPC, False),
    ("short", errno.EIO, False),
    ("lost", errno.EROFS, True),  # as after a file system is remounted read-only
)


def sweep(given: Round) -> None:
    """Fail effects of one day: all of them in the long form, a sample in the short."""
    ops = day(given.chance)
    with given.fresh() as data:
        count = _live_through(given, data_server := Server(data), ops, "")
        data_server.kill()
    wanted = [(number, mode) for number in range(1, count + 1) for mode in MODES]
    for number, (kind, error, for_good) in given.chance.sample(wanted, min(len(wanted), given.size(8, 120))):
        with given.fresh() as data:
            _live_through(given, Server(data), ops, f"{number} {kind} {error} {int(for_good)}")
            given.tally.runs += 1
            given.tally.kills += 1


def _live_through(given: Round, server: Server, ops: list[Op], plan: str) -> int:
    """Live through a day on a disk with a plan; return how many effects there were."""
    belief = fresh()
    with server:
        try:
            server.start(disk=plan or "0 lost 5 0")
        except Died:
            server.start()
        seen = 0
        for op in ops:
            if op.kind == "pass_time":
                server.pass_time(op.hours)
                belief.certain(op, ())
                continue
            if not _do(given, server, belief, op):
                _recover(server, belief)
        seen = server.effects
        _recover(server, belief)
        user = server.user()
        look_at_everything(user, belief)
        given.tally.operations += user.sent
        user.close()
        if server.stop() != 0:
            msg = "a server on a disk that works did not end well"
            raise Violation(msg)
        inspect(server.data)
    return seen


def _do(given: Round, server: Server, belief: Belief, op: Op) -> bool:
    user = server.user()
    answered = act(user, belief, op)
    given.tally.operations += user.sent
    user.close()
    return answered and server.is_alive


def _recover(server: Server, belief: Belief) -> None:
    """Kill the server, look at what it left, start it on a disk that works."""
    server.kill()
    inspect(server.data, with_fsck=False)
    server.start()
    belief.unknown(Op("collect"))
