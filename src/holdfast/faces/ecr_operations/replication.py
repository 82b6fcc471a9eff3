"""Replication: the registry's configuration, the status of images, backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.core.replication import Destination
from holdfast.faces.ecr_operations.shapes import image_id_of, image_ids
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result
from holdfast.store import replications

if TYPE_CHECKING:
    from holdfast.registry.replication import Progress
    from holdfast.store.replications import Backfill

BACKFILLS_PAGE: Final = 25
"""Source: Amazon ECR API, maxResults of ListReplicationBackfills."""

_LAST: Final = 2**63 - 1


async def put_replication_configuration(call: Call) -> Result:
    """Replace the configuration."""
    given = call.parameters["replicationConfiguration"]
    kept = await call.use.flows.replication.configure(call.caller, call.registry, given, through=THROUGH)
    return {"replicationConfiguration": kept.document()}


async def describe_registry(call: Call) -> Result:
    """Tell the registry's configuration."""
    kept = call.use.flows.replication.configuration(call.caller, call.registry)
    return {"registryId": call.registry.account_id, "replicationConfiguration": kept.document()}


async def describe_image_replication_status(call: Call) -> Result:
    """Tell how an image stands at each destination."""
    (wanted,) = image_ids([call.parameters["imageId"]])
    found, statuses = call.use.flows.replication.status(*call.where, wanted)
    told = [
        {
            "region": one.destination.region,
            "registryId": one.destination.account_id,
            "status": _status(one.status),
            "failureCode": one.failure_code if one.status == replications.FAILED else None,
        }
        for one in statuses
    ]
    return {"repositoryName": call.repository, "imageId": image_id_of(found), "replicationStatuses": told}


async def start_replication_backfill(call: Call) -> Result:
    """Begin to replicate what is there."""
    given = call.parameters["destination"]
    destination = Destination(given["region"], given["registryId"])
    made = await call.use.flows.replication.start_backfill(call.caller, call.registry, destination, through=THROUGH)
    return {"registryId": call.registry.account_id, **_backfill(made)}


async def stop_replication_backfill(call: Call) -> Result:
    """Stop a backfill."""
    identity = call.parameters["replicationBackfillId"]
    stopped = await call.use.flows.replication.stop_backfill(call.caller, call.registry, identity, through=THROUGH)
    return {"registryId": call.registry.account_id, **_backfill(stopped)}


async def list_replication_backfills(call: Call) -> Result:
    """List backfills by pages."""
    limit = call.limit(BACKFILLS_PAGE)
    before = tuple(call.after() or (_LAST, ""))
    page = call.use.flows.replication.backfills(call.caller, call.registry, before=before, limit=limit + 1)
    last = page[limit - 1][0] if len(page) > limit else None
    told = [
        {**_backfill(one), "failureCode": one.failure_code, "progress": _progress(progress), **_ended(one)}
        for one, progress in page[:limit]
    ]
    token = call.next_token([last.started_at, last.id]) if last else None
    return {"registryId": call.registry.account_id, "backfills": told, "nextToken": token}


async def describe_replication_backfill_results(call: Call) -> Result:
    """Tell what a backfill did, by pages."""
    given, limit = call.parameters, call.limit()
    found, progress, page = call.use.flows.replication.results(
        call.caller,
        call.registry,
        given["replicationBackfillId"],
        status=given.get("resultStatusFilter"),
        after=int(call.after() or 0),
        limit=limit + 1,
    )
    results = [
        {
            "repositoryName": one.repository,
            "imageId": {"imageDigest": one.digest, "imageTag": one.tag or None},
            "status": one.status,
            "failureCode": one.failure_code if one.status == replications.FAILED else None,
        }
        for one in page[:limit]
    ]
    return {
        "registryId": call.registry.account_id,
        **_backfill(found),
        "failureCode": found.failure_code,
        "progress": _progress(progress),
        **_ended(found),
        "results": results,
        "nextToken": call.next_token(page[limit - 1].id) if len(page) > limit else None,
    }


def _status(status: str) -> str:
    return "IN_PROGRESS" if status in {replications.WAITING, replications.RUNNING} else status


def _backfill(backfill: Backfill) -> Result:
    return {
        "replicationBackfillId": backfill.id,
        "destination": {"region": backfill.destination.region, "registryId": backfill.destination.account_id},
        "status": backfill.status,
        "startedAt": backfill.started_at / MICROSECONDS,
    }


def _ended(backfill: Backfill) -> Result:
    return {"endedAt": backfill.ended_at / MICROSECONDS if backfill.ended_at is not None else None}


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "totalReplicationCount": progress.total,
        "completedReplicationCount": progress.completed,
        "failedReplicationCount": progress.failed,
        "failureCodes": progress.failure_codes,
    }


REPLICATION: Final[dict[str, Operation]] = {
    "DescribeImageReplicationStatus": describe_image_replication_status,
    "DescribeRegistry": describe_registry,
    "DescribeReplicationBackfillResults": describe_replication_backfill_results,
    "ListReplicationBackfills": list_replication_backfills,
    "PutReplicationConfiguration": put_replication_configuration,
    "StartReplicationBackfill": start_replication_backfill,
    "StopReplicationBackfill": stop_replication_backfill,
}
"""Operation -> what performs it."""
