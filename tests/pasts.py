"""Pasts for tests: events of one repository, and records of CloudTrail and EventBridge as AWS writes them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.core.mutability import TagMutability
from holdfast.govern.actors import actor_of_arn
from holdfast.govern.estate import Images, LiveTag, RegistryRecord, RepositoryRecord
from holdfast.govern.events import Event, Kind, Origin, Outcome

ACCOUNT, REGION, NAME = "111122223333", "eu-central-1", "team/app"
BEGIN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CI = f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/app-build-"


def digest(number: int) -> str:
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"


def event(minute: int, kind: Kind = Kind.PUSH, tag: str | None = None, number: int | None = None, **more: Any) -> Event:
    """An event of the minute; pushes are of image `number`, by a pipeline's run of that minute."""
    who = more.pop("who", f"{CI}{minute}")
    return Event(
        at=BEGIN + timedelta(minutes=minute),
        account=ACCOUNT,
        region=REGION,
        repository=NAME,
        kind=kind,
        origin=more.pop("origin", Origin.CLOUDTRAIL),
        tag=tag,
        digest=None if number is None else digest(number),
        actor=actor_of_arn(who),
        **more,
    )


def push(minute: int, tag: str | None, number: int, **more: Any) -> Event:
    return event(minute, Kind.PUSH, tag, number, **more)


def refused(minute: int, tag: str, number: int, error: str = "ImageTagAlreadyExistsException") -> Event:
    return push(minute, tag, number, outcome=Outcome.REFUSED, error=error)


def repository(
    *tags: str, mode: TagMutability = TagMutability.MUTABLE, orphans: int = 0, **more: Any
) -> RepositoryRecord:
    live = tuple(LiveTag(tag, digest(number), BEGIN) for number, tag in enumerate(tags))
    images = Images(len(tags) + orphans, len(tags), orphans, 1000, orphans, 100 * orphans, BEGIN)
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
    return RepositoryRecord(
        ACCOUNT, REGION, more.pop("name", NAME), arn, "uri", mode=mode, images=images, live_tags=live
    )


def registry(**more: Any) -> RegistryRecord:
    return RegistryRecord(ACCOUNT, REGION, **more)


def put_image(tag: str | None = "latest", **more: Any) -> dict[str, Any]:
    """A record of PutImage, as in the user guide of Amazon ECR."""
    manifest = '{"schemaVersion": 2}'
    identity = {"imageDigest": f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"}
    if tag is not None:
        identity["imageTag"] = tag
    return {
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"{CI}4711",
            "accountId": ACCOUNT,
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "ci"}},
        },
        "eventTime": "2026-03-01T08:00:00Z",
        "eventSource": "ecr.amazonaws.com",
        "eventName": "PutImage",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.12",
        "userAgent": "console.amazonaws.com",
        "requestParameters": {
            "repositoryName": NAME,
            "registryId": ACCOUNT,
            "imageManifest": manifest,
            **({"imageTag": tag} if tag else {}),
        },
        "responseElements": {"image": {"repositoryName": NAME, "registryId": ACCOUNT, "imageId": identity}},
        "eventID": "cf044b7d-5f9d-4ca9-9b2a-8c7ea1c3d3a6",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        **more,
    }


def image_action(tag: str | None = "latest", **more: Any) -> dict[str, Any]:
    """An event of EventBridge, as in the user guide of Amazon ECR."""
    manifest = '{"schemaVersion": 2}'
    return {
        "version": "0",
        "id": "13cde686-328b-6117-af20-0e5566167482",
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": ACCOUNT,
        "time": "2026-03-01T08:00:01Z",
        "region": REGION,
        "resources": [],
        "detail": {
            "result": "SUCCESS",
            "repository-name": NAME,
            "image-digest": f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}",
            "action-type": "PUSH",
            **({"image-tag": tag} if tag else {}),
            **more,
        },
    }
