"""The OCI distribution API: docker, podman, skopeo, crane, oras, helm and containerd speak it.

Wire in, use case, wire out. This file alone knows the paths, headers and error codes of the protocol; it decides
nothing. Source: OCI distribution specification 1.1 and its main branch (`?tag=` on a push by digest, upload
cancellation); Basic authentication on every request as Amazon ECR does it, and the Bearer flow of other registries.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote

from holdfast.core import errors, lifecycle_errors, preconditions, ranges
from holdfast.core.digest import Digest, new_hasher
from holdfast.core.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from holdfast.core.manifest import OCI_INDEX
from holdfast.core.reference import parse_reference, parse_repository_name, parse_tag
from holdfast.faces.blob_answer import FOR_EVER, answer_blob, blob_headers, has_current
from holdfast.faces.hosts import registry_at
from holdfast.faces.http import BodyTooLarge, Request, Response
from holdfast.faces.ledger_headers import ledger_headers
from holdfast.faces.oci_call import MAX_QUERY_FIELDS, OCICall, Target, target_of
from holdfast.faces.signatures import connection_of
from holdfast.registry.access import BEARER_TOKEN_SECONDS
from holdfast.registry.blobs import RENEW_MICROSECONDS
from holdfast.registry.images import MAX_TAGS_PER_PUSH

if TYPE_CHECKING:
    from holdfast.core.manifest import Manifest
    from holdfast.faces.kept_answers import KeptAnswers
    from holdfast.registry.access import Access
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.fetching import Fetching
    from holdfast.registry.images import Images
    from holdfast.registry.registries import Registries
    from holdfast.registry.repositories import Repositories
    from holdfast.registry.uploads import Uploads

THROUGH: Final = "oci"

REFERRERS_PAGE: Final = 100
_API_VERSION: Final = ("Docker-Distribution-Api-Version", "registry/2.0")
_JSON: Final = ("Content-Type", "application/json")
_ASK_AGAIN: Final = ("Cache-Control", "private, no-cache")

ERRORS: Final[dict[type[errors.HoldfastError], tuple[int, str]]] = {
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.TagInvalid: (400, "TAG_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestTooLarge: (413, "MANIFEST_INVALID"),
    errors.ParameterInvalid: (400, "UNSUPPORTED"),
    errors.PageTokenInvalid: (400, "UNSUPPORTED"),
    errors.PolicyRefused: (400, "UNSUPPORTED"),
    errors.LabelInvalid: (400, "UNSUPPORTED"),
    errors.TooManyTags: (400, "UNSUPPORTED"),
    errors.Unsupported: (405, "UNSUPPORTED"),
    errors.InputInvalid: (400, "UNSUPPORTED"),
    errors.FeatureDisabled: (400, "UNSUPPORTED"),
    errors.ReportInvalid: (400, "UNSUPPORTED"),
    errors.ScanUnsupported: (400, "UNSUPPORTED"),
    errors.ScanNotFound: (404, "MANIFEST_UNKNOWN"),
    errors.SigningConfigurationNotFound: (404, "UNSUPPORTED"),
    errors.ScanQuotaExceeded: (429, "TOOMANYREQUESTS"),
    errors.RepositoryNotFound: (404, "NAME_UNKNOWN"),
    errors.RegistryNotFound: (404, "NAME_UNKNOWN"),
    errors.RepositoryPolicyNotFound: (404, "UNSUPPORTED"),
    errors.RegistryPolicyNotFound: (404, "UNSUPPORTED"),
    errors.ManifestNotFound: (404, "MANIFEST_UNKNOWN"),
    lifecycle_errors.ImageArchived: (404, "MANIFEST_UNKNOWN"),
    lifecycle_errors.LifecyclePolicyNotFound: (404, "UNSUPPORTED"),
    lifecycle_errors.LifecyclePreviewNotFound: (404, "UNSUPPORTED"),
    lifecycle_errors.LifecyclePreviewInProgress: (409, "DENIED"),
    lifecycle_errors.LifecycleRunNotFound: (404, "UNSUPPORTED"),
    lifecycle_errors.StorageClassUnsupported: (409, "DENIED"),
    lifecycle_errors.ExclusionNotFound: (404, "UNSUPPORTED"),
    lifecycle_errors.ExclusionExists: (409, "DENIED"),
    errors.BlobNotFound: (404, "BLOB_UNKNOWN"),
    errors.LayerInaccessible: (404, "BLOB_UNKNOWN"),
    errors.UploadNotFound: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.PrincipalNotFound: (404, "UNSUPPORTED"),
    errors.TemplateNotFound: (404, "UNSUPPORTED"),
    errors.PullThroughRuleNotFound: (404, "UNSUPPORTED"),
    errors.CredentialNotFound: (404, "UNSUPPORTED"),
    errors.PeerNotFound: (404, "UNSUPPORTED"),
    errors.BackfillNotFound: (404, "UNSUPPORTED"),
    errors.RepositoryAlreadyExists: (409, "DENIED"),
    errors.RepositoryNotEmpty: (409, "DENIED"),
    errors.PrincipalExists: (409, "DENIED"),
    errors.TemplateExists: (409, "DENIED"),
    errors.PullThroughRuleExists: (409, "DENIED"),
    errors.LimitExceeded: (409, "DENIED"),
    errors.BackfillInProgress: (409, "DENIED"),
    errors.BackfillEnded: (409, "DENIED"),
    errors.StillInUse: (409, "DENIED"),
    errors.ImageAlreadyExists: (409, "DENIED"),
    errors.LayerAlreadyExists: (409, "DENIED"),
    errors.TagHeld: (409, "DENIED"),
    errors.ReferencedByIndex: (409, "DENIED"),
    errors.BlobReferenced: (409, "DENIED"),
    errors.LastAdministrator: (409, "DENIED"),
    errors.PreconditionFailed: (412, "DENIED"),
    errors.BlobsMissing: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.ChildrenMissing: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.UploadRangeInvalid: (416, "BLOB_UPLOAD_INVALID"),
    errors.UploadSizeInvalid: (400, "SIZE_INVALID"),
    errors.UploadBusy: (409, "BLOB_UPLOAD_INVALID"),
    errors.UploadEmpty: (400, "BLOB_UPLOAD_INVALID"),
    errors.LayerPartTooSmall: (400, "SIZE_INVALID"),
    errors.BlobTooLarge: (413, "SIZE_INVALID"),
    errors.QuotaExceeded: (403, "DENIED"),
    errors.UploadAborted: (400, "BLOB_UPLOAD_INVALID"),
    errors.Unauthenticated: (401, "UNAUTHORIZED"),
    errors.TokenExpired: (403, "DENIED"),
    errors.IdentityTokenRefused: (401, "UNAUTHORIZED"),
    errors.TooManyLogins: (429, "TOOMANYREQUESTS"),
    errors.RateExceeded: (429, "TOOMANYREQUESTS"),
    errors.TooManyUploads: (429, "TOOMANYREQUESTS"),
    errors.AccessDenied: (403, "DENIED"),
    errors.UpstreamUnsupported: (400, "UNSUPPORTED"),
    errors.UpstreamFailed: (503, "UNAVAILABLE"),
    errors.StorageFull: (503, "UNAVAILABLE"),
    errors.TooManyFiles: (503, "UNAVAILABLE"),
    errors.ReadOnly: (503, "UNAVAILABLE"),
    errors.StorageFailed: (503, "UNAVAILABLE"),
    errors.DatabaseBusy: (503, "UNAVAILABLE"),
    errors.GuardRefused: (500, "UNAVAILABLE"),
    errors.BlobCorrupt: (500, "UNAVAILABLE"),
    errors.ConfigurationInvalid: (500, "UNAVAILABLE"),
}
"""Error -> status and code. The codes are those of the specification, which is a closed list."""


class OCIFace:
    """Answers requests below /v2/ and /token."""

    def __init__(  # noqa: PLR0913 - one use case each
        self,
        access: Access,
        registries: Registries,
        repositories: Repositories,
        images: Images,
        blobs: Blobs,
        uploads: Uploads,
        fetching: Fetching,
        kept: KeptAnswers,
        *,
        challenge: str = "basic",
        on_error: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`challenge`: which way to log in clients are told of, 'basic' or 'bearer'; both are understood.

        `on_error` hears the name of each error that is told.
        """
        self._access = access
        self._registries = registries
        self._repositories = repositories
        self._images = images
        self._blobs = blobs
        self._uploads = uploads
        self._fetching = fetching
        self._kept = kept
        self._challenge = challenge
        self._on_error = on_error
        self._routes: dict[tuple[str, str], _Route] = {
            ("base", "GET"): self._get_base,
            ("base", "HEAD"): self._get_base,
            ("catalog", "GET"): self._get_catalog,
            ("tags", "GET"): self._get_tags,
            ("referrers", "GET"): self._get_referrers,
            ("manifests", "GET"): self._get_manifest,
            ("manifests", "HEAD"): self._get_manifest,
            ("manifests", "PUT"): self._put_manifest,
            ("manifests", "DELETE"): self._delete_manifest,
            ("blobs", "GET"): self._get_blob,
            ("blobs", "HEAD"): self._head_blob,
            ("blobs", "DELETE"): self._delete_blob,
            ("uploads", "POST"): self._post_upload,
            ("upload", "GET"): self._get_upload,
            ("upload", "PATCH"): self._patch_upload,
            ("upload", "PUT"): self._put_upload,
            ("upload", "DELETE"): self._delete_upload,
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request; every expected failure becomes the specification's JSON error."""
        try:
            caller = self._access.authenticate(request.headers.get("authorization"), connection_of(request))
            registry = registry_at(self._registries, request.host)
            kept = self._kept.get(registry, request.method, request.path)
            if kept is not None and "if-none-match" not in request.headers:
                kept.require(caller, registry, kept.repository)
                if kept.pulled is not None:
                    self._images.note_pull(caller, registry, kept.repository, kept.pulled)
                return kept.response
            target = target_of(request.path)
            if target.name:
                parse_repository_name(target.name)
            route = self._routes.get((target.kind, request.method))
            if route is None:
                return self._not_allowed(target)
            return await route(OCICall(request, target, caller, registry))
        except errors.HoldfastError as error:
            return self._error(request, error)
        except BodyTooLarge as error:
            return self._error(request, errors.ManifestTooLarge(error.limit_bytes))

    async def answer_token(self, request: Request) -> Response:
        """Answer the Bearer flow: credentials in, token out, with the principal's own rights whatever the scope."""
        try:
            authorization = request.headers.get("authorization")
            if authorization is None and request.method == "POST":
                authorization = _form_credentials(await request.body.read(64 * 1024))
            caller = self._access.authenticate(authorization, connection_of(request))
        except errors.HoldfastError as error:
            return self._error(request, error, challenge="basic")
        except BodyTooLarge as error:
            return self._error(request, errors.BlobTooLarge(error.limit_bytes))
        token = self._access.issue_token(caller, BEARER_TOKEN_SECONDS)
        body = {"token": token.text, "access_token": token.text, "expires_in": token.seconds}
        return Response(200, (_JSON, ("Cache-Control", "no-store")), json.dumps(body).encode())

    # --- the base, and lists -----------------------------------------------------------------------------------------

    async def _get_base(self, _call: OCICall) -> Response:
        return Response(200, (_API_VERSION, _JSON), b"{}")

    async def _get_catalog(self, call: OCICall) -> Response:
        limit, last = call.page()
        names, more = self._repositories.names(call.caller, call.registry, after=last, limit=limit)
        link = _link("/v2/_catalog", limit, names[-1]) if more and names else ()
        return Response(200, (_API_VERSION, _JSON, *link), _dump({"repositories": names}))

    async def _get_tags(self, call: OCICall) -> Response:
        limit, last = call.page()
        tags = self._images.tags(call.caller, call.registry, call.name, after=last, limit=limit + 1)
        more, tags = len(tags) > limit, tags[:limit]
        link = _link(f"/v2/{call.name}/tags/list", limit, tags[-1]) if more and tags else ()
        return Response(200, (_API_VERSION, _JSON, *link), _dump({"name": call.name, "tags": tags}))

    async def _get_referrers(self, call: OCICall) -> Response:
        subject = Digest.parse(call.reference)
        query = call.query()
        artifact_type = query.get("artifactType") or None
        limit, last = call.page(REFERRERS_PAGE)
        types = (artifact_type,) if artifact_type else ()
        found = self._images.referrers(
            call.caller, call.registry, call.name, subject, artifact_types=types, after=last, limit=limit + 1
        )
        more, manifests = len(found) > limit, [one.manifest for one in found[:limit]]
        headers = [_API_VERSION, ("Content-Type", OCI_INDEX)]
        if artifact_type:
            headers.append(("OCI-Filters-Applied", "artifactType"))
        if more and manifests:
            beside = f"&artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
            headers += _link(f"/v2/{call.name}/referrers/{subject}", limit, str(manifests[-1].digest), beside)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(one) for one in manifests]}
        return Response(200, headers, _dump(index))

    # --- manifests ---------------------------------------------------------------------------------------------------

    async def _get_manifest(self, call: OCICall) -> Response:
        reference = parse_reference(call.reference)
        until = await self._fetching.ensure(call.caller, call.registry, call.name, reference)
        before = self._kept.before()
        stored = self._images.get(call.caller, call.registry, call.name, reference)
        etag = f'"{stored.digest}"'
        pulled = stored.digest if call.request.method == "GET" else None
        if pulled is not None:
            self._images.note_pull(call.caller, call.registry, call.name, pulled)
        headers = (
            _API_VERSION,
            ("Content-Type", stored.media_type),
            ("Docker-Content-Digest", stored.digest),
            ("ETag", etag),
            _ASK_AGAIN if isinstance(reference, str) else FOR_EVER,
        )
        if has_current(call.request, etag):
            return Response(304, headers)
        response = Response(200, headers, stored.payload)
        return self._kept.keep(
            call.registry,
            call.request.method,
            call.request.path,
            response,
            before,
            repository=call.name,
            require=self._images.require_readable,
            until=until,
            pulled=pulled,
        )

    async def _put_manifest(self, call: OCICall) -> Response:
        reference = parse_reference(call.reference)
        asked = [value for key, value in call.query_pairs() if key == "tag"]
        if len(asked) > MAX_TAGS_PER_PUSH:
            body = _error_body(
                "UNSUPPORTED", f"A push names at most {MAX_TAGS_PER_PUSH} tags; this one has {len(asked)}."
            )
            return Response(414, (_API_VERSION, _JSON), body)
        tags = [parse_tag(tag) for tag in asked]
        digest = reference if isinstance(reference, Digest) else None
        if isinstance(reference, str):
            tags.insert(0, reference)
        precondition = _precondition(call.request)
        payload = await call.request.body.read(MAX_MANIFEST_BYTES)
        pushed = await self._images.put(
            call.caller,
            call.registry,
            call.name,
            payload,
            call.request.headers.get("content-type"),
            digest=digest,
            tags=tags,
            precondition=precondition,
            through=THROUGH,
        )
        headers = [
            _API_VERSION,
            ("Location", f"/v2/{call.name}/manifests/{pushed.manifest.digest}"),
            ("Docker-Content-Digest", str(pushed.manifest.digest)),
            *(("OCI-Tag", tag) for tag in dict.fromkeys(asked)),
        ]
        if pushed.manifest.subject is not None:
            headers.append(("OCI-Subject", str(pushed.manifest.subject.digest)))
        return Response(201, [*headers, *ledger_headers(pushed.ledger)])

    async def _delete_manifest(self, call: OCICall) -> Response:
        reference = parse_reference(call.reference)
        if isinstance(reference, str):
            places = await self._images.delete_tag(call.caller, call.registry, call.name, reference, through=THROUGH)
        else:
            places = await self._images.delete(call.caller, call.registry, call.name, reference, through=THROUGH)
        return Response(202, (_API_VERSION, *ledger_headers(places)))

    # --- blobs -------------------------------------------------------------------------------------------------------

    async def _head_blob(self, call: OCICall) -> Response:
        digest = Digest.parse(call.reference)
        before = self._kept.before()
        blob = await self._blobs.find(call.caller, call.registry, call.name, digest)
        if has_current(call.request, f'"{digest}"'):
            return Response(304, blob_headers(digest))
        response = Response(200, blob_headers(digest), length=blob.size_bytes)
        until = blob.leased_until - RENEW_MICROSECONDS
        return self._kept.keep(
            call.registry,
            call.request.method,
            call.request.path,
            response,
            before,
            repository=call.name,
            require=self._blobs.require_findable,
            until=until,
        )

    async def _get_blob(self, call: OCICall) -> Response:
        digest = Digest.parse(call.reference)
        return answer_blob(
            call.request, digest, partial(self._blobs.open, call.caller, call.registry, call.name, digest)
        )

    async def _delete_blob(self, call: OCICall) -> Response:
        await self._blobs.delete(call.caller, call.registry, call.name, Digest.parse(call.reference))
        return Response(202, (_API_VERSION,))

    # --- uploads -----------------------------------------------------------------------------------------------------

    async def _post_upload(self, call: OCICall) -> Response:
        query = call.query()
        if "digest-algorithm" in query:
            new_hasher(query["digest-algorithm"])
        source = parse_repository_name(query["from"]) if query.get("from") else None
        if "mount" in query:
            digest = Digest.parse(query["mount"])
            if await self._blobs.mount(call.caller, call.registry, call.name, digest, source, through=THROUGH):
                return _created(call.name, digest)
        if "digest" in query:
            digest = Digest.parse(query["digest"])
            await self._uploads.put(call.caller, call.registry, call.name, digest, call.request.body, through=THROUGH)
            return _created(call.name, digest)
        upload = await self._uploads.start(call.caller, call.registry, call.name, through=THROUGH)
        return _progress(202, call.name, upload.id, 0, ("OCI-Chunk-Min-Length", "1"))

    async def _get_upload(self, call: OCICall) -> Response:
        received = self._uploads.received(call.caller, call.registry, call.name, call.reference)
        return _progress(204, call.name, call.reference, received)

    async def _patch_upload(self, call: OCICall) -> Response:
        span = _span(call.request)
        received = await self._uploads.append(
            call.caller, call.registry, call.name, call.reference, call.request.body, span=span
        )
        return _progress(202, call.name, call.reference, received)

    async def _put_upload(self, call: OCICall) -> Response:
        digest = Digest.parse(call.query().get("digest", ""))
        await self._uploads.finish(
            call.caller, call.registry, call.name, call.reference, digest, call.request.body, span=_span(call.request)
        )
        return _created(call.name, digest)

    async def _delete_upload(self, call: OCICall) -> Response:
        await self._uploads.cancel(call.caller, call.registry, call.name, call.reference)
        return Response(204, (_API_VERSION,))

    # --- errors ------------------------------------------------------------------------------------------------------

    def _error(self, request: Request, error: errors.HoldfastError, *, challenge: str | None = None) -> Response:
        self._on_error(type(error).__name__)
        status, code = ERRORS[type(error)]
        headers = [_API_VERSION, _JSON, *ledger_headers(error.ledger)]
        if isinstance(error, errors.TagHeld) and registry_at(self._registries, request.host).refusal_style == "ecr":
            status, code = 400, "TAG_INVALID"
        if isinstance(error, errors.TokenExpired) and request.headers.get("authorization", "")[:6].lower() == "bearer":
            # A client of the Bearer flow fetches a new token when it is told 401, and only then.
            status, code = 401, "UNAUTHORIZED"
        if status == 401:  # noqa: PLR2004 - the status itself
            headers.append(("WWW-Authenticate", self._challenge_for(request, challenge or self._challenge)))
        if error.retry_after_seconds is not None:
            headers.append(("Retry-After", str(error.retry_after_seconds)))
        elif status == 503:  # noqa: PLR2004 - the status itself
            headers.append(("Retry-After", "5"))
        if isinstance(error, errors.UploadRangeInvalid):
            headers.append(("Range", _received(error.received_bytes)))
        return Response(status, headers, _error_body(code, error.message, error.detail))

    def _challenge_for(self, request: Request, challenge: str) -> str:
        host = f"{request.scheme}://{request.host}"
        if challenge == "bearer":
            return f'Bearer realm="{host}/token",service="holdfast"'
        return f'Basic realm="{host}/",service="holdfast"'

    def _not_allowed(self, target: Target) -> Response:
        allowed = ", ".join(sorted(method for kind, method in self._routes if kind == target.kind))
        body = _error_body("UNSUPPORTED", f"This address takes {allowed}.")
        return Response(405, (_API_VERSION, _JSON, ("Allow", allowed)), body)


