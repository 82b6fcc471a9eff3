"""amazon-ecr-credential-helper with AWS's own names: a client pushes as if to ECR, and never logs in itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import judging
from .aws_names import REGISTRY_NAME, certificate_for, proxy_to
from .clients import ECR_LOGIN
from .drivers import digests_in, needed
from .service import Registry, Reply, holdfast, named_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Benches
    from .images import Image, Images
    from .programs import Outcome
    from .report import Report
    from .workbench import Workbench

pytestmark = pytest.mark.interop

REPOSITORY, TAG = "interop/credential-helper", "1.0"
REFERENCE = f"{REGISTRY_NAME}/{REPOSITORY}:{TAG}"


def test_the_credential_helper_logs_in_under_awss_names(
    benches_at: Callable[[Registry], Benches], images: Images, report: Report, tmp_path: Path
) -> None:
    """Crane asks the helper, the helper asks the ECR API for a token, all over TLS to the name that AWS uses.

    The API is asked at the registry's own name, because the `proxyEndpoint` that Holdfast tells is the host that was
    asked, and the helper takes no other form than that of AWS's registries.
    """
    if named_registry():
        pytest.skip("needs a Holdfast of its own, with a certificate for AWS's names")
    files = certificate_for([REGISTRY_NAME], tmp_path)
    with holdfast(tmp_path / "registry", "--tls-cert", str(files.certificate), "--tls-key", str(files.key)) as running:
        bench = benches_at(running)(ECR_LOGIN)
        bench.environment.update(
            SSL_CERT_FILE=str(files.certificate),
            AWS_ENDPOINT_URL=f"https://{REGISTRY_NAME}",
            HTTPS_PROXY=bench.keep(proxy_to(int(running.host.rpartition(":")[2]))),
            AWS_ACCESS_KEY_ID=running.user,
            AWS_SECRET_ACCESS_KEY=running.password,
            PATH=f"{bench.found.programs['docker-credential-ecr-login'].parent}:{bench.environment['PATH']}",
        )
        helper = {"credHelpers": {REGISTRY_NAME: "ecr-login"}}
        (bench.folder / "docker" / "config.json").write_text(json.dumps(helper))
        create_repository(bench)
        hold(bench, images, report)


def hold(bench: Workbench, images: Images, report: Report) -> None:
    """The life of a held tag, seen through crane alone: nothing else here trusts the certificate."""
    row = report.row(ECR_LOGIN.name, bench.found.version, "image (crane, TLS)")
    judging.logged_in(row, bench.run("docker-credential-ecr-login", "get", given=REGISTRY_NAME))
    first = push(bench, images.first)
    row.first_push = images.first.digest[:19]
    needed(first)
    judging.refused(row, push(bench, images.second), REPOSITORY, TAG)
    judging.pushed_again(row, push(bench, images.first))
    target = bench.folder / "pulled"
    needed(bench.run("crane", "pull", "--format", "oci", REFERENCE, target))
    judging.pulled(row, digests_in(target), Reply(200, {}, images.first.manifest))


def push(bench: Workbench, image: Image) -> Outcome:
    """Push to the name that ECR would have."""
    return bench.run("crane", "push", image.layout, REFERENCE)


def create_repository(bench: Workbench) -> None:
    """Create the repository by the ECR API, over the same way."""
    environment = bench.environment
    registry = Registry(REGISTRY_NAME, bench.registry.user, bench.registry.password, "https")
    ecr = registry.ecr(proxy=environment["HTTPS_PROXY"], trusted=environment["SSL_CERT_FILE"])
    ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
