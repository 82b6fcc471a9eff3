"""Quotas: set and shown by administrators, and asked inside every transaction that would add something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core import quota
from holdfast.core.errors import ParameterInvalid, QuotaExceeded
from holdfast.core.quota import RESOURCES, Amount, Resource, Scope
from holdfast.core.reference import parse_repository_name
from holdfast.registry.binding import Act, require_repository
from holdfast.store import content, entries, usage
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.core.quota import Quota
    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.content import Blob
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.usage import RepositoryUsage


class Quotas:
    """The use cases over quotas."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    def of_registry(self, caller: Caller, registry: Registry) -> tuple[Amount, list[Quota]]:
        """Return what the registry has, and its quotas and those of each repository."""
        self._access.require(caller, registry, "holdfast:GetQuotas")
        return usage.of_registry(self._database, registry.id), usage.quotas(self._database, registry.id, "", None)

    def of_repository(self, caller: Caller, registry: Registry, repository: str) -> tuple[Amount, list[Quota]]:
        """Return what a repository has, and the quotas that count for it."""
        self._access.require(caller, registry, "holdfast:GetQuotas", repository)
        found = require_repository(self._database, registry, repository)
        return usage.of_repository(self._database, found.id), quota.effective(
            one for one in usage.quotas_of(self._database, found.id)[1] if one.scope is not Scope.REGISTRY
        )

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[RepositoryUsage]:
        """List what the repositories have, by name, those after a name, at most `limit`."""
        self._access.require(caller, registry, "holdfast:ListUsage")
        return usage.of_repositories(self._database, registry.id, after=after, limit=limit)

    async def set(
        self,
        caller: Caller,
        registry: Registry,
        scope: Scope,
        repository: str,
        wanted: Mapping[Resource, int | None],
        *,
        through: str,
    ) -> None:
        """Set quotas of a scope; None removes one. They count for every push that is answered after this.

        What is there already stays, also where it is more than the new quota. Raises ParameterInvalid.
        """
        named = repository if scope is Scope.REPOSITORY else None
        self._access.require(caller, registry, "holdfast:PutQuotas", named)
        if named is not None:
            parse_repository_name(named)
        for resource in wanted:
            if resource not in RESOURCES[scope]:
                raise ParameterInvalid(resource, f"A quota of {scope} limits {' and '.join(RESOURCES[scope])}")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            known = {
                one.resource: one.most
                for one in usage.quotas(txn, registry.id, named or "", None)
                if one.scope is scope
            }
            before = {resource: known.get(resource) for resource in wanted}
            if before == dict(wanted):
                return
            for resource, most in wanted.items():
                usage.set_quota(txn, registry.id, scope, named or "", resource, most)
            body = act.body(scope=scope, before=before, after=dict(wanted))
            entries.append(txn, registry.id, EntryKind.QUOTA_CHANGED, body, repository=named)

        await self._database.write(job)


def require_repository_room(txn: Transaction, registry: Registry) -> None:
    """Raise QuotaExceeded when the registry may not have one more repository."""
    _require(registry.account_id, usage.quotas(txn, registry.id, "", None), Amount(repositories=1))


def require_room(reader: Reader, repository_id: int, more: Amount) -> None:
    """Raise QuotaExceeded when the repository, or its registry, may not have this much more."""
    name, quotas = usage.quotas_of(reader, repository_id)
    _require(name, quotas, more)


def room_bytes(reader: Reader, repository_id: int) -> int | None:
    """Return how many bytes more the repository may have, None when nothing limits it."""
    return quota.room(usage.quotas_of(reader, repository_id)[1], Resource.BYTES)


def give_blob(txn: Transaction, repository_id: int, blob: Blob, *, until: int) -> None:
    """Give a repository a blob, or prolong the lease of one that it has, which adds nothing. Raises QuotaExceeded."""
    if content.blob(txn, repository_id, blob.digest) is None:
        require_room(txn, repository_id, Amount(bytes=blob.size_bytes))
    content.lease_blob(txn, repository_id, blob.digest, until=until)


def _require(name: str, quotas: list[Quota], more: Amount) -> None:
    found = quota.exceeded(quotas, more)
    if found is not None:
        whose = "registry" if found.scope is Scope.REGISTRY else f"repository '{name}'"
        raise QuotaExceeded(whose, found.resource, most=found.most, used=found.used, more=more.of(found.resource))
