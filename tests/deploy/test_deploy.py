"""What operators are given fits the server: dashboard, alerts, unit, container recipe."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import debian
from holdfast import config
from images import image, push
from running import RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text("utf-8"))
ALERTS = (ROOT / "deploy/alerts.yaml").read_text("utf-8")
RECIPE = (ROOT / "Dockerfile").read_text("utf-8")
UNIT = (ROOT / "deploy/holdfast.service").read_text("utf-8")
GUIDE = (ROOT / "docs/operations.md").read_text("utf-8")


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, dict[str, set[str]]]]:
    """A server that did a little of everything, and the metrics that it exposes: name -> labels."""
    with running(settings(tmp_path_factory.mktemp("deploy"), create_on_push="IMMUTABLE")) as up:
        client = up.client()
        push(client, "d/a", "v1", image())
        push(client, "d/a", "v1", image())
        up.aws().describe_repositories()
        text = up.anonymous()("GET", "/metrics").body.decode()
        found: dict[str, set[str]] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, labels = line.rpartition(" ")[0].partition("{")
                found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
        yield up, found


def queries() -> list[str]:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return asked + re.findall(r"^ +expr: (.+)$", ALERTS, re.MULTILINE)


def test_every_metric_that_is_asked_for_is_exposed_with_the_labels_that_are_used(
    exposed: tuple[RunningServer, dict[str, set[str]]],
) -> None:
    _, metrics = exposed
    seen = set()
    for query in queries():
        for name, labels in re.findall(r"\b((?:holdfast|process)_\w+)(?:\{([^}]*)\})?", query):
            seen.add(name)
            assert name in metrics, f"{name} is not exposed; {query}"
            used = set(re.findall(r'(\w+)[=!]~?"', labels)) | {
                label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", group)
            }
            assert used - {"instance", "job"} <= metrics[name], query
    assert len(seen) > 20


def test_the_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_stands_in_the_runbook() -> None:
    names = re.findall(r"alert: (\w+)", ALERTS)
    assert len(names) == len(set(names)) >= 10
    for name in names:
        assert f"**{name}**" in GUIDE, name


def test_the_recipe_is_for_nobody_in_particular_and_pins_what_it_installs() -> None:
    last = RECIPE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "--require-hashes" in RECIPE
    assert '"holdfast", "ready"' in last
    copied = re.findall(r"^COPY (?!--from)(.+)$", RECIPE, re.MULTILINE)
    for names in copied:
        for name in names.split()[:-1]:
            assert (ROOT / name).exists(), name
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {name for names in copied for name in names.split()[:-1]} <= kept
    for variable in re.findall(r"(HOLDFAST_\w+)=", RECIPE):
        assert variable in {one.variable for one in config.TABLE}


def test_prometheus_reads_the_rules_and_the_metrics(exposed: tuple[RunningServer, dict[str, set[str]]]) -> None:
    promtool = debian.program("promtool", "prometheus")
    if promtool is None:
        pytest.skip("promtool is not installed here, and the Debian package prometheus cannot be fetched")
    rules = str(ROOT / "deploy" / "alerts.yaml")
    judged = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    text = exposed[0].anonymous()("GET", "/metrics").body.decode()
    judged = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_the_unit_is_valid_and_hardened() -> None:
    unit = str(ROOT / "deploy" / "holdfast.service")
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "is not executable" not in line]
    assert not complaints
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    )
    level = re.search(r"exposure level for holdfast.service: ([0-9.]+)", judged.stdout)
    assert level is not None, judged.stdout + judged.stderr
    assert float(level[1]) <= 2.0


def test_the_unit_gives_the_server_longer_to_stop_than_it_takes() -> None:
    grace = next(int(str(one.default)) for one in config.TABLE if one.name == "shutdown_seconds")
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > grace


def test_the_guide_names_settings_commands_and_files_that_there_are() -> None:
    settings_ = {one.name for one in config.TABLE}
    for name in re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE):
        assert name in settings_, name
    for variable in re.findall(r"HOLDFAST_[A-Z_]+", GUIDE):
        assert variable in {one.variable for one in config.TABLE} | {"HOLDFAST_ENDPOINT"}, variable
    for target in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / target).exists(), target
    for block in re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL):
        for key in re.findall(r"^(\w+) =", block, re.MULTILINE):
            assert key in settings_, key
