"""AWS Signature Version 4, verified: here alone it is decided whether a request is what its signer signed.

Deny by default. Only the `Authorization` header form is read; credentials in the query are refused even
beside a good header (MinIO CVE-2026-41145 came from trusting one form while checking the other). Only a
signed payload is accepted: `UNSIGNED-PAYLOAD`, `STREAMING-...` and unsigned trailers (CVE-2025-31489,
CVE-2026-40344) are not.

The caller parses, looks the secret up, then verifies; nothing about the identity may act before `verify`
returns. This file knows no clock, no store of keys and no HTTP server. Rules: AWS IAM User Guide, "Create a
signed AWS API request"; sentences: what AWS's JSON services answer. Every error here is HTTP 400, as the AWS
JSON protocols answer (the query and REST protocols use 403 for some of these).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"

WINDOW: Final = timedelta(minutes=15)
"""How far a signature's time may be from ours, both ways, the edge included. AWS: 15 minutes."""

REQUIRED_SIGNED_HEADERS: Final = ("host", "x-amz-date", "x-amz-target")
"""What an AWS JSON 1.1 request must bind: where it goes, when, and which operation. Every SDK signs all
three."""

MAX_AUTHORIZATION_CHARACTERS: Final = 4_096
"""SDKs send about 300; a hundred signed headers with long names stay under this."""

MAX_SIGNED_HEADERS: Final = 100
"""As many as the HTTP edge accepts in all."""

MAX_TARGET_CHARACTERS: Final = 16_384
"""Path or query, each. AWS JSON uses "/" and nothing."""

_EMPTY: Final = ""
_UNRESERVED: Final = "/~"
_OPTIONAL_WHITESPACE: Final = " \t"
_METHOD: Final = re.compile(r"[A-Z]{1,20}")
_ACCESS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SCOPE_PART: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DATE: Final = re.compile(r"[0-9]{8}")
_TIMESTAMP: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")
_TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_QUERY_CREDENTIALS: Final = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-security-token", "x-amz-signedheaders"}
)
_ECHO_CHARACTERS: Final = 64


class SigV4Error(Exception):
    """Base of every refusal here; never raised itself. `code` is AWS's exception name."""

    code: ClassVar[str] = "AccessDeniedException"
    status: ClassVar[int] = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MissingAuthenticationToken(SigV4Error):
    """No credentials at all."""

    code = "MissingAuthenticationTokenException"

    def __init__(self) -> None:
        super().__init__("Missing Authentication Token")


class IncompleteSignature(SigV4Error):
    """Credentials that are malformed, or that leave out something they must cover."""

    code = "IncompleteSignatureException"


class UnrecognizedClient(SigV4Error):
    """An access key or session token that we do not know. One sentence for both: it must not tell which."""

    code = "UnrecognizedClientException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class ExpiredToken(SigV4Error):
    """A session token past its end."""

    code = "ExpiredTokenException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is expired")


class InvalidSignature(SigV4Error):
    """A signature that is out of its time, for another place, or simply not the one that the secret makes."""

    code = "InvalidSignatureException"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message
            or "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details."
        )


