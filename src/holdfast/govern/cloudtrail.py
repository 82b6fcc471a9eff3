"""Records of AWS CloudTrail as events.

Pure. This file alone knows the form of a record of eventSource ecr.amazonaws.com. A record of another service, or of an
operation that changes and pulls nothing, is no event; one that is not of CloudTrail's form raises RecordInvalid.

The digest of a push stands in the response; of one that was refused it is the SHA-256 of the manifest in the request.
Source: AWS CloudTrail record contents; Amazon ECR user guide, "Logging actions with AWS CloudTrail", and its examples.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import TagMutability
from holdfast.govern.actors import actor_of_cloudtrail
from holdfast.govern.events import Event, Kind, Origin, Outcome
from holdfast.govern.members import RecordInvalid, is_text, mapping, maybe, moment, part, parts, text

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE: Final = "ecr.amazonaws.com"


@dataclass(frozen=True, slots=True)
class _Record:
    base: Event
    """Without what the operation adds."""

    request: dict[str, Any]
    reply: dict[str, Any]
    details: dict[str, Any]


def events_of(record: object) -> tuple[Event, ...]:
    """Read one record. Raises RecordInvalid."""
    members = mapping(record, "the record")
    if maybe(members, "eventSource") != SOURCE:
        if "eventSource" in members:
            return ()
        msg = "eventSource is missing"
        raise RecordInvalid(msg)
    name = text(members, "eventName")
    read = _OPERATIONS.get(name)
    if read is None:
        return ()
    request, error = part(members, "requestParameters"), maybe(members, "errorCode")
    account = maybe(request, "registryId") or maybe(members, "recipientAccountId")
    identity = members.get("userIdentity")
    if account is None and isinstance(identity, dict):
        account = maybe(identity, "accountId")
    if account is None:
        msg = "neither registryId, recipientAccountId nor userIdentity tells the account"
        raise RecordInvalid(msg)
    base = Event(
        at=moment(members, "eventTime"),
        account=account,
        region=text(members, "awsRegion"),
        repository=maybe(request, "repositoryName") or "",
        kind=Kind.PUSH,
        origin=Origin.CLOUDTRAIL,
        outcome=Outcome.REFUSED if error else Outcome.DONE,
        actor=actor_of_cloudtrail(identity),
        source=maybe(members, "sourceIPAddress"),
        user_agent=maybe(members, "userAgent"),
        error=error,
        id=maybe(members, "eventID"),
    )
    return read(_Record(base, request, part(members, "responseElements"), part(members, "serviceEventDetails")))


def _push(record: _Record) -> tuple[Event, ...]:
    request, image = record.request, part(record.reply, "image")
    identity = part(image, "imageId")
    digest = maybe(identity, "imageDigest") or maybe(request, "imageDigest")
    manifest = maybe(request, "imageManifest")
    if digest is None and manifest is not None:
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return (
        replace(
            record.base,
            repository=text(request, "repositoryName"),
            tag=maybe(request, "imageTag"),
            digest=digest,
            media_type=maybe(image, "imageManifestMediaType") or maybe(request, "imageManifestMediaType"),
        ),
    )


def _named(kind: Kind) -> Callable[[_Record], tuple[Event, ...]]:
    """Read an operation on several images: what the response names was done; without one, what was asked for."""

    def read(record: _Record) -> tuple[Event, ...]:
        base = replace(record.base, repository=text(record.request, "repositoryName"), kind=kind)
        named = parts(record.reply if "imageIds" in record.reply else record.request, "imageIds")
        return tuple(replace(base, tag=maybe(one, "imageTag"), digest=maybe(one, "imageDigest")) for one in named)

    return read


def _expired(record: _Record) -> tuple[Event, ...]:
    base = replace(record.base, repository=text(record.details, "repositoryName"), kind=Kind.EXPIRE)
    images = [part(one, "lifecycleEventImage") for one in parts(record.details, "lifecycleEventImageActions")]
    return tuple(replace(base, tag=tag, digest=maybe(image, "digest")) for image in images for tag in _tags(image))


def _tags(image: dict[str, Any]) -> list[str | None]:
    listed = image.get("tagList")
    tags: list[str | None] = [one for one in listed if is_text(one)] if isinstance(listed, list) else []
    return tags or [None]


def _mode(request: dict[str, Any]) -> tuple[TagMutability, tuple[str, ...]]:
    try:
        mode = TagMutability(maybe(request, "imageTagMutability") or TagMutability.MUTABLE)
    except ValueError:
        msg = f"imageTagMutability is {request['imageTagMutability']!r}, which is not known"
        raise RecordInvalid(msg) from None
    return mode, tuple(text(one, "filter") for one in parts(request, "imageTagMutabilityExclusionFilters"))


def _set(kind: Kind, *, name: str = "repositoryName", has_mode: bool = False) -> Callable[[_Record], tuple[Event, ...]]:
    def read(record: _Record) -> tuple[Event, ...]:
        mode, filters = _mode(record.request) if has_mode else (None, ())
        repository = maybe(record.request, name) or ""
        return (replace(record.base, kind=kind, repository=repository, mode=mode, filters=filters),)

    return read


_OPERATIONS: Final[dict[str, Callable[[_Record], tuple[Event, ...]]]] = {
    "PutImage": _push,
    "BatchDeleteImage": _named(Kind.DELETE),
    "BatchGetImage": _named(Kind.PULL),
    "PolicyExecutionEvent": _expired,
    "CreateRepository": _set(Kind.CREATE, has_mode=True),
    "DeleteRepository": _set(Kind.DROP),
    "PutImageTagMutability": _set(Kind.SET_MUTABILITY, has_mode=True),
    "CreateRepositoryCreationTemplate": _set(Kind.SET_TEMPLATE, name="prefix", has_mode=True),
    "UpdateRepositoryCreationTemplate": _set(Kind.SET_TEMPLATE, name="prefix", has_mode=True),
    "DeleteRepositoryCreationTemplate": _set(Kind.SET_TEMPLATE, name="prefix"),
    "CreatePullThroughCacheRule": _set(Kind.SET_PULL_THROUGH, name="ecrRepositoryPrefix"),
    "UpdatePullThroughCacheRule": _set(Kind.SET_PULL_THROUGH, name="ecrRepositoryPrefix"),
    "DeletePullThroughCacheRule": _set(Kind.SET_PULL_THROUGH, name="ecrRepositoryPrefix"),
    "PutReplicationConfiguration": _set(Kind.SET_REPLICATION),
    "PutRegistryScanningConfiguration": _set(Kind.SET_SCANNING),
    "PutImageScanningConfiguration": _set(Kind.SET_SCANNING),
    "PutLifecyclePolicy": _set(Kind.SET_LIFECYCLE),
    "DeleteLifecyclePolicy": _set(Kind.SET_LIFECYCLE),
    "SetRepositoryPolicy": _set(Kind.SET_POLICY),
    "DeleteRepositoryPolicy": _set(Kind.SET_POLICY),
    "PutRegistryPolicy": _set(Kind.SET_POLICY),
    "DeleteRegistryPolicy": _set(Kind.SET_POLICY),
}
"""eventName -> how its record is read."""

PULLS: Final = frozenset({"BatchGetImage"})
CHANGES: Final = tuple(name for name in _OPERATIONS if name not in PULLS)
"""The names of what changes something."""
