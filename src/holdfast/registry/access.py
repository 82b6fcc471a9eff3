"""Who is it, and may they: the only place that turns credentials into a caller and decides what a caller may do.

Deny by default: no credentials, no policy, no statement that allows means no. The order is always the same: who, then
may they (by the repository's name, so that the answer does not tell whether it exists), then the act.

Credentials: an access key pair (HTTP Basic, or AWS Signature Version 4 on the JSON API), and sealed tokens made from
one (`aws ecr get-login-password`, the Bearer flow). A token is good until it expires, as long as its principal and its
access key exist.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import string
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.core import iam
from holdfast.core.errors import AccessDenied, TokenExpired, Unauthenticated
from holdfast.registry.logins import FailedLogins
from holdfast.registry.rates import RateLimits
from holdfast.registry.seal import SealBroken
from holdfast.store import accounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.seal import Seal
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database

LOGIN_TOKEN_SECONDS: Final = 12 * 3600
"""Life of a log-in token. Source: Amazon ECR, GetAuthorizationToken."""

BEARER_TOKEN_SECONDS: Final = 3600
LOGIN_USER: Final = "AWS"
"""The user name that goes with a log-in token. Source: Amazon ECR user guide, "Private registry authentication"."""

_MAX_REMEMBERED: Final = 10_000
_REMEMBER_SECONDS: Final = 300
_WRONG: Final = "The user name or password is wrong, or the access key is no longer there."
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a principal, by which access key, from where."""

    arn: str
    account_id: str
    access_key_id: str
    policies: tuple[iam.PolicyDocument, ...]
    source: str = ""
    until: int | None = None
    """End of the token that was shown, microseconds since the epoch; None for an access key itself."""
    behalf: str | None = None
    """ARN of the principal for whom a service of ours acts; None for everyone who acts for itself."""
    decisions: dict[tuple[str, str], iam.Decision] = field(default_factory=dict, compare=False, repr=False)
    """Answers already given to this caller: they depend on its policies alone and go when the caller is forgotten."""


@dataclass(frozen=True, slots=True)
class Token:
    """A log-in token: its text, its end in microseconds since the epoch, and the seconds that it has left."""

    text: str
    until: int
    seconds: int


