"""What every test here shares: the registry, the images, workbenches, and the matrix that is printed at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .clients import Client, Missing, find
from .images import Images, build_images
from .report import Report
from .service import Registry, registry_under_test
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
    with registry_under_test(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def bench_for(registry: Registry, report: Report) -> Iterator[Benches]:
    """Give a client its workbench; a client that is not there skips the test by name."""
    with ExitStack() as stack:

        def give(client: Client) -> Workbench:
            found = find(client)
            if isinstance(found, Missing):
                report.left_out[client.name] = found.reason
                pytest.skip(f"{client.name}: {found.reason}")
            return stack.enter_context(workbench(found, registry))

        yield give
