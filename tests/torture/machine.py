"""The registry against the reference model: hypothesis makes up the days, and shortens the one that goes wrong."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from holdfast.wiring import microseconds_now
from images import sha256
from running import running, settings
from torture.inspect_data import inspect
from torture.model import Op, Violation
from torture.process import HOUR_MICROSECONDS, Server
from torture.user import (
    BLOBS,
    DIGESTS,
    LAYERS,
    MODES,
    REPOSITORIES,
    TAGS,
    User,
    act,
    any_op,
    day,
    fresh,
    look_at_everything,
    parts_of,
)

if TYPE_CHECKING:
    from torture.part import Round

NAMES = st.sampled_from(REPOSITORIES)
BLOB = st.sampled_from(tuple(BLOBS))
LAYER = st.sampled_from([sha256(layer) for layer in LAYERS])
DIGEST = st.sampled_from(DIGESTS)
TAG = st.sampled_from(TAGS)
SOME_TAGS = st.lists(TAG, max_size=2, unique=True).map(tuple)
MODE = st.sampled_from(MODES)


class Registry(RuleBasedStateMachine):
    """Every operation, in every order; each answer is compared at once. Where the registry runs, a subclass says."""

    user: User
    operations = 0

    def __init__(self) -> None:
        super().__init__()
        self.belief = fresh()

    def do(self, op: Op) -> None:
        """Carry out an operation."""
        if not act(self.user, self.belief, op):
            msg = f"{op} was not answered by a server that works"
            raise Violation(msg)

    @initialize(first=MODE, second=MODE)
    def make(self, first: Any, second: Any) -> None:
        for name, (mode, filters) in zip(REPOSITORIES, (first, second), strict=True):
            self.do(Op("create", name, mode=mode, filters=filters))

    @rule(name=NAMES, mode=MODE)
    def create(self, name: str, mode: Any) -> None:
        self.do(Op("create", name, mode=mode[0], filters=mode[1]))

    @rule(name=NAMES, mode=MODE)
    def switch(self, name: str, mode: Any) -> None:
        self.do(Op("mode", name, mode=mode[0], filters=mode[1]))

    @rule(name=NAMES, how=st.sampled_from(("", "force")))
    def delete_repository(self, name: str, how: str) -> None:
        self.do(Op("delete_repository", name, how=how))

    @rule(name=NAMES, digest=DIGEST, tags=SOME_TAGS, how=st.sampled_from(("", "parts")))
    def push(self, name: str, digest: str, tags: tuple[str, ...], how: str) -> None:
        for op in parts_of(name, digest, how):
            self.do(op)
        self.do(Op("put", name, digest, tags))

    @rule(name=NAMES, digest=DIGEST, tags=SOME_TAGS, how=st.sampled_from(("", "ecr", "query")))
    def put(self, name: str, digest: str, tags: tuple[str, ...], how: str) -> None:
        self.do(Op("put", name, digest, tags, how=how))

    @rule(name=NAMES, tag=TAG, how=st.sampled_from(("GET", "HEAD")))
    def get(self, name: str, tag: str, how: str) -> None:
        self.do(Op("get", name, tags=(tag,), how=how))

    @rule(name=NAMES, tag=TAG)
    def delete_tag(self, name: str, tag: str) -> None:
        self.do(Op("delete_tag", name, tags=(tag,)))

    @rule(name=NAMES, digest=DIGEST)
    def delete_manifest(self, name: str, digest: str) -> None:
        self.do(Op("delete_manifest", name, digest))

    @rule(
        name=NAMES,
        kind=st.sampled_from(("head_blob", "get_blob", "delete_blob", "push_blob", "push_wrong")),
        digest=BLOB,
    )
    def blob(self, name: str, kind: str, digest: str) -> None:
        self.do(Op(kind, name, digest))

    @rule(name=NAMES, source=NAMES, digest=BLOB)
    def mount(self, name: str, source: str, digest: str) -> None:
        self.do(Op("mount", name, digest, source=source))

    @rule(hours=st.sampled_from((5, 15, 25)))
    def time_passes_and_the_collection_runs(self, hours: int) -> None:
        self.pass_time(hours)
        self.belief.certain(Op("pass_time", hours=hours), ())
        self.do(Op("collect"))

    def pass_time(self, hours: int) -> None:
        """Put the leases forward."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Look at everything once more."""
        look_at_everything(self.user, self.belief)
        type(self).operations += self.user.sent
        self.user.close()


def in_process(given: Round) -> None:
    """Run the machine against servers in this process."""
    ahead = [0]

    def leases() -> int:
        return microseconds_now() + ahead[0] * HOUR_MICROSECONDS

    class InProcess(Registry):
        def __init__(self) -> None:
            super().__init__()
            self._data = Path(tempfile.mkdtemp(dir=given.folder))
            self._server = running(settings(self._data), lease_clock=leases)
            up = self._server.__enter__()  # closed in teardown
            asyncio.run_coroutine_threadsafe(up.holdfast.collected_once.wait(), up.loop).result(30)
            self.user = User(up.host, up.port)

        def pass_time(self, hours: int) -> None:
            ahead[0] += hours

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                self._server.__exit__(None, None, None)
            inspect(self._data)
            shutil.rmtree(self._data)

    _run(given, InProcess, given.size(8, 40))


def over_http(given: Round) -> None:
    """Run the machine against a process that is killed and started again now and then: what was answered stays."""

    class OverHTTP(Registry):
        def __init__(self) -> None:
            super().__init__()
            self._server = Server(Path(tempfile.mkdtemp(dir=given.folder)))
            self._server.start()
            self.user = self._server.user()

        def pass_time(self, hours: int) -> None:
            self._server.pass_time(hours)

        @rule()
        def kill_and_start(self) -> None:
            self.user.close()
            self._server.kill()
            inspect(self._server.data)
            self._server.start()
            self.belief.unknown(Op("collect"))  # a start collects
            sent = self.user.sent
            self.user = self._server.user()
            self.user.sent = sent

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                given.tally.kills += self._server.kills
                self._server.kill()
            inspect(self._server.data)
            shutil.rmtree(self._server.data)

    _run(given, OverHTTP, given.size(3, 20))


def days(given: Round) -> None:
    """Live through whole days without any harm: what the other parts compare with."""
    for _ in range(given.size(2, 10)):
        belief = fresh()
        with given.fresh() as data, Server(data) as server:
            server.start()
            user = server.user()
            for op in [*day(given.chance), *(any_op(given.chance) for _ in range(given.size(20, 200)))]:
                if op.kind == "pass_time":
                    server.pass_time(op.hours)
                    belief.certain(op, ())
                elif not act(user, belief, op):
                    msg = f"{op} was not answered by a server that works"
                    raise Violation(msg)
            look_at_everything(user, belief)
            given.tally.operations += user.sent
            given.tally.runs += 1
            user.close()
            server.stop()
            inspect(data)


def _run(given: Round, machine: type[Registry], examples: int) -> None:
    machine.operations = 0
    wanted = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=given.size(40, 80),
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    run_state_machine_as_test(hypothesis.seed(given.seed)(machine), settings=wanted)
    given.tally.runs += examples
    given.tally.operations += machine.operations
