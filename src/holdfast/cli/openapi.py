"""The OpenAPI description of the registry protocol, drawn from one table (docs/reference/openapi.json).

This file alone knows what each route takes and answers, in OpenAPI's words. A test holds the table against the routes
that the face runs from, and schemathesis drives the server by it. Source: OpenAPI specification 3.1; the routes are
those of the OCI distribution specification.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.core.digest import HEX_LENGTHS, Digest
from holdfast.core.manifest import KINDS, MAX_BYTES
from holdfast.core.reference import (
    REPOSITORY_NAME_MAX_CHARACTERS,
    REPOSITORY_NAME_MIN_CHARACTERS,
    TAG_MAX_CHARACTERS,
)
from holdfast.faces import oci
from holdfast.faces.oci_call import MAX_PAGE

Json = dict[str, Any]

PATHS: Final[dict[str, str]] = {
    "base": "/v2/",
    "catalog": "/v2/_catalog",
    "tags": "/v2/{name}/tags/list",
    "referrers": "/v2/{name}/referrers/{digest}",
    "manifests": "/v2/{name}/manifests/{reference}",
    "blobs": "/v2/{name}/blobs/{digest}",
    "uploads": "/v2/{name}/blobs/uploads/",
    "upload": "/v2/{name}/blobs/uploads/{session}",
}
"""Kind of target, as the face has it -> its path."""

_HEX: Final = "|".join(f"{name}:[a-f0-9]{{{length}}}" for name, length in HEX_LENGTHS.items())
_DIGEST: Final[Json] = {"type": "string", "pattern": f"^({_HEX})$"}
_TAG: Final[Json] = {"type": "string", "pattern": f"^[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{TAG_MAX_CHARACTERS - 1}}}$"}
_BYTES: Final[Json] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

_IN_PATH: Final[dict[str, Json]] = {
    "name": {
        "description": "The repository. It may have slashes, which are sent as they are and never encoded; OpenAPI has "
        "no way to say so, and the pattern here is that of a name without one.",
        "schema": {
            "type": "string",
            "pattern": "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*$",
            "minLength": REPOSITORY_NAME_MIN_CHARACTERS,
            "maxLength": REPOSITORY_NAME_MAX_CHARACTERS,
        },
        "example": "demo",
    },
    "reference": {"description": "A tag or a digest.", "schema": {"anyOf": [_TAG, _DIGEST]}, "example": "v1"},
    "digest": {"description": "The digest of the content.", "schema": _DIGEST, "example": str(Digest.of(b""))},
    "session": {"description": "The upload session.", "schema": {"type": "string", "format": "uuid"}},
}


def _query(name: str, description: str, schema: Json | None = None, **more: Any) -> Json:  # noqa: ANN401 - JSON
    return {"name": name, "in": "query", "description": description, "schema": schema or {"type": "string"}, **more}


_PAGE: Final = (
    _query(
        "n",
        f"How many entries at most; more than {MAX_PAGE} means {MAX_PAGE}.",
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    ),
    _query("last", "The entry that the page before ended with."),
)
_MANY_TAGS: Final = _query(
    "tag", "A further tag to bind, once for each.", {"type": "array", "items": _TAG, "maxItems": 10}, explode=True
)
_NEW_DIGEST: Final = _query("digest", "The digest of the whole blob.", _DIGEST)
_SPAN: Final[Json] = {
    "name": "Content-Range",
    "in": "header",
    "description": "First and last byte of the chunk; it must begin where the session ends.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,10}-[0-9]{1,10}$"},
}
_RANGE: Final[Json] = {
    "name": "Range",
    "in": "header",
    "description": "The bytes wanted, as RFC 9110 has it; one range. What is not understood means the whole.",
    "schema": {"type": "string"},
}
_CONDITIONS: Final = tuple(
    {"name": name, "in": "header", "description": meaning, "schema": {"type": "string", "pattern": '^(\\*|"[!-~]*")$'}}
    for name, meaning in (
        ("If-Match", "Bind the tag only if it names one of these (our extension)."),
        ("If-None-Match", "`*`: bind the tag only if it names nothing yet (our extension)."),
    )
)

ERRORS: Final[dict[int, str]] = {
    400: "Something about the request is wrong; the code and the message say what.",
    401: "No credentials, or wrong ones.",
    403: "The caller may not, or a quota is used up.",
    404: "It is not there, or not for this caller.",
    405: "This address does not take the method; `Allow` says which it takes.",
    409: "A rule refuses: the tag is held, or something still needs it.",
    412: "The tag does not meet the condition.",
    413: "Too large.",
    414: "Too many tags.",
    416: "The range does not fit.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    503: "The server cannot store now; `Retry-After` says when to try again.",
}
_ALWAYS: Final = (400, 401, 403, 429, 503)


class _Route:
    """One row of the table."""

    def __init__(
        self,
        summary: str,
        answers: dict[int, str],
        errors: tuple[int, ...] = (),
        *,
        takes: tuple[Json, ...] = (),
        body: Json | None = None,
        gives: Json | None = None,
    ) -> None:
        self.summary = summary
        self.answers = answers
        self.errors = (*_ALWAYS, *errors)
        self.takes = takes
        self.body = body
        self.gives = gives


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


_NAMES: Final[Json] = {"type": "array", "items": {"type": "string"}}
_MANIFEST: Final[Json] = {media_type: {"schema": {"type": "object"}} for media_type in sorted(KINDS)}
_PUSHED: Final[Json] = {
    media_type: {
        "schema": {"type": "object", "properties": {"schemaVersion": {"const": 2}}, "required": ["schemaVersion"]}
    }
    for media_type in sorted(KINDS)
}
_INDEX: Final[Json] = {
    "application/vnd.oci.image.index.v1+json": {
        "schema": _object(schemaVersion={"const": 2}, manifests={"type": "array", "items": {"type": "object"}})
    }
}

ROUTES: Final[dict[tuple[str, str], _Route]] = {
    ("base", "GET"): _Route("Whether the caller is known here", {200: "Known."}, gives=_json({"type": "object"})),
    ("base", "HEAD"): _Route("Whether the caller is known here", {200: "Known."}),
    ("catalog", "GET"): _Route(
        "List repositories by name", {200: "A page."}, takes=_PAGE, gives=_json(_object(repositories=_NAMES))
    ),
    ("tags", "GET"): _Route(
        "List tags in byte order",
        {200: "A page."},
        (404,),
        takes=_PAGE,
        gives=_json(_object(name={"type": "string"}, tags=_NAMES)),
    ),
    ("referrers", "GET"): _Route(
        "List manifests whose subject this digest is",
        {200: "A page."},
        takes=(_query("artifactType", "Only those of this type."), *_PAGE),
        gives=_INDEX,
    ),
    ("manifests", "GET"): _Route(
        "Get a manifest", {200: "The manifest.", 304: "The client has it."}, (404,), gives=_MANIFEST
    ),
    ("manifests", "HEAD"): _Route("Ask for a manifest", {200: "It is there.", 304: "The client has it."}, (404,)),
    ("manifests", "PUT"): _Route(
        "Push a manifest and bind tags",
        {201: "It is kept, and the tags name it."},
        (404, 409, 412, 413, 414),
        takes=(_MANY_TAGS, *_CONDITIONS),
        body=_PUSHED,
    ),
    ("manifests", "DELETE"): _Route("Delete a tag, or a manifest with its tags", {202: "Deleted."}, (404, 409)),
    ("blobs", "GET"): _Route(
        "Get a blob, or a part of it",
        {200: "The blob.", 206: "The part.", 304: "The client has it."},
        (404, 416),
        takes=(_RANGE,),
        gives=_BYTES,
    ),
    ("blobs", "HEAD"): _Route("Ask for a blob", {200: "It is there.", 304: "The client has it."}, (404,)),
    ("blobs", "DELETE"): _Route("Take a blob that no image needs from the repository", {202: "Deleted."}, (404, 409)),
    ("uploads", "POST"): _Route(
        "Begin an upload, mount a blob, or push a whole one",
        {201: "The blob is there.", 202: "The session is open."},
        (404, 413),
        takes=(
            _NEW_DIGEST,
            _query("mount", "A blob of another repository.", _DIGEST),
            _query("from", "The repository to mount from.", _IN_PATH["name"]["schema"]),
            _query("digest-algorithm", "How the blob will be hashed.", {"enum": sorted(HEX_LENGTHS)}),
        ),
        body=_BYTES,
    ),
    ("upload", "GET"): _Route("Ask how much an upload has received", {204: "`Range` tells."}, (404,)),
    ("upload", "PATCH"): _Route(
        "Send a chunk", {202: "It is kept; `Range` tells."}, (404, 409, 413, 416), takes=(_SPAN,), body=_BYTES
    ),
    ("upload", "PUT"): _Route(
        "Finish an upload",
        {201: "The blob is there."},
        (404, 409, 413, 416),
        takes=({**_NEW_DIGEST, "required": True}, _SPAN),
        body=_BYTES,
    ),
    ("upload", "DELETE"): _Route("Cancel an upload", {204: "Cancelled."}, (404, 409)),
}
"""Kind of target and method, as the face has them -> what is taken and answered."""

_LINKED: Final = ("GET", "PATCH", "PUT", "DELETE")
_CODES: Final = sorted({code for _, code in oci.ERRORS.values()} | {"TAG_INVALID"})


def document() -> Json:
    """Return the description."""
    paths: Json = {}
    for (kind, method), route in ROUTES.items():
        path = PATHS[kind]
        entry = paths.setdefault(path, {"parameters": _parameters(path)} if "{" in path else {})
        entry[method.lower()] = _operation(kind, method, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast: the registry protocol",
            "version": "1.1",
            "summary": "The OCI distribution API as Holdfast speaks it.",
            "description": "A tag that is held never names another digest: a push that would move it is refused with "
            "409, and its manifest is kept under its digest. docs/reference/errors.md tells every error; the JSON API "
            "(Amazon ECR's and Holdfast's own) is described by service models instead.",
            "license": {"name": "See the repository"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "An access key, or `AWS` and a token."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of GET /token."},
            },
            "schemas": {"Errors": _ERROR_SCHEMA},
            "responses": {str(status): _error(status, meaning) for status, meaning in ERRORS.items()},
        },
    }


_ERROR_SCHEMA: Final[Json] = _object(
    errors={
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "code": {"enum": _CODES},
                "message": {"type": "string", "minLength": 1},
                "detail": {"type": "object"},
            },
            "required": ["code", "message"],
            "additionalProperties": False,
        },
    }
)


def _error(status: int, meaning: str) -> Json:
    described: Json = {
        "description": meaning,
        "content": _json({"$ref": "#/components/schemas/Errors"}),
    }
    if status in {429, 503}:
        described["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
    if status == 401:  # noqa: PLR2004 - the status itself
        described["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    if status == 416:  # noqa: PLR2004 - the status itself
        described["description"] += " For a read the answer has no body and `Content-Range` tells the size."
        del described["content"]
    return described


def _parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, **described}
        for name, described in _IN_PATH.items()
        if f"{{{name}}}" in path
    ]


def _operation(kind: str, method: str, route: _Route) -> Json:
    answers: Json = {}
    for status, meaning in route.answers.items():
        answers[str(status)] = {"description": meaning, "headers": _headers(kind, method, status)}
        if route.gives is not None and status in {200, 206}:
            answers[str(status)]["content"] = route.gives
        if (kind, method, status) == ("uploads", "POST", 202):
            answers[str(status)]["links"] = _links()
    for status in sorted(set(route.errors)):
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    if method == "HEAD":
        answers = {
            status: described if "description" in described else {"description": ERRORS[int(status)]}
            for status, described in answers.items()
        }
    described: Json = {
        "operationId": _identity(kind, method),
        "summary": route.summary,
        "responses": answers,
    }
    if route.takes:
        described["parameters"] = list(route.takes)
    if route.body is not None:
        described["requestBody"] = {"content": route.body}
        if kind == "manifests":
            described["requestBody"] |= {"required": True, "description": f"At most {MAX_BYTES} bytes."}
    return described


def _identity(kind: str, method: str) -> str:
    return f"{method.lower()}_{kind}"


def _headers(kind: str, method: str, status: int) -> Json:
    text: Json = {"required": True, "schema": {"type": "string"}}
    found: Json = {"Docker-Distribution-Api-Version": {"required": True, "schema": {"const": "registry/2.0"}}}
    if kind in {"manifests", "blobs"} and method in {"GET", "HEAD"} and status in {200, 206}:
        found["Docker-Content-Digest"] = {"required": True, "schema": _DIGEST}
        found["ETag"] = text
    if status == 201 or (kind in {"upload", "uploads"} and status in {202, 204} and method != "DELETE"):  # noqa: PLR2004
        found["Location"] = text
    if kind in {"upload", "uploads"} and method != "DELETE" and status in {202, 204}:
        found |= {
            "Range": text,
            "Docker-Upload-UUID": {"required": True, "schema": {"type": "string", "format": "uuid"}},
        }
    return found


def _links() -> Json:
    return {
        f"then_{method.lower()}": {
            "operationId": _identity("upload", method),
            "parameters": {"name": "$request.path.name", "session": "$response.header.Docker-Upload-UUID"},
        }
        for method in _LINKED
    }
