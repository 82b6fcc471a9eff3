"""The README's commands work, in order, as a newcomer would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from images import image, push, put
from running import KEY_ID, REGION, SECRET, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|docker)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningServer]:
    with running(settings(tmp_path)) as up:
        yield up


def test_the_tour(fresh: RunningServer) -> None:
    """Every `sh` block runs; where the `docker` blocks stand, images are pushed through the same API.

    docker itself, with its engine, walks this way in tests/interop.
    """
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_ECR": fresh.url,
        "AWS_PAGER": "",
        "HOLDFAST_ENDPOINT": fresh.url,
    }
    client = fresh.client()
    pushes = 0
    said = ""
    for language, commands in BLOCKS:
        if language == "sh":
            done = subprocess.run(
                ["bash", "-euc", commands], env=environment, capture_output=True, text=True, timeout=180, check=False
            )
            assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
            said += done.stdout
        elif pushes == 0:
            assert push(client, "demo/app", "v1", image()).status == 201
            pushes += 1
        else:
            another = image(b"another layer")
            push(client, "demo/app", "v2", another)
            refused = put(client, "demo/app", "v1", another)
            assert refused.status == 409
            pushes += 1
    assert pushes == 2
    assert "refused" in said, "the history tells of the attempt"
    assert "latest" in said, "the filter is shown"


def test_the_refusal_that_is_shown_is_the_one_that_is_sent(fresh: RunningServer) -> None:
    client = fresh.client()
    fresh.aws().create_repository(repositoryName="demo/app", imageTagMutability="IMMUTABLE")
    assert push(client, "demo/app", "v1", image()).status == 201
    sent = push(client, "demo/app", "v1", image()).message
    shown = next(block for block in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if block.startswith("denied:"))

    def form(text: str) -> str:
        text = re.sub(r"sha256:[0-9a-f]+(?:\.\.\.)?", "DIGEST", text)
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:]+Z|arn:\S+", "X", re.sub(r"\s+", " ", text)).strip()

    assert form(shown) == form(f"denied: {sent}")


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^ {4}make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
