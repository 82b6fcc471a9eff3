"""The JSON API: Amazon ECR's, and beside it ours; `aws`, boto3, Terraform and the SDKs speak it.

Wire in, use case, wire out. This file alone knows AWS's JSON 1.1 protocol and which exception tells which error; what
the operations do stands in `ecr_operations.py`, what their shapes are in the service models.

The order of each request: the credentials are parsed, the key is looked up (who has none is refused here, before
megabytes are held for a stranger), the body is read, the signature is verified over it; only then is the body parsed.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import errors, lifecycle_errors, sigv4
from holdfast.core.digest import Digest
from holdfast.faces.blob_answer import answer_blob
from holdfast.faces.ecr_operations import ECR
from holdfast.faces.holdfast_operations import HOLDFAST
from holdfast.faces.http import BodyAborted, BodyTooLarge, Request, Response
from holdfast.faces.json_call import Call
from holdfast.faces.ledger_headers import ledger_headers
from holdfast.faces.service_model import InvalidParameter, SerializationError, ServiceModel, UnknownOperation
from holdfast.faces.signatures import Signatures, connection_of
from holdfast.registry.seal import SealBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.faces.json_call import Operation, UseCases

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""A layer part of 20 MiB grows to 28 MB in base64; a manifest of 4 MiB may grow sixfold when escaped."""

LARGE_OPERATIONS: Final = frozenset({"PutImage", "UploadLayerPart", "LoadScanReport"})
SMALL_BODY_BYTES: Final = 1024 * 1024
"""For all others; the longest, a hundred long digests or policies, stay under 200 kB."""

_LOGGER: Final = logging.getLogger("holdfast.ecr")
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_OF_A_PART: Final = ("registryId", "repositoryName", "uploadId")
"""Members of InvalidLayerPartException that the operation puts into the error's detail."""

INVALID: Final = "InvalidParameterException"

