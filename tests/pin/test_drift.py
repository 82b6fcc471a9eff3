"""What runs against what its tags name: pods as kubectl writes them, ECS and Lambda as their APIs answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import ISOLATED, Commands
from holdfast.core.digest import Digest
from holdfast.core.workload import RunningImage
from holdfast.pin import drift
from holdfast.pin.knowledge import Child, Known, Trouble
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from collections.abc import Iterator

A, B, C, D = ("sha256:" + one * 64 for one in "abcd")
PODS = (Path(__file__).parent / "running" / "pods.json").read_text("utf-8")


def running(image: str, *digests: str) -> RunningImage:
    return RunningImage("arn:x", "AWS::ECS::Service", "api", "api", image, digests)


def judged(one: RunningImage, told: Known) -> list[tuple[str, str]]:
    return [(found.rule, found.severity.value) for found in drift.judge([one], dict.fromkeys(drift.names([one]), told))]


@pytest.mark.parametrize(
    ("image", "digests", "told", "expected"),
    [
        ("a/b:1", (A,), Known(A), []),
        ("a/b:1", (A,), Known(B), [("running-drift", "HIGH")]),
        ("a/b:1", (A,), Known(B, children=(Child(A, "linux/amd64"),)), []),
        ("a/b", (A,), Known(B), [("running-drift", "HIGH")]),
        (f"a/b:1@{A}", (A,), Known(B), [("running-drift", "LOW")]),
        (f"a/b:1@{A}", (A,), Known(), []),
        ("a/b:1", (A,), Known(), [("running-gone", "CRITICAL")]),
        ("a/b:1", (A, B), Known(B), [("running-mixed", "HIGH"), ("running-drift", "HIGH")]),
        ("a/b:1", (), Known(B), []),
        ("a/b:1", (A,), Known(trouble=Trouble.UNAUTHORIZED), []),
    ],
)
def test_the_rule_of_drift(image: str, digests: tuple[str, ...], told: Known, expected: list[tuple[str, str]]) -> None:
    assert judged(running(image, *digests), told) == expected


def test_pods_are_read_by_their_owners() -> None:
    found = {(one.name, one.container): one for one in drift.pods(json.loads(PODS))}
    assert found["shop/Deployment/api", "api"].digests == (A, B)
    assert found["shop/Deployment/api", "proxy"].digests == (C,)
    assert found["jobs/Job/nightly-28012345", "run"].digests == (D,)
    assert found["kube-system/Pod/node-local", "local"].digests == ()


KEYS = st.sampled_from(["items", "kind", "spec", "status", "metadata", "containers"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "kind", "spec", "status", "metadata", "containers"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_no_list_of_pods_is_refused_or_read(document: Any) -> None:
    try:
        drift.pods(document)
    except drift.PodsInvalid:
        return


# --- through the command line ----------------------------------------------------------------------------------------

INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()


def registry(asked: Asked) -> Told:
    """Answer as a registry where every tag names one empty index, but for the repository `gone`."""
    if "/gone/" in asked.path:
        return Told(404)
    headers = (("Content-Type", INDEX), ("Docker-Content-Digest", str(Digest.of(EMPTY))))
    return Told(200, EMPTY, headers)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    """The program, with keys for AWS and no docker."""
    monkeypatch.delenv("HOLDFAST_ENDPOINT", raising=False)
    around = {
        **ISOLATED,
        "DOCKER_CONFIG": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    return Commands(monkeypatch, capsys, around)


@pytest.fixture
def host() -> Iterator[str]:
    """A registry."""
    with stub(registry) as up:
        yield up.url.partition("://")[2]


def test_pods_through_the_command_line(run: Commands, host: str, tmp_path: Path) -> None:
    pods = tmp_path / "pods.json"
    pods.write_text(PODS.replace("REGISTRY", host).replace("local/built", f"{host}/local/built"))
    ran = run("drift", "--kubernetes", str(pods), "--json")
    assert ran.code == 1
    found = {(one["location"]["name"], one["rule"]) for one in ran.json()["findings"]}
    assert found == {
        ("shop/Deployment/api", "running-mixed"),
        ("shop/Deployment/api", "running-drift"),
        ("jobs/Job/nightly-28012345", "running-drift"),
    }
    assert "nobody tells which image local" in ran.err
    pods.write_text('{"items": [{"kind": "Node"}]}')
    assert run("drift", "--kubernetes", str(pods)).code == 2
    assert run("drift").code == 2


SERVICE = "arn:aws:ecs:eu-central-1:123456789012:service/production/api"
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/production/1"


def ecs(host: str) -> dict[str, Any]:
    """Return what Amazon ECS answers to each operation, in the shapes of its API reference."""
    containers = [
        {"name": "api", "image": f"{host}/shop/api:2", "imageDigest": A, "lastStatus": "RUNNING"},
        {"name": "old", "image": f"{host}/gone/old:1", "imageDigest": B, "lastStatus": "RUNNING"},
    ]
    return {
        "ListClusters": {"clusterArns": ["arn:aws:ecs:eu-central-1:123456789012:cluster/production"]},
        "ListServices": {"serviceArns": [SERVICE]},
        "DescribeServices": {
            "services": [{"serviceArn": SERVICE, "serviceName": "api", "taskDefinition": "api:7"}],
            "failures": [],
        },
        "ListTasks": {"taskArns": [TASK]},
        "DescribeTasks": {
            "tasks": [{"taskArn": TASK, "lastStatus": "RUNNING", "containers": containers}],
            "failures": [],
        },
        "DescribeTaskDefinition": {
            "taskDefinition": {
                "containerDefinitions": [
                    {"name": "api", "image": f"{host}/shop/api:2"},
                    {"name": "sidecar", "image": f"{host}/shop/sidecar:1"},
                ]
            }
        },
    }


def test_ecs_and_lambda_through_the_command_line(run: Commands, host: str) -> None:
    answers = ecs(host)
    function = {
        "FunctionName": "report",
        "FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:report",
        "PackageType": "Image",
    }

    def aws(asked: Asked) -> Told:
        json_type = (("Content-Type", "application/x-amz-json-1.1"),)
        target = asked.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if target:
            return Told(200, json.dumps(answers[target]).encode(), json_type)
        if asked.path.startswith("/2015-03-31/functions/report"):
            code = {"ImageUri": f"{host}/shop/report:1", "ResolvedImageUri": f"{host}/shop/report@{A}"}
            return Told(200, json.dumps({"Configuration": function, "Code": code}).encode(), json_type)
        zipped = {"FunctionName": "zip", "PackageType": "Zip"}
        return Told(200, json.dumps({"Functions": [function, zipped]}).encode(), json_type)

    with stub(aws) as up:
        around = {"AWS_ENDPOINT_URL_ECS": up.url, "AWS_ENDPOINT_URL_LAMBDA": up.url}
        ran = run("drift", "--ecs", "*", "--lambda", "*", "--json", **around)
        assert ran.code == 1
        found = {(one["location"]["arn"].rpartition(":")[2], one["rule"]) for one in ran.json()["findings"]}
        assert found == {
            ("service/production/api", "running-drift"),
            ("service/production/api", "running-gone"),
            ("report", "running-drift"),
        }
        assert "nobody tells which image sidecar" in ran.err

    def refuses(_asked: Asked) -> Told:
        return Told(400, b'{"__type":"ClusterNotFoundException","message":"Cluster not found."}')

    with stub(refuses) as up:
        ran = run("drift", "--ecs", "none", AWS_ENDPOINT_URL_ECS=up.url)
    assert (ran.code, "ECS cluster none in eu-central-1: Cluster not found." in ran.err) == (3, True)
