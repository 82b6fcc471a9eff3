"""The closed family of things that can go wrong in Holdfast, each saying whose fault it is.

This file (with `access_errors` for those of policies, and `storage_errors` for our own trouble) decides which errors
exist and what they tell a person. It knows nothing of HTTP or JSON: each face maps every class here through one total
table (a test proves the tables complete).

Sentences that Amazon ECR is known to use are kept to the letter, because tools match them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from holdfast.core.access_errors import (
    IdentityTokenRefused,
    RegistryNotFound,
    RegistryPolicyNotFound,
    RepositoryPolicyNotFound,
    StillInUse,
)
from holdfast.core.failure import HoldfastError
from holdfast.core.storage_errors import (
    BlobCorrupt,
    ConfigurationInvalid,
    DatabaseBusy,
    GuardRefused,
    ReadOnly,
    StorageFailed,
    StorageFull,
    TooManyFiles,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "BlobCorrupt",
    "ConfigurationInvalid",
    "DatabaseBusy",
    "GuardRefused",
    "HoldfastError",
    "IdentityTokenRefused",
    "ReadOnly",
    "RegistryNotFound",
    "RegistryPolicyNotFound",
    "RepositoryPolicyNotFound",
    "StillInUse",
    "StorageFailed",
    "StorageFull",
    "TooManyFiles",
]


# --- malformed input -------------------------------------------------------------------------------------------------


class NameInvalid(HoldfastError):
    """A repository name outside the grammar of the OCI distribution specification or ECR's length limits."""


class TagInvalid(HoldfastError):
    """A tag outside the grammar of the OCI distribution specification."""


class DigestInvalid(HoldfastError):
    """A digest that is malformed, of an algorithm we do not compute, or not the digest of the content sent."""


class ManifestInvalid(HoldfastError):
    """Bytes that are not a manifest we accept; the message names the first thing wrong and where it stands."""


class ManifestTooLarge(HoldfastError):
    """A manifest over the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The manifest is larger than {limit_bytes} bytes.",
            {"limit_bytes": limit_bytes},
        )


class ParameterInvalid(HoldfastError):
    """A parameter that breaks a rule; the sentence has ECR's form."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{why}'")
        self.parameter = parameter
        self.why = why


class PageTokenInvalid(ParameterInvalid):
    """A paging token that this server did not make for this caller and operation."""

    def __init__(self) -> None:
        super().__init__("nextToken", "The nextToken is invalid for this caller and operation")


class PolicyRefused(ParameterInvalid):
    """A policy document that does not parse."""


class LabelInvalid(HoldfastError):
    """A resource tag (label) whose key or value is too short or too long."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"The resource tag with the key '{key[:64]}' is invalid: {why}.", {"key": key[:64]})


class TooManyTags(HoldfastError):
    """More resource tags (labels, not image tags) than a repository may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A repository can have at most {limit} resource tags.", {"limit": limit})


class PreconditionFailed(HoldfastError):
    """A push on a condition (`If-Match`, `If-None-Match`) that the tag does not meet; nothing was kept."""

    def __init__(self, tag: str, bound: str | None) -> None:
        names = f"names {bound}" if bound else "names nothing"
        super().__init__(
            f"The tag '{tag}' {names}, which is not what the push asked for. Nothing was kept; look at the tag anew.",
            {"tag": tag, "bound_digest": bound},
        )


class InputInvalid(HoldfastError):
    """Parameters that are each right and do not go together; the sentence is ECR's."""


class FeatureDisabled(HoldfastError):
    """A basic scan asked for in a registry with enhanced scanning; the sentence is ECR's."""

    def __init__(self) -> None:
        super().__init__("This feature is disabled")


class ReportInvalid(HoldfastError):
    """A scanner's report of no known form, or about another image; the message says which."""


