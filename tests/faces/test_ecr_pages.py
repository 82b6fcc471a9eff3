"""Every paginator of Amazon ECR's model: walked to its end, each item once; a token serves nobody and nothing else."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import xform_name

from holdfast.faces.ecr_operations import ECR
from holdfast.registry import image_pages
from images import image, push
from json_api import INVALID, Refusal, allow, client_of, constraint, person, policy, refusal
from running import ACCOUNT
from scan_reports import trivy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from running import Client, RunningServer

PAGES: dict[str, Any] = botocore.session.get_session().get_paginator_model("ecr")._paginator_config
REFUSED = Refusal(INVALID, constraint("nextToken", "The nextToken is invalid for this caller and operation"))
ITEMS = 5
PREFIX = "PREFIX_MATCH"
BACKFILL: dict[str, str] = {}
MOST = {"ListReplicationBackfills": 50}
"""Operation -> the largest page, where that is not 1,000."""


@pytest.fixture(scope="module")
def filled(server: RunningServer) -> str:
    """A repository with images, tags, findings; and enough of everything else that is listed by pages."""
    name = "t/pages"
    ecr, holdfast, client = server.aws("ecr"), server.aws("holdfast"), server.client()
    for number in range(ITEMS):
        pushed = image()
        push(client, name, f"v{number}", pushed)
        ecr.create_repository(repositoryName=f"{name}/{number}")
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=f"pages{number}", upstreamRegistryUrl="public.ecr.aws")
        ecr.create_repository_creation_template(prefix=f"pages{number}", appliedFor=["REPLICATION"])
    findings = [(f"CVE-2026-{number}", "LOW", None, "p", "1", "") for number in range(ITEMS)]
    holdfast.load_scan_report(
        repositoryName=name, imageId={"imageTag": "v0"}, report=trivy(image_digest(ecr, name), findings)
    )
    _backfill(ecr, name)
    return name


def _backfill(ecr: Any, name: str) -> None:
    """Have as many replication backfills end as there are items; the first fails for each image, nobody being there."""
    regions = [f"xx-none-{number}" for number in range(ITEMS)]
    rules = [
        {
            "destinations": [{"region": region, "registryId": "999999999999"}],
            "repositoryFilters": [{"filter": f"{name}{'' if region == regions[0] else '/no'}", "filterType": PREFIX}],
        }
        for region in regions
    ]
    ecr.put_replication_configuration(replicationConfiguration={"rules": rules})
    for region in regions:
        started = ecr.start_replication_backfill(destination={"region": region, "registryId": "999999999999"})
        BACKFILL.setdefault("replicationBackfillId", started["replicationBackfillId"])
    until = time.monotonic() + 30
    while not all("endedAt" in one for one in ecr.list_replication_backfills(maxResults=50)["backfills"]):
        assert time.monotonic() < until
        time.sleep(0.05)
    ecr.put_replication_configuration(replicationConfiguration={"rules": []})


def image_digest(ecr: Any, repository: str) -> str:
    found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v0"}])
    return str(found["imageDetails"][0]["imageDigest"])


def of_paginator(operation: str, repository: str) -> dict[str, Any]:
    """Return what a paginated operation must be given."""
    given: dict[str, dict[str, Any]] = {
        "DescribeImageScanFindings": {"imageId": {"imageTag": "v0"}},
    }
    if operation in {"DescribePullThroughCacheRules", "DescribeRepositories", "DescribeRepositoryCreationTemplates"}:
        return {}
    if "Backfill" in operation:
        return BACKFILL if operation.startswith("Describe") else {}
    return {"repositoryName": repository, **given.get(operation, {})}


OFFERED = sorted(set(PAGES) & set(ECR) - {"GetLifecyclePolicyPreview"})


@pytest.mark.parametrize("operation", OFFERED)
def test_pages_hold_everything_once(ecr: Any, filled: str, operation: str) -> None:
    given = of_paginator(operation, filled)
    paginator = ecr.get_paginator(xform_name(operation))
    keys = PAGES[operation]["result_key"]
    key = keys if isinstance(keys, str) else keys[0]

    def items(size: int) -> list[str]:
        pages = paginator.paginate(**given, PaginationConfig={"PageSize": size})
        return [str(one) for page in pages for one in _inside(page, key)]

    whole = items(MOST.get(operation, 1000))
    assert len(whole) >= ITEMS
    assert len(set(whole)) == len(whole)
    assert items(2) == whole
    assert items(1) == whole


def _inside(page: dict[str, Any], path: str) -> list[Any]:
    found: Any = page
    for part in path.split("."):
        found = found.get(part, {})
    return list(found or [])


@pytest.mark.parametrize("operation", OFFERED)
def test_a_token_is_for_its_caller_operation_and_parameters(
    server: RunningServer, ecr: Any, holdfast: Any, filled: str, operation: str
) -> None:
    given = of_paginator(operation, filled)
    call: Callable[..., Any] = getattr(ecr, xform_name(operation))
    token = call(**given, maxResults=1)["nextToken"]
    call(**given, maxResults=2, nextToken=token)  # the size of a page may change
    somebody = client_of(server, person(holdfast, policy(allow("ecr:*"))))
    assert refusal(getattr(somebody, xform_name(operation)), **given, maxResults=1, nextToken=token) == REFUSED
    somebody.close()
    other = next(one for one in OFFERED if one != operation)
    elsewhere = getattr(ecr, xform_name(other))
    assert refusal(elsewhere, **of_paginator(other, filled), maxResults=1, nextToken=token) == REFUSED
    if "repositoryName" in given:
        assert refusal(call, **given | {"repositoryName": f"{filled}/0"}, maxResults=1, nextToken=token) == REFUSED
    assert refusal(call, **given, maxResults=1, nextToken=token[:-2] + "AA") == REFUSED


@pytest.mark.parametrize("operation", OFFERED)
def test_a_page_has_its_limits(ecr: Any, filled: str, operation: str) -> None:
    call = getattr(ecr, xform_name(operation))
    most = MOST.get(operation, 1000)
    told = refusal(call, **of_paginator(operation, filled), maxResults=most + 1)
    assert told == Refusal(INVALID, constraint("maxResults", f"Member must have value less than or equal to {most}"))


def test_a_page_is_complete_while_images_come_and_go(ecr: Any, client: Client, repository: str) -> None:
    """What is there the whole time is listed once, whatever else comes and goes between the pages."""
    stay = []
    for number in range(6):
        pushed = image()
        push(client, repository, f"stay{number}", pushed)
        stay.append(pushed.digest)
    gone = image()
    push(client, repository, "goes", gone)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = ecr.describe_images(repositoryName=repository, maxResults=2, **token)
        seen += [one["imageDigest"] for one in page["imageDetails"]]
        ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": gone.digest}])
        push(client, repository, f"new{len(seen)}", image())
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert [one for one in seen if one in stay] == sorted(stay)


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_filtered_page_is_full_however_few_images_are_looked_at_in_one_step(
    ecr: Any, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Images that have a tag, or have none, are looked for in steps; where they stand makes no difference."""
    monkeypatch.setattr(image_pages, "MANIFESTS_PER_STEP", step)
    ecr.create_repository(repositoryName=repository)
    tagged: list[str] = []
    untagged: list[str] = []
    for number in range(9):
        pushed = image()
        assert push(client, repository, pushed.digest if number % 3 else f"v{number}", pushed).status == 201
        (untagged if number % 3 else tagged).append(pushed.digest)
    more = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": tagged[0]}])["images"][0]
    for tag in ("a", "b", "c"):
        ecr.put_image(repositoryName=repository, imageManifest=more["imageManifest"], imageTag=tag)
    ecr.update_image_storage_class(
        repositoryName=repository, imageId={"imageDigest": untagged[0]}, targetStorageClass="ARCHIVE"
    )
    wanted = {
        ("TAGGED", "ANY"): tagged,
        ("UNTAGGED", "ANY"): untagged,
        ("UNTAGGED", "ACTIVE"): untagged[1:],
        ("UNTAGGED", "ARCHIVED"): untagged[:1],
        ("TAGGED", "ARCHIVED"): [],
        ("ANY", "ARCHIVED"): untagged[:1],
        ("ANY", "ANY"): tagged + untagged,
    }
    for (of_tag, of_status), digests in wanted.items():
        chosen = {"repositoryName": repository, "filter": {"tagStatus": of_tag, "imageStatus": of_status}}
        for size in (1, 2, 100):
            paging = {"PageSize": size}
            pages = [*ecr.get_paginator("describe_images").paginate(**chosen, PaginationConfig=paging)]
            assert [one["imageDigest"] for page in pages for one in page["imageDetails"]] == sorted(digests)
            assert all(len(page["imageDetails"]) == size for page in pages[:-1])
            pages = [*ecr.get_paginator("list_images").paginate(**chosen, PaginationConfig=paging)]
            found = [(one["imageDigest"], one.get("imageTag")) for page in pages for one in page["imageIds"]]
            assert sorted({digest for digest, _ in found}) == sorted(digests)
            assert len(found) == len(set(found)) == len(digests) + (3 if tagged[0] in digests else 0)
            assert all(len(page["imageIds"]) == size for page in pages[:-1])


