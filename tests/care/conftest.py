"""Fixtures of the tests of care."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commands import Commands, environment

if TYPE_CHECKING:
    from running import RunningServer


@pytest.fixture
def holdfast(server: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The program, run by the administrator against the shared server."""
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "HOLDFAST_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Commands(monkeypatch, capsys, environment(server.url))
