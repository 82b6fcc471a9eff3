"""AWS STS's API, as far as it makes sessions: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity.

Wire in, use case, wire out. This file alone knows AWS's query protocol: a form in, XML out, POST /. Source: AWS STS API
reference; botocore's `query` protocol. `aws sts --endpoint-url`, boto3 and SDKs with a web identity token speak it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from holdfast.core import errors, sigv4
from holdfast.faces.http import BodyAborted, BodyTooLarge, Request, Response
from holdfast.faces.signatures import Signatures, connection_of
from holdfast.registry.sessions import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.registry.access import Access
    from holdfast.registry.registries import Registries
    from holdfast.registry.sessions import Credentials, Sessions

MAX_BODY_BYTES: Final = 64 * 1024
"""A token of 20,000 characters, policies and tags, all escaped."""

MAX_FIELDS: Final = 200
VERSION: Final = "2011-06-15"
_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"
_SIGNED: Final = ("host", "x-amz-date")
_MICROSECONDS: Final = 1_000_000
_LOGGER: Final = logging.getLogger("holdfast.sts")
_BAD: Final = 400
_FORBIDDEN: Final = 403
_FAILED: Final = 500

ERRORS: Final[dict[type[errors.HoldfastError], tuple[int, str]]] = {
    errors.AccessDenied: (403, "AccessDenied"),
    errors.IdentityTokenRefused: (400, "InvalidIdentityToken"),
    errors.PolicyRefused: (400, "MalformedPolicyDocument"),
    errors.ParameterInvalid: (400, "ValidationError"),
    errors.TokenExpired: (403, "ExpiredToken"),
    errors.Unauthenticated: (403, "InvalidClientTokenId"),
    errors.TooManyLogins: (400, "Throttling"),
    errors.RateExceeded: (400, "Throttling"),
    errors.StorageFull: (503, "ServiceUnavailable"),
    errors.StorageFailed: (503, "ServiceUnavailable"),
    errors.DatabaseBusy: (503, "ServiceUnavailable"),
}
"""Error -> status and code; the first class that fits. What stands here not is the server's fault."""

