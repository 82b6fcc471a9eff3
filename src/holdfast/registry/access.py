"""Who is it, and may they: the only place that turns credentials into a caller and decides what a caller may do.

Deny by default: no credentials, no policy, no statement that allows means no. The order is always the same: who, then
may they (by the repository's name, so that the answer does not tell whether it exists), then the act.

Credentials: an access key pair (HTTP Basic, or AWS Signature Version 4 on the JSON API), a short-lived pair with its
session token (`registry/sessions`), and sealed tokens made from either (`aws ecr get-login-password`, the Bearer flow).
A token is good until it expires, as long as its principal and its access key, or the role of its session, exist.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import string
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from holdfast.core import iam
from holdfast.core.errors import AccessDenied, TokenExpired, Unauthenticated
from holdfast.registry.authority import Authority
from holdfast.registry.callers import GONE, Caller, Connection, caller_of_session, caller_of_user
from holdfast.registry.logins import FailedLogins
from holdfast.registry.rates import RateLimits
from holdfast.registry.seal import SealBroken
from holdfast.store import accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.registry.seal import Seal
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database

LOGIN_TOKEN_SECONDS: Final = 12 * 3600
"""Life of a log-in token. Source: Amazon ECR, GetAuthorizationToken."""

BEARER_TOKEN_SECONDS: Final = 3600
LOGIN_USER: Final = "AWS"
"""The user name that goes with a log-in token. Source: Amazon ECR user guide, "Private registry authentication"."""

__all__ = ["BEARER_TOKEN_SECONDS", "LOGIN_TOKEN_SECONDS", "Access", "Caller", "Connection", "Token"]

T = TypeVar("T")

_MAX_REMEMBERED: Final = 10_000
_REMEMBER_SECONDS: Final = 300
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Token:
    """A log-in token: its text, its end in microseconds since the epoch, and the seconds that it has left."""

    text: str
    until: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims to have signed a request, and the secret to check that with."""

    caller: Caller
    secret: str
    keep: Callable[[], None] | None
    """To be called once the signature has proved the claim, and never before."""


