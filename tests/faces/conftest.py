"""Fixtures of the tests of the JSON API and of the OCI face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from held_ground import HeldGround, WatchedClient, plant
from json_api import Api, Clock
from running import KEY_ID, SECRET, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ecr(server: RunningServer) -> Iterator[Any]:
    """The administrator's client of Amazon ECR's operations."""
    made = server.aws("ecr")
    yield made
    made.close()


@pytest.fixture(scope="session")
def holdfast(server: RunningServer) -> Iterator[Any]:
    """The administrator's client of Holdfast's own operations."""
    made = server.aws("holdfast")
    yield made
    made.close()


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The clock of `strict`; a test that puts it forward puts it back."""
    return Clock()


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[RunningServer]:
    """A server that makes no repository on push, as ECR, and whose time a test may change."""
    with running(settings(tmp_path_factory.mktemp("strict")), clock=clock) as up:
        yield up


@pytest.fixture(scope="session")
def ground(server: RunningServer) -> HeldGround:
    """A held tag of the shared server, which nothing that a test does may move."""
    return plant(server)


@pytest.fixture
def oci(server: RunningServer) -> Iterator[WatchedClient]:
    """The administrator's client of the OCI face; every answer's form is checked."""
    made = WatchedClient(server.host, server.port, basic(KEY_ID, SECRET))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def what_is_held_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """After whatever was sent to the shared server the held tag names its digest, and its blobs hash.

    A module that has a server of its own by this name looks after it itself.
    """
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    if server is None or not server.is_shared:
        yield
        return
    ground = request.getfixturevalue("ground")
    yield
    watch = WatchedClient(server.host, server.port, basic(KEY_ID, SECRET))
    ground.assert_holds(watch)
    watch.close()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Clock]]:
    """A server for failed log-ins, which are counted for a minute; and its clock."""
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("guarded")), clock=clock) as up:
        yield up, clock


@pytest.fixture
def guarded_api(guarded: tuple[RunningServer, Clock]) -> Iterator[Api]:
    """The administrator's hand-made requests, minutes after those of the test before."""
    server, clock = guarded
    clock.ahead_seconds += 180
    made = Api(server, now=clock.now)
    yield made
    made.close()


@pytest.fixture
def held(ecr: Any, repository: str) -> str:
    """An IMMUTABLE repository."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    return repository
