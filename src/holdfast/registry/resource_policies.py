"""Policies of repositories and of registries: set, told, deleted; each change an entry with before and after.

Source: Amazon ECR user guide, "Private repository policies" and "Private registry permissions".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import iam
from holdfast.core.errors import PolicyRefused, RegistryPolicyNotFound, RepositoryPolicyNotFound
from holdfast.registry.binding import Act, require_repository
from holdfast.store import entries, policies
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Transaction

_REFUSED: Final = "Invalid repository policy provided"
_REGISTRY_REFUSED: Final = "Invalid registry policy provided"


class ResourcePolicies:
    """The use cases over policies of repositories and registries."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    async def set_of_repository(
        self, caller: Caller, registry: Registry, name: str, text: str, *, force: bool, through: str
    ) -> str:
        """Set the policy of a repository; return it as kept.

        Raises PolicyRefused; without `force` also where the caller could not change the policy again.
        """
        self._access.require(caller, registry, "ecr:SetRepositoryPolicy", name)
        document = _parsed(text, iam.PolicyKind.REPOSITORY, _REFUSED)
        if not force and self._locks_out(caller, registry, name, document):
            parameter = "PolicyText"
            why = "The policy would keep you from setting it again; use force to set it nevertheless"
            raise PolicyRefused(parameter, why)
        kept, act = _written(text), Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            found = require_repository(txn, registry, name)
            before = policies.repository_policy(txn, registry.id, name)
            if before != kept:
                policies.set_repository_policy(txn, found.id, kept)
                body = act.body(before=_told(before), after=_told(kept))
                entries.append(txn, registry.id, EntryKind.REPOSITORY_POLICY_CHANGED, body, repository=name)
            return kept

        return await self._database.write(job)

    def of_repository(self, caller: Caller, registry: Registry, name: str) -> str:
        """Return the policy of a repository. Raises RepositoryNotFound, RepositoryPolicyNotFound."""
        self._access.require(caller, registry, "ecr:GetRepositoryPolicy", name)
        require_repository(self._database, registry, name)
        text = policies.repository_policy(self._database, registry.id, name)
        if text is None:
            raise RepositoryPolicyNotFound(name, registry.account_id)
        return text

    async def delete_of_repository(self, caller: Caller, registry: Registry, name: str, *, through: str) -> str:
        """Delete the policy of a repository; return what it was."""
        self._access.require(caller, registry, "ecr:DeleteRepositoryPolicy", name)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            found = require_repository(txn, registry, name)
            before = policies.repository_policy(txn, registry.id, name)
            if before is None:
                raise RepositoryPolicyNotFound(name, registry.account_id)
            policies.delete_repository_policy(txn, found.id)
            body = act.body(before=_told(before), after=None)
            entries.append(txn, registry.id, EntryKind.REPOSITORY_POLICY_CHANGED, body, repository=name)
            return before

        return await self._database.write(job)

    async def set_of_registry(self, caller: Caller, registry: Registry, text: str, *, through: str) -> str:
        """Set the policy of a registry; return it as kept. Raises PolicyRefused."""
        self._access.require(caller, registry, "ecr:PutRegistryPolicy")
        _parsed(text, iam.PolicyKind.RESOURCE, _REGISTRY_REFUSED)
        kept, act = _written(text), Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            before = policies.registry_policy(txn, registry.id)
            if before != kept:
                policies.set_registry_policy(txn, registry.id, kept)
                body = act.body(before=_told(before), after=_told(kept))
                entries.append(txn, registry.id, EntryKind.REGISTRY_POLICY_CHANGED, body)
            return kept

        return await self._database.write(job)

    def of_registry(self, caller: Caller, registry: Registry) -> str:
        """Return the policy of a registry. Raises RegistryPolicyNotFound."""
        self._access.require(caller, registry, "ecr:GetRegistryPolicy")
        text = policies.registry_policy(self._database, registry.id)
        if text is None:
            raise RegistryPolicyNotFound(registry.account_id)
        return text

    async def delete_of_registry(self, caller: Caller, registry: Registry, *, through: str) -> str:
        """Delete the policy of a registry; return what it was."""
        self._access.require(caller, registry, "ecr:DeleteRegistryPolicy")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            before = policies.registry_policy(txn, registry.id)
            if before is None:
                raise RegistryPolicyNotFound(registry.account_id)
            policies.delete_registry_policy(txn, registry.id)
            body = act.body(before=_told(before), after=None)
            entries.append(txn, registry.id, EntryKind.REGISTRY_POLICY_CHANGED, body)
            return before

        return await self._database.write(job)

    def _locks_out(self, caller: Caller, registry: Registry, name: str, document: iam.PolicyDocument) -> bool:
        """Whether the caller, under this policy, could not set the policy again."""
        new = iam.Policy("the policy", document)
        return not self._access.authority.decide_with(caller, registry, "ecr:SetRepositoryPolicy", name, (new,)).allowed


class RepositoryPolicy:
    """The policy that a creation template gives to the repositories made by it."""

    def check(self, text: str) -> None:
        """Raise PolicyRefused for a text that is no policy of a repository."""
        _parsed(text, iam.PolicyKind.REPOSITORY, _REFUSED)

    def apply(self, txn: Transaction, registry: Registry, repository: Repository, text: str, act: Act) -> None:
        """Set the policy of a repository that is being made, with its entry."""
        kept = _written(text)
        policies.set_repository_policy(txn, repository.id, kept)
        body = act.body(before=None, after=_told(kept))
        entries.append(txn, registry.id, EntryKind.REPOSITORY_POLICY_CHANGED, body, repository=repository.name)


def _parsed(text: str, kind: iam.PolicyKind, sentence: str) -> iam.PolicyDocument:
    try:
        return iam.PolicyDocument.parse(text, kind)
    except iam.PolicyInvalid as error:
        parameter = "PolicyText"
        refused = PolicyRefused(parameter, sentence)
        refused.message += f". {error}"  # after ECR's sentence, which stays as it is
        raise refused from None


def _written(text: str) -> str:
    """Write a policy as Amazon ECR tells it: two spaces, ` : ` between name and value."""
    return json.dumps(json.loads(text), indent=2, separators=(",", " : "), ensure_ascii=False)


def _told(text: str | None) -> Any:  # noqa: ANN401 - a value of JSON
    return json.loads(text) if text is not None else None