class _Memory(Generic[T]):
    """Answers that stand for a while, and only as long as nothing changes on which they depend."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, tuple[T, int, int]] = OrderedDict()

    def get(self, asked: object, now: int, version: int) -> T | None:
        kept = self._kept.get(asked)
        return kept[0] if kept is not None and now < kept[1] and version == kept[2] else None

    def keep(self, asked: object, answer: T, now: int, version: int, until: int | None) -> None:
        longest = now + _REMEMBER_SECONDS * _MICROSECONDS
        if len(self._kept) >= _MAX_REMEMBERED:
            self._kept.popitem(last=False)
        self._kept[asked] = (answer, longest if until is None else min(until, longest), version)


class Access:
    """Authentication and authorization over the principals in the database."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        clock: Callable[[], int],
        *,
        management: str,
        rates: RateLimits | None = None,
    ) -> None:
        """`clock` gives microseconds since the epoch; without `rates` everybody may come as often as they like.

        `management` is the account that manages the server and its organisation.
        """
        self._database = database
        self._seal = seal
        self._clock = clock
        self.authority = Authority(database, clock, management)
        self._remembered: _Memory[Caller] = _Memory()
        self._claims: _Memory[Claim] = _Memory()
        self._failures = FailedLogins()
        self._rates = rates or RateLimits(clock)

    # --- who ---------------------------------------------------------------------------------------------------------

    def authenticate(self, authorization: str | None, connection: Connection) -> Caller:
        """Turn an Authorization header of the registry protocol (Basic or Bearer) into a caller.

        Raises Unauthenticated, TokenExpired, TooManyLogins or RateExceeded.
        """
        source = connection.source
        if not authorization:
            self._rates.admit_stranger(source)
            msg = "Not Authorized"
            raise Unauthenticated(msg)
        now, version = self._clock(), self.authority.version()
        remembered = self._remembered.get((authorization, connection), now, version)
        if remembered is not None:
            self._rates.admit(remembered.arn)
            return remembered
        name, password = _credentials(authorization)
        # A token is its own name: one that is worn out must not lock out the others from the same address.
        guessed = name if name != LOGIN_USER else hashlib.sha256(password.encode()).hexdigest()
        self._failures.check(source, guessed, now)
        try:
            until: int | None
            if name == LOGIN_USER:
                caller, until = self._by_token(password, connection, now)
            else:
                caller, until = self._by_key(name, password, connection), None
        except TokenExpired:
            raise
        except Unauthenticated:
            self._failures.note(source, guessed, now)
            self._rates.admit_stranger(source)
            raise
        self._rates.admit(caller.arn)
        self._remembered.keep((authorization, connection), caller, now, version, until)
        return caller

    def claimed(self, key_id: str, connection: Connection, session_token: str | None = None) -> Claim | None:
        """Find who claims to have signed a request; None for an unknown key.

        A short-lived key is known by the session token that came with it. Nothing may be done for the caller before
        the signature is verified. Raises TooManyLogins, TokenExpired.
        """
        now, version = self._clock(), self.authority.version()
        self._failures.check(connection.source, key_id, now)
        asked, claims = (key_id, connection, session_token), self._claims
        proved = claims.get(asked, now, version)
        if proved is not None:
            return proved
        if session_token is not None:
            found = self._by_session(key_id, session_token, connection)
        elif (row := accounts.access_key(self._database, key_id)) is not None:
            found = self._holder(row.principal, row.id, connection), self._secret(row)
        else:
            found = None
        if found is None:
            return None
        caller, secret = found

        def keep() -> None:
            # As of the time at which it was looked up: whatever changed since makes it worthless. Kept before it is
            # proved, it would let a stranger who knows the id of a key push everybody else out of the memory.
            # And where it was looked up: a memory that was given up meanwhile (`forget`) takes it with it.
            claims.keep(asked, Claim(caller, secret, None), now, version, caller.until)

        return Claim(caller, secret, keep)

    def admit_stranger(self, source: str) -> None:
        """Count a request of somebody who need not say who they are. Raises RateExceeded."""
        self._rates.admit_stranger(source)

    def admit(self, caller: Caller) -> None:
        """Count a request of a caller who was not authenticated by `authenticate`. Raises RateExceeded."""
        self._rates.admit(caller.arn)

    def holder(self, grant: Mapping[str, Any], connection: Connection) -> Caller:
        """Make the caller again that `Caller.grant` stands for. Raises Unauthenticated, TokenExpired."""
        session = grant.get("session")
        if session is not None:
            if self._clock() >= int(session["until"]):
                raise TokenExpired
            return caller_of_session(self._database, session, connection)
        row = accounts.access_key(self._database, grant["key"])
        if row is None or row.principal != grant["arn"]:
            raise Unauthenticated(GONE)
        return self._holder(row.principal, row.id, connection)

    def check_stranger(self, connection: Connection) -> None:
        """Count a request that comes without a key. Raises RateExceeded, TooManyLogins."""
        self._rates.admit_stranger(connection.source)
        self._failures.check(connection.source, "", self._clock())

    def note_failure(self, key_id: str, source: str) -> None:
        """Count a wrong signature as a failed log-in."""
        self._failures.note(source, key_id, self._clock())

    def issue_token(self, caller: Caller, seconds: int = LOGIN_TOKEN_SECONDS) -> Token:
        """Make a log-in token for a caller.

        A token made with a token ends no later than that one: otherwise it could be renewed for ever.
        """
        now = self._clock()
        until = now + seconds * _MICROSECONDS
        if caller.until is not None:
            until = min(until, caller.until)
        text = self._seal.seal("login", {**caller.grant, "until": until})
        return Token(text, until, (until - now) // _MICROSECONDS)

    def forget(self) -> None:
        """Drop every remembered caller; called when a principal, key or policy changed, before that is told."""
        self._remembered, self._claims = _Memory(), _Memory()

    def seal_secret(self, secret: str) -> str:
        """Seal the secret of an access key for the database."""
        return self._seal.seal("secret", {"secret": secret})

    def _by_key(self, key_id: str, secret: str, connection: Connection) -> Caller:
        row = accounts.access_key(self._database, key_id)
        # Compared in any case, so that the time taken does not tell whether the key exists.
        expected = self._secret(row) if row else new_secret()
        same = hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace"))
        if row is None or not same:
            raise Unauthenticated(GONE)
        return self._holder(row.principal, row.id, connection)

    def _by_token(self, token: str, connection: Connection, now: int) -> tuple[Caller, int]:
        try:
            content = self._seal.open("login", token)
        except SealBroken:
            raise Unauthenticated(GONE) from None
        until = int(content["until"])
        if now >= until:
            raise TokenExpired
        return replace(self.holder(content, connection), until=until), until

    def _by_session(self, key_id: str, session_token: str, connection: Connection) -> tuple[Caller, str] | None:
        try:
            session = self._seal.open("session", session_token)
        except SealBroken:
            return None
        if session["key"] != key_id:
            return None
        try:
            return self.holder({"session": session}, connection), str(session["secret"])
        except TokenExpired:
            raise
        except Unauthenticated:
            return None

    def _holder(self, arn: str, key_id: str, connection: Connection) -> Caller:
        row = accounts.principal(self._database, arn)
        if row is None:
            raise Unauthenticated(GONE)
        return caller_of_user(self._database, row, key_id, connection)

    def _secret(self, row: accounts.AccessKeyRow) -> str:
        return str(self._seal.open("secret", row.sealed_secret)["secret"])

    # --- may they ----------------------------------------------------------------------------------------------------

    def require(
        self,
        caller: Caller,
        registry: Registry,
        action: str,
        repository: str | None = None,
        *,
        keys: Mapping[str, iam.Value] | None = None,
    ) -> None:
        """Raise AccessDenied, with AWS's sentence, unless the caller may do this to this repository (or registry).

        `keys` are condition keys with what the request says of itself (`aws:RequestTag/team`, `aws:TagKeys`,
        `ecr:imageTagMutability`); a decision with such is not remembered.
        """
        decision = self.authority.decide(caller, registry, action, repository, keys)
        if not decision.allowed:
            resource = registry.arn_of(repository) if repository is not None else "*"
            raise AccessDenied(iam.denial_message(caller.arn, action, resource, decision))

    def allows(self, caller: Caller, registry: Registry, action: str, repository: str) -> bool:
        """Whether the caller may do this to this repository."""
        return self.authority.decide(caller, registry, action, repository).allowed

    def require_on(
        self, caller: Caller, action: str, arn: str, account_id: str, *, keys: Mapping[str, iam.Value] | None = None
    ) -> None:
        """Raise AccessDenied unless the caller may do this to an identity of an account (a user, a role, a policy)."""
        decision = self.authority.decide_on(caller, action, arn, account_id, keys)
        if not decision.allowed:
            raise AccessDenied(iam.denial_message(caller.arn, action, arn, decision))


def _credentials(authorization: str) -> tuple[str, str]:
    """Read name and password out of a Basic header, or a token out of a Bearer one."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return LOGIN_USER, value.strip()
    if scheme.lower() != "basic":
        msg = "Only Basic and Bearer authorization are understood here."
        raise Unauthenticated(msg)
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        decoded = ""
    name, colon, password = decoded.partition(":")
    if not colon:
        msg = "The Basic authorization is malformed."
        raise Unauthenticated(msg)
    return name, password


def new_access_key_id(prefix: str = "AKIA") -> str:
    """Make an access key id of the form that AWS's tools expect: 20 characters; ASIA begins short-lived ones."""
    return prefix + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))


def new_secret() -> str:
    """Make a secret access key: 40 characters."""
    return secrets.token_urlsafe(30)