class ScanUnsupported(HoldfastError):
    """A scan of what is no container image: an index, a chart, a signature."""

    def __init__(self, digest: str, kind: str) -> None:
        super().__init__(
            f"'{digest}' is of the type {kind}, which cannot be scanned; of an index, scan its platform images.",
            {"digest": digest, "type": kind},
        )


class Unsupported(HoldfastError):
    """Something that is understood and deliberately not offered."""


# --- not there -------------------------------------------------------------------------------------------------------


class RepositoryNotFound(HoldfastError):
    """No such repository in this registry."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' does not exist in the registry with id '{account_id}'",
            {"name": name},
        )


class ManifestNotFound(HoldfastError):
    """No manifest under this tag or digest."""

    def __init__(self, reference: str) -> None:
        super().__init__("Requested image not found", {"reference": reference})


class BlobNotFound(HoldfastError):
    """No blob of this digest in this repository (whether another repository has it is not told)."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"The layer with digest '{digest}' does not exist in this repository.", {"digest": digest})


class LayerInaccessible(HoldfastError):
    """A blob that no image of the repository refers to yet: ECR does not hand out such layers."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"Layer '{digest}' is not associated with an image. Unassociated image layers may be cleaned up at any "
            "time.",
            {"digest": digest},
        )


class UploadNotFound(HoldfastError):
    """No upload session of this id for this repository and principal."""

    def __init__(self, upload_id: str, name: str, account_id: str) -> None:
        super().__init__(
            f"The upload with id '{upload_id}' does not exist for the repository with name '{name}' in the registry "
            f"with id '{account_id}'",
            {"upload_id": upload_id},
        )


class PrincipalNotFound(HoldfastError):
    """No such principal or access key."""


class TemplateNotFound(HoldfastError):
    """No repository creation template of this prefix."""

    def __init__(self, prefix: str, account_id: str) -> None:
        super().__init__(
            f"The repository creation template with prefix '{prefix}' does not exist in the registry with id "
            f"'{account_id}'",
            {"prefix": prefix},
        )


class PullThroughRuleNotFound(HoldfastError):
    """No pull-through cache rule of this prefix."""

    def __init__(self, prefix: str, account_id: str) -> None:
        super().__init__(
            f"The pull through cache rule with prefix '{prefix}' does not exist in the registry with id '{account_id}'",
            {"prefix": prefix},
        )


class CredentialNotFound(HoldfastError):
    """No sealed credential of the name that a rule or a peer gives."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no upstream credential for '{name}'. Set it with: holdfast upstream credential set NAME",
            {"name": name},
        )


class PeerNotFound(HoldfastError):
    """No peer is set for this region and account."""


class BackfillNotFound(HoldfastError):
    """No replication backfill of this id."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"The replication backfill with id '{identity}' does not exist", {"id": identity})


class ScanNotFound(HoldfastError):
    """An image that nobody asked to be scanned, and for which no report was loaded."""

    def __init__(self, digest: str | None, tag: str | None, name: str, account_id: str) -> None:
        super().__init__(
            f"Image scan does not exist for the image with '{{imageDigest:'{digest or 'null'}', "
            f"imageTag:'{tag or 'null'}'}}' in the repository with name '{name}' in the registry with id '{account_id}'"
        )


class SigningConfigurationNotFound(HoldfastError):
    """A registry without signing rules."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"Signing configuration does not exist in the registry with id '{account_id}'")


# --- already there, still needed, held -------------------------------------------------------------------------------


class RepositoryAlreadyExists(HoldfastError):
    """A second repository of one name."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' already exists in the registry with id '{account_id}'", {"name": name}
        )


class RepositoryNotEmpty(HoldfastError):
    """Deletion without force of a repository that has images."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' in registry with id '{account_id}' cannot be deleted because it still "
            "contains images",
            {"name": name},
        )


class LayerAlreadyExists(HoldfastError):
    """A layer completed again that the repository has already (ECR reports it as an error; clients take it as done)."""

    def __init__(self, digest: str, name: str, account_id: str) -> None:
        super().__init__(
            f"Layer with digest '{digest}' already exists in the repository with name '{name}' in registry with id "
            f"'{account_id}'",
            {"digest": digest},
        )


