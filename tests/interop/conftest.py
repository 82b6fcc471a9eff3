"""What every test here shares: the registry, the images, workbenches, and the matrix that is printed at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from .clients import Client, Missing, find
from .images import Images, build_images
from .report import Report
from .service import Registry, holdfast, named_registry, tell_refusals_as_ecr
from .workbench import Workbench, workbench

HERE = Path(__file__).resolve().parent
REPORT = pytest.StashKey[Report]()

Benches = Callable[[Client], Workbench]


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's matrix."""
    config.stash[REPORT] = Report()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the clients that have to be installed to the runs that name this folder, as `make interop` does.

    They take minutes. Said aloud at the end of the run, so that nobody takes a run without them for one with them.
    """
    if any(HERE in (path, *path.parents) for path in named_paths(config)):
        return
    waiting = [item for item in items if HERE in item.path.parents and item.get_closest_marker("interop")]
    if waiting:
        config.stash[REPORT].waiting = len(waiting)
        config.hook.pytest_deselected(items=waiting)
        items[:] = [item for item in items if item not in waiting]


def named_paths(config: pytest.Config) -> list[Path]:
    """The files and folders that the command line names."""
    return [(config.invocation_params.dir / word.split("::")[0]).resolve() for word in config.args]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix, and write it where the environment says."""
    report = config.stash[REPORT]
    if report.waiting:
        terminalreporter.write_line(f"{report.waiting} tests of real clients did not run: make interop runs them")
    if not report.rows and not report.left_out:
        return
    terminalreporter.section("clients")
    terminalreporter.write_line(report.text())
    folder = os.environ.get("HOLDFAST_INTEROP_REPORT")
    if folder:
        report.write(Path(folder))


@pytest.fixture(scope="session", autouse=True)
def ended_as_if_by_hand() -> Iterator[None]:
    """Clean up also when the run is ended by SIGTERM, as a CI system does: daemons would go on without us."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """The session's matrix."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """What is pushed."""
    return build_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The registry under test, one for the session, as in life: every client on the same server."""
    named = named_registry()
    if named:
        yield named
        return
    with holdfast(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def bearer_registry(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A second server, which asks for the token flow of other registries instead of ECR's Basic log-in."""
    if named_registry():
        yield registry
        return
    with holdfast(tmp_path_factory.mktemp("bearer"), "--login", "bearer") as running:
        yield running


@pytest.fixture(scope="session")
def ecr_styled_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A third server, which tells refusals with ECR's own status and code."""
    if named_registry():
        pytest.skip("a registry named in HOLDFAST_INTEROP_REGISTRY keeps its settings")
    with holdfast(tmp_path_factory.mktemp("ecr-styled")) as running:
        tell_refusals_as_ecr(running)
        yield running


@pytest.fixture
def benches_at(report: Report) -> Iterator[Callable[[Registry], Benches]]:
    """Give a client its workbench at a registry; a client that is not there skips the test by name."""
    with ExitStack() as stack:

        def give(registry: Registry, client: Client) -> Workbench:
            found = find(client)
            if isinstance(found, Missing):
                report.left_out[client.name] = found.reason
                pytest.skip(f"{client.name}: {found.reason}")
            return stack.enter_context(workbench(found, registry))

        yield lambda registry: partial(give, registry)


@pytest.fixture
def bench_for(registry: Registry, benches_at: Callable[[Registry], Benches]) -> Benches:
    """Give a client its workbench at the registry under test."""
    return benches_at(registry)