class SignatureOutOfTime(InvalidSignature):
    """A signature made too long ago, or not yet: a wrong clock, or a replay; nobody guesses at a secret here."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that claims to be signed, parsed and nothing more: trust no field before `verify` returned.

    `date`, `region` and `service` are the credential scope's; `timestamp` is X-Amz-Date as sent and
    `signed_at` the same in UTC; `payload_sha256` is X-Amz-Content-Sha256 if it was sent; `canonical_head` is
    the canonical request up to and without the payload's hash.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_at: datetime
    signed_headers: tuple[str, ...]
    signature: str
    payload_sha256: str | None
    session_token: str | None
    canonical_head: str

    def __repr__(self) -> str:
        """Leave out the signature, the token and the headers: this may be logged."""
        return f"<SignedRequest {self.access_key_id}/{self.date}/{self.region}/{self.service}>"


def parse_authorization(
    method: str,
    raw_path: str,
    raw_query: str,
    fields: Iterable[tuple[bytes, bytes]],
    *,
    required_signed_headers: Sequence[str] = REQUIRED_SIGNED_HEADERS,
) -> SignedRequest:
    """Read the credentials of one request and build its canonical form. SigV4Error is the only error.

    `raw_path` and `raw_query` are as on the request line, still escaped, without the "?". `fields` holds
    every header field as received, in order, repeated ones as often as they came; names in any case.
    """
    headers, repeated = _index(fields)
    if "authorization" not in headers:
        raise MissingAuthenticationToken
    if "authorization" in repeated:
        raise IncompleteSignature("The Authorization header stands more than once.")
    _refuse_query_credentials(raw_query)
    parameters = _parameters(_text("authorization", headers["authorization"]))
    access_key_id, date, region, service = _credential(parameters["Credential"])
    signature = parameters["Signature"]
    if not _SHA256_HEX.fullmatch(signature):
        raise IncompleteSignature("The Signature of the Authorization header must be 64 lower-case hexadecimal digits.")
    names = _signed_header_names(parameters["SignedHeaders"])
    _check_cover(names, headers, repeated, required_signed_headers)
    values = {name: _text(name, headers[name]) for name in names}
    timestamp, signed_at = _timestamp(values, headers)
    if date != timestamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return SignedRequest(
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        timestamp=timestamp,
        signed_at=signed_at,
        signed_headers=names,
        signature=signature,
        payload_sha256=_payload_mode(values),
        session_token=values.get("x-amz-security-token"),
        canonical_head=_canonical_head(method, raw_path, raw_query, names, values),
    )


def verify(
    signed: SignedRequest,
    secret: str | None,
    *,
    body_sha256: str | Callable[[], str],
    region: str,
    now: datetime,
    service: str = "ecr",
    session_token: str | None = None,
    derive: Callable[[str, str, str, str], bytes] | None = None,
) -> None:
    """Return if the holder of `secret` signed exactly this request, for this place, about now.

    Raises SigV4Error in every other case.

    `secret` is None for an access key that is unknown or switched off: refused after as much work as a known
    one. `body_sha256` is the lower-case hexadecimal digest of the body that was received (never the declared
    one), or makes it; it is asked for only after place and time are right. `session_token` is what the access
    key's token must be; None refuses any. `derive` is `signing_key` or the caller's cached form of it: it too
    is called only for a right place and time, so that a stranger cannot fill the cache with scopes.
    """
    if signed.service != service:
        raise InvalidSignature(f"Credential should be scoped to correct service: '{service}'.")
    if signed.region != region:
        raise InvalidSignature(f"Credential should be scoped to a valid region, not '{signed.region}'.")
    _check_time(signed, now)
    payload = body_sha256 if isinstance(body_sha256, str) else body_sha256()
    key = (derive or signing_key)(secret or _EMPTY, signed.date, signed.region, signed.service)
    expected = signature_of(signed, payload, key)
    # All three are computed before any is acted on: timing must not tell an unknown key from a wrong one.
    same_signature = hmac.compare_digest(expected, signed.signature)
    same_payload = signed.payload_sha256 is None or hmac.compare_digest(signed.payload_sha256, payload)
    same_token = hmac.compare_digest((signed.session_token or _EMPTY).encode(), (session_token or _EMPTY).encode())
    if not secret or not same_token:
        raise UnrecognizedClient
    if not (same_signature and same_payload):
        raise InvalidSignature


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Derive the key of one day, region and service from a secret access key."""
    key = b"AWS4" + secret.encode("utf-8", "surrogatepass")
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature_of(signed: SignedRequest, payload_sha256: str, key: bytes) -> str:
    """Calculate the lower-case hexadecimal signature that `key` makes of this request with this payload."""
    canonical = f"{signed.canonical_head}\n{payload_sha256}"
    scope = f"{signed.date}/{signed.region}/{signed.service}/{TERMINATOR}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{signed.timestamp}\n{scope}\n{digest}".encode(), "sha256").hex()


# --- the Authorization header ------------------------------------------------------------------------------


def _index(fields: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, bytes], set[str]]:
    """Map lower-case names to values, and tell which came more than once."""
    headers: dict[str, bytes] = {}
    repeated: set[str] = set()
    for raw_name, value in fields:
        name = raw_name.decode("latin-1").lower()
        if name in headers:
            repeated.add(name)
        headers[name] = value
    return headers, repeated


