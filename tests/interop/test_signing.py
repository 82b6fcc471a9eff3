"""cosign: an image in an immutable repository is signed twice, by two keys, in both of cosign's forms, and verified.

The older form keeps signatures under a tag (`sha256-<hex>.sig`) that cosign reads, extends and writes back; a registry
that refuses that write stops people from signing at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import judging
from .clients import COSIGN
from .drivers import needed

if TYPE_CHECKING:
    from .conftest import Benches
    from .images import Images
    from .programs import Outcome
    from .report import Report
    from .service import Registry
    from .workbench import Workbench

pytestmark = pytest.mark.interop

TAG = "1.0"
FORMS = {"bundle": (), "tag": ("--new-bundle-format=false",)}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_signed_twice(
    form: str, bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """Two keys sign the same digest; both signatures verify afterwards, and the image's tag is where it was."""
    bench = bench_for(COSIGN)
    bench.environment["COSIGN_PASSWORD"] = "of a throw-away key"
    row = report.row(COSIGN.name, bench.found.version, f"signature as {form}")
    repository = f"interop/cosign-{form}"
    registry.create_repository(repository)
    stored_as = registry.push(repository, TAG, images.first).headers["Docker-Content-Digest"]
    stored = registry.manifest(repository, TAG)
    subject = f"{registry.host}/{repository}@{stored_as}"

    judging.logged_in(row, log_in(bench))
    for key in ("one", "two"):
        needed(bench.run("cosign", "generate-key-pair", "--output-key-prefix", key))
        row.first_push = f"signed by {key}"
        needed(sign(bench, key, subject, form))
    for key in ("one", "two"):
        needed(verify(bench, key, subject, form))
    row.same_again = "signed again"
    needed(sign(bench, "one", subject, form))
    row.pulled = "both verify"
    signature_tags = [tag for tag in registry.tags(repository) if tag.endswith(".sig")]
    assert bool(signature_tags) == (form == "tag"), "the other form was tested"
    judging.unmoved(registry, repository, TAG, stored)
    blob = bench.folder / "blob.txt"
    blob.write_text("not the image")
    upload = ("upload", "blob", "--allow-http-registry", "--files", blob, f"{registry.host}/{repository}:{TAG}")
    judging.refused(row, bench.run("cosign", *upload), repository, TAG)
    judging.unmoved(registry, repository, TAG, stored)


def test_a_stranger_key_does_not_verify(bench_for: Benches, images: Images, registry: Registry) -> None:
    """The verification of the other test is able to fail."""
    bench = bench_for(COSIGN)
    bench.environment["COSIGN_PASSWORD"] = "of a throw-away key"
    repository = "interop/cosign-stranger"
    registry.create_repository(repository)
    digest = registry.push(repository, TAG, images.first).headers["Docker-Content-Digest"]
    needed(log_in(bench))
    for key in ("signer", "stranger"):
        needed(bench.run("cosign", "generate-key-pair", "--output-key-prefix", key))
    subject = f"{registry.host}/{repository}@{digest}"
    needed(sign(bench, "signer", subject, "bundle"))
    assert not verify(bench, "stranger", subject, "bundle").succeeded


def log_in(bench: Workbench) -> Outcome:
    """Cosign's words for a log-in."""
    registry = bench.registry
    words = ("login", registry.host, "--username", registry.user, "--password-stdin")
    return bench.run("cosign", *words, given=registry.password)


def sign(bench: Workbench, key: str, subject: str, form: str) -> Outcome:
    """Sign by a local key; nothing goes to a public log."""
    offline = ("--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry", "--yes")
    return bench.run("cosign", "sign", "--key", f"{key}.key", *offline, *FORMS[form], subject)


def verify(bench: Workbench, key: str, subject: str, form: str) -> Outcome:
    """Verify by a local key, without a public log."""
    offline = ("--insecure-ignore-tlog=true", "--allow-http-registry")
    return bench.run("cosign", "verify", "--key", f"{key}.pub", *offline, *FORMS[form], subject)
