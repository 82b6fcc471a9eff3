"""The aws program's own documented examples for Amazon ECR, read out of its package and run against Holdfast.

Each command runs as it stands there, in this process, in a world made for it. Only what cannot exist is adapted:
digests, upload ids, one name with capitals. The reply must have what the documented reply has: its members, at their
places.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awscli
import pytest
from awscli.clidriver import create_clidriver

from holdfast.faces.ecr_operations import ECR
from images import image, push, sha256
from running import KEY_ID, SECRET, running, settings
from scan_reports import trivy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from images import Image
    from running import RunningServer

FOLDER = Path(awscli.__file__).parent / "examples" / "ecr"
ACCOUNT = "012345678910"
REGION = "us-west-2"
_NO_COMMAND = {"get-login-password_description", "get-login_description"}


@dataclass(frozen=True)
class Example:
    """One command, the reply that is documented for it, and files that it reads."""

    name: str
    arguments: tuple[str, ...]
    reply: Any
    files: tuple[tuple[str, str], ...]


def examples() -> Iterator[Example]:
    """Read every example out of the package."""
    for path in sorted(FOLDER.glob("*.rst")):
        text = path.read_text("utf-8")
        files = tuple(re.findall(r"Contents of ``([^`]+)``::\n\n((?:[ \t]+.*\n|\s*\n)+)", text))
        commands = list(re.finditer(r"^ +aws ecr (?:.*\\\n)*.*\n", text, re.MULTILINE))
        for number, found in enumerate(commands):
            line = found.group().replace("\\\n", " ").partition(" | ")[0]
            ends = commands[number + 1].start() if number + 1 < len(commands) else len(text)
            told = re.search(r"Output::\n\n((?:[ \t]+.*\n?|\s*\n)+)", text[found.end() : ends])
            yield Example(f"{path.stem}-{number + 1}", tuple(shlex.split(line)[2:]), _parsed(told), files)


def _parsed(told: re.Match[str] | None) -> Any:
    try:
        return json.loads(told.group(1)) if told else None
    except ValueError:
        return None


EXAMPLES = list(examples())


def operation_of(example: Example) -> str:
    """Return the operation that a command is for; get-login and its like call GetAuthorizationToken."""
    name = example.arguments[0]
    if name.startswith("get-login"):
        return "GetAuthorizationToken"
    return "".join(part.title() for part in name.split("-"))


OFFERED = [one for one in EXAMPLES if operation_of(one) in ECR]


class World:
    """A registry with what the examples speak of."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.ecr = self._client("ecr")
        self.holdfast = self._client("holdfast")
        self.oci = server.client()

    def _client(self, service: str) -> Any:
        from holdfast.client.api import api_client  # noqa: PLC0415 - of this one place

        return api_client(service, self.server.url, REGION, KEY_ID, SECRET)

    def empty(self) -> None:
        for page in self.ecr.get_paginator("describe_repositories").paginate():
            for one in page["repositories"]:
                self.ecr.delete_repository(repositoryName=one["repositoryName"], force=True)

    def filled(self, repository: str, *tags: str) -> Image:
        self.ecr.create_repository(repositoryName=repository)
        pushed = image()
        for tag in tags:
            push(self.oci, repository, tag, pushed)
        return pushed


POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
PULL = json.dumps(
    {"Version": "2008-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
)


def prepare(world: World, example: Example) -> tuple[dict[str, str], dict[str, bytes]]:
    """Make what a command needs; return the words to put in the place of others, and files."""
    world.empty()
    words, files = {"MyRepository": "my-repository"}, {name: text.encode() for name, text in example.files}
    for repository in ("ubuntu", "test", "layer-test", "hello-repository", "project-a/amazon-ecs-sample"):
        world.filled(repository, *(("precise",) if repository == "ubuntu" else ()))
    world.filled("my-repository", "prod")
    push(world.oci, "my-repository", "team1", image())
    scaler = world.filled("cluster-autoscaler", "v1.13.6", "v1.13.7", "v1.13.8")
    words["sha256:6171c7451a50945f8ddd72f7732cc04d7a0d1f48138a426b2e64387fdeb834ed"] = sha256(scaler.blobs[0])
    sample = world.filled("sample-repo", "v1")
    words["sha256:74b2c688c700ec95a93e478cdb959737c148df3fbf5ea706abe0318726e885e6"] = sample.digest
    hello = world.filled("hello-world", "v1")
    files["hello-world.manifest.json"] = hello.manifest
    world.ecr.tag_resource(
        resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/hello-world", tags=[{"Key": "Stage", "Value": "Integ"}]
    )
    if more := MORE.get(example.arguments[0]):
        more(world, words, files)
    return words, files


def _report(world: World, words: dict[str, str], _files: dict[str, bytes]) -> None:
    digest = words["sha256:74b2c688c700ec95a93e478cdb959737c148df3fbf5ea706abe0318726e885e6"]
    image_id = {"imageDigest": digest}
    world.holdfast.load_scan_report(repositoryName="sample-repo", imageId=image_id, report=trivy(digest))


def _part(world: World, words: dict[str, str], files: dict[str, bytes]) -> None:
    upload = world.ecr.initiate_layer_upload(repositoryName="layer-test")["uploadId"]
    words["6cb64b8a-9378-0e33-2ab1-b780fab8a9e9"] = upload
    files["layer.b64"] = b"A" * 8_323_315


def _parts(world: World, words: dict[str, str], files: dict[str, bytes]) -> None:
    _part(world, words, files)
    world.ecr.upload_layer_part(
        repositoryName="layer-test",
        uploadId=words["6cb64b8a-9378-0e33-2ab1-b780fab8a9e9"],
        partFirstByte=0,
        partLastByte=4,
        layerPartBlob=b"layer",
    )
    documented = next(one for one in EXAMPLES if one.name == "complete-layer-upload-1").arguments[-1]
    words[documented] = sha256(b"layer")


def _lifecycle(world: World, _words: dict[str, str], _files: dict[str, bytes]) -> None:
    for name in ("hello-world", "project-a/amazon-ecs-sample"):
        world.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=POLICY)


def _preview(world: World, words: dict[str, str], files: dict[str, bytes]) -> None:
    _lifecycle(world, words, files)
    world.ecr.start_lifecycle_policy_preview(repositoryName="project-a/amazon-ecs-sample")


def _policy(world: World, _words: dict[str, str], _files: dict[str, bytes]) -> None:
    world.ecr.set_repository_policy(repositoryName="cluster-autoscaler", policyText=PULL)


MORE: dict[str, Callable[[World, dict[str, str], dict[str, bytes]], None]] = {
    "describe-image-scan-findings": _report,
    "upload-layer-part": _part,
    "complete-layer-upload": _parts,
    "get-lifecycle-policy": _lifecycle,
    "delete-lifecycle-policy": _lifecycle,
    "get-lifecycle-policy-preview": _preview,
    "get-repository-policy": _policy,
    "delete-repository-policy": _policy,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("examples")
    with running(settings(data, account_id=ACCOUNT, region=REGION)) as server:
        made = World(server)
        yield made
        made.ecr.close()
        made.holdfast.close()


def without(reply: Any, documented: Any, path: str = "") -> list[str]:
    """List the members that are documented and that the reply does not have."""
    if isinstance(documented, dict):
        if not isinstance(reply, dict):
            return [path]
        return [
            each
            for key, value in documented.items()
            for each in ([f"{path}.{key}"] if key not in reply else without(reply[key], value, f"{path}.{key}"))
        ]
    if isinstance(documented, list) and documented:
        return without(reply[0], documented[0], f"{path}[]") if reply else [f"{path}[]"]
    return []


NOT_TOLD = {
    "describe-image-scan-findings-1": {".imageScanFindings.vulnerabilitySourceUpdatedAt"},
    "batch-check-layer-availability-1": {".layers[].mediaType"},
}
"""Members that are documented and that Holdfast leaves out: what nobody told it."""


def test_every_example_is_tried_once_its_operation_is_offered() -> None:
    assert len(EXAMPLES) >= 34
    assert {one.name.rpartition("-")[0] for one in EXAMPLES} == {
        path.stem for path in FOLDER.glob("*.rst") if path.stem not in _NO_COMMAND
    }


@pytest.mark.parametrize("example", OFFERED, ids=lambda one: one.name)
def test_an_example_does_what_is_documented(
    world: World,
    example: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, files = prepare(world, example)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
        "AWS_ENDPOINT_URL_ECR": world.server.url,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }.items():
        monkeypatch.setenv(name, value)
    arguments = [_adapted(one, words) for one in example.arguments]
    code = create_clidriver().main(["ecr", *arguments])
    said = capsys.readouterr()
    assert (code, said.err) == (0, ""), arguments
    if example.reply is None:
        return
    assert set(without(json.loads(said.out), example.reply)) == NOT_TOLD.get(example.name, set())


def _adapted(argument: str, words: dict[str, str]) -> str:
    for word, instead in sorted(words.items(), key=lambda pair: -len(pair[0])):
        argument = argument.replace(word, instead)
    argument = re.sub(r"^file:///.*/", "file://", argument)
    return {"<region>": REGION, "023456789012": ACCOUNT}.get(argument, argument)