def _refuse_query_credentials(raw_query: str) -> None:
    names = {pair.partition("=")[0].lower() for pair in raw_query[:MAX_TARGET_CHARACTERS].split("&")}
    if names & _QUERY_CREDENTIALS:
        raise IncompleteSignature("Credentials in the query are not accepted. Sign with the Authorization header only.")


def _parameters(authorization: str) -> dict[str, str]:
    """Split `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...` into its three parameters."""
    if len(authorization) > MAX_AUTHORIZATION_CHARACTERS:
        raise IncompleteSignature(f"The Authorization header is longer than {MAX_AUTHORIZATION_CHARACTERS} characters.")
    algorithm, _, rest = authorization.strip(_OPTIONAL_WHITESPACE).partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{_echo(algorithm)}'. Use {ALGORITHM}.")
    parameters: dict[str, str] = {}
    for part in rest.split(",") if rest.strip(_OPTIONAL_WHITESPACE) else ():
        name, equals, value = part.strip(_OPTIONAL_WHITESPACE).partition("=")
        if not equals:
            raise IncompleteSignature(
                f"'{_echo(name)}' not a valid key=value pair (missing equal-sign) in Authorization header."
            )
        if name in parameters:
            raise IncompleteSignature(
                f"The parameter '{_echo(name)}' stands more than once in the Authorization header."
            )
        if name not in ("Credential", "SignedHeaders", "Signature"):
            raise IncompleteSignature(f"'{_echo(name)}' is not a parameter of the Authorization header.")
        parameters[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parameters.get(name)]
    if missing:
        sentences = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        raise IncompleteSignature(f"{sentences} Authorization={ALGORITHM}")
    return parameters


def _credential(credential: str) -> tuple[str, str, str, str]:
    """Split `key/date/region/service/aws4_request`."""
    parts = credential.split("/")
    if len(parts) != 5:  # noqa: PLR2004 - the sentence says it
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{_echo(credential)}'"
        )
    access_key_id, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise InvalidSignature(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{_echo(terminator)}'."
        )
    if not (
        _ACCESS_KEY_ID.fullmatch(access_key_id) and _SCOPE_PART.fullmatch(region) and _SCOPE_PART.fullmatch(service)
    ):
        raise IncompleteSignature("The Credential of the Authorization header has a malformed element.")
    if not _DATE.fullmatch(date):
        raise IncompleteSignature("The date of the Credential must have the form YYYYMMDD.")
    return access_key_id, date, region, service


def _signed_header_names(listed: str) -> tuple[str, ...]:
    names = tuple(listed.split(";"))
    if len(names) > MAX_SIGNED_HEADERS:
        raise IncompleteSignature(f"More than {MAX_SIGNED_HEADERS} SignedHeaders in the Authorization header.")
    if not all(_HEADER_NAME.fullmatch(name) for name in names) or "authorization" in names:
        raise IncompleteSignature("The SignedHeaders of the Authorization header must be lower-case header names.")
    if any(left >= right for left, right in pairwise(names)):
        raise IncompleteSignature(
            "The SignedHeaders of the Authorization header must be sorted and without repetition."
        )
    return names