class PrincipalExists(HoldfastError):
    """A second principal of one name."""


class TemplateExists(HoldfastError):
    """A second repository creation template of one prefix."""

    def __init__(self, prefix: str, account_id: str) -> None:
        super().__init__(
            f"The repository creation template with prefix '{prefix}' already exists in the registry with id "
            f"'{account_id}'",
            {"prefix": prefix},
        )


class PullThroughRuleExists(HoldfastError):
    """A second pull-through cache rule of one prefix."""

    def __init__(self, prefix: str, account_id: str) -> None:
        super().__init__(
            f"A pull through cache rule with prefix '{prefix}' already exists in the registry with id '{account_id}'",
            {"prefix": prefix},
        )


class LimitExceeded(HoldfastError):
    """One more of something than a registry may have; the message names the limit."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"A registry can have at most {limit} {what}.", {"limit": limit})


class BackfillInProgress(HoldfastError):
    """A second replication backfill to one region at a time."""

    def __init__(self, region: str) -> None:
        super().__init__(
            f"A replication backfill is already in progress for the destination region '{region}'", {"region": region}
        )


class BackfillEnded(HoldfastError):
    """A replication backfill that has ended cannot be stopped."""

    def __init__(self, identity: str, status: str) -> None:
        super().__init__(
            f"The replication backfill with id '{identity}' cannot be stopped in the status {status}",
            {"id": identity, "status": status},
        )


class ImageAlreadyExists(HoldfastError):
    """PutImage of a digest under a tag that names it already: nothing to do (ECR reports it as an error)."""

    def __init__(self, digest: str, tag: str | None, name: str, account_id: str) -> None:
        tagged = f" and tag '{tag}'" if tag else ""
        super().__init__(
            f"Image with digest '{digest}'{tagged} already exists in the repository with name '{name}' in registry "
            f"with id '{account_id}'",
            {"digest": digest, "tag": tag},
        )


class TagHeld(HoldfastError):
    """The label refuses to move. The manifest that was pushed is kept under its digest (see `detail`)."""


class ReferencedByIndex(HoldfastError):
    """Deletion of an image that an index of the repository lists."""

    def __init__(self, parents: Sequence[str]) -> None:
        super().__init__(
            f"Requested image referenced by manifest list: [{', '.join(parents)}]", {"referenced_by": list(parents)}
        )


class LastAdministrator(HoldfastError):
    """An act after which nobody could make a principal or an access key any more."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' is the last who may make principals and access keys, and would be so no more. First make "
            "another: holdfast user create NAME --administrator, then holdfast user key create NAME",
            {"name": name},
        )


class BlobReferenced(HoldfastError):
    """Deletion of a blob that a manifest of the repository needs."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"The layer with digest '{digest}' is part of an image in this repository. Delete the image first.",
            {"digest": digest},
        )


class ScanQuotaExceeded(HoldfastError):
    """A second scan of an image within a day; the sentence is ECR's."""

    def __init__(self, next_at: int) -> None:
        super().__init__("The scan quota per image has been exceeded. Wait and try again.", {"next_at": next_at})


# --- missing parts ---------------------------------------------------------------------------------------------------


class BlobsMissing(HoldfastError):
    """A manifest names blobs that this repository does not have."""

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__(
            "Layers with digests '[" + ", ".join(digests) + "]' required for pushing image were not found in this "
            "repository. Push the layers first, then the manifest.",
            {"missing": list(digests)},
        )
        self.digests = list(digests)


class ChildrenMissing(HoldfastError):
    """An index names manifests that this repository does not have."""

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__(
            "Images with digests '[" + ", ".join(digests) + "]' required for pushing image into repository do not "
            "exist in it. Push the platform images first, then the index.",
            {"missing": list(digests)},
        )
        self.digests = list(digests)


