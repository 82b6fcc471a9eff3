"""The pre-commit hooks and the GitHub Action do what they say, run as their hosts run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import process_environment
from holdfast.pin import settings

ROOT = Path(__file__).parent.parent.parent
DIGEST = f"@sha256:{'a' * 64}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A code base with one finding of high severity, and the program on the PATH."""
    (tmp_path / "Dockerfile").write_text("FROM nginx:latest\n")
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "Dockerfile").write_text(f"FROM nginx:1{DIGEST}\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m holdfast "$@"\n')
    (programs / "holdfast").chmod(0o755)
    return tmp_path


def run(folder: Path, script: str, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    around = {**process_environment(), **given, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, "bash", *arguments]
    return subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("hook", ["holdfast-lint", "holdfast-pin-check"])
def test_a_hook_judges_the_files_that_it_is_given(folder: Path, hook: str) -> None:
    hooks = {one["id"]: one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    script = f'{hooks[hook]["entry"]} "$@"'
    assert run(folder, script, "clean/Dockerfile").returncode == 0
    ran = run(folder, script, "clean/Dockerfile", "Dockerfile")
    assert (ran.returncode, ran.stdout.splitlines()[0].partition(": ")[0]) == (1, "Dockerfile:1:6")


def action(**given: str) -> tuple[str, dict[str, str]]:
    """Return the script of the action's last step, and its environment as a workflow would fill it."""
    document: Any = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    inputs = {name: one["default"] for name, one in document["inputs"].items()} | given
    step = document["runs"]["steps"][-1]
    assert "${{" not in step["run"]
    return step["run"], {
        name: inputs[value.removeprefix("${{ inputs.").removesuffix(" }}")] for name, value in step["env"].items()
    }


def test_the_action_shows_findings_and_writes_sarif(folder: Path) -> None:
    script, given = action(sarif="holdfast.sarif")
    ran = run(folder, script, **given)
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.startswith("::error file=Dockerfile,line=1,")
    assert '"version": "2.1.0"' in (folder / "holdfast.sarif").read_text()


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"paths": "clean\n"}, 0),
        ({"paths": "clean\nDockerfile"}, 1),
        ({"fail-on": "critical"}, 0),
        ({"command": "pin-check"}, 1),
        ({"command": "pin-check", "paths": "clean"}, 0),
        ({"command": "rm"}, 2),
        ({"paths": "$(touch harmed); --help"}, 2),
    ],
)
def test_the_action_takes_its_inputs(folder: Path, inputs: dict[str, str], code: int) -> None:
    script, given = action(**inputs)
    assert run(folder, script, **given).returncode == code
    assert not (folder / "harmed").exists()


def test_the_settings_of_the_page_are_settings() -> None:
    page = (ROOT / "docs" / "pinning.md").read_text("utf-8")
    [example] = [one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if one.startswith("ignore:")]
    read = settings.parse(example.encode())
    assert (len(read.ignores), read.excludes("third_party/a/Dockerfile")) == (1, True)
    assert read.severities["push-cache-tag"] is None