def _check_cover(
    names: tuple[str, ...], headers: Mapping[str, bytes], repeated: set[str], required: Sequence[str]
) -> None:
    """Refuse what is listed and absent, sent twice, or unsigned though it must be signed."""
    for name in names:
        if name not in headers:
            raise IncompleteSignature(f"The SignedHeader '{_echo(name)}' is not in the request.")
        if name in repeated:
            raise IncompleteSignature(f"The SignedHeader '{_echo(name)}' stands more than once in the request.")
    signed = frozenset(names)
    for name in required:
        if name not in signed:
            shown = "Host' or ':authority" if name == "host" else name
            raise IncompleteSignature(f"'{shown}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in headers:
        if name.startswith("x-amz-") and name not in signed:
            raise IncompleteSignature(f"'{_echo(name)}' must be a 'SignedHeader' in the AWS Authorization.")


def _text(name: str, value: bytes) -> str:
    """Decode one header value that takes part in the signature: printable ASCII and tabs."""
    if not value.isascii():
        raise IncompleteSignature(f"The header '{_echo(name)}' holds bytes that are not ASCII.")
    text = value.decode("ascii")
    if not text.replace("\t", " ").isprintable():
        raise IncompleteSignature(f"The header '{_echo(name)}' holds control characters.")
    return text


def _timestamp(values: Mapping[str, str], headers: Mapping[str, bytes]) -> tuple[str, datetime]:
    """Read X-Amz-Date. A lone Date header, which AWS would take, is refused: no SDK sends it here."""
    timestamp = values.get("x-amz-date")
    if timestamp is None:
        kind = "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."
        raise IncompleteSignature(
            kind if "x-amz-date" in headers else "Authorization header requires existence of a 'X-Amz-Date' header."
        )
    timestamp = timestamp.strip(_OPTIONAL_WHITESPACE)
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is not None:
        year, month, day, hour, minute, second = map(int, match.groups())
        try:
            return timestamp, datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            pass
    raise IncompleteSignature(
        f"Date must be in ISO-8601 'basic format'. Got '{_echo(timestamp)}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def _payload_mode(values: Mapping[str, str]) -> str | None:
    declared = values.get("x-amz-content-sha256")
    if declared is not None and not _SHA256_HEX.fullmatch(declared):
        raise InvalidSignature(
            "x-amz-content-sha256 must be the SHA-256 of the payload in lower-case hexadecimal, or be left "
            "out. Unsigned and streaming payloads are not accepted."
        )
    return declared


def _check_time(signed: SignedRequest, now: datetime) -> None:
    # Compared in seconds since the epoch: a year of 1 or 9999 must not overflow.
    away_seconds = signed.signed_at.timestamp() - now.timestamp()
    shown = now.astimezone(UTC).strftime(_TIMESTAMP_FORMAT)
    if away_seconds < -WINDOW.total_seconds():
        edge = (now - WINDOW).astimezone(UTC).strftime(_TIMESTAMP_FORMAT)
        raise SignatureOutOfTime(
            f"Signature expired: {signed.timestamp} is now earlier than {edge} ({shown} - 15 min.)"
        )
    if away_seconds > WINDOW.total_seconds():
        edge = (now + WINDOW).astimezone(UTC).strftime(_TIMESTAMP_FORMAT)
        raise SignatureOutOfTime(
            f"Signature not yet current: {signed.timestamp} is still later than {edge} ({shown} + 15 min.)"
        )


# --- the canonical request ---------------------------------------------------------------------------------


def _canonical_head(
    method: str, raw_path: str, raw_query: str, names: tuple[str, ...], values: Mapping[str, str]
) -> str:
    if not _METHOD.fullmatch(method):
        raise IncompleteSignature("The request method is not one that can be signed.")
    lines = [method, _canonical_path(raw_path), _canonical_query(raw_query)]
    lines.extend(f"{name}:{' '.join(values[name].split())}" for name in names)
    lines.extend((_EMPTY, ";".join(names)))
    return "\n".join(lines)


def _canonical_path(raw_path: str) -> str:
    """Normalise as AWS does but for S3: no dot segments, no double slashes, each byte escaped again."""
    _check_target(raw_path)
    if not raw_path.startswith("/"):
        raise IncompleteSignature("The request path does not start with a slash.")
    segments: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in (_EMPTY, "."):
            segments.append(segment)
    last = "/" if raw_path.endswith("/") and segments else _EMPTY
    return quote(f"/{'/'.join(segments)}{last}", safe=_UNRESERVED)


def _canonical_query(raw_query: str) -> str:
    """Sort the pairs as sent. Nothing is decoded: two queries never share a signature but for order."""
    _check_target(raw_query)
    if not raw_query:
        return _EMPTY
    pairs = sorted(pair.partition("=")[::2] for pair in raw_query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _check_target(text: str) -> None:
    if len(text) > MAX_TARGET_CHARACTERS or not text.isascii() or not text.isprintable():
        raise IncompleteSignature("The request target is too long or holds characters that cannot be signed.")


def _echo(text: str) -> str:
    """Shorten what a stranger sent, and make it printable ASCII, before it stands in a sentence."""
    return ascii(text[:_ECHO_CHARACTERS])[1:-1]
