"""The kubelet's way to an image: containerd's CRI service pulls the tag that held."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import judging
from .clients import CONTAINERD, CONTAINERD_2, CRI
from .drivers import needed
from .engines import containerd

if TYPE_CHECKING:
    from .clients import Client
    from .conftest import Benches
    from .images import Images
    from .report import Report
    from .service import Registry

pytestmark = pytest.mark.interop

TAG = "1.0"
SCRIPT = Path(__file__).with_name("cri_pull.py")


@pytest.mark.parametrize("engine", [CONTAINERD, CONTAINERD_2], ids=lambda engine: engine.slug)
@pytest.mark.parametrize("kind", ["image", "index"])
def test_a_kubelet_pulls_what_was_pushed_first(
    kind: str, engine: Client, bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """Pushed by plain requests, not overwritten, pulled over CRI with the credentials in the call."""
    asking, bench = bench_for(CRI), bench_for(engine)
    row = report.row(f"{engine.name}, CRI", bench.found.version, f"{kind} (pull only)")
    first, second = images.first, images.second
    if kind == "index":
        first, second = images.first_index, images.second_index
    repository = f"interop/cri-{engine.slug}-{kind}"
    registry.create_repository(repository)
    pushing = judging.as_outcome(registry.push(repository, TAG, first))
    stored = judging.pushed(row, pushing, registry, repository, TAG)
    judging.refused(row, judging.as_outcome(registry.push(repository, TAG, second)), repository, TAG)
    judging.pushed_again(row, judging.as_outcome(registry.push(repository, TAG, first)))
    row.log_in = "in the call"

    socket = bench.keep(containerd(bench.found.programs, bench.folder / "engine", bench.environment, registry.host))
    reference = f"{registry.host}/{repository}:{TAG}"
    needed(asking.run("python", SCRIPT, socket, reference, registry.user, given=registry.password))
    words = ("--address", socket, "--namespace", "k8s.io", "images", "list", f"name=={reference}")
    judging.pulled(row, re.findall(r"sha256:[0-9a-f]{64}", needed(bench.run("ctr", *words)).stdout), stored)