# --- uploads ---------------------------------------------------------------------------------------------------------


class UploadRangeInvalid(HoldfastError):
    """A chunk that does not start where the session ends."""

    def __init__(self, received_bytes: int, message: str | None = None) -> None:
        super().__init__(
            message or f"The chunk must start at byte {received_bytes}, where the upload session ends.",
            {"received_bytes": received_bytes},
        )
        self.received_bytes = received_bytes


class UploadSizeInvalid(HoldfastError):
    """Fewer or more bytes than were announced."""


class UploadBusy(HoldfastError):
    """Another request is writing to the session at this moment."""

    def __init__(self) -> None:
        super().__init__("Another request is writing to this upload session. Ask its status, then go on.")


class UploadEmpty(HoldfastError):
    """A layer completed before any part came."""


class LayerPartTooSmall(HoldfastError):
    """A part other than the last under the least part size."""


class BlobTooLarge(HoldfastError):
    """More bytes than a blob may have."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The layer is larger than {limit_bytes} bytes.", {"limit_bytes": limit_bytes})


class TooManyUploads(HoldfastError):
    """More upload sessions open than a principal may have."""

    def __init__(self, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"You have {limit} uploads open, the most there may be. Finish or cancel some; those left behind are "
            "dropped in time.",
            {"limit": limit, "retry_after_seconds": retry_after_seconds},
        )
        self.retry_after_seconds = retry_after_seconds


class QuotaExceeded(HoldfastError):
    """More than a quota of the registry or of the repository allows; nothing was stored."""

    def __init__(self, whose: str, resource: str, *, most: int, used: int, more: int) -> None:
        super().__init__(
            f"The {whose} may have at most {most} {resource} and has {used}; {more} more would be too many. "
            "Nothing was stored. Delete what is not needed, or ask an administrator: holdfast quota set --help",
            {"whose": whose, "resource": resource, "most": most, "used": used, "more": more},
        )


class UploadAborted(HoldfastError):
    """The client went away, or stalled past its deadline, in the middle of a body."""


# --- who may ---------------------------------------------------------------------------------------------------------


class Unauthenticated(HoldfastError):
    """No credentials, or wrong ones."""


class TokenExpired(Unauthenticated):
    """A token past its end; the sentence is ECR's."""

    def __init__(self) -> None:
        super().__init__("Your authorization token has expired. Reauthenticate and try again.")


class TooManyLogins(HoldfastError):
    """Too many failed log-ins from one place."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"Too many failed log-ins. Wait {retry_after_seconds} seconds, then try again with the right credentials.",
            {"retry_after_seconds": retry_after_seconds},
        )
        self.retry_after_seconds = retry_after_seconds


class RateExceeded(HoldfastError):
    """More requests than the limit of rate lets pass; the first words are ECR's."""

    def __init__(self, per_second: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"Rate exceeded: {per_second} requests a second are allowed. Wait {retry_after_seconds} s, then try again.",
            {"per_second": per_second, "retry_after_seconds": retry_after_seconds},
        )
        self.retry_after_seconds = retry_after_seconds


class AccessDenied(HoldfastError):
    """A principal without the right; the sentence names the action and the resource."""


# --- other registries ------------------------------------------------------------------------------------------------


class UpstreamUnsupported(HoldfastError):
    """An address that cannot be an upstream; the sentence is ECR's."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The upstream registry URL {url[:300]} is invalid. Specify a valid upstream registry URL and try again",
            {"url": url[:300]},
        )


class UpstreamFailed(HoldfastError):
    """An upstream registry did not give what was asked for, and nothing is cached.

    `code` is ECR's: UpstreamAccessDenied, UpstreamTooManyRequests or UpstreamUnavailable.
    """

    fault: ClassVar[str] = "upstream"

    def __init__(self, message: str, code: str = "UpstreamUnavailable") -> None:
        super().__init__(message, {"code": code})
        self.code = code
