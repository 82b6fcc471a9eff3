"""Tokens of OIDC issuers: whether one proves what it says, by the issuers that an account knows.

This file alone decides that: the issuer is known to the account, one of its keys signed the token, the audience is one
of those agreed, the time is right. What the bearer may then do is for a role's trust policy. Source: OpenID Connect
Core 1.0 section 3.1.3.7 and Discovery 1.0; RFC 7519; AWS IAM User Guide, "Create an OpenID Connect identity provider".
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from holdfast.core import strict_json
from holdfast.core.errors import IdentityTokenRefused
from holdfast.store import identities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.core.iam import Value
    from holdfast.store.database import Database
    from holdfast.store.identities import ProviderRow

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""Signatures by a key that the issuer publishes; never `none`, never a shared secret."""

MAX_TOKEN_CHARACTERS: Final = 20_000
"""Source: AWS STS API, AssumeRoleWithWebIdentity."""

CLOCK_SKEW_SECONDS: Final = 60
KEEP_KEYS_SECONDS: Final = 600
"""How long fetched keys are used without looking again."""

ASK_AGAIN_SECONDS: Final = 30
"""The least time between two fetches from one issuer, whatever tokens come: a stranger must not make us a hammer."""

MAX_KEYS: Final = 100
MAX_REMEMBERED: Final = 1_000
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Proven:
    """What a token proves: by which issuer, about whom, and every claim as a condition key."""

    provider_arn: str
    subject: str
    audience: str
    keys: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Keys:
    keys: Mapping[str, jwt.PyJWK]
    at: int


class IdentityTokens:
    """Verifies tokens of the issuers that accounts know."""

    def __init__(self, database: Database, clock: Callable[[], int], fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """`clock` gives microseconds since the epoch; `fetch` returns what stands at an address, or raises."""
        self._database = database
        self._clock = clock
        self._fetch = fetch
        self._fetched: dict[str, _Keys] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def verify(self, token: str, account_id: str) -> Proven:
        """Return what a token proves to an account. Raises IdentityTokenRefused."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise _refused("The token is too long")
        try:
            header: dict[str, Any] = jwt.get_unverified_header(token)
            claimed: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise _refused("The token is not a JSON Web Token") from None
        issuer = claimed.get("iss")
        provider = identities.provider(self._database, arn_of(account_id, issuer)) if isinstance(issuer, str) else None
        if provider is None or provider.issuer != issuer:
            raise _refused("No OpenIDConnect provider found in your account for the issuer of the token")
        key = await self._key(provider, header.get("kid"))
        return self._proven(provider, token, key)

    def _proven(self, provider: ProviderRow, token: str, key: jwt.PyJWK) -> Proven:
        audiences: list[str] = json.loads(provider.audiences)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=audiences,
                issuer=provider.issuer,
                # The times are compared below, by the clock that the rest of the server goes by.
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAudienceError:
            raise _refused("Incorrect token audience") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"The token has no claim '{error.claim}'") from None
        except jwt.PyJWTError:
            raise _refused("Couldn't verify the signature of the token") from None
        self._check_times(claims)
        given = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        audience = next(one for one in given if one in audiences)
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            raise _refused("The token has no subject")
        return Proven(provider.arn, subject, audience, _as_keys(provider, claims))

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock() / _MICROSECONDS
        times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in times.values()):
            raise _refused("A time in the token is not a number")
        if now >= times["exp"] + CLOCK_SKEW_SECONDS:
            raise _refused("The token has expired")
        if max(times["iat"], times.get("nbf", times["iat"])) > now + CLOCK_SKEW_SECONDS:
            raise _refused("The token is not yet valid")

    # --- keys --------------------------------------------------------------------------------------------------------

    async def _key(self, provider: ProviderRow, kid: object) -> jwt.PyJWK:
        if provider.jwks is not None:
            return _chosen(parse_keys(provider.jwks), kid)
        known = self._fetched.get(provider.issuer)
        if known is None or self._age(known) >= KEEP_KEYS_SECONDS or kid not in known.keys:
            known = await self._refreshed(provider.issuer, kid)
        return _chosen(known.keys, kid)

    async def _refreshed(self, issuer: str, kid: object) -> _Keys:
        """Fetch an issuer's keys, one fetch at a time; not again soon, whatever is asked for."""
        if len(self._locks) >= MAX_REMEMBERED:
            self._locks.clear()
            self._fetched.clear()
        async with self._locks.setdefault(issuer, asyncio.Lock()):
            known = self._fetched.get(issuer)
            fresh = known is not None and self._age(known) < KEEP_KEYS_SECONDS and kid in known.keys
            if known is not None and (fresh or self._age(known) < ASK_AGAIN_SECONDS):
                return known
            keys = await self._published(issuer)
            found = self._fetched[issuer] = _Keys(keys, self._clock())
            return found

    async def _published(self, issuer: str) -> Mapping[str, jwt.PyJWK]:
        discovered = _json(await self._fetched_from(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        if not isinstance(discovered, dict) or discovered.get("issuer") != issuer:
            raise _refused("Couldn't retrieve verification key from your identity provider: it is another issuer")
        address = discovered.get("jwks_uri")
        if not isinstance(address, str):
            raise _refused("Couldn't retrieve verification key from your identity provider: it tells no jwks_uri")
        return parse_keys(await self._fetched_from(address))

    async def _fetched_from(self, address: str) -> bytes:
        try:
            return await self._fetch(address)
        except Exception as error:  # noqa: BLE001 - whatever the fetch raises: the issuer's keys are not to be had
            raise _refused(f"Couldn't retrieve verification key from your identity provider: {error}") from None

    def _age(self, known: _Keys) -> float:
        return (self._clock() - known.at) / _MICROSECONDS


def arn_of(account_id: str, issuer: str) -> str:
    """Return the ARN of an issuer that an account knows."""
    return f"arn:aws:iam::{account_id}:oidc-provider/{name_of(issuer)}"


def name_of(issuer: str) -> str:
    """Return an issuer's name in ARNs and condition keys: its address without the scheme."""
    return issuer.partition("://")[2].rstrip("/")


def parse_keys(text: str | bytes) -> dict[str, jwt.PyJWK]:
    """Read a JSON Web Key Set: the public keys that can sign tokens, by id. Raises IdentityTokenRefused."""
    content = _json(text.encode() if isinstance(text, str) else text)
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise _refused("The keys of the identity provider are not a JSON Web Key Set")
    found: dict[str, jwt.PyJWK] = {}
    for one in listed:
        usable = isinstance(one, dict) and one.get("kty") in {"RSA", "EC"} and one.get("use", "sig") == "sig"
        if not usable or not isinstance(one.get("kid", ""), str):
            continue
        try:
            found[one.get("kid", "")] = jwt.PyJWK(one, None if "alg" in one else _algorithm(one))
        except jwt.PyJWTError:
            continue  # a kind of key that is not for us
    if not found:
        raise _refused("The identity provider has no key that can sign tokens (RSA or EC)")
    return found


def _json(text: bytes) -> Any:  # noqa: ANN401 - a value of JSON
    try:
        return strict_json.parse(text)
    except strict_json.StrictJSONError as error:
        raise _refused(f"What the identity provider publishes is not acceptable JSON: {error}") from None


def _algorithm(key: Mapping[str, Any]) -> str:
    if key["kty"] == "RSA":
        return "RS256"
    return {"P-384": "ES384", "P-521": "ES512"}.get(str(key.get("crv")), "ES256")


def _chosen(keys: Mapping[str, jwt.PyJWK], kid: object) -> jwt.PyJWK:
    if isinstance(kid, str) and kid in keys:
        return keys[kid]
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    raise _refused("Couldn't find the key that signed the token among those of the identity provider")


def _as_keys(provider: ProviderRow, claims: Mapping[str, Any]) -> dict[str, Value]:
    """Return the claims as condition keys: ISSUER:CLAIM. Claims that are neither texts, numbers nor lists are left out.

    AWS offers some claims of known issuers only; here every one can be asked for.
    """
    name = name_of(provider.issuer)
    keys: dict[str, Value] = {"aws:FederatedProvider": provider.arn}
    for claim, value in claims.items():
        if isinstance(value, list):
            texts = tuple(text for text in map(_text, value) if text is not None)
            keys[f"{name}:{claim}"] = texts[0] if claim == "aud" and len(texts) == 1 else texts
        else:
            text = _text(value)
            if text is not None:
                keys[f"{name}:{claim}"] = text
    return keys


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _refused(why: str) -> IdentityTokenRefused:
    return IdentityTokenRefused(f"{why}.")
