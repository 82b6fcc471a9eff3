"""Principals and their access keys: made, listed, removed; and the first administrator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.core import iam
from holdfast.core.errors import LastAdministrator, ParameterInvalid, PolicyRefused, PrincipalExists, PrincipalNotFound
from holdfast.registry.access import new_access_key_id, new_secret
from holdfast.registry.binding import Act
from holdfast.registry.callers import Connection, caller_by_arn
from holdfast.store import accounts, entries
from holdfast.store.accounts import AccessKeyRow, PrincipalRow
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction

ADMINISTRATOR = "administrator"
"""Name of the principal that the first start makes."""

_OF_AN_ADMINISTRATOR = ("holdfast:CreatePrincipal", "holdfast:CreateAccessKey")
_PAGE = 100


class Principals:
    """The use cases over principals."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    async def bootstrap(self, registry: Registry, key_id: str | None, secret: str | None) -> tuple[str, str] | None:
        """Make the first administrator, and its access key; return a key pair that was made up, to be shown once.

        With a pair given, that pair works from now on: a restart with another pair replaces the one before, so that an
        operator who controls the settings is never locked out. Without one, a pair is made up on the first start only.
        """
        arn = arn_of(registry.account_id, ADMINISTRATOR)
        known = accounts.principal(self._database, arn)
        if key_id is None or secret is None:
            if known is not None:
                return None
            made_up: tuple[str, str] | None = (new_access_key_id(), new_secret())
        else:
            made_up = None
        pair = made_up or (str(key_id), str(secret))
        policies = json.dumps([iam.ADMINISTRATOR])
        now = self._clock()
        sealed = self._access.seal_secret(pair[1])

        def job(txn: Transaction) -> None:
            if accounts.principal(txn, arn) is None:
                accounts.insert_principal(txn, PrincipalRow(arn, registry.account_id, ADMINISTRATOR, policies, now))
                body = {"at": now, "principal": arn, "through": "bootstrap", "name": ADMINISTRATOR}
                entries.append(txn, registry.id, EntryKind.PRINCIPAL_CREATED, body)
            holder = accounts.access_key(txn, pair[0])
            if holder is not None and holder.principal != arn:
                msg = f"The access key id {pair[0]} belongs to another principal."
                raise PrincipalExists(msg)
            for old in accounts.access_keys(txn, arn):
                accounts.delete_access_key(txn, old.id)
            accounts.insert_access_key(txn, AccessKeyRow(pair[0], arn, sealed, now))

        await self._database.write(job)
        self._access.forget()
        return made_up

    async def create(
        self, caller: Caller, registry: Registry, name: str, policies: Sequence[dict[str, Any]], *, through: str
    ) -> PrincipalRow:
        """Make a principal with its policies; it can do nothing before it has an access key."""
        self._access.require(caller, registry, "holdfast:CreatePrincipal")
        _check_policies(policies)
        act = Act(caller, self._clock(), through)
        row = PrincipalRow(
            arn_of(registry.account_id, name), registry.account_id, name, json.dumps(list(policies)), act.at
        )

        def job(txn: Transaction) -> None:
            if accounts.principal(txn, row.arn) is not None:
                msg = f"The principal '{name}' already exists."
                raise PrincipalExists(msg)
            accounts.insert_principal(txn, row)
            body = act.body(name=name, policies=list(policies))
            entries.append(txn, registry.id, EntryKind.PRINCIPAL_CREATED, body)

        await self._database.write(job)
        return row

    async def delete(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Delete a principal, its access keys and thereby every token made from them. Raises LastAdministrator."""
        self._access.require(caller, registry, "holdfast:DeletePrincipal")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            arn = arn_of(registry.account_id, name)
            before = is_administrator(txn, arn)
            if not accounts.delete_principal(txn, arn):
                raise _no_principal(name)
            if before:
                require_administrator(txn, registry.account_id, name)
            entries.append(txn, registry.id, EntryKind.PRINCIPAL_DELETED, act.body(name=name))

        await self._database.write(job)
        self._access.forget()

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[PrincipalRow]:
        """List principals by ARN, those after one, at most `limit`."""
        self._access.require(caller, registry, "holdfast:ListPrincipals")
        return accounts.principals(self._database, registry.account_id, after=after, limit=limit)

    def keys(self, principal_arn: str) -> list[str]:
        """List the ids of a principal's access keys."""
        return [row.id for row in accounts.access_keys(self._database, principal_arn)]

    async def create_key(self, caller: Caller, registry: Registry, name: str, *, through: str) -> tuple[str, str]:
        """Make an access key; its secret is returned here and never again."""
        self._access.require(caller, registry, "holdfast:CreateAccessKey")
        act = Act(caller, self._clock(), through)
        key_id, secret = new_access_key_id(), new_secret()
        sealed, arn = self._access.seal_secret(secret), arn_of(registry.account_id, name)

        def job(txn: Transaction) -> None:
            if accounts.principal(txn, arn) is None:
                raise _no_principal(name)
            accounts.insert_access_key(txn, AccessKeyRow(key_id, arn, sealed, act.at))
            entries.append(txn, registry.id, EntryKind.ACCESS_KEY_CREATED, act.body(name=name, created_key=key_id))

        await self._database.write(job)
        return key_id, secret

    async def delete_key(self, caller: Caller, registry: Registry, key_id: str, *, through: str) -> None:
        """Delete an access key, and thereby every token made from it. Raises LastAdministrator."""
        self._access.require(caller, registry, "holdfast:DeleteAccessKey")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            row = accounts.access_key(txn, key_id)
            if row is None or not row.principal.startswith(arn_of(registry.account_id, "")):
                msg = f"The access key '{key_id}' does not exist."
                raise PrincipalNotFound(msg)
            before = is_administrator(txn, row.principal)
            accounts.delete_access_key(txn, key_id)
            if before:
                require_administrator(txn, registry.account_id, row.principal.rpartition("/")[2])
            entries.append(txn, registry.id, EntryKind.ACCESS_KEY_DELETED, act.body(deleted_key=key_id))

        await self._database.write(job)
        self._access.forget()


def arn_of(account_id: str, name: str) -> str:
    """Return the ARN of a principal."""
    return f"arn:aws:iam::{account_id}:user/{name}"


def is_administrator(reader: Reader, arn: str) -> bool:
    """Whether a principal may make principals and access keys, and has an access key to do so with."""
    if not accounts.access_keys(reader, arn):
        return False
    found = caller_by_arn(reader, arn, Connection(""))
    if found is None:
        return False
    context = iam.Context(found.facts)
    layers = iam.Layers(identity=found.identity, boundary=found.boundary)
    return all(
        iam.decide(iam.Question(action, "*", found.principal, None, context), layers).allowed
        for action in _OF_AN_ADMINISTRATOR
    )


def has_administrator(reader: Reader, account_id: str) -> bool:
    """Whether an account has anyone who may make principals and access keys."""
    after = ""
    while page := accounts.principals(reader, account_id, after=after, limit=_PAGE):
        if any(is_administrator(reader, row.arn) for row in page):
            return True
        after = page[-1].arn
    return False


def require_administrator(reader: Reader, account_id: str, name: str) -> None:
    """Raise LastAdministrator when there is none left, `name` having been the last; to be asked inside the act."""
    if not has_administrator(reader, account_id):
        raise LastAdministrator(name)


def _no_principal(name: str) -> PrincipalNotFound:
    msg = f"The principal '{name}' does not exist."
    return PrincipalNotFound(msg)


def _check_policies(policies: Sequence[dict[str, Any]]) -> None:
    if not policies:
        raise ParameterInvalid("policies", "Member must have length greater than or equal to 1")
    for document in policies:
        try:
            iam.PolicyDocument.parse(document)
        except iam.PolicyInvalid as error:
            raise PolicyRefused("policies", str(error)) from None
