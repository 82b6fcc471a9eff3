"""Clients that push an index's children to the tag first (docker before 28.2, buildx before 0.22) are told so.

In an immutable repository their first child takes the tag, and everything after it is refused. The registry cannot
let that pass (the tag would move); what it can do is not to be silent about the reason, and to keep what it has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import judging
from .clients import OLD_BUILDX

if TYPE_CHECKING:
    from .conftest import Benches
    from .images import Images
    from .programs import Outcome
    from .report import Report
    from .service import Registry
    from .workbench import Workbench

pytestmark = pytest.mark.interop

TAG = "1.0"


def test_children_pushed_to_the_tag_are_explained(images: Images, registry: Registry) -> None:
    """The shape of such a push by plain requests: every child to the tag, the index last."""
    repository = "interop/old-docker-shape"
    registry.create_repository(repository)
    index = images.first_index
    one, two = index.children
    for child in (one, two):
        assert registry.push(repository, child.digest, child).status == 201
    assert registry.put_manifest(repository, TAG, one).status == 201

    told = {}
    for late in (two, index):
        refusal = registry.put_manifest(repository, TAG, late)
        assert refusal.status == 409
        told[late.digest] = json.loads(refusal.body)["errors"][0]["message"]
        assert judging.sentence(repository, TAG) in told[late.digest]
    assert "push the platform images to the tag first" in told[index.digest]
    assert registry.manifest(repository, TAG).body == one.manifest
    assert registry.manifest(repository, index.digest).body == index.manifest, "the refused index is kept"
    assert registry.put_manifest(repository, "1.0-whole", index).status == 201


def test_an_old_buildx_is_refused_and_harms_nothing(
    bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """`buildx imagetools create` of an old version, into a repository whose tag is bound, and under a new tag."""
    bench = bench_for(OLD_BUILDX)
    row = report.row(OLD_BUILDX.name, bench.found.version, "index, children first")
    source, target = "interop/old-buildx-source", "interop/old-buildx"
    for repository in (source, target):
        registry.create_repository(repository)
    assert registry.push(source, "second", images.second_index).status == 201
    assert registry.push(target, TAG, images.first_index).status == 201
    stored = registry.manifest(target, TAG)
    log_in(bench)
    row.log_in = "by docker's file"
    row.first_push = "by the suite"

    judging.refused(row, copy(bench, f"{source}:second", f"{target}:{TAG}"), target, TAG, reason_seen=False)
    judging.unmoved(registry, target, TAG, stored)
    fresh = copy(bench, f"{source}:second", f"{target}:fresh")
    row.same_again = f"a new tag: exit {fresh.exit_code}, left on a child"
    assert not fresh.succeeded
    children = [child.manifest for child in images.second_index.children]
    assert registry.manifest(target, "fresh").body in children, "the tag holds what took it first"
    assert registry.push(target, "mended", images.second_index).status == 201
    judging.pulled(row, [registry.manifest(target, TAG).digest], stored)


def log_in(bench: Workbench) -> None:
    """Write the log-in where docker's tools look for it; buildx has no words for it."""
    registry = bench.registry
    pair = {"username": registry.user, "password": registry.password}
    file = bench.folder / "docker" / "config.json"
    file.write_text(json.dumps({"auths": {registry.host: pair}}))


def copy(bench: Workbench, source: str, target: str) -> Outcome:
    """Copy an index to a tag."""
    host = bench.registry.host
    return bench.run("buildx", "imagetools", "create", "--tag", f"{host}/{target}", f"{host}/{source}")
