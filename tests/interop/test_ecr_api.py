"""boto3 and the aws command line, unchanged: an image pushed by the ECR API alone holds its tag.

These two come with the tests' own requirements, so this file runs in every run, not only in `make interop`. A start of
`aws` costs most of a second of processor time: it is asked for what only it can answer, and layers go side by side.
"""

from __future__ import annotations

import base64
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from . import judging
from .clients import AWS, SKOPEO
from .drivers import Skopeo, needed
from .images import sha256
from .programs import Outcome
from .service import Registry
from .speakers import SPEAKERS, Boto3, Refused

if TYPE_CHECKING:
    from .clients import Client
    from .conftest import Benches
    from .images import Image, Images
    from .report import Report
    from .speakers import Speaker

TAG = "1.0"
AT_ONCE = 3
"""Layers under way at one time, as other clients have them."""


@pytest.mark.slow
@pytest.mark.parametrize("client", SPEAKERS, ids=lambda client: client.slug)
def test_the_ecr_api_holds_a_tag(
    client: Client, bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """Layers in parts, PutImage, refused in ECR's words, the same again reported as ECR reports it, all bytes back."""
    bench = bench_for(client)
    speaker = SPEAKERS[client](bench)
    row = report.row(client.name, bench.found.version, "image by the ECR API")
    repository = f"interop/{client.slug}"
    speaker.call("CreateRepository", repositoryName=repository, imageTagMutability="IMMUTABLE")
    judging.logged_in(row, token_log_in(speaker, registry))

    upload_layers(speaker, repository, images.first)
    put(speaker, repository, images.first)
    stored = registry.manifest(repository, TAG)
    row.first_push = stored.digest[:19]
    upload_layers(Boto3(bench), repository, images.second)
    with pytest.raises(Refused) as overwriting:
        put(speaker, repository, images.second)
    refusal = overwriting.value
    assert refusal.code == "ImageTagAlreadyExistsException"
    outcome = Outcome("PutImage", refusal.exit_code, f"{refusal.code}: {refusal.message}", "")
    judging.refused(row, outcome, repository, TAG)
    judging.unmoved(registry, repository, TAG, stored)
    with pytest.raises(Refused) as again:
        put(speaker, repository, images.first)
    row.same_again = again.value.code
    assert again.value.code == "ImageAlreadyExistsException", "ECR reports it so, and SDK users test for it"
    judging.unmoved(registry, repository, TAG, stored)
    judging.pulled(row, [pulled(speaker, repository, images.first)], stored)


@pytest.mark.parametrize("client", SPEAKERS, ids=lambda client: client.slug)
def test_the_mode_is_switched_any_number_of_times(client: Client, bench_for: Benches, registry: Registry) -> None:
    """PutImageTagMutability says what is true afterwards, and may be said twice."""
    speaker = SPEAKERS[client](bench_for(client))
    repository = f"interop/{client.slug}-mode"
    registry.create_repository(repository, "MUTABLE")
    ecr = registry.ecr()
    for mode in ("IMMUTABLE", "IMMUTABLE", "MUTABLE"):
        told = speaker.call("PutImageTagMutability", repositoryName=repository, imageTagMutability=mode)
        assert told["imageTagMutability"] == mode
        (shown,) = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
        assert shown["imageTagMutability"] == mode
    (shown,) = speaker.call("DescribeRepositories", repositoryNames=[repository])["repositories"]
    assert shown["imageTagMutability"] == "MUTABLE"


@pytest.mark.interop
def test_get_login_password_logs_a_client_in(bench_for: Benches, images: Images, registry: Registry) -> None:
    """`aws ecr get-login-password | skopeo login -u AWS --password-stdin`, then a push with that log-in."""
    aws, skopeo = bench_for(AWS), bench_for(SKOPEO)
    SPEAKERS[AWS](aws)
    password = needed(aws.run("aws", "ecr", "get-login-password", "--endpoint-url", registry.url)).stdout.strip()
    words = ("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", registry.host)
    needed(skopeo.run("skopeo", *words, given=password))
    repository = "interop/get-login-password"
    registry.create_repository(repository)
    needed(Skopeo(skopeo).push(images.first, f"{registry.host}/{repository}:{TAG}"))
    assert registry.manifest(repository, TAG).body == images.first.manifest


def token_log_in(speaker: Speaker, registry: Registry) -> Outcome:
    """Ask for a token and show it to the registry protocol, as `docker login` does."""
    (told,) = speaker.call("GetAuthorizationToken")["authorizationData"]
    user, _, password = base64.b64decode(told["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    status = Registry(registry.host, user, password).request("GET", "/v2/").status
    return Outcome("GET /v2/", 0 if status == 200 else status, f"status {status}", "")


def upload_layers(speaker: Speaker, repository: str, image: Image) -> None:
    """Upload the layers of an image that are not there, in parts."""
    digests = list(image.blobs)
    here = speaker.call("BatchCheckLayerAvailability", repositoryName=repository, layerDigests=digests)
    available = {entry["layerDigest"] for entry in here["layers"] if entry["layerAvailability"] == "AVAILABLE"}
    missing = [(digest, content) for digest, content in image.blobs.items() if digest not in available]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: upload(speaker, repository, *one), missing))


def put(speaker: Speaker, repository: str, image: Image) -> None:
    """Put the manifest of an image, whose layers are there, under the tag."""
    named = {"repositoryName": repository, "imageTag": TAG, "imageManifestMediaType": image.media_type}
    speaker.call("PutImage", imageManifest=image.manifest.decode(), **named)


def upload(speaker: Speaker, repository: str, digest: str, content: bytes) -> None:
    """Upload one layer in parts of the size that the registry asks for."""
    begun = speaker.call("InitiateLayerUpload", repositoryName=repository)
    where: dict[str, Any] = {"repositoryName": repository, "uploadId": begun["uploadId"]}
    for first in range(0, len(content), begun["partSize"]):
        part = content[first : first + begun["partSize"]]
        place = {"partFirstByte": first, "partLastByte": first + len(part) - 1}
        speaker.call("UploadLayerPart", **where, **place, layerPartBlob=part)
    done = speaker.call("CompleteLayerUpload", **where, layerDigests=[digest])
    assert done["layerDigest"] == digest


def pulled(speaker: Speaker, repository: str, image: Image) -> str:
    """Pull the tag by the ECR API, compare every layer's bytes, and give the manifest's digest."""
    (found,) = speaker.call("BatchGetImage", repositoryName=repository, imageIds=[{"imageTag": TAG}])["images"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def layer(digest: str) -> bytes:
        told = speaker.call("GetDownloadUrlForLayer", repositoryName=repository, layerDigest=digest)
        with opener.open(told["downloadUrl"], timeout=60) as answer:
            return bytes(answer.read())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert dict(zip(image.blobs, pool.map(layer, image.blobs), strict=True)) == dict(image.blobs)
    digest = sha256(found["imageManifest"].encode())
    assert found["imageId"] == {"imageDigest": digest, "imageTag": TAG}
    return digest
