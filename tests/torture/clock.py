"""The server's clock jumps, forth and back, by minutes and by days: promises for a while hold, and so does all else.

What a wrong clock may do is refuse signatures and tokens of the right time; it may not collect what a client was just
told of, move a tag, or lose the order in which things happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from images import sha256
from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.process import Server
from torture.user import DIGESTS, LAYERS, REPOSITORIES, act, any_op, fresh, look_at_everything, parts_of

if TYPE_CHECKING:
    from torture.part import Round

JUMPS_SECONDS = (-400 * 86_400, -3 * 86_400, -3_600, -301, 0, 301, 3_600, 13 * 3_600, 3 * 86_400, 400 * 86_400)


def jumps(given: Round) -> None:
    """Let the clock jump between the steps of pushes, and among operations of all kinds."""
    for _ in range(given.size(1, 8)):
        with given.fresh() as data, Server(data, own_leases=True) as server:
            server.start()
            life = _Life(given, server)
            for name in REPOSITORIES:
                life.do(Op("create", name, mode="IMMUTABLE"))
            for number, seconds in enumerate(JUMPS_SECONDS):
                _push_over_a_jump(life, f"t{number}", DIGESTS[number % len(DIGESTS)], seconds)
            for _ in range(given.size(40, 300)):
                if given.chance.random() < 0.2:
                    life.jump(given.chance.choice(JUMPS_SECONDS))
                life.do(any_op(given.chance))
            look_at_everything(life.user, life.belief)
            _token_ends(server)
            given.tally.operations += life.user.sent
            life.user.close()
            server.stop()
            inspect(data)
        given.tally.runs += 1


class _Life:
    """A server whose clock is wrong, and a client that knows it."""

    def __init__(self, given: Round, server: Server) -> None:
        self.given = given
        self.user = server.user()
        self.belief = fresh()
        self._server = server

    def jump(self, seconds: int) -> None:
        self._server.set_clock(seconds)
        self.user.ahead_seconds = seconds
        self.given.tally.kills += 1

    def do(self, op: Op) -> None:
        if not act(self.user, self.belief, op):
            msg = f"{op} was not answered while the clock jumped"
            raise Violation(msg)


def _push_over_a_jump(life: _Life, tag: str, digest: str, seconds: int) -> None:
    """What was just uploaded, mounted or told of is there for the manifest, whatever the clock says by then."""
    first, second = REPOSITORIES
    life.jump(seconds)
    for op in parts_of(first, digest):
        life.do(op)
    life.do(Op("mount", second, sha256(LAYERS[0]), source=first))
    life.jump(life.given.chance.choice(JUMPS_SECONDS))
    life.do(Op("collect"))
    life.do(Op("put", first, digest, (tag,)))
    life.do(Op("get", first, tags=(tag,)))
    life.do(Op("delete_manifest", first, digest))


def _token_ends(server: Server) -> None:
    """A token given before the clock went forth is over, and one is given again."""
    server.set_clock(0)
    user = server.user()
    token = user.http("GET", "/token?service=holdfast").json()["token"]
    bearer = user.anonymous()
    statuses = []
    for seconds in (0, 86_400, 0, -86_400):
        server.set_clock(seconds)
        statuses.append(bearer("GET", "/v2/", headers={"Authorization": f"Bearer {token}"}).status)
        bearer.close()
    user.close()
    if statuses[:3] != [200, 401, 200] or statuses[3] >= 500:
        msg = f"a token was answered {statuses} now, a day later, now, and a day before it was given"
        raise Violation(msg)