ERRORS: Final[dict[type[errors.HoldfastError], tuple[str, ...]]] = {
    errors.NameInvalid: (INVALID,),
    errors.TagInvalid: (INVALID,),
    errors.DigestInvalid: ("ImageDigestDoesNotMatchException", "InvalidLayerException", INVALID),
    errors.ManifestInvalid: (INVALID,),
    errors.ManifestTooLarge: (INVALID,),
    errors.ParameterInvalid: (INVALID,),
    errors.PageTokenInvalid: (INVALID,),
    errors.PolicyRefused: (INVALID,),
    errors.LabelInvalid: ("InvalidTagParameterException", INVALID),
    errors.TooManyTags: ("TooManyTagsException", INVALID),
    errors.Unsupported: (INVALID,),
    errors.InputInvalid: (INVALID,),
    errors.FeatureDisabled: ("ValidationException",),
    errors.ReportInvalid: (INVALID,),
    errors.ScanUnsupported: ("UnsupportedImageTypeException", INVALID),
    errors.ScanNotFound: ("ScanNotFoundException", INVALID),
    errors.SigningConfigurationNotFound: ("SigningConfigurationNotFoundException", INVALID),
    errors.ScanQuotaExceeded: ("LimitExceededException", INVALID),
    errors.RepositoryNotFound: ("RepositoryNotFoundException", INVALID),
    errors.RegistryNotFound: ("RegistryNotFoundException", INVALID),
    errors.RepositoryPolicyNotFound: ("RepositoryPolicyNotFoundException", INVALID),
    errors.RegistryPolicyNotFound: ("RegistryPolicyNotFoundException", INVALID),
    errors.ManifestNotFound: ("ImageNotFoundException", INVALID),
    lifecycle_errors.ImageArchived: ("ImageArchivedException", "ImageNotFoundException", INVALID),
    lifecycle_errors.LifecyclePolicyNotFound: ("LifecyclePolicyNotFoundException", INVALID),
    lifecycle_errors.LifecyclePreviewNotFound: ("LifecyclePolicyPreviewNotFoundException", INVALID),
    lifecycle_errors.LifecyclePreviewInProgress: ("LifecyclePolicyPreviewInProgressException", INVALID),
    lifecycle_errors.LifecycleRunNotFound: ("LifecyclePolicyNotFoundException", INVALID),
    lifecycle_errors.StorageClassUnsupported: ("ImageStorageClassUpdateNotSupportedException", INVALID),
    lifecycle_errors.ExclusionNotFound: ("ExclusionNotFoundException", INVALID),
    lifecycle_errors.ExclusionExists: ("ExclusionAlreadyExistsException", INVALID),
    errors.BlobNotFound: ("LayersNotFoundException", INVALID),
    errors.LayerInaccessible: ("LayerInaccessibleException", INVALID),
    errors.UploadNotFound: ("UploadNotFoundException", INVALID),
    errors.PrincipalNotFound: ("PrincipalNotFoundException", INVALID),
    errors.TemplateNotFound: ("TemplateNotFoundException", INVALID),
    errors.PullThroughRuleNotFound: ("PullThroughCacheRuleNotFoundException", INVALID),
    errors.CredentialNotFound: ("SecretNotFoundException", INVALID),
    errors.PeerNotFound: ("PeerNotFoundException", INVALID),
    errors.BackfillNotFound: ("ReplicationBackfillNotFoundException", INVALID),
    errors.RepositoryAlreadyExists: ("RepositoryAlreadyExistsException", INVALID),
    errors.RepositoryNotEmpty: ("RepositoryNotEmptyException", INVALID),
    errors.PrincipalExists: ("PrincipalAlreadyExistsException", INVALID),
    errors.TemplateExists: ("TemplateAlreadyExistsException", INVALID),
    errors.PullThroughRuleExists: ("PullThroughCacheRuleAlreadyExistsException", INVALID),
    errors.LimitExceeded: ("LimitExceededException", INVALID),
    errors.BackfillInProgress: ("ReplicationBackfillInProgressException", INVALID),
    errors.BackfillEnded: ("ReplicationBackfillInvalidStatusException", INVALID),
    errors.StillInUse: ("StillInUseException", INVALID),
    errors.ImageAlreadyExists: ("ImageAlreadyExistsException", INVALID),
    errors.LayerAlreadyExists: ("LayerAlreadyExistsException", INVALID),
    errors.TagHeld: ("ImageTagAlreadyExistsException", INVALID),
    errors.ReferencedByIndex: (INVALID,),
    errors.BlobReferenced: (INVALID,),
    errors.LastAdministrator: ("LastAdministratorException", INVALID),
    errors.PreconditionFailed: (INVALID,),
    errors.BlobsMissing: ("LayersNotFoundException", INVALID),
    errors.ChildrenMissing: ("ReferencedImagesNotFoundException", INVALID),
    errors.UploadRangeInvalid: ("InvalidLayerPartException", INVALID),
    errors.UploadSizeInvalid: (INVALID,),
    errors.UploadBusy: (INVALID,),
    errors.UploadEmpty: ("EmptyUploadException", INVALID),
    errors.LayerPartTooSmall: ("LayerPartTooSmallException", INVALID),
    errors.BlobTooLarge: (INVALID,),
    errors.QuotaExceeded: ("LimitExceededException", INVALID),
    errors.UploadAborted: (INVALID,),
    errors.Unauthenticated: ("UnrecognizedClientException",),
    errors.TokenExpired: ("UnrecognizedClientException",),
    errors.IdentityTokenRefused: (INVALID,),
    errors.TooManyLogins: ("ThrottlingException",),
    errors.RateExceeded: ("ThrottlingException",),
    errors.TooManyUploads: ("ThrottlingException",),
    errors.AccessDenied: ("AccessDeniedException",),
    errors.UpstreamUnsupported: ("UnsupportedUpstreamRegistryException", INVALID),
    errors.UpstreamFailed: ("UnableToGetUpstreamImageException", "ServiceUnavailableException"),
    errors.StorageFull: ("ServiceUnavailableException",),
    errors.TooManyFiles: ("ServiceUnavailableException",),
    errors.ReadOnly: ("ServiceUnavailableException",),
    errors.StorageFailed: ("ServiceUnavailableException",),
    errors.DatabaseBusy: ("ServiceUnavailableException",),
    errors.GuardRefused: ("ServerException",),
    errors.BlobCorrupt: ("ServerException",),
    errors.ConfigurationInvalid: ("ServerException",),
}
"""Error -> exceptions, the first of which that the operation models is the one; the last fits any operation."""


class ECRFace:
    """Answers POST / and the download links made by GetDownloadUrlForLayer."""

    def __init__(self, use: UseCases, *, on_error: Callable[[str], None] = lambda _: None) -> None:
        """`on_error` hears the name of each error that is told."""
        self._use = use
        self._on_error = on_error
        self._services: tuple[tuple[ServiceModel, dict[str, Operation]], ...] = (
            (ServiceModel.from_botocore("ecr"), ECR),
            (ServiceModel.from_file(_our_model()), HOLDFAST),
        )
        self._signatures = Signatures(use.access, use.registries, use.clock)

    async def answer(self, request: Request) -> Response:
        """Answer one request to the root."""
        if request.method != "POST":
            body = b"Holdfast: the OCI distribution API is at /v2/, the Amazon ECR API takes POST here.\n"
            allow = ("Allow", "GET, HEAD, POST")
            return Response(200 if request.method in {"GET", "HEAD"} else 405, (_TEXT, allow), body)
        model, operations = self._services[0]
        operation: str | None = None
        try:
            model, operations, operation = self._find(request.headers.get("x-amz-target", ""))
            limit = MAX_BODY_BYTES if operation in LARGE_OPERATIONS else SMALL_BODY_BYTES
            caller, region, body = await self._signatures.verified(request, limit)
            parameters = model.parse(operation, body)
            perform = operations.get(operation)
            if perform is None:
                message = f"Holdfast does not offer the operation {operation} yet."
                return _reply(request, *model.render_error("UnknownOperationException", message))
            call = Call(operation, request, caller, parameters, self._use, region)
            result = await perform(call)
            return _reply(request, 200, model.render(operation, result), call.headers)
        except (sigv4.SigV4Error, SerializationError, InvalidParameter, UnknownOperation) as error:
            return _reply(request, *model.render_error(error.code, error.message))
        except BodyTooLarge as error:
            message = f"The request is larger than {error.limit_bytes} bytes."
            return _reply(request, *model.render_error("RequestEntityTooLargeException", message))
        except errors.HoldfastError as error:
            self._on_error(type(error).__name__)
            return _reply(request, *_told(model, operation, error), _headers(error))
        except BodyAborted:
            raise  # the edge answers it: the request was broken, not the server
        except Exception:
            _LOGGER.exception("request %s failed", request.id)
            message = f"The server failed to answer request {request.id}."
            return _reply(request, *model.render_error("ServerException", message))

    async def answer_download(self, request: Request) -> Response:
        """Answer a download link: whoever holds it may read the blob, as long as its maker may."""
        if request.method not in {"GET", "HEAD"}:
            return Response(405, (_TEXT, ("Allow", "GET, HEAD")), b"method not allowed\n")
        try:
            grant = self._use.seal.open("download", request.path.removeprefix("/download/"))
            if self._use.clock() >= int(grant["until"]):
                return Response(403, (_TEXT,), b"The link has expired; ask for a new one.\n")
            caller = self._use.access.holder(grant["holder"], connection_of(request))
            registry = self._use.registries.by_id(int(grant["registry"]))
            self._use.access.admit(caller)
            digest = Digest.parse(grant["digest"])
            opener = partial(self._use.blobs.open, caller, registry, str(grant["repository"]), digest)
            return answer_blob(request, digest, opener)
        except (errors.RateExceeded, errors.TooManyFiles) as error:
            status = 429 if isinstance(error, errors.RateExceeded) else 503
            wait = ("Retry-After", str(error.retry_after_seconds))
            return Response(status, (_TEXT, wait), f"{error.message}\n".encode())
        except (SealBroken, errors.Unauthenticated, errors.AccessDenied):
            return Response(403, (_TEXT,), b"The link is not valid (any more).\n")
        except (errors.BlobNotFound, errors.RepositoryNotFound):
            return Response(404, (_TEXT,), b"The layer is gone.\n")

    def _find(self, target: str) -> tuple[ServiceModel, dict[str, Operation], str]:
        for model, operations in self._services:
            if target.startswith(model.target_prefix + "."):
                return model, operations, model.operation_of(target)
        raise UnknownOperation


def _our_model() -> Path:
    return Path(str(resources.files("holdfast") / "service" / "holdfast" / "2026-11-01" / "service-2.json"))


def _told(model: ServiceModel, operation: str | None, error: errors.HoldfastError) -> tuple[int, bytes]:
    """Choose the exception that tells an error, and fill its members."""
    message = error.message
    if isinstance(error, errors.ManifestInvalid | errors.ManifestTooLarge):
        message = f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{message}'"
    elif isinstance(error, errors.TagInvalid):
        message = f"Invalid parameter at 'imageTag' failed to satisfy constraint: '{message}'"
    members: dict[str, Any] | None = None
    if isinstance(error, errors.UploadRangeInvalid):
        members = {name: error.detail[name] for name in _OF_A_PART if name in error.detail}
        if error.received_bytes:
            members["lastValidByteReceived"] = error.received_bytes - 1
    for code in ERRORS[type(error)]:
        try:
            return model.render_error(
                code, message, members if code == "InvalidLayerPartException" else None, operation=operation
            )
        except LookupError:
            continue
    return model.render_error(ERRORS[type(error)][-1], message)


def _headers(error: errors.HoldfastError) -> list[tuple[str, str]]:
    wait = error.retry_after_seconds
    return [*ledger_headers(error.ledger), *([("Retry-After", str(wait))] if wait is not None else [])]


def _reply(request: Request, status: int, body: bytes, more: Iterable[tuple[str, str]] = ()) -> Response:
    headers = (("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", request.id), *more)
    return Response(status, headers, body)
