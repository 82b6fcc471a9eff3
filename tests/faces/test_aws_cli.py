"""The `aws` program, unchanged, told only where the endpoint is: what people and their scripts type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from images import digest_of, image, index, push, push_parts
from json_api import held
from running import ACCOUNT, KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from running import Client, RunningServer

    Run = Callable[..., subprocess.CompletedProcess[str]]

AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(scope="module")
def run(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run `aws ecr ...` with nothing of this machine's own settings."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": "127.0.0.1",
        "AWS_ENDPOINT_URL_ECR": server.url,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_PAGER": "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(AWS), "ecr", *arguments]
        return subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False
        )

    return call


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a call that succeeded printed."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_repository_is_made_switched_and_described(run: Run, server: RunningServer, repository: str) -> None:
    made = answer(run("create-repository", "--repository-name", repository, "--tags", "Key=team,Value=blue"))
    assert made["repository"]["repositoryArn"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    assert made["repository"]["repositoryUri"] == f"{server.host}:{server.port}/{repository}"
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    changed = answer(
        run(
            "put-image-tag-mutability",
            *("--repository-name", repository, "--image-tag-mutability", "IMMUTABLE_WITH_EXCLUSION"),
            *("--image-tag-mutability-exclusion-filters", "filterType=WILDCARD,filter=dev-*"),
        )
    )
    settings = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }
    assert changed == {"registryId": ACCOUNT, "repositoryName": repository, **settings}
    [found] = answer(run("describe-repositories", "--repository-names", repository))["repositories"]
    assert found == made["repository"] | settings


def test_the_password_that_is_printed_logs_in(run: Run, server: RunningServer, repository: str) -> None:
    done = run("get-login-password")
    assert (done.returncode, done.stderr) == (0, "")
    client = server.client("AWS", done.stdout.strip())
    pushed = image()
    assert push(client, repository, "v1", pushed).status == 201
    assert digest_of(client, repository, "v1") == pushed.digest
    client.close()


def test_an_image_is_got_and_put_under_a_new_tag_and_a_held_tag_is_refused(
    run: Run, ecr: Any, client: Client, repository: str, tmp_path: Path
) -> None:
    """The way the ECR user guide retags an image: batch-get-image, then put-image."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    first, other = image(annotations={"title": "caf\u00e9"}), image()
    push(client, repository, "v1", first)
    push_parts(client, repository, other)
    got = run(
        *("batch-get-image", "--repository-name", repository, "--image-ids", "imageTag=v1", "imageTag=absent"),
        *("--query", "[images[0].imageManifest, failures[0].failureCode]"),
    )
    manifest, failure = answer(got)
    assert (manifest.encode(), failure) == (first.manifest, "ImageNotFound")
    where = ("put-image", "--repository-name", repository)
    made = answer(run(*where, "--image-tag", "stable", "--image-manifest", manifest))
    assert made["image"]["imageId"] == {"imageDigest": first.digest, "imageTag": "stable"}
    assert digest_of(client, repository, "stable") == first.digest
    file = tmp_path / "manifest.json"
    file.write_bytes(other.manifest)
    refused = run(*where, "--image-tag", "v1", "--image-manifest", f"file://{file}")
    assert refused.returncode in {254, 255}
    assert refused.stdout == ""
    told = "An error occurred (ImageTagAlreadyExistsException) when calling the PutImage operation: "
    assert refused.stderr.strip().startswith(told + held("v1", repository))
    assert first.digest in refused.stderr
    assert digest_of(client, repository, "v1") == first.digest


def test_images_are_listed_by_pages(run: Run, client: Client, repository: str) -> None:
    children = [image() for _ in range(3)]
    push(client, repository, "multi", index(*children))
    for number, child in enumerate(children[:2]):
        push(client, repository, f"v{number}", child)
    expected = {(children[0].digest, "v0"), (children[1].digest, "v1"), (children[2].digest, None)}
    expected.add((index(*children).digest, "multi"))
    listed = answer(run("list-images", "--repository-name", repository, "--page-size", "1"))["imageIds"]
    assert len(listed) == 4
    assert {(one["imageDigest"], one.get("imageTag")) for one in listed} == expected
    first = answer(run("list-images", "--repository-name", repository, "--page-size", "2", "--max-items", "3"))
    rest = answer(run("list-images", "--repository-name", repository, "--starting-token", first["NextToken"]))
    assert first["imageIds"] + rest["imageIds"] == listed
    assert "NextToken" not in rest
