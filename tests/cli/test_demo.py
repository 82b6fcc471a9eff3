"""`holdfast demo`: it shows what it says, cleans up, and can fail."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from commands import PROGRAM, process_environment
from holdfast.cli import demo
from holdfast.client.api import API

if TYPE_CHECKING:
    from commands import Commands

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own, to see what is left in it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_facts(holdfast: Commands, temporary: Path) -> None:
    ran = holdfast("demo", "--json")
    assert ran.code == 0, ran.err
    facts = ran.json()
    assert facts["held"] is True
    assert len(facts["checks"]) >= 11
    assert all(check["held"] for check in facts["checks"])
    assert facts["mutability"] == "IMMUTABLE"
    first, second = facts["first"], facts["second"]
    assert len(first["layers"]) == 3
    assert first["layers_bytes"] > 1_000_000
    assert first["digest"] != second["digest"]
    refusal = facts["refusal"]
    assert (refusal["status"], refusal["code"]) == (409, "DENIED")
    assert "cannot be overwritten because the tag is immutable" in refusal["message"]
    assert refusal["detail"]["bound_digest"] == first["digest"]
    assert refusal["detail"]["pushed_digest"] == second["digest"]
    assert "cannot be overwritten because the tag is immutable" in facts["refusal_by_put_image"]
    assert facts["tag_digest_after"] == first["digest"] == facts["pulled"]["digest"]
    assert facts["pulled"]["identical"] is True
    assert [(one["tag"], one["until"]) for one in facts["history"]] == [("v2", None), ("v1", None)]
    assert [one["through"] for one in facts["refused"]] == ["ecr", "oci"]
    assert list(temporary.iterdir()) == []


def test_it_speaks_in_steps_and_ignores_settings_of_another_server() -> None:
    strange = {"HOLDFAST_PORT": "1", "HOLDFAST_TLS_CERT": "/nonexistent", "HOLDFAST_ENDPOINT": "http://127.0.0.1:9"}
    ran = subprocess.run(
        [*PROGRAM, "demo"], env={**process_environment(), **strange}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    steps = re.findall(r"^(\d)\. ", ran.stdout, re.MULTILINE)
    assert steps == list("12345678")
    assert "HTTP 409 DENIED" in ran.stdout
    assert "Everything held: 11 checks." in ran.stdout
    assert "AKIA" not in ran.stdout
    assert ran.stderr.count("pushed") == 6
    assert ran.stderr.count("already there") == 2


def test_it_can_fail(holdfast: Commands, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """A planted fault: the repository is made MUTABLE, and the demonstration says so by its exit code."""

    class Loose(API):
        def ecr(self, operation: str, **parameters: Any) -> Any:
            if operation == "create_repository":
                parameters["imageTagMutability"] = "MUTABLE"
            return super().ecr(operation, **parameters)

    monkeypatch.setattr(demo, "API", Loose)
    ran = holdfast("demo")
    assert ran.code == 1
    assert "THIS DID NOT HOLD: the push to the held tag was refused." in ran.out
    assert "NOT held: the repository is IMMUTABLE" in ran.out
    assert list(temporary.iterdir()) == []


def test_kept_it_goes_on_and_can_be_reached(holdfast: Commands) -> None:
    ran = subprocess.run(
        [*PROGRAM, "demo", "--keep", "--json"], env=process_environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(ran.stdout)
    kept = facts["kept"]
    try:
        mine = {
            "HOLDFAST_ENDPOINT": facts["endpoint"],
            "HOLDFAST_REGION": kept["region"],
            "HOLDFAST_ACCESS_KEY_ID": kept["access_key_id"],
            "HOLDFAST_SECRET_ACCESS_KEY": kept["secret_access_key"],
        }
        tags = holdfast("tags", "demo/app", "--json", **mine).json()["tags"]
        assert [(one["tag"], one["held"]) for one in tags] == [("v1", True), ("v2", True)]
    finally:
        os.kill(kept["process_id"], signal.SIGTERM)
    assert Path(kept["folder"]).is_dir()


def _hear_interrupts() -> None:
    """Undo what a shell does to what it runs in the background, tests included: there Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_cleans_up(temporary: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo"],
        env={**process_environment(), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - sets a signal and nothing else
    ) as process:
        assert process.stdout is not None
        assert "A registry of its own is up" in process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == (130 if number is signal.SIGINT else 143)
    until = time.monotonic() + 10
    while list(temporary.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []
