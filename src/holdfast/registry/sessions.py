"""Sessions of roles: short-lived credentials for those whom a role trusts; nothing of them is stored.

A session is an access key id (ASIA...), a secret, and a session token: the sealed description of the session, secret
included. Whoever shows the token and signs with the secret is the session, until its end, and as long as its role is
there. Source: AWS STS API, AssumeRole and AssumeRoleWithWebIdentity; IAM User Guide, "Role chaining".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import iam
from holdfast.core.errors import AccessDenied, ParameterInvalid, PolicyRefused
from holdfast.registry.access import new_access_key_id, new_secret
from holdfast.registry.authority import parsed
from holdfast.registry.callers import document_of, role_id, session_arn
from holdfast.store import entries, identities
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.registry.access import Access, Caller, Connection
    from holdfast.registry.oidc import IdentityTokens
    from holdfast.registry.registries import Registries
    from holdfast.registry.seal import Seal
    from holdfast.store.database import Database
    from holdfast.store.identities import RoleRow

LEAST_SECONDS: Final = 900
DEFAULT_SECONDS: Final = 3_600
CHAIN_SECONDS: Final = 3_600
"""A session made by a session lives an hour at most. Source: IAM User Guide, "Role chaining"."""

MAX_SESSION_POLICY_CHARACTERS: Final = 2_048
MAX_SESSION_POLICIES: Final = 10
MAX_SESSION_TAGS: Final = 50
"""Source: AWS STS API, AssumeRole."""

_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID: Final = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):role/(.+)", re.ASCII)
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished of a session: its role, its name, its seconds; what narrows its rights; its tags."""

    role_arn: str
    name: str
    seconds: int | None = None
    policy: str | None = None
    policy_arns: Sequence[str] = ()
    tags: Mapping[str, str] | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a session; `until` in microseconds since the epoch."""

    access_key_id: str
    secret: str
    session_token: str
    until: int
    arn: str
    assumed_role_id: str
    provider: str | None = None
    subject: str | None = None
    audience: str | None = None


class Sessions:
    """The use cases over sessions."""

    def __init__(
        self,
        database: Database,
        access: Access,
        registries: Registries,
        tokens: IdentityTokens,
        seal: Seal,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._registries = registries
        self._tokens = tokens
        self._seal = seal
        self._clock = clock

    async def assume(self, caller: Caller, wish: Wish) -> Credentials:
        """Make a session of a role for a caller whom the role trusts.

        Raises AccessDenied (also for a role that is not there), ParameterInvalid, PolicyRefused.
        """
        self._check(wish)
        tags = dict(wish.tags or {})
        keys: dict[str, iam.Value] = {"sts:RoleSessionName": wish.name}
        if wish.external_id is not None:
            keys["sts:ExternalId"] = wish.external_id
        if tags:
            keys |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
            keys["aws:TagKeys"] = tuple(tags)
        role = self._role(wish.role_arn)
        owner = _ROLE.fullmatch(wish.role_arn)
        trust = iam.Policy(f"trust policy of {wish.role_arn}", _trust_of(role))
        for action in ("sts:AssumeRole", *(["sts:TagSession"] if tags else [])):
            decision = self._access.authority.decide_on(
                caller, action, wish.role_arn, owner[1] if owner else "", keys, trust=trust
            )
            if not decision.allowed or role is None:
                raise AccessDenied(iam.denial_message(caller.arn, action, wish.role_arn, decision))
        most = CHAIN_SECONDS if caller.session is not None else role.max_session_seconds if role else 0
        why = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        seconds = _seconds(wish, most, why if caller.session is not None else None)
        assert role is not None  # noqa: S101 - or the loop has raised
        by = {"principal": caller.arn, "access_key": caller.access_key_id, "source": caller.source}
        return await self._issue(role, wish, seconds, tags, by)

    async def assume_with_token(self, token: str, wish: Wish, connection: Connection, region: str) -> Credentials:
        """Make a session of a role for the bearer of a token of an issuer that the role trusts; no key is needed.

        `region` is the one that was asked for it.

        Raises AccessDenied, IdentityTokenRefused, ParameterInvalid, PolicyRefused, TooManyLogins.
        """
        self._check(wish)
        action = "sts:AssumeRoleWithWebIdentity"
        owner = _ROLE.fullmatch(wish.role_arn)
        role = self._role(wish.role_arn)
        proven = await self._tokens.verify(token, owner[1] if owner else "")
        claims: dict[str, iam.Value] = {
            **proven.keys,
            "sts:RoleSessionName": wish.name,
            "aws:RequestedRegion": region,
            "aws:SourceIp": connection.source,
            "aws:SecureTransport": "true" if connection.secure else "false",
        }
        trust = iam.Policy(f"trust policy of {wish.role_arn}", _trust_of(role))
        bearer = iam.Principal(None, frozenset(), proven.provider_arn)
        decision = self._access.authority.decide_for_token(bearer, wish.role_arn, trust, claims)
        if not decision.allowed or role is None:
            raise AccessDenied(f"Not authorized to perform {action} on resource: {wish.role_arn} {decision.reason}")
        seconds = _seconds(wish, role.max_session_seconds, None)
        by = {"principal": f"{proven.provider_arn} {proven.subject}", "source": connection.source}
        made = await self._issue(role, wish, seconds, {}, by, provider=proven.provider_arn)
        return Credentials(
            made.access_key_id,
            made.secret,
            made.session_token,
            made.until,
            made.arn,
            made.assumed_role_id,
            proven.provider_arn,
            proven.subject,
            proven.audience,
        )

    async def _issue(
        self,
        role: RoleRow,
        wish: Wish,
        seconds: int,
        tags: Mapping[str, str],
        by: Mapping[str, Any],
        *,
        provider: str | None = None,
    ) -> Credentials:
        now = self._clock()
        until = now + seconds * _MICROSECONDS
        key_id, secret = new_access_key_id("ASIA"), new_secret()
        session = {
            "role": role.arn,
            "role_id": role_id(role),
            "name": wish.name,
            "issued": now,
            "until": until,
            "key": key_id,
            "secret": secret,
            "policies": self._session_policies(wish),
            "tags": dict(tags),
            "provider": provider,
        }
        body = {
            **by,
            "at": now,
            "through": "sts",
            "role": role.arn,
            "session": wish.name,
            "issued_key": key_id,
            "until": until,
            "tags": dict(tags),
            "narrowed": bool(session["policies"]),
        }
        home = self._registries.home_of(role.account_id)
        await self._database.write(lambda txn: entries.append(txn, home.id, EntryKind.ROLE_ASSUMED, body))
        assumed_id = f"{role_id(role)}:{wish.name}"
        sealed = self._seal.seal("session", session)
        return Credentials(key_id, secret, sealed, until, session_arn(role, wish.name), assumed_id)

    def _role(self, arn: str) -> RoleRow | None:
        return identities.role(self._database, arn)

    def _check(self, wish: Wish) -> None:
        if not _ROLE.fullmatch(wish.role_arn):
            raise ParameterInvalid("roleArn", "Member must be the ARN of a role")
        if not _NAME.fullmatch(wish.name):
            raise ParameterInvalid("roleSessionName", r"Member must satisfy regular expression pattern: [\w+=,.@-]*")
        if wish.external_id is not None and not _EXTERNAL_ID.fullmatch(wish.external_id):
            raise ParameterInvalid("externalId", r"Member must satisfy regular expression pattern: [\w+=,.@:\/-]*")
        if len(wish.tags or {}) > MAX_SESSION_TAGS:
            raise ParameterInvalid("tags", f"Member must have length less than or equal to {MAX_SESSION_TAGS}")
        if len(wish.policy_arns) > MAX_SESSION_POLICIES:
            raise ParameterInvalid(
                "policyArns", f"Member must have length less than or equal to {MAX_SESSION_POLICIES}"
            )
        self._session_policies(wish)

    def _session_policies(self, wish: Wish) -> list[str]:
        """Return the texts of the policies that narrow the session."""
        texts = []
        if wish.policy is not None:
            if len(wish.policy) > MAX_SESSION_POLICY_CHARACTERS:
                raise PolicyRefused(
                    "policy", f"A session policy has at most {MAX_SESSION_POLICY_CHARACTERS} characters"
                )
            texts.append(wish.policy)
        for arn in wish.policy_arns:
            text = document_of(self._database, arn)
            if text is None:
                raise ParameterInvalid("policyArns", f"There is no policy {arn}")
            texts.append(text)
        for text in texts:
            try:
                parsed(text, iam.PolicyKind.SESSION)
            except iam.PolicyInvalid as error:
                raise PolicyRefused("policy", str(error)) from None
        return texts


_NOBODY: Final = iam.PolicyDocument(iam.PolicyKind.TRUST, "2012-10-17", ())


def _trust_of(role: RoleRow | None) -> iam.PolicyDocument:
    """Return whom a role trusts: nobody, when it is not there, so that the answer does not tell."""
    return parsed(role.trust, iam.PolicyKind.TRUST) if role is not None else _NOBODY


def _seconds(wish: Wish, most: int, why: str | None) -> int:
    seconds = min(DEFAULT_SECONDS, most) if wish.seconds is None else wish.seconds
    if seconds < LEAST_SECONDS:
        raise ParameterInvalid("durationSeconds", f"Member must have value greater than or equal to {LEAST_SECONDS}")
    if seconds > most:
        raise ParameterInvalid(
            "durationSeconds",
            why or "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    return seconds