_SIGNATURE_CODES: Final = {
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "ExpiredTokenException": "ExpiredToken",
}


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class STSFace:
    """Answers forms that are posted to the root."""

    def __init__(self, access: Access, registries: Registries, sessions: Sessions, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._signatures = Signatures(access, registries, clock)
        self._access = access
        self._sessions = sessions

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            return _reply(request, 200, await self._performed(request))
        except _Refused as refused:
            return _reply(request, refused.status, _error(request, refused.code, refused.message))
        except sigv4.SigV4Error as error:
            code = _SIGNATURE_CODES.get(error.code, error.code)
            return _reply(request, _FORBIDDEN, _error(request, code, error.message))
        except BodyTooLarge as error:
            message = f"The request is larger than {error.limit_bytes} bytes."
            return _reply(request, 413, _error(request, "RequestEntityTooLarge", message))
        except errors.HoldfastError as error:
            status, code = next(
                (told for kind, told in ERRORS.items() if isinstance(error, kind)), (_FAILED, "InternalFailure")
            )
            return _reply(request, status, _error(request, code, error.message))
        except BodyAborted:
            raise  # the edge answers it: the request was broken, not the server
        except Exception:
            _LOGGER.exception("request %s failed", request.id)
            message = f"The server failed to answer request {request.id}."
            return _reply(request, _FAILED, _error(request, "InternalFailure", message))

    async def _performed(self, request: Request) -> str:
        body = await request.body.read(MAX_BODY_BYTES)
        form = _form(body)
        action = form.get("Action", "")
        if action == "AssumeRoleWithWebIdentity":
            return _result(request, action, await self._with_web_identity(request, form))
        if action == "AssumeRole":
            return _result(request, action, await self._assume(request, form, body))
        if action == "GetCallerIdentity":
            return _result(request, action, await self._who(request, body))
        raise _Refused(_BAD, "InvalidAction", f"Could not find operation {action[:64]} for version {VERSION}")

    async def _who(self, request: Request, body: bytes) -> str:
        caller, *_ = await self._signatures.verified(
            request, MAX_BODY_BYTES, service="sts", required=_SIGNED, body=body
        )
        told = {"Arn": caller.arn, "UserId": str(caller.facts["aws:userid"]), "Account": caller.account_id}
        return "".join(_element(name, text) for name, text in told.items())

    async def _assume(self, request: Request, form: Mapping[str, str], body: bytes) -> str:
        caller, *_ = await self._signatures.verified(
            request, MAX_BODY_BYTES, service="sts", required=_SIGNED, body=body
        )
        made = await self._sessions.assume(caller, _wish(form))
        return _credentials(made)

    async def _with_web_identity(self, request: Request, form: Mapping[str, str]) -> str:
        connection = connection_of(request)
        # Nobody has to show a key here, so whoever guesses is slowed down as at a log-in.
        self._access.check_stranger(connection)
        try:
            made = await self._sessions.assume_with_token(
                _required(form, "WebIdentityToken"), _wish(form), connection, self._signatures.region_of(request)
            )
        except (errors.IdentityTokenRefused, errors.AccessDenied):
            self._access.note_failure(form.get("RoleArn", "")[:128], request.peer)
            raise
        subject = _element("SubjectFromWebIdentityToken", made.subject or "")
        audience = _element("Audience", made.audience or "")
        return _credentials(made) + subject + audience + _element("Provider", made.provider or "")


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _Refused(_BAD, "MalformedQueryString", "The form is malformed or has too many fields.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _Refused(_BAD, "MalformedQueryString", "The form names a field twice.")
    return form


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise _Refused(_BAD, "ValidationError", f"The request must contain the parameter {name}.")
    return value


def _wish(form: Mapping[str, str]) -> Wish:
    seconds = form.get("DurationSeconds")
    if seconds is not None and not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):  # noqa: PLR2004 - fits
        raise _Refused(_BAD, "ValidationError", "DurationSeconds must be a whole number.")
    return Wish(
        role_arn=_required(form, "RoleArn"),
        name=_required(form, "RoleSessionName"),
        seconds=int(seconds) if seconds is not None else None,
        policy=form.get("Policy"),
        policy_arns=[value for _, value in _members(form, "PolicyArns", "arn")],
        tags={form.get(f"Tags.member.{place}.Key", ""): value for place, value in _members(form, "Tags", "Value")},
        external_id=form.get("ExternalId"),
    )


def _members(form: Mapping[str, str], name: str, field: str) -> list[tuple[int, str]]:
    """Read a list of structures: NAME.member.1.FIELD and on."""
    found = []
    place = 1
    while (value := form.get(f"{name}.member.{place}.{field}")) is not None:
        found.append((place, value))
        place += 1
    return found


def _credentials(made: Credentials) -> str:
    until = datetime.fromtimestamp(made.until / _MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    inner = (
        _element("AccessKeyId", made.access_key_id)
        + _element("SecretAccessKey", made.secret)
        + _element("SessionToken", made.session_token)
        + _element("Expiration", until)
    )
    user = _element("AssumedRoleId", made.assumed_role_id) + _element("Arn", made.arn)
    return f"<Credentials>{inner}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _result(request: Request, action: str, inner: str) -> str:
    metadata = f"<ResponseMetadata>{_element('RequestId', request.id)}</ResponseMetadata>"
    return (
        f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{inner}</{action}Result>{metadata}</{action}Response>'
    )


def _error(request: Request, code: str, message: str) -> str:
    told = f"<Error><Type>Sender</Type>{_element('Code', code)}{_element('Message', message)}</Error>"
    return f'<ErrorResponse xmlns="{_NAMESPACE}">{told}{_element("RequestId", request.id)}</ErrorResponse>'


def _reply(request: Request, status: int, body: str) -> Response:
    headers = (
        ("Content-Type", "text/xml"),
        ("x-amzn-RequestId", request.id),
        ("Cache-Control", "no-store"),
    )
    return Response(status, headers, body.encode())
