"""`holdfast migrate-ci`: the patch on standard output, the change written, digests asked for."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

import images
from commands import ISOLATED, PROGRAM, Commands, process_environment
from running import KEY_ID, SECRET, Client, RunningServer

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = "j:\n  script:\n    - docker push {0}:latest\n    - docker push {0}:$CI_COMMIT_SHA\n"
MANIFEST = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n    - name: a\n      image: {0}:latest\n"
)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.chdir(folder)
    subprocess.run(["git", "init", "-q", "."], check=True)
    return folder


def test_the_patch_goes_to_git(code: Path, tmp_path: Path) -> None:
    (code / ".gitlab-ci.yml").write_text(PIPELINE.format("q.io/shop/api"))
    words = tmp_path / "words.md"
    command = (*PROGRAM, "migrate-ci", "--offline", "--explanation", str(words))
    ran = subprocess.run(command, capture_output=True, check=False, env=process_environment())
    assert ran.returncode == 0, ran.stderr
    assert (code / ".gitlab-ci.yml").read_text() == PIPELINE.format("q.io/shop/api")
    subprocess.run(["git", "apply", "-"], input=ran.stdout, check=True)
    assert "latest" not in (code / ".gitlab-ci.yml").read_text()
    assert (code / "deploy" / "images.yaml").is_file()
    assert "q.io/shop/api:latest" in words.read_text()


def test_what_is_left_is_told_and_ends_with_1(
    code: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code / "push.sh").write_text("docker push 'q.io/shop/api:latest'\n")
    ran = Commands(monkeypatch, capsys)("migrate-ci", "--offline", "--json")
    assert ran.code == 1
    told = ran.json()
    assert [(one["path"], one["line"]) for one in told["left"]] == [("push.sh", 1)]
    assert told["changed"] == ["deploy/images.yaml"]
    assert not (code / "deploy").exists()


def test_written_with_digests_of_the_registry(
    code: Path,
    tmp_path: Path,
    server: RunningServer,
    client: Client,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    host = f"{server.host}:{server.port}"
    # Registries of this machine are passed over, since what they hold is gone with the run: a name for this one.
    monkeypatch.setattr("holdfast.pin.pushes.references._REGISTRIES_OF_TESTS", ())
    made = images.image()
    assert images.push(client, repository, "latest", made).status == 201
    config = tmp_path / "docker"
    config.mkdir()
    pair = base64.b64encode(f"{KEY_ID}:{SECRET}".encode()).decode()
    (config / "config.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))
    name = f"{host}/{repository}"
    (code / ".gitlab-ci.yml").write_text(PIPELINE.format(name))
    (code / "pod.yaml").write_text(MANIFEST.format(name))
    run = Commands(monkeypatch, capsys, {**ISOLATED, "DOCKER_CONFIG": str(config), "REGISTRY_AUTH_FILE": ""})
    ran = run("migrate-ci", "--write", "--plain-http", host, HOLDFAST_ENDPOINT=None)
    assert ran.code == 0, ran.err
    assert f"{name}@{made.digest}" in (code / "deploy" / "images.yaml").read_text()
    assert f"image: {name}:latest@{made.digest}\n" in (code / "pod.yaml").read_text()
    assert (code / ".gitlab-ci.yml").read_text() == f"j:\n  script:\n    - docker push {name}:$CI_COMMIT_SHA\n"
    again = run("migrate-ci", "--write", "--plain-http", host, HOLDFAST_ENDPOINT=None)
    assert again.code == 0
    assert again.err.startswith("0 files changed")
