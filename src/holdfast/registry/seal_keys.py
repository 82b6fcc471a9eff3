"""Changing the key that seals, while the server runs: no gap for whoever holds a token, unless that is what is wanted.

The new key is in the file before anything is sealed with it. Then every secret at rest is sealed anew, in one
transaction. A key is forgotten at the first change that comes when every token which it sealed has expired.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import StorageFailed
from holdfast.registry.access import LOGIN_TOKEN_SECONDS
from holdfast.registry.binding import Act
from holdfast.registry.seal import SealBroken
from holdfast.store import accounts, flows
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.seal import Seal
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

TOKEN_SECONDS: Final = LOGIN_TOKEN_SECONDS
"""Nothing that is sealed for somebody else is good for longer: neither a log-in token nor the session of a role."""

_MICROSECONDS: Final = 1_000_000
_LOGGER: Final = logging.getLogger("holdfast.seal")


class SealKeys:
    """The use case of an administrator who changes the key."""

    def __init__(self, database: Database, access: Access, seal: Seal, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._seal = seal
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def rotate(self, caller: Caller, registry: Registry, *, end_tokens: bool, through: str) -> None:
        """Seal with a new key from now on; tokens from before are good until they expire, unless they are to end.

        It can be done again after a crash or an error: what the old key sealed is still opened. Raises AccessDenied,
        ReadOnly, StorageFailed.
        """
        self._access.require(caller, registry, "holdfast:RotateSealKey")
        async with self._one_at_a_time:
            act = Act(caller, self._clock(), through)
            await self._database.write(lambda _: None)  # nothing is begun that could not be written down
            await self._change(lambda: self._seal.rotate(act.at, end_tokens=end_tokens))
            if end_tokens:
                self._access.forget()

            def job(txn: Transaction) -> None:
                for key_id, sealed in accounts.sealed_secrets(txn):
                    accounts.write_secret(txn, key_id, self._anew("secret", sealed))
                for registry_id, name, sealed in flows.sealed_credentials(txn):
                    flows.write_sealed(txn, registry_id, name, self._anew("upstream", sealed))
                act.record(txn, registry, EntryKind.SEAL_KEY_ROTATED, tokens_ended=end_tokens)

            await self._database.write(job)
            await self._change(lambda: self._seal.drop(act.at - TOKEN_SECONDS * _MICROSECONDS))

    async def _change(self, change: Callable[[], None]) -> None:
        """Change the key file in a thread: it is synced."""
        try:
            await asyncio.to_thread(change)
        except OSError as error:
            msg = f"The key file cannot be written: {error.strerror}. Tokens and secrets are good as they were."
            raise StorageFailed(msg) from error

    def _anew(self, purpose: str, sealed: str) -> str:
        """Seal anew; what no key opens stays as it is, for `holdfast fsck` to tell."""
        try:
            return self._seal.seal(purpose, self._seal.open(purpose, sealed))
        except SealBroken:
            _LOGGER.warning("a %s could not be sealed anew: no key opens it", purpose)
            return sealed
