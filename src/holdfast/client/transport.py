"""HTTP to a registry: logging in, and never telling a secret to anyone it is not for.

This file alone sends requests to registries and holds their credentials; it knows no operation of the protocol. It
logs in the way that the registry asks for (Basic, or the Bearer flow), after it was asked. Credentials go to the host
that was configured; the Bearer flow may send them elsewhere only over https. A redirect never takes them along.

Failures are RegistryError (the registry said no) and RegistryUnreachable (it said nothing that could be understood).

Sources: OCI distribution specification 1.1, "Error Codes"; CNCF distribution, "Token Authentication Specification".
"""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from holdfast.client.challenge import Challenge, parse_challenges
from holdfast.core import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Of an answer that is no blob: a manifest has at most 4 MiB, a page of tags far less."""

MAX_REDIRECTS: Final = 5
CLIENT_ID: Final = "holdfast"
"""What a token server is told of who asks; it may log it."""

PIECE_BYTES: Final = 256 * 1024
CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 120

_LEAST_TOKEN_SECONDS: Final = 60
"""Life of a token whose answer does not say. Source: Token Authentication Specification, "expires_in"."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNAUTHORIZED: Final = 401
_LEAST_ERROR: Final = 400
_ERROR_BYTES: Final = 64 * 1024


class RegistryError(Exception):
    """The registry refused: its HTTP status, its error code (None when it gave none), its sentence, its detail."""

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None, detail: Any = None) -> None:  # noqa: ANN401 - JSON
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.detail = detail


class RegistryUnreachable(RegistryError):
    """Nothing answered, the connection broke, or what came is not what a registry says."""


class ContentMismatch(RegistryError):
    """What came does not hash to its digest, or has another size; nothing of it was kept."""


class AddressInvalid(ValueError):
    """A text that is not the address of a registry."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its password; neither shows in a trace."""

    username: str
    password: str
    is_identity_token: bool = False
    """Whether the password is a token that only the Bearer flow takes, for another one (OAuth 2.0 calls it refresh)."""

    def __repr__(self) -> str:
        return "<Credentials>"

    @property
    def basic(self) -> str:
        """The Authorization header of the Basic scheme."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries; `open` gives it from its beginning each time, as a request may be sent twice."""

    size_bytes: int
    open: Callable[[], Iterable[bytes]]

    @classmethod
    def of(cls, content: bytes) -> Body:
        """Make a body of bytes."""
        return cls(len(content), lambda: (content,) if content else ())


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def parse_address(text: str) -> SplitResult:
    """Read the address of a registry, `http://host:port` or `https://...`; raises AddressInvalid."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{text[:200]!r} is not an address like http://127.0.0.1:5000 or https://registry.example.com"
        raise AddressInvalid(msg)
    if parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        msg = "the address of a registry has a scheme, a host and a port, and nothing else"
        raise AddressInvalid(msg)
    return parts._replace(path="")


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, as far as its name tells."""
    return host in _LOOPBACK


