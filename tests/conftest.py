"""Fixtures that every test may use."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import hypothesis
import pytest

from running import Client, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


# A machine that is busy with other things is no failure: limits of time stand in the tests that are about time.
hypothesis.settings.register_profile("holdfast", deadline=None, print_blob=True)
hypothesis.settings.load_profile("holdfast")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server shared by all tests that need nothing special of it; it makes MUTABLE repositories on push."""
    with running(settings(tmp_path_factory.mktemp("holdfast"), create_on_push="MUTABLE")) as up:
        up.is_shared = True
        yield up


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    """The administrator's HTTP client."""
    made = server.client()
    yield made
    made.close()


@pytest.fixture
def repository() -> str:
    """A name that no other test uses."""
    return f"t/{uuid.uuid4().hex[:12]}"
