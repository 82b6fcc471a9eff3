"""Replication beyond ECR's API: where destinations are that are not hosted here, and why one failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.replication import Destination
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result
from holdfast.store import replications

if TYPE_CHECKING:
    from holdfast.store.replications import Peer, Replication

_LAST: Final = 2**63 - 1


async def put_replication_peer(call: Call) -> Result:
    """Say where a destination is."""
    given = call.parameters
    peer = await call.use.flows.replication.put_peer(
        call.caller,
        call.registry,
        _destination(call),
        given["url"],
        given.get("credentialName"),
        through=THROUGH,
    )
    return {"replicationPeer": _peer(peer)}


async def delete_replication_peer(call: Call) -> Result:
    """Forget where a destination is."""
    await call.use.flows.replication.delete_peer(call.caller, call.registry, _destination(call), through=THROUGH)
    return {}


async def list_replication_peers(call: Call) -> Result:
    """List where destinations are."""
    peers = call.use.flows.replication.peers(call.caller, call.registry)
    return {"replicationPeers": [_peer(one) for one in peers]}


async def list_replications(call: Call) -> Result:
    """List replications by pages."""
    given, limit = call.parameters, call.limit()
    page = call.use.flows.replication.page(
        call.caller,
        call.registry,
        repository=given.get("repositoryName"),
        status=given.get("status"),
        before=int(call.after() or _LAST),
        limit=limit + 1,
    )
    token = call.next_token(page[limit - 1].id) if len(page) > limit else None
    return {"replications": [_replication(one) for one in page[:limit]], "nextToken": token}


def _destination(call: Call) -> Destination:
    given = call.parameters["destination"]
    return Destination(given["region"], given["registryId"])


def _place(destination: Destination) -> Result:
    return {"region": destination.region, "registryId": destination.account_id}


def _peer(peer: Peer) -> Result:
    return {
        "destination": _place(peer.destination),
        "url": peer.url,
        "credentialName": peer.credential,
        "updatedAt": peer.updated_at / MICROSECONDS,
    }


def _replication(one: Replication) -> Result:
    waits = one.status == replications.WAITING
    return {
        "repositoryName": one.repository,
        "imageTag": one.tag or None,
        "imageDigest": one.digest,
        "destination": _place(one.destination),
        "act": one.act,
        "status": "IN_PROGRESS" if waits or one.status == replications.RUNNING else one.status,
        "failureCode": one.failure_code,
        "failureReason": one.failure_reason,
        "attempts": one.attempts,
        "changedAt": one.changed_at / MICROSECONDS,
        "nextAttemptAt": one.due_at / MICROSECONDS if waits else None,
    }


REPLICATION: Final[dict[str, Operation]] = {
    "DeleteReplicationPeer": delete_replication_peer,
    "ListReplicationPeers": list_replication_peers,
    "ListReplications": list_replications,
    "PutReplicationPeer": put_replication_peer,
}
"""Operation -> what performs it."""