class Transport:
    """Requests to one registry, by one user. Not for several threads at once."""

    def __init__(self, address: str, credentials: Credentials | None = None, *, ca_bundle: str | None = None) -> None:
        """`ca_bundle`: certificates (PEM) to trust instead of the system's. Raises AddressInvalid."""
        self._own = parse_address(address)
        self.address = self._own.geturl()
        self._credentials = credentials
        self._pool = _pool(self._own, ca_bundle)
        self._challenge: Challenge | None = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self._asked = False

    def close(self) -> None:
        """Close the connections; left to itself, urllib3 closes them when the garbage is collected."""
        for key in self._pool.pools.keys():  # noqa: SIM118 - not a mapping that can be walked
            pool = self._pool.pools.get(key)
            if pool is not None:
                pool.close()
        self._pool.clear()

    def request(
        self,
        method: str,
        target: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> Reply:
        """Send a request and read the answer; a status that is not in `accept` raises RegistryError."""
        with self.stream(method, target, scope=scope, headers=headers, body=body, accept=accept) as response:
            return Reply(response.status, response.headers, self._read(response, MAX_ANSWER_BYTES))

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        target: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request and give the answer with its body still to come (see `pieces`)."""
        url = urljoin(self.address, target)
        if body is not None and not self._asked:
            self._learn_how_to_log_in(scope)
        response = self._send(method, url, scope, headers or {}, body)
        try:
            if response.status not in accept:
                raise self._refusal(response)
            yield response
        finally:
            _done(response)

    def pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """Give the body of an answer piece by piece, as it was sent; raises RegistryUnreachable when it breaks off."""
        try:
            yield from response.stream(PIECE_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            msg = f"The connection to {self.address} broke before the end of the answer ({_reason(error)})."
            raise RegistryUnreachable(msg) from error

    # --- sending -----------------------------------------------------------------------------------------------------

    def _learn_how_to_log_in(self, scope: str) -> None:
        """Ask what the registry wants before a large body goes out in vain."""
        response = self._send("GET", urljoin(self.address, "/v2/"), scope, {}, None)
        _done(response)

    def _send(
        self, method: str, url: str, scope: str, headers: Mapping[str, str], body: Body | None
    ) -> urllib3.BaseHTTPResponse:
        answered = False
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send_once(method, url, {**headers, **self._authorization(url, scope)}, body)
            status, location = response.status, response.headers.get("location")
            if status == _UNAUTHORIZED and not answered and self._heeds(response, url, scope):
                _done(response)
                answered = True
            elif status in _REDIRECTS and method in {"GET", "HEAD"} and location is not None:
                _done(response)
                url = self._follow(url, location)
            else:
                self._asked = True
                return response
        msg = f"{self.address} redirected more than {MAX_REDIRECTS} times."
        raise RegistryUnreachable(msg)

    def _send_once(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> urllib3.BaseHTTPResponse:
        content: Iterable[bytes] | None = None
        if body is not None:
            headers = {**headers, "Content-Length": str(body.size_bytes)}
            content = iter(body.open())
        elif method in {"POST", "PUT", "PATCH"}:
            headers = {**headers, "Content-Length": "0"}
        try:
            return self._pool.request(
                method, url, headers=headers, body=content, redirect=False, preload_content=False, decode_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            host = urlsplit(url).netloc
            msg = f"Nothing that could be understood came from {host} ({_reason(error)})."
            raise RegistryUnreachable(msg) from error

    def _follow(self, url: str, location: str) -> str:
        goal = urljoin(url, location)
        parts = urlsplit(goal)
        if parts.scheme not in {"http", "https"} or (urlsplit(url).scheme == "https" and parts.scheme != "https"):
            msg = f"{self.address} redirects from https to {parts.scheme}; this is not followed."
            raise RegistryError(msg, code="UNSAFE_REDIRECT")
        return goal

    # --- logging in --------------------------------------------------------------------------------------------------

    def _authorization(self, url: str, scope: str) -> dict[str, str]:
        """Return what proves who we are: only for our own registry, and only after it asked."""
        challenge = self._challenge
        if challenge is None or _origin(urlsplit(url)) != _origin(self._own):
            return {}
        if challenge.scheme == "basic":
            return {"Authorization": self._by_password.basic} if self._by_password else {}
        return {"Authorization": f"Bearer {self._token(challenge, scope)}"}

    def _heeds(self, response: urllib3.BaseHTTPResponse, url: str, scope: str) -> bool:
        """Take note of what the registry asks for; say whether another try can help."""
        if _origin(urlsplit(url)) != _origin(self._own):
            return False
        offered = [one for header in response.headers.getlist("www-authenticate") for one in parse_challenges(header)]
        bearer = next((one for one in offered if one.scheme == "bearer" and one.parameters.get("realm")), None)
        basic = next((one for one in offered if one.scheme == "basic"), None)
        before = self._challenge
        if bearer is not None:
            self._challenge = bearer
            self._tokens.pop(scope, None)
            return True
        if basic is not None and self._by_password is not None:
            self._challenge = basic
            return before is None or before.scheme != "basic"
        return False

    def _token(self, challenge: Challenge, scope: str) -> str:
        known = self._tokens.get(scope)
        now = time.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        realm = self._realm(challenge)
        query = {"service": challenge.parameters.get("service", ""), "scope": scope}
        response = self._ask_token(realm, {name: value for name, value in query.items() if value})
        try:
            if response.status >= _LEAST_ERROR:
                raise self._refusal(response)
            token, seconds = _read_token(self._read(response, _ERROR_BYTES), realm)
        finally:
            _done(response)
        self._tokens[scope] = (token, now + seconds * 0.9)
        return token

    @property
    def _by_password(self) -> Credentials | None:
        mine = self._credentials
        return None if mine is None or mine.is_identity_token else mine

    def _ask_token(self, realm: str, query: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask for a token: by a password as the Token Authentication Specification has it, by a token as OAuth2 does.

        Source: CNCF distribution, "Docker Registry v2 authentication using OAuth2".
        """
        mine = self._credentials
        if mine is not None and mine.is_identity_token:
            grant = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": mine.password}
            form = Body.of(urlencode({**grant, **query}).encode())
            return self._send_once("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, form)
        headers = {"Authorization": mine.basic} if mine is not None else {}
        url = realm + ("&" if "?" in realm else "?") + urlencode(query) if query else realm
        return self._send_once("GET", url, headers, None)

    def _realm(self, challenge: Challenge) -> str:
        """Return where the token comes from, if the credentials may go there."""
        realm = challenge.parameters["realm"]
        try:
            parts = urlsplit(realm)
            host = parts.hostname
        except ValueError:
            parts, host = urlsplit(""), None
        same_host = host == self._own.hostname and self._own.scheme == "http"
        if host and (parts.scheme == "https" or (parts.scheme == "http" and same_host)):
            return parts._replace(fragment="").geturl()
        msg = (
            f"{self.address} asks to log in at {realm[:200]!r}. Credentials go to another host only over https, so "
            "they were not sent. Check the address of the registry, or its token realm."
        )
        raise RegistryError(msg, code="UNSAFE_REALM")

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, response: urllib3.BaseHTTPResponse, most: int) -> bytes:
        content = bytearray()
        for piece in self.pieces(response):
            content += piece
            if len(content) > most:
                msg = f"{self.address} answered with more than {most} bytes where less was due."
                raise RegistryUnreachable(msg)
        return bytes(content)

    def _refusal(self, response: urllib3.BaseHTTPResponse) -> RegistryError:
        """Make an error of an answer: the specification's JSON if it is there, else its status."""
        try:
            document = strict_json.parse(self._read(response, _ERROR_BYTES))
        except (strict_json.StrictJSONError, RegistryUnreachable):
            document = None
        listed = document.get("errors") if isinstance(document, dict) else None
        first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
        code, message = first.get("code"), first.get("message")
        reason = response.reason or "no reason given"
        return RegistryError(
            message if isinstance(message, str) and message else f"The registry answered {response.status} ({reason}).",
            status=response.status,
            code=code if isinstance(code, str) else None,
            detail=first.get("detail"),
        )


def _done(response: urllib3.BaseHTTPResponse) -> None:
    """Let the connection serve the next request if the answer was read to its end, else close it."""
    if response.closed:
        response.release_conn()
    else:
        response.close()


def _read_token(content: bytes, realm: str) -> tuple[str, float]:
    try:
        document = strict_json.parse(content)
    except strict_json.StrictJSONError:
        document = None
    fields = document if isinstance(document, dict) else {}
    token = fields.get("token") or fields.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        msg = f"No token came from {realm}."
        raise RegistryUnreachable(msg)
    seconds = fields.get("expires_in")
    return token, max(float(seconds), 0.0) if isinstance(seconds, int | float) else _LEAST_TOKEN_SECONDS


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _pool(own: SplitResult, ca_bundle: str | None) -> urllib3.PoolManager:
    """Make the connections; a proxy is asked as the environment says, never for this machine itself."""
    host = own.hostname or ""
    proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get(own.scheme)
    settings: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        "retries": urllib3.Retry(
            total=2, redirect=False, status=False, other=False, backoff_factor=0.2, allowed_methods={"GET", "HEAD"}
        ),
        "headers": {"User-Agent": "holdfast-client"},
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": ca_bundle,
    }
    return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)


def _reason(error: BaseException) -> str:
    """Say in a few words what went wrong below: the innermost cause, without addresses of objects."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
    return text.rpartition(": ")[2] or type(error).__name__
