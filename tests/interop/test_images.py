"""Every image client: what it pushed first stays under the tag, whatever it pushes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import judging
from .drivers import DRIVERS, REASON_UNSEEN

if TYPE_CHECKING:
    from .clients import Client
    from .conftest import Benches
    from .images import Image, Images
    from .report import Report
    from .service import Registry

pytestmark = pytest.mark.interop

TAG = "1.0"


@pytest.mark.parametrize("client", DRIVERS, ids=lambda client: client.slug)
def test_an_image_holds_its_tag(
    client: Client, bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """A multi-layer image: pushed, not overwritten, pushed again, pulled."""
    hold(client, bench_for, registry, report, "image", images.first, images.second)


@pytest.mark.parametrize("client", DRIVERS, ids=lambda client: client.slug)
def test_an_index_holds_its_tag(
    client: Client, bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """A multi-arch index of two images: pushed, not overwritten, pushed again, pulled."""
    hold(client, bench_for, registry, report, "index", images.first_index, images.second_index)


def hold(
    client: Client, bench_for: Benches, registry: Registry, report: Report, kind: str, first: Image, second: Image
) -> None:
    """The life of a held tag, the same for every client and kind."""
    bench = bench_for(client)
    row = report.row(client.name, bench.found.version, kind)
    repository = f"interop/{client.slug}-{kind}"
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
