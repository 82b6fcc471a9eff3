"""The server is killed at every named place, started again, and held to what it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.store.failpoints import ANY, POINTS
from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.process import Died, Server
from torture.user import act, any_op, day, fresh, look_at_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torture.model import Belief
    from torture.part import Round

MOST_STARTS = 50


def kill_at_each(given: Round) -> None:
    """Kill at the first time that each place is come to, and at later ones that chance picks."""
    for point in POINTS:
        if not _live_through(given, [point]):
            msg = f"the failpoint {point} is in the table, and a day of a registry does not come to it"
            raise Violation(msg)
    for point in POINTS:
        for _ in range(given.size(0, 4)):
            _live_through(given, [f"{point}@{given.chance.randint(2, 12)}"])


def kill_again_and_again(given: Round) -> None:
    """Kill after any number of places, also in the midst of a recovery, many times in one life."""
    for _ in range(given.size(1, 12)):
        plans = [f"{ANY}@{given.chance.randint(1, 150)}" for _ in range(given.size(10, 30))]
        _live_through(given, plans, more=given.size(100, 400))


def _live_through(given: Round, plans: list[str], *, more: int = 0) -> int:
    """Live through a day, each start with the next plan; return how often the server was killed."""
    belief = fresh()
    deaths = 0
    ops = [*day(given.chance), *(any_op(given.chance) for _ in range(more))]
    with given.fresh() as data, Server(data) as server:
        ahead = iter(plans)
        deaths += _start(server, belief, ahead)
        for op in ops:
            if op.kind == "pass_time":
                server.pass_time(op.hours)
                belief.certain(op, ())
                continue
            user = server.user()
            answered = act(user, belief, op)
            given.tally.operations += user.sent
            user.close()
            if not answered:
                deaths += 1
                if server.wait() != -9:
                    msg = f"{op} was not answered, and the server was not killed"
                    raise Violation(msg)
                deaths += _start(server, belief, ahead)
        server.kill()
        _start(server, belief, iter(()))
        user = server.user()
        look_at_everything(user, belief)
        user.close()
        server.kill()
        inspect(data)
    given.tally.runs += 1
    given.tally.kills += deaths
    return deaths


def _start(server: Server, belief: Belief, plans: Iterator[str]) -> int:
    """Start, as often as it takes; return how often the server was killed before it listened."""
    deaths = 0
    while True:
        if (server.data / "holdfast.db").exists():
            inspect(server.data, with_fsck=False)
        try:
            server.start(next(plans, ""))
        except Died:
            deaths += 1
            if deaths > MOST_STARTS:
                raise
            continue
        belief.unknown(Op("collect"))  # a start collects
        return deaths
