"""What Amazon ECR's replies say, as records of the estate.

Pure. This file alone knows the members of ECR's replies (as they are on the wire: times in seconds since the epoch),
and of AWS Config's items of the type AWS::ECR::Repository, which write the names of members as CloudFormation does.

An image is reached when a tag names it, when an index that is reached names it, or when it refers to one that is
reached (a signature, an attestation). What is not reached is an orphan: what a moved or deleted tag leaves behind.
"""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import TagMutability
from holdfast.govern.estate import (
    Images,
    LiveTag,
    PullThroughRule,
    ReplicationRule,
    RepositoryRecord,
    ScanningConfiguration,
    ScanningRule,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)

Members = dict[str, Any]


def moment(value: object) -> datetime | None:
    """Read a time: seconds since the epoch, or text with a zone; None where there is none."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    return None


def repository(told: Members, account: str, region: str) -> RepositoryRecord:
    """Read one of DescribeRepositories."""
    encryption = told.get("encryptionConfiguration") or {}
    return RepositoryRecord(
        account=account,
        region=region,
        name=told["repositoryName"],
        arn=told["repositoryArn"],
        uri=told.get("repositoryUri", ""),
        created_at=moment(told.get("createdAt")),
        mode=TagMutability(told.get("imageTagMutability", "MUTABLE")),
        filters=filters(told),
        scan_on_push=bool((told.get("imageScanningConfiguration") or {}).get("scanOnPush")),
        encryption_type=encryption.get("encryptionType", "AES256"),
        encryption_key=encryption.get("kmsKey"),
    )


def filters(told: Members) -> tuple[str, ...]:
    """Read the exclusion filters of a repository or of a creation template."""
    return tuple(one["filter"] for one in told.get("imageTagMutabilityExclusionFilters") or ())


def template(told: Members) -> Template:
    """Read one of DescribeRepositoryCreationTemplates."""
    mode = TagMutability(told.get("imageTagMutability", "MUTABLE"))
    return Template(told["prefix"], tuple(told.get("appliedFor") or ()), mode, filters(told))


def pull_through(told: Members) -> PullThroughRule:
    """Read one of DescribePullThroughCacheRules."""
    upstream = told.get("upstreamRegistryUrl") or told.get("upstreamRegistry") or ""
    return PullThroughRule(told["ecrRepositoryPrefix"], upstream, told.get("upstreamRepositoryPrefix"))


def replication(told: Members) -> tuple[ReplicationRule, ...]:
    """Read DescribeRegistry."""
    rules = (told.get("replicationConfiguration") or {}).get("rules") or ()
    return tuple(
        ReplicationRule(
            tuple((one["registryId"], one["region"]) for one in rule.get("destinations") or ()),
            tuple(one["filter"] for one in rule.get("repositoryFilters") or ()),
        )
        for rule in rules
    )


def scanning(told: Members) -> ScanningConfiguration:
    """Read GetRegistryScanningConfiguration."""
    configuration = told.get("scanningConfiguration") or {}
    rules = tuple(
        ScanningRule(
            one.get("scanFrequency", "MANUAL"), tuple(each["filter"] for each in one.get("repositoryFilters") or ())
        )
        for one in configuration.get("rules") or ()
    )
    return ScanningConfiguration(configuration.get("scanType", "BASIC"), rules)


def children(manifest: str) -> tuple[str, ...]:
    """Read which manifests an index names; none of what is not an index."""
    try:
        listed = json.loads(manifest).get("manifests")
    except (ValueError, AttributeError):
        return ()
    if not isinstance(listed, list):
        return ()
    return tuple(one["digest"] for one in listed if isinstance(one, dict) and isinstance(one.get("digest"), str))


def indexes_to_read(images: Iterable[Members]) -> list[str]:
    """Return which indexes must be read to say which images are orphans; none where nothing is untagged."""
    listed = list(images)
    if all(one.get("imageTags") for one in listed):
        return []
    return [one["imageDigest"] for one in listed if one.get("imageManifestMediaType") in INDEXES]


def reached(images: Iterable[Members], named_by: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the digests that a tag reaches; `named_by` is what each index names."""
    listed = list(images)
    referring: dict[str, list[str]] = {}
    for one in listed:
        if subject := one.get("subjectManifestDigest"):
            referring.setdefault(subject, []).append(one["imageDigest"])
    waiting = deque(one["imageDigest"] for one in listed if one.get("imageTags"))
    found: set[str] = set(waiting)
    while waiting:
        digest = waiting.popleft()
        for one in (*named_by.get(digest, ()), *referring.get(digest, ())):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


def images(listed: list[Members], named_by: Mapping[str, Iterable[str]]) -> tuple[Images, tuple[LiveTag, ...]]:
    """Add up DescribeImages, and list the live tags by name."""
    alive = reached(listed, named_by)
    orphans = [one for one in listed if one["imageDigest"] not in alive]
    pushes = [at for one in listed if (at := moment(one.get("imagePushedAt")))]
    pulls = [at for one in listed if (at := moment(one.get("lastRecordedPullTime")))]
    tags = [
        LiveTag(
            tag,
            one["imageDigest"],
            moment(one.get("imagePushedAt")),
            one.get("imageManifestMediaType"),
            one.get("artifactMediaType"),
        )
        for one in listed
        for tag in one.get("imageTags") or ()
    ]
    summary = Images(
        images=len(listed),
        tags=len(tags),
        untagged=sum(1 for one in listed if not one.get("imageTags")),
        bytes=sum(one.get("imageSizeInBytes") or 0 for one in listed),
        orphans=len(orphans),
        orphan_bytes=sum(one.get("imageSizeInBytes") or 0 for one in orphans),
        last_push=max(pushes, default=None),
        last_pull=max(pulls, default=None),
    )
    return summary, tuple(sorted(tags, key=lambda one: one.tag))


def of_config(item: Members) -> RepositoryRecord:
    """Read a result of AWS Config's SelectAggregateResourceConfig, parsed. Raises KeyError, ValueError, TypeError."""
    configuration = item["configuration"]
    if isinstance(configuration, str):
        configuration = json.loads(configuration)
    encryption = configuration.get("EncryptionConfiguration") or {}
    scanned = configuration.get("ImageScanningConfiguration") or {}
    name = item.get("resourceName") or configuration.get("RepositoryName") or item["resourceId"]
    policy = configuration.get("RepositoryPolicyText")
    lifecycle = (configuration.get("LifecyclePolicy") or {}).get("LifecyclePolicyText")
    excluded = configuration.get("ImageTagMutabilityExclusionFilters") or ()
    return RepositoryRecord(
        account=item["accountId"],
        region=item["awsRegion"],
        name=name,
        arn=item["arn"],
        uri=configuration.get("RepositoryUri", ""),
        mode=TagMutability(configuration.get("ImageTagMutability", "MUTABLE")),
        filters=tuple(one["ImageTagMutabilityExclusionFilterValue"] for one in excluded),
        scan_on_push=str(scanned.get("ScanOnPush", "")).lower() == "true",
        encryption_type=encryption.get("EncryptionType", "AES256"),
        encryption_key=encryption.get("KmsKey"),
        lifecycle_policy=lifecycle or "",
        policy=policy if isinstance(policy, str) else json.dumps(policy) if policy else "",
        resource_tags={one["Key"]: one["Value"] for one in configuration.get("Tags") or ()},
    )
