"""What follows from an image that came, or went, by itself: scans, replication onwards, deletions elsewhere."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from holdfast.client.api import api_client
from images import image, index, push
from json_api import refusal
from running import ACCOUNT, KEY_ID, SECRET, RunningServer, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from running import Client

FAR = "us-west-2"
PATIENCE_SECONDS = 30


class Places:
    """One account's registries in two regions, on one server; the first replicates to the second."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.client: Client = server.client()
        self.here: Any = server.aws()
        self.there: Any = api_client("ecr", server.url, FAR, KEY_ID, SECRET)
        self.holdfast: Any = server.aws("holdfast")

    def replicate(self, prefix: str, *, deletes: bool = False) -> None:
        rule: dict[str, Any] = {
            "destinations": [{"region": FAR, "registryId": ACCOUNT}],
            "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}],
        }
        if deletes:
            rule["deleteReplication"] = {"enabled": True}
        self.here.put_replication_configuration(replicationConfiguration={"rules": [rule]})

    def tags_there(self, name: str) -> dict[str, str]:
        """Return tag -> digest at the destination."""
        try:
            listed = self.there.list_images(repositoryName=name, filter={"tagStatus": "TAGGED"})["imageIds"]
        except ClientError:
            return {}
        return {one["imageTag"]: one["imageDigest"] for one in listed}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    data = tmp_path_factory.mktemp("places")
    with running(settings(data, create_on_push="MUTABLE", registries=f"{ACCOUNT}/{FAR}")) as server:
        made = Places(server)
        yield made
        for client in (made.here, made.there, made.holdfast):
            client.close()


@pytest.fixture
def name() -> str:
    return f"follows/{uuid.uuid4().hex[:10]}"


@pytest.mark.parametrize("scans", [True, False])
def test_an_image_that_came_by_replication_is_scanned_as_the_destination_says(
    places: Places,
    name: str,
    scans: bool,  # noqa: FBT001
) -> None:
    places.replicate(name)
    places.there.create_repository(repositoryName=name, imageScanningConfiguration={"scanOnPush": scans})
    child = image(b"child")
    pushed = index(child)
    push(places.client, name, "v1", pushed)
    eventually(lambda: places.tags_there(name).get("v1") == pushed.digest)
    find = {"repositoryName": name, "imageId": {"imageDigest": child.digest}}
    if scans:
        told = places.there.describe_image_scan_findings(**find)
        assert told["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE", "nobody looked, which is told"
        (entry,) = [
            one
            for one in api_entries(places, name)
            if one["kind"] == "scan-started" and json.loads(one["body"])["digest"] == child.digest
        ]
        assert entry["principal"].endswith("AWSServiceRoleForECRReplication")
    else:
        assert refusal(places.there.describe_image_scan_findings, **find).code == "ScanNotFoundException"


def api_entries(places: Places, name: str) -> list[dict[str, Any]]:
    with contextlib.closing(api_client("holdfast", places.server.url, FAR, KEY_ID, SECRET)) as api:
        listed: list[dict[str, Any]] = api.list_entries(repositoryName=name)["entries"]
    return listed


def test_every_way_to_give_a_tag_is_replicated(places: Places, name: str) -> None:
    places.replicate(name)
    pushed, other = image(b"one"), image(b"two")
    push(places.client, name, "by-oci", pushed)
    places.here.put_image(repositoryName=name, imageManifest=pushed.manifest.decode(), imageTag="by-ecr")
    push(places.client, name, "moves", pushed)
    push(places.client, name, "moves", other)
    query = f"/v2/{name}/manifests/{pushed.digest}?tag=by-query-1&tag=by-query-2"
    answer = places.client("PUT", query, pushed.manifest, {"Content-Type": pushed.media_type})
    assert answer.status == 201
    wanted = {
        **dict.fromkeys(("by-oci", "by-ecr", "by-query-1", "by-query-2"), pushed.digest),
        "moves": other.digest,
    }
    eventually(lambda: places.tags_there(name) == wanted)


def test_an_image_that_was_pulled_through_is_scanned_and_goes_on(tmp_path: Path, places: Places, name: str) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as upstream:
        pushed = image(b"from upstream")
        push(upstream.client(), name, "v1", pushed)
        prefix = f"up{uuid.uuid4().hex[:8]}"
        arn = places.holdfast.put_upstream_credential(name=prefix, username=KEY_ID, password=SECRET)[
            "upstreamCredential"
        ]["credentialArn"]
        places.here.create_pull_through_cache_rule(
            ecrRepositoryPrefix=prefix, upstreamRegistryUrl=upstream.url, credentialArn=arn
        )
        scanned = [
            {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": prefix, "filterType": "WILDCARD"}]}
        ]
        places.here.put_registry_scanning_configuration(scanType="BASIC", rules=scanned)
        here = f"{prefix}/{name}"
        places.replicate(prefix)
        assert places.client("GET", f"/v2/{here}/manifests/v1").status == 200
        told = places.here.describe_image_scan_findings(repositoryName=here, imageId={"imageTag": "v1"})
        assert told["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE"
        eventually(lambda: places.tags_there(here) == {"v1": pushed.digest})
        places.here.put_registry_scanning_configuration(scanType="BASIC", rules=[])


@pytest.mark.parametrize("deletes", [True, False])
def test_what_a_lifecycle_policy_expires_goes_elsewhere_too_where_a_rule_says_so(
    places: Places,
    name: str,
    deletes: bool,  # noqa: FBT001
) -> None:
    places.replicate(name, deletes=deletes)
    old, new = image(b"old"), image(b"new")
    push(places.client, name, "r-1", old)
    push(places.client, name, "r-2", new)
    eventually(lambda: places.tags_there(name) == {"r-1": old.digest, "r-2": new.digest})
    selection = {"tagStatus": "tagged", "tagPrefixList": ["r-"], "countType": "imageCountMoreThan", "countNumber": 1}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    places.here.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [rule]}))
    places.holdfast.run_lifecycle_policy(repositoryName=name)
    eventually(lambda: places.holdfast.get_lifecycle_run(repositoryName=name)["status"] == "COMPLETE")
    assert [one["imageTag"] for one in places.here.list_images(repositoryName=name)["imageIds"]] == ["r-2"]
    if deletes:
        eventually(lambda: places.tags_there(name) == {"r-2": new.digest})
        gone = places.there.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": old.digest}])
        assert gone["failures"][0]["failureCode"] == "ImageNotFound"
    else:
        eventually(lambda: b"holdfast_replications_waiting 0" in places.server.anonymous()("GET", "/metrics").body)
        assert places.tags_there(name) == {"r-1": old.digest, "r-2": new.digest}