_Route = Callable[[OCICall], Awaitable[Response]]


def _precondition(request: Request) -> preconditions.Precondition | None:
    try:
        return preconditions.parse(request.headers.get("if-match"), request.headers.get("if-none-match"))
    except preconditions.PreconditionInvalid as error:
        parameter = "If-Match or If-None-Match"
        raise errors.ParameterInvalid(parameter, str(error)) from None


def _span(request: Request) -> tuple[int, int] | None:
    header = request.headers.get("content-range")
    if header is None:
        return None
    try:
        return ranges.parse_span(header)
    except ranges.RangeInvalid as error:
        raise errors.UploadSizeInvalid(str(error)) from None


def _created(name: str, digest: Digest) -> Response:
    headers = (
        _API_VERSION,
        ("Location", f"/v2/{name}/blobs/{digest}"),
        ("Docker-Content-Digest", str(digest)),
    )
    return Response(201, headers)


def _progress(status: int, name: str, upload_id: str, received: int, *more: tuple[str, str]) -> Response:
    headers = (
        _API_VERSION,
        ("Location", f"/v2/{name}/blobs/uploads/{upload_id}"),
        ("Range", _received(received)),
        ("Docker-Upload-UUID", upload_id),
        *more,
    )
    return Response(status, headers)


def _received(received: int) -> str:
    """Write what a session has: first and last byte; the specification has no way to say none, `0-0` is the custom."""
    return f"0-{max(received - 1, 0)}"


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.payload),
    }
    if manifest.referrer_type:
        descriptor["artifactType"] = manifest.referrer_type
    if manifest.annotations:
        descriptor["annotations"] = manifest.annotations
    return descriptor


def _link(path: str, limit: int, last: str, beside: str = "") -> list[tuple[str, str]]:
    return [("Link", f'<{path}?n={limit}&last={quote(last, safe="")}{beside}>; rel="next"')]


def _form_credentials(form: bytes) -> str | None:
    """Read the password grant that containerd sends. Source: RFC 6749 section 4.3."""
    try:
        fields = dict(parse_qsl(form.decode("ascii"), errors="strict", max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        return None
    if "username" not in fields or "password" not in fields:
        return None
    return "Basic " + base64.b64encode(f"{fields['username']}:{fields['password']}".encode()).decode()


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _error_body(code: str, message: str, detail: dict[str, Any] | None = None) -> bytes:
    entry: dict[str, Any] = {"code": code, "message": message}
    if detail:
        entry["detail"] = detail
    return _dump({"errors": [entry]})