class Access:
    """Authentication and authorization over the principals in the database."""

    def __init__(
        self, database: Database, seal: Seal, clock: Callable[[], int], *, rates: RateLimits | None = None
    ) -> None:
        """`clock` gives microseconds since the epoch; without `rates` everybody may come as often as they like."""
        self._database = database
        self._seal = seal
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], tuple[Caller, int]] = OrderedDict()
        self._failures = FailedLogins()
        self._rates = rates or RateLimits(clock)

    # --- who ---------------------------------------------------------------------------------------------------------

    def authenticate(self, authorization: str | None, source: str) -> Caller:
        """Turn an Authorization header of the registry protocol (Basic or Bearer) into a caller.

        Raises Unauthenticated, TokenExpired, TooManyLogins or RateExceeded.
        """
        if not authorization:
            self._rates.admit_stranger(source)
            msg = "Not Authorized"
            raise Unauthenticated(msg)
        remembered = self._remembered.get((authorization, source))
        now = self._clock()
        if remembered is not None and now < remembered[1]:
            self._rates.admit(remembered[0].arn)
            return remembered[0]
        name, password = _credentials(authorization)
        # A token is its own name: one that is worn out must not lock out the others from the same address.
        guessed = name if name != LOGIN_USER else hashlib.sha256(password.encode()).hexdigest()
        self._failures.check(source, guessed, now)
        try:
            if name == LOGIN_USER:
                caller, until = self._by_token(password, source, now)
            else:
                caller, until = self._by_key(name, password, source), now + _REMEMBER_SECONDS * _MICROSECONDS
        except TokenExpired:
            raise
        except Unauthenticated:
            self._failures.note(source, guessed, now)
            self._rates.admit_stranger(source)
            raise
        self._rates.admit(caller.arn)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        self._remembered[authorization, source] = (caller, min(until, now + _REMEMBER_SECONDS * _MICROSECONDS))
        return caller

    def claimed(self, key_id: str, source: str) -> tuple[Caller, str] | None:
        """Find who claims to have signed a request, and the secret to check the claim with; None for an unknown key.

        Nothing may be done for the caller before the signature is verified. Raises TooManyLogins.
        """
        self._failures.check(source, key_id, self._clock())
        row = accounts.access_key(self._database, key_id)
        if row is None:
            return None
        return self._caller(row.principal, row.id, source), self._secret(row)

    def admit(self, caller: Caller) -> None:
        """Count a request of a caller who was not authenticated by `authenticate`. Raises RateExceeded."""
        self._rates.admit(caller.arn)

    def holder(self, arn: str, key_id: str, source: str) -> Caller:
        """Return the principal that holds an access key, for a grant that was sealed for it. Raises Unauthenticated."""
        row = accounts.access_key(self._database, key_id)
        if row is None or row.principal != arn:
            raise Unauthenticated(_WRONG)
        return self._caller(arn, key_id, source)

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
        text = self._seal.seal("login", {"arn": caller.arn, "key": caller.access_key_id, "until": until})
        return Token(text, until, (until - now) // _MICROSECONDS)

    def forget(self) -> None:
        """Drop every remembered caller; called when a principal, key or policy changed, before that is told."""
        self._remembered.clear()

    def seal_secret(self, secret: str) -> str:
        """Seal the secret of an access key for the database."""
        return self._seal.seal("secret", {"secret": secret})

    def _by_key(self, key_id: str, secret: str, source: str) -> Caller:
        row = accounts.access_key(self._database, key_id)
        # Compared in any case, so that the time taken does not tell whether the key exists.
        expected = self._secret(row) if row else new_secret()
        same = hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace"))
        if row is None or not same:
            raise Unauthenticated(_WRONG)
        return self._caller(row.principal, row.id, source)

    def _by_token(self, token: str, source: str, now: int) -> tuple[Caller, int]:
        try:
            content = self._seal.open("login", token)
        except SealBroken:
            raise Unauthenticated(_WRONG) from None
        until = int(content["until"])
        if now >= until:
            raise TokenExpired
        return replace(self.holder(content["arn"], content["key"], source), until=until), until

    def _caller(self, arn: str, key_id: str, source: str) -> Caller:
        row = accounts.principal(self._database, arn)
        if row is None:
            raise Unauthenticated(_WRONG)
        policies = tuple(iam.PolicyDocument.parse(document) for document in json.loads(row.policies))
        return Caller(row.arn, row.account_id, key_id, policies, source)

    def _secret(self, row: accounts.AccessKeyRow) -> str:
        return str(self._seal.open("secret", row.sealed_secret)["secret"])

    # --- may they ----------------------------------------------------------------------------------------------------

    def require(self, caller: Caller, registry: Registry, action: str, repository: str | None = None) -> None:
        """Raise AccessDenied, with AWS's sentence, unless the caller may do this to this repository (or registry)."""
        resource = registry.arn_of(repository) if repository is not None else "*"
        decision = self.decide(caller, action, resource)
        if not decision.allowed:
            raise AccessDenied(iam.denial_message(caller.arn, action, resource, decision))

    def allows(self, caller: Caller, registry: Registry, action: str, repository: str) -> bool:
        """Whether the caller may do this to this repository."""
        return self.decide(caller, action, registry.arn_of(repository)).allowed

    def decide(self, caller: Caller, action: str, resource: str) -> iam.Decision:
        """Decide, with the reason."""
        decision = caller.decisions.get((action, resource))
        if decision is None:
            decision = iam.decide(caller.policies, action, resource)
            if len(caller.decisions) >= _MAX_REMEMBERED:
                caller.decisions.clear()
            caller.decisions[action, resource] = decision
        return decision


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


def new_access_key_id() -> str:
    """Make an access key id of the form that AWS's tools expect: 20 characters, beginning with AKIA."""
    return "AKIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))


def new_secret() -> str:
    """Make a secret access key: 40 characters."""
    return secrets.token_urlsafe(30)
