"""Signed requests: whoever signed one is found, and the body is read and compared, before anything else is done.

The order: the credentials are parsed, the key is looked up (who has none is refused here, before megabytes are held for
a stranger), the body is read, the signature is verified over it. Shared by the faces of AWS's protocols.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from holdfast.core import sigv4
from holdfast.core.errors import TokenExpired
from holdfast.faces.hosts import parse_host
from holdfast.registry.access import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.faces.http import Request
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.registries import Registries

MAX_AGENT_CHARACTERS: Final = 512
_HASH_IN_THREAD_BYTES: Final = 256 * 1024
_MICROSECONDS: Final = 1_000_000


def connection_of(request: Request) -> Connection:
    """Return where a request comes from and how, for those who decide."""
    agent = request.headers.get("user-agent")
    return Connection(request.peer, request.scheme == "https", agent[:MAX_AGENT_CHARACTERS] if agent else None)


class Signatures:
    """Verifies requests signed with AWS Signature Version 4."""

    def __init__(self, access: Access, registries: Registries, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._access = access
        self._registries = registries
        self._clock = clock
        self._derive = lru_cache(maxsize=1_024)(sigv4.signing_key)

    async def verified(
        self,
        request: Request,
        limit_bytes: int,
        *,
        service: str = "ecr",
        required: Sequence[str] = sigv4.REQUIRED_SIGNED_HEADERS,
        body: bytes | None = None,
    ) -> tuple[Caller, str, bytes]:
        """Return who signed the whole request, for which region, and its body, read here unless it is given.

        Raises SigV4Error, BodyTooLarge, RateExceeded, TooManyLogins.
        """
        signed = sigv4.parse_authorization(
            request.method, request.path, request.query, request.raw_headers, required_signed_headers=required
        )
        try:
            claimed = self._access.claimed(signed.access_key_id, connection_of(request), signed.session_token)
        except TokenExpired:
            raise sigv4.ExpiredToken from None
        if claimed is None:
            self._access.note_failure(signed.access_key_id, request.peer)
            raise sigv4.UnrecognizedClient
        caller = claimed.caller
        # Read before the signature can be verified, which covers it: so no more than the operation can need.
        if body is None:
            body = await request.body.read(limit_bytes)
        if len(body) > _HASH_IN_THREAD_BYTES:
            body_sha256 = await asyncio.to_thread(_sha256, body)
        else:
            body_sha256 = _sha256(body)
        region = self._region(request, signed.region, service)
        try:
            sigv4.verify(
                signed,
                claimed.secret,
                body_sha256=body_sha256,
                region=region,
                service=service,
                session_token=signed.session_token if caller.session is not None else None,
                now=datetime.fromtimestamp(self._clock() / _MICROSECONDS, UTC),
                derive=self._derive,
            )
        except sigv4.SignatureOutOfTime:
            raise
        except (sigv4.UnrecognizedClient, sigv4.InvalidSignature):
            self._access.note_failure(signed.access_key_id, request.peer)
            raise
        if claimed.keep is not None:
            claimed.keep()
        self._access.admit(caller)
        return replace(caller, facts={**caller.facts, "aws:requestedregion": region}), region, body

    def region_of(self, request: Request) -> str:
        """Return the region of a request that nobody signed: its host's, else that of the default registry."""
        return parse_host(request.host).region or self._registries.default.region

    def _region(self, request: Request, signed: str, service: str) -> str:
        """Return the region that a request must be signed for: its host's, else any that this server has.

        STS is the same in every region, and its sessions are good in all: at a host of no region, any will do. What
        policies may ask of it (aws:RequestedRegion) is the caller's choice on AWS too, by the endpoint.
        """
        told = parse_host(request.host).region
        if told is not None:
            return told
        return signed if service != "ecr" or signed in self._registries.regions else self._registries.default.region


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
