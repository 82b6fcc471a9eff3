"""`holdfast lint` through the command line: formats, acceptance, an editor's buffer, and files made to do harm."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from commands import Commands, process_environment
from holdfast.cli import examining

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The program in a folder with three files, without a server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_bytes(b"FROM nginx:latest\r\nRUN true\r\n")
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "Dockerfile").write_text(f"FROM nginx:1@sha256:{'a' * 64}\n")
    (tmp_path / "notes.txt").write_text("FROM here\n")
    return Commands(monkeypatch, capsys)


def test_text_names_the_place(lint: Commands) -> None:
    ran = lint("lint")
    assert ran.code == 1
    assert ran.out.startswith("Dockerfile:1:6: high [image-latest] ")
    assert "    1 | FROM nginx:latest\n      |      ^~~~~~~~~~~~\n" in ran.out
    assert ran.out.endswith("1 finding in 2 files (1 high).\n")


def test_nothing_found(lint: Commands) -> None:
    ran = lint("lint", "clean")
    assert (ran.code, ran.out) == (0, "Nothing found in 1 file.\n")


def test_every_format_tells_the_same(lint: Commands) -> None:
    told = lint("lint", "--format", "json").json()
    assert lint("lint", "--json").json() == told
    [finding] = told["findings"]
    assert finding["location"] == {
        "path": "Dockerfile",
        "span": {"start": 5, "end": 17, "line": 1, "column": 6, "end_line": 1, "end_column": 18},
    }
    [result] = lint("lint", "--format", "sarif").json()["runs"][0]["results"]
    assert result["partialFingerprints"] == {"holdfast/v1": finding["fingerprint"]}
    assert lint("lint", "--format", "github").out.startswith("::error file=Dockerfile,line=1,")
    root = ET.fromstring(lint("lint", "--format", "junit").out)  # noqa: S314 - our own
    assert (root.get("tests"), root.get("failures")) == ("2", "1")


def test_least_severity_for_a_failure(lint: Commands) -> None:
    assert lint("lint", "--fail-on", "critical").code == 0
    assert lint("lint", "--fail-on", "high").code == 1


def test_an_editor_asks_about_its_buffer(lint: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n\nFROM redis\n")))
    [finding] = lint("lint", "--stdin-filename", "new/Dockerfile", "--json").json()["findings"]
    assert (finding["location"]["path"], finding["location"]["span"]["line"]) == ("new/Dockerfile", 3)


def test_a_baseline_and_its_settings(lint: Commands, tmp_path: Path) -> None:
    assert lint("lint", "--write-baseline", "base.json").code == 0
    assert lint("lint", "--baseline", "base.json").code == 0
    (tmp_path / ".holdfast.yaml").write_text("baseline: base.json\n")
    assert lint("lint").code == 0
    (tmp_path / "Dockerfile").write_text("FROM redis\n")
    assert lint("lint").code == 1
    (tmp_path / "base.json").write_text("[]")
    assert lint("lint").code == 2


def test_settings_exclude_and_are_checked(lint: Commands, tmp_path: Path) -> None:
    (tmp_path / ".holdfast.yaml").write_text("exclude: [Dockerfile]\n")
    assert lint("lint").code == 0
    (tmp_path / ".holdfast.yaml").write_text("exclud: [Dockerfile]\n")
    ran = lint("lint")
    assert (ran.code, "exclud" in ran.err) == (2, True)


def test_files_that_git_ignores_are_not_looked_at_unless_named(lint: Commands, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/Dockerfile\n")
    assert lint("lint").code == 0
    assert lint("lint", "Dockerfile").code == 1


def test_a_link_in_a_folder_is_not_followed(lint: Commands, tmp_path: Path) -> None:
    (tmp_path / "clean" / "Dockerfile.link").symlink_to(tmp_path / "Dockerfile")
    assert lint("lint", "clean").code == 0


def test_a_file_that_cannot_be_read_does_not_stop_the_others(lint: Commands, tmp_path: Path) -> None:
    (tmp_path / "a.Dockerfile").write_text("FROM a\n" + "RUN x\n" * 40_000)
    told = lint("lint", "--json").json()
    assert [one["rule"] for one in told["findings"]] == ["image-latest", "file-unreadable"]


def test_a_reader_that_takes_for_ever_is_stopped(lint: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = vars(examining)["examine"]

    def slow(name: str, *given: Any) -> Any:
        while name == "Dockerfile":
            pass
        return real(name, *given)

    monkeypatch.setattr(examining, "examine", slow)
    monkeypatch.setattr(examining, "SECONDS_PER_FILE", 0.05)
    [found] = lint("lint", "--json").json()["findings"]
    assert (found["rule"], "takes longer" in found["message"]) == ("file-unreadable", True)


MANY = """
import os, sys, time
from holdfast.cli import examining
from holdfast.cli.main import main
examining.SECONDS_PER_FILE = 3.0
real = examining.examine
def harmed(name, *given):
    if name == "dies/Dockerfile":
        os._exit(9)
    if name == "hangs/Dockerfile":
        time.sleep(600)
    return real(name, *given)
if sys.argv[1] == "harmed":
    examining.examine = harmed
main(["lint", "--json"])
"""


def test_many_files_are_read_on_every_core_and_none_that_kills_its_reader_stops_the_others(
    lint: Commands, tmp_path: Path
) -> None:
    for place in ("dies", "hangs", *(f"many/{number}" for number in range(60))):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "Dockerfile").write_text("FROM redis\n")
    here = lint("lint", "--json").json()

    def spread(how: str) -> Any:
        command = [sys.executable, "-c", MANY, how]
        ran = subprocess.run(
            command, cwd=tmp_path, env=process_environment(), capture_output=True, timeout=100, check=False
        )
        assert ran.returncode == 1, ran.stderr
        return json.loads(ran.stdout)

    assert spread("whole") == here
    harmed = spread("harmed")["findings"]
    assert {one["location"]["path"] for one in harmed if one["rule"] == "file-unreadable"} == {
        "dies/Dockerfile",
        "hangs/Dockerfile",
    }
    assert len(harmed) == len(here["findings"])


def test_the_list_of_rules(lint: Commands) -> None:
    rules = lint("lint", "--rules", "--json").json()["rules"]
    assert {"image-latest", "image-gone"} <= {one["rule"] for one in rules}
    assert json.dumps(rules)
