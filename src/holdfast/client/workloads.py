"""What runs on AWS: the images of ECS services and their tasks, and of Lambda functions that are images.

This file alone knows these two APIs. It reads, and changes nothing. Sources: Amazon ECS API (ListServices,
DescribeServices, ListTasks, DescribeTasks with imageDigest); AWS Lambda API (ListFunctions, GetFunction).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.api import wrapped
from holdfast.core.workload import RunningImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.client.aws import AWS

EVERY: Final = "*"

SERVICES_AT_ONCE: Final = 10
"""Source: Amazon ECS API, DescribeServices."""

TASKS_AT_ONCE: Final = 100
"""Source: Amazon ECS API, DescribeTasks."""

_RUNNING: Final = "RUNNING"
_IMAGE: Final = "Image"


def ecs(aws: AWS, region: str, clusters: Iterable[str]) -> Iterator[RunningImage]:
    """Give what the services of clusters run; `*` is every cluster. Raises APIError, APIUnreachable, CallInvalid."""
    client = aws.client("ecs", region)
    with wrapped():
        for cluster in _clusters(client, clusters):
            for service in _services(client, cluster):
                yield from _containers(client, cluster, service)


def _clusters(client: Any, named: Iterable[str]) -> Iterator[str]:  # noqa: ANN401 - botocore has no types
    for one in named:
        if one == EVERY:
            for page in client.get_paginator("list_clusters").paginate():
                yield from page["clusterArns"]
        else:
            yield one


def _services(client: Any, cluster: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as above
    pages = client.get_paginator("list_services").paginate(cluster=cluster)
    arns = (arn for page in pages for arn in page["serviceArns"])
    for some in _chunks(arns, SERVICES_AT_ONCE):
        yield from client.describe_services(cluster=cluster, services=some)["services"]


def _containers(client: Any, cluster: str, service: dict[str, Any]) -> Iterator[RunningImage]:  # noqa: ANN401 - as above
    """Give one record a container and image: during a deployment a service has tasks of two definitions."""
    pages = client.get_paginator("list_tasks").paginate(cluster=cluster, serviceName=service["serviceArn"])
    arns = (arn for page in pages for arn in page["taskArns"])
    running: dict[tuple[str, str], set[str]] = {}
    for some in _chunks(arns, TASKS_AT_ONCE):
        for task in client.describe_tasks(cluster=cluster, tasks=some)["tasks"]:
            if task.get("lastStatus") != _RUNNING:
                continue
            for one in task.get("containers", ()):
                digests = running.setdefault((one["name"], one.get("image", "")), set())
                digests |= {one["imageDigest"]} if one.get("imageDigest") else set()
    for name, image in _defined(client, service):
        if not any(known == name for known, _ in running):
            running[name, image] = set()
    for (name, image), digests in sorted(running.items()):
        yield RunningImage(
            service["serviceArn"], "AWS::ECS::Service", service["serviceName"], name, image, tuple(sorted(digests))
        )


def _defined(client: Any, service: dict[str, Any]) -> list[tuple[str, str]]:  # noqa: ANN401 - as above
    """Return the containers of the task definition: what would run, where nothing does."""
    definition = service.get("taskDefinition")
    if not definition:
        return []
    told = client.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    return [(one["name"], one["image"]) for one in told["containerDefinitions"]]


def functions(aws: AWS, region: str, named: Iterable[str]) -> Iterator[RunningImage]:
    """Give what functions run that are images; `*` is every one. Raises APIError, APIUnreachable, CallInvalid."""
    client = aws.client("lambda", region)
    with wrapped():
        for name in _functions(client, named):
            told = client.get_function(FunctionName=name)
            code, settings = told.get("Code", {}), told["Configuration"]
            if settings.get("PackageType") != _IMAGE or not code.get("ImageUri"):
                continue
            digest = str(code.get("ResolvedImageUri", "")).partition("@")[2]
            yield RunningImage(
                settings["FunctionArn"],
                "AWS::Lambda::Function",
                settings["FunctionName"],
                settings["FunctionName"],
                code["ImageUri"],
                (digest,) if digest else (),
            )


def _functions(client: Any, named: Iterable[str]) -> Iterator[str]:  # noqa: ANN401 - as above
    for one in named:
        if one != EVERY:
            yield one
            continue
        for page in client.get_paginator("list_functions").paginate():
            yield from (each["FunctionName"] for each in page["Functions"] if each.get("PackageType") == _IMAGE)


def _chunks(items: Iterable[str], most: int) -> Iterator[list[str]]:
    source = iter(items)
    while some := list(itertools.islice(source, most)):
        yield some