@pytest.fixture(scope="module")
def others(server: RunningServer) -> Iterator[dict[str, dict[str, Any]]]:
    """What is listed by pages and has no paginator, or not one that lists items alone: operation -> what to ask."""
    name = "t/other-pages"
    ecr, client = server.aws("ecr"), server.client()
    subject = image()
    push(client, name, "subject", subject)
    for number in range(ITEMS):
        one = image(annotations={"number": str(number)}, artifactType="application/x-test", subject=subject.descriptor)
        assert push(client, name, f"v{number}", one).status == 201
        ecr.register_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{ACCOUNT}:role/pages-{number}")
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    keep_one = {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}
    for number in range(ITEMS):
        push(client, name, f"free-{number}", image())
    ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=json.dumps(keep_one))
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=name, WaiterConfig={"Delay": 1})
    yield {
        "GetLifecyclePolicyPreview": {"repositoryName": name},
        "ListImageReferrers": {"repositoryName": name, "subjectId": {"imageDigest": subject.digest}},
        "ListPullTimeUpdateExclusions": {},
    }
    for number in range(ITEMS):
        ecr.deregister_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{ACCOUNT}:role/pages-{number}")


@pytest.mark.parametrize(
    ("operation", "key"),
    [
        ("GetLifecyclePolicyPreview", "previewResults"),
        ("ListImageReferrers", "referrers"),
        ("ListPullTimeUpdateExclusions", "pullTimeUpdateExclusions"),
    ],
)
def test_pages_without_a_paginator_hold_everything_once_and_are_their_callers(
    server: RunningServer, ecr: Any, holdfast: Any, others: dict[str, dict[str, Any]], operation: str, key: str
) -> None:
    given, call = others[operation], getattr(ecr, xform_name(operation))
    whole = [str(one) for one in call(**given)[key]]
    assert len(set(whole)) == len(whole)
    assert len(whole) >= ITEMS
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = call(**given, maxResults=2, **token)
        assert len(page[key]) == 2 or "nextToken" not in page
        seen += [str(one) for one in page[key]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == whole
    somebody = client_of(server, person(holdfast, policy(allow("ecr:*"))))
    assert refusal(getattr(somebody, xform_name(operation)), **given, maxResults=2, **token) == REFUSED
    somebody.close()
    elsewhere = {"repositoryName": "t/other-pages"}
    assert refusal(ecr.list_images, **elsewhere, maxResults=2, **token) == REFUSED
