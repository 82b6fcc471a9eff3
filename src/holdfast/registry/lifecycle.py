"""Lifecycle policies of repositories: put, told, deleted. What they do stands in `lifecycle_runs.py`.

A policy is checked before it is kept, with ECR's own sentences; each change is on record, before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core import lifecycle_policy
from holdfast.core.lifecycle_errors import LifecyclePolicyNotFound
from holdfast.registry.binding import Act, require_repository
from holdfast.store import entries, lifecycle
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.lifecycle import PolicyRow

FIRST_RUN_MICROSECONDS: Final = 60 * 1_000_000
"""A policy runs this long after it was put: soon, and not before whoever put it had time for a second look."""


class Lifecycle:
    """The use cases over policies."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    async def put(self, caller: Caller, registry: Registry, repository: str, text: str, *, through: str) -> None:
        """Set the policy of a repository. Raises ParameterInvalid, RepositoryNotFound, AccessDenied."""
        self._access.require(caller, registry, "ecr:PutLifecyclePolicy", repository)
        lifecycle_policy.parse(text)
        act = Act(caller, self._clock(), through)
        await self._database.write(
            lambda txn: put_policy(txn, registry, require_repository(txn, registry, repository), text, act)
        )

    def get(self, caller: Caller, registry: Registry, repository: str) -> PolicyRow:
        """Return the policy of a repository. Raises LifecyclePolicyNotFound, RepositoryNotFound, AccessDenied."""
        self._access.require(caller, registry, "ecr:GetLifecyclePolicy", repository)
        found = require_repository(self._database, registry, repository)
        return require_policy(self._database, registry, found)

    async def delete(self, caller: Caller, registry: Registry, repository: str, *, through: str) -> PolicyRow:
        """Delete the policy of a repository and return it. Raises what `get` raises."""
        self._access.require(caller, registry, "ecr:DeleteLifecyclePolicy", repository)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> PolicyRow:
            found = require_repository(txn, registry, repository)
            row = require_policy(txn, registry, found)
            lifecycle.delete_policy(txn, found.id)
            body = act.body(before=row.policy, after=None)
            entries.append(txn, registry.id, EntryKind.LIFECYCLE_POLICY_DELETED, body, repository=repository)
            return row

        return await self._database.write(job)

    def expires_held(self, registry: Registry) -> bool:
        """Whether runs may expire images that a held tag names; for a caller who may see the registry's settings."""
        return lifecycle.expires_held(self._database, registry.id)

    async def set_expires_held(self, caller: Caller, registry: Registry, *, allowed: bool, through: str) -> None:
        """Say whether runs may expire images that a held tag names; the name stays with its digest either way."""
        self._access.require(caller, registry, "holdfast:PutRegistrySettings")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            before = lifecycle.expires_held(txn, registry.id)
            if before != allowed:
                lifecycle.set_expires_held(txn, registry.id, allowed=allowed)
                told = {
                    "before": {"lifecycle_held_tags": _word(before)},
                    "after": {"lifecycle_held_tags": _word(allowed)},
                }
                entries.append(txn, registry.id, EntryKind.REGISTRY_CHANGED, act.body(**told))

        await self._database.write(job)


class PolicyOfTemplate:
    """A template's lifecycle policy: checked when the template is made, set when a repository is."""

    def check(self, text: str) -> None:
        """Raise ParameterInvalid for a policy that could not be set."""
        lifecycle_policy.parse(text)

    def apply(self, txn: Transaction, registry: Registry, repository: Repository, text: str, act: Act) -> None:
        """Set the policy on a repository that is being made."""
        put_policy(txn, registry, repository, text, act)


def put_policy(txn: Transaction, registry: Registry, repository: Repository, text: str, act: Act) -> None:
    """Check a policy and set it, inside a transaction. Raises ParameterInvalid. The same again changes nothing."""
    lifecycle_policy.parse(text)
    before = lifecycle.policy(txn, repository.id)
    if before is not None and before.policy == text:
        return
    due_at = act.at + FIRST_RUN_MICROSECONDS
    lifecycle.put_policy(txn, repository.id, text, at=act.at, by=act.caller.arn, due_at=due_at)
    body = act.body(before=before.policy if before else None, after=text)
    entries.append(txn, registry.id, EntryKind.LIFECYCLE_POLICY_PUT, body, repository=repository.name)


def require_policy(reader: Reader, registry: Registry, repository: Repository) -> PolicyRow:
    """Find the policy of a repository, or raise LifecyclePolicyNotFound."""
    row = lifecycle.policy(reader, repository.id)
    if row is None:
        raise LifecyclePolicyNotFound(repository.name, registry.account_id)
    return row


def _word(allowed: bool) -> str:  # noqa: FBT001 - the one value there is
    return "expire" if allowed else "keep"
