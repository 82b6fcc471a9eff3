"""What every test here shares: the registry, the images, workbenches, and the matrix that is printed at the end."""

from __future__ import annotations

import os
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

REPORT = pytest.StashKey[Report]()

Benches = Callable[[Client], Workbench]


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's matrix."""
    config.stash[REPORT] = Report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix, and write it where the environment says."""
    report = config.stash[REPORT]
    if not report.rows and not report.left_out:
        return
    terminalreporter.section("clients")
    terminalreporter.write_line(report.text())
    folder = os.environ.get("HOLDFAST_INTEROP_REPORT")
    if folder:
        report.write(Path(folder))


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
