"""Things that are not container images: a helm chart holds its version, an artifact its tag while referrers come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import judging
from .clients import HELM, ORAS
from .drivers import Oras, needed
from .images import sha256

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Benches
    from .programs import Outcome
    from .report import Report
    from .service import Registry
    from .workbench import Workbench

pytestmark = pytest.mark.interop

CREATED = "org.opencontainers.image.created=2026-01-01T00:00:00Z"
"""oras stamps the time of the push into the manifest; a fixed time lets the same file have the same digest."""
ARTIFACT_TYPE = "application/vnd.example.recipe"
SBOM_TYPE = "application/vnd.example.sbom"


def test_a_chart_holds_its_version(bench_for: Benches, registry: Registry, report: Report) -> None:
    """helm: a chart's version cannot be pushed with other content; the chart pulled is the chart packed."""
    bench = bench_for(HELM)
    row = report.row(HELM.name, bench.found.version, "chart")
    repository, tag = "interop/charts/demo", "0.1.0"
    registry.create_repository(repository)
    first, second = chart(bench, "replicaCount: 1\n"), chart(bench, "replicaCount: 2\n")

    judging.logged_in(row, helm_log_in(bench))
    stored = judging.pushed(row, helm_push(bench, first), registry, repository, tag)
    judging.refused(row, helm_push(bench, second), repository, tag)
    judging.unmoved(registry, repository, tag, stored)
    judging.pushed_again(row, helm_push(bench, first))
    judging.unmoved(registry, repository, tag, stored)
    target = bench.folder / "pulled"
    target.mkdir()
    source = f"oci://{registry.host}/{repository}"
    told = needed(bench.run("helm", "pull", source, "--version", tag, "--plain-http", "--destination", target)).printed
    assert (target / first.name).read_bytes() == first.read_bytes()
    judging.pulled(row, [word for word in told.split() if word.startswith("sha256:")], stored)


def test_an_artifact_holds_its_tag_while_referrers_come(bench_for: Benches, registry: Registry, report: Report) -> None:
    """oras: an artifact's tag does not move, two documents are attached to it, both are found and pulled again."""
    bench = bench_for(ORAS)
    row = report.row(ORAS.name, bench.found.version, "artifact")
    repository, tag = "interop/oras-artifact", "1.0"
    reference = f"{registry.host}/{repository}:{tag}"
    registry.create_repository(repository)

    judging.logged_in(row, Oras(bench).log_in())
    stored = judging.pushed(row, oras_push(bench, reference, "flour"), registry, repository, tag)
    judging.refused(row, oras_push(bench, reference, "sugar"), repository, tag)
    judging.unmoved(registry, repository, tag, stored)
    judging.pushed_again(row, oras_push(bench, reference, "flour"))
    attached = {attach(bench, reference, f"sbom-{number}.json") for number in range(2)}
    assert referrers(bench, reference) == attached
    judging.unmoved(registry, repository, tag, stored)
    assert registry.tags(repository) == [tag]
    for digest in (*sorted(attached), tag):
        pull_artifact(bench, registry.host, repository, digest)
    assert (bench.folder / f"pulled-{tag}" / "recipe.txt").read_text() == "flour"
    told = needed(bench.run("oras", "manifest", "fetch", "--plain-http", reference)).stdout
    judging.pulled(row, [sha256(told.encode())], stored)


def chart(bench: Workbench, values: str) -> Path:
    """Make and pack a chart by helm itself, with these values; gives the packed file."""
    folder = bench.folder / f"chart-{len(list(bench.folder.glob('chart-*')))}"
    folder.mkdir()
    needed(bench.run("helm", "create", folder / "demo"))
    (folder / "demo" / "values.yaml").write_text(values)
    needed(bench.run("helm", "package", folder / "demo", "--destination", folder))
    return next(folder.glob("demo-*.tgz"))


def helm_log_in(bench: Workbench) -> Outcome:
    """Helm's words for a log-in."""
    registry = bench.registry
    words = ("registry", "login", registry.host, "--plain-http", "--username", registry.user, "--password-stdin")
    return bench.run("helm", *words, given=registry.password)


def helm_push(bench: Workbench, packed: Path) -> Outcome:
    """Helm's words for a push: the chart names repository and tag itself."""
    return bench.run("helm", "push", packed, f"oci://{bench.registry.host}/interop/charts", "--plain-http")


def oras_push(bench: Workbench, reference: str, text: str) -> Outcome:
    """Push one file as an artifact."""
    (bench.folder / "recipe.txt").write_text(text)
    words = ("push", "--plain-http", "--artifact-type", ARTIFACT_TYPE, "--annotation", CREATED)
    return bench.run("oras", *words, reference, "recipe.txt:text/plain")


def attach(bench: Workbench, reference: str, name: str) -> str:
    """Attach a document to what the tag names; gives the digest of its manifest."""
    (bench.folder / name).write_text(json.dumps({"name": name}))
    words = ("attach", "--plain-http", "--artifact-type", SBOM_TYPE, "--format", "json")
    told = needed(bench.run("oras", *words, reference, f"{name}:application/json")).stdout
    return str(json.loads(told)["digest"])


def referrers(bench: Workbench, reference: str) -> set[str]:
    """The digests of the documents that oras finds attached."""
    words = ("discover", "--plain-http", "--artifact-type", SBOM_TYPE, "--format", "json")
    found = json.loads(needed(bench.run("oras", *words, reference)).stdout)
    return {entry["digest"] for entry in found["referrers"]}


def pull_artifact(bench: Workbench, host: str, repository: str, reference: str) -> None:
    """Pull an artifact's files into a folder named after the reference."""
    at = "@" if reference.startswith("sha256:") else ":"
    target = bench.folder / f"pulled-{reference.removeprefix('sha256:')}"
    needed(bench.run("oras", "pull", "--plain-http", "--output", target, f"{host}/{repository}{at}{reference}"))
    assert list(target.iterdir())
