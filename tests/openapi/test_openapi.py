"""The OpenAPI description has every route and no other, and the server keeps to it when schemathesis drives it."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from held_ground import HeldGround, plant
from holdfast.cli.openapi import PATHS, ROUTES, document
from holdfast.faces.oci import ERRORS, OCIFace
from holdfast.faces.oci_call import parse_path
from openapi.drive import DESCRIPTION, HastyClock, drive
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NEEDED = sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in inspect.signature(OCIFace).parameters.values())


def test_every_route_of_the_face_is_described_and_no_other() -> None:
    assert set(ROUTES) == set(OCIFace(*[Mock()] * NEEDED)._routes)


def test_every_path_leads_where_the_description_says() -> None:
    for kind, path in PATHS.items():
        target = parse_path(re.sub(r"\{\w+\}", "x", path))
        assert target is not None
        assert target.kind == kind


def test_every_status_that_an_error_has_is_described() -> None:
    described = {int(status) for status in document()["components"]["responses"]}
    assert {status for status, _ in ERRORS.values()} - {500} <= described


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[RunningServer, HeldGround]]:
    """A server whose clock hurries, with a held tag."""
    clock = HastyClock()
    with running(settings(tmp_path / "data", create_on_push="MUTABLE"), clock=clock) as up:
        ground = plant(up)
        clock.hurries = True
        yield up, ground


def test_the_server_keeps_to_its_description(alone: tuple[RunningServer, HeldGround]) -> None:
    server, ground = alone
    done = drive(server, DESCRIPTION, "--max-examples", "3", "--seed", "1")
    assert done.returncode == 0, done.stdout
    assert f"Selected: {len(ROUTES)}/{len(ROUTES)}" in done.stdout
    ground.assert_holds(server.client())


def test_what_differs_from_the_description_is_found(alone: tuple[RunningServer, HeldGround], tmp_path: Path) -> None:
    described = json.loads(DESCRIPTION.read_text("utf-8"))
    described["paths"] = {path: described["paths"][path] for path in ("/v2/", "/v2/_catalog")}
    described["paths"]["/v2/"]["get"]["responses"].pop("200")
    catalog = described["paths"]["/v2/_catalog"]["get"]["responses"]["200"]["content"]["application/json"]
    catalog["schema"]["required"] = ["images"]
    spoiled = tmp_path / "openapi.json"
    spoiled.write_text(json.dumps(described), "utf-8")
    done = drive(alone[0], spoiled, "--max-examples", "1", "--seed", "1", "--phases", "examples,coverage")
    assert done.returncode == 1, done.stdout
    assert "2 unique failures" in done.stdout, done.stdout
