"""Every image client: what it pushed first stays under the tag, whatever it pushes next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from . import judging
from .clients import BUILDAH, CRANE, ORAS, PODMAN, SKOPEO
from .drivers import DRIVERS, REASON_UNSEEN
from .service import holdfast, named_registry

if TYPE_CHECKING:
    from pathlib import Path

    from .clients import Client
    from .conftest import Benches
    from .images import Image, Images
    from .report import Report, Row
    from .service import Registry
    from .workbench import Workbench

pytestmark = pytest.mark.interop

TAG = "1.0"
every_client = pytest.mark.parametrize("client", DRIVERS, ids=lambda client: client.slug)
clients_without_a_daemon = pytest.mark.parametrize(
    "client", [SKOPEO, PODMAN, BUILDAH, CRANE, ORAS], ids=lambda client: client.slug
)
BenchesAt = Callable[["Registry"], "Benches"]


@every_client
def test_an_image_holds_its_tag(client: Client, bench_for: Benches, images: Images, report: Report) -> None:
    """A multi-layer image, with ECR's way to log in: pushed, not overwritten, pushed again, pulled."""
    bench = bench_for(client)
    hold(bench, report.row(client.name, bench.found.version, "image"), images.first, images.second)


@every_client
def test_an_index_holds_its_tag(
    client: Client, benches_at: BenchesAt, bearer_registry: Registry, images: Images, report: Report
) -> None:
    """A multi-arch index of two images, with the token flow to log in: the same."""
    bench = benches_at(bearer_registry)(client)
    row = report.row(client.name, bench.found.version, "index (by token)")
    hold(bench, row, images.first_index, images.second_index)


@pytest.mark.parametrize("client", [SKOPEO, PODMAN, BUILDAH, ORAS], ids=lambda client: client.slug)
def test_a_wrong_password_logs_nobody_in(client: Client, benches_at: BenchesAt, tmp_path: Path) -> None:
    """The log-ins of the other tests are able to fail. A server of its own, for it remembers failures."""
    if named_registry():
        pytest.skip("a registry named in HOLDFAST_INTEROP_REGISTRY may shut the door after failures")
    with holdfast(tmp_path) as running:
        bench = benches_at(replace(running, password="not the password"))(client)
        refusal = DRIVERS[client](bench).log_in()
        assert not refusal.succeeded
        assert re.search("401|unauthorized|invalid username/password", refusal.printed.lower()), refusal.printed


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_clients_are_asked_to_log_in_both_ways(scheme: str, registry: Registry, bearer_registry: Registry) -> None:
    """The tests above cover what they say: one server asks for Basic, the other for a token."""
    if named_registry():
        pytest.skip("a registry named in HOLDFAST_INTEROP_REGISTRY keeps its settings")
    asking = {"Basic": registry, "Bearer": bearer_registry}[scheme]
    asked = asking.request("GET", "/v2/", headers={"Authorization": ""})
    assert asked.status == 401
    assert asked.headers["WWW-Authenticate"].startswith(f"{scheme} ")


@clients_without_a_daemon
def test_a_refusal_in_ecrs_code_is_no_way_around(
    client: Client, benches_at: BenchesAt, ecr_styled_registry: Registry, images: Images, report: Report
) -> None:
    """TAG_INVALID makes some clients convert the manifest and push it again, under other digests: none may bind."""
    bench = benches_at(ecr_styled_registry)(client)
    hold(bench, report.row(client.name, bench.found.version, "image (ECR's code)"), images.first, images.second)
    refusal = ecr_styled_registry.put_manifest(f"interop/{client.slug}-image", TAG, images.second)
    assert refusal.status == 400
    assert json.loads(refusal.body)["errors"][0]["code"] == "TAG_INVALID"


def hold(bench: Workbench, row: Row, first: Image, second: Image) -> None:
    """The life of a held tag, the same for every client, kind and log-in."""
    client, registry = bench.found.client, bench.registry
    repository = f"interop/{client.slug}-{'index' if first.children else 'image'}"
    reference = f"{registry.host}/{repository}:{TAG}"
    registry.create_repository(repository)
    driver = DRIVERS[client](bench)

    judging.logged_in(row, driver.log_in())
    stored = judging.pushed(row, driver.push(first, reference), registry, repository, TAG)
    overwriting = driver.push(second, reference)
    judging.refused(row, overwriting, repository, TAG, reason_seen=client not in REASON_UNSEEN)
    judging.unmoved(registry, repository, TAG, stored)
    judging.pushed_again(row, driver.push(first, reference))
    judging.unmoved(registry, repository, TAG, stored)
    judging.pulled(row, driver.pull(reference), stored)
