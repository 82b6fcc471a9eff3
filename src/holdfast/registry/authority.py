"""May they: collects every policy that can speak of a request, and has `core/iam` decide.

This file alone knows which policies those are, and when a decision may be remembered. A decision is remembered with its
caller while it depends on nothing that the next request may have otherwise: the time, or what the request says of
itself. All remembered decisions fall when the database's policy version moves, which triggers move: no code that
changes a policy, a resource tag or a repository has to think of it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import iam
from holdfast.registry.account_settings import REGISTRY_POLICY_SCOPE, value_of
from holdfast.store import catalog, organization, policies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.registry.access import Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database

MAX_REMEMBERED: Final = 10_000
"""Decisions of one caller, and policies of repositories."""

V1_ACTIONS: Final = frozenset({"ecr:ReplicateImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"})
"""What a registry's policy speaks of while its scope is V1. Source: Amazon ECR user guide, "Private registry
permissions"."""

OWN_ONLY: Final = frozenset({"ecr:GetAuthorizationToken"})
"""What only the principal's own policies speak of. Source: Amazon ECR user guide, "Private repository policies"."""

OF_THE_SERVER: Final = frozenset(
    {
        "holdfast:AddLedgerKey",
        "holdfast:AttachGuardrail",
        "holdfast:CollectGarbage",
        "holdfast:CreateRegistry",
        "holdfast:CreateUnit",
        "holdfast:DeleteGuardrail",
        "holdfast:DeleteUnit",
        "holdfast:DescribeScrub",
        "holdfast:DetachGuardrail",
        "holdfast:GetMetrics",
        "holdfast:MoveAccount",
        "holdfast:PutGuardrail",
        "holdfast:RetireLedgerKey",
        "holdfast:RotateSealKey",
        "holdfast:SetReadOnly",
        "holdfast:StartScrub",
    }
)
"""What concerns all accounts: for principals of the managing account alone."""

OF_IDENTITIES: Final = frozenset(
    f"holdfast:{operation}"
    for operation in (
        "AddUserToGroup",
        "AttachPolicy",
        "CreateAccessKey",
        "CreateGroup",
        "CreatePrincipal",
        "CreateRole",
        "DeleteAccessKey",
        "DeleteGroup",
        "DeleteIdentityProvider",
        "DeletePolicy",
        "DeletePrincipal",
        "DeleteRole",
        "DetachPolicy",
        "ExplainAccess",
        "ListGroups",
        "ListIdentityProviders",
        "ListPolicies",
        "ListPrincipals",
        "ListRoles",
        "PutIdentity",
        "PutIdentityProvider",
        "PutPolicy",
        "PutRoleTrust",
        "RemoveUserFromGroup",
    )
)
"""What the managing account may do in every account, by its own policies; as AWS's OrganizationAccountAccessRole."""

MENDING: Final = frozenset(
    {
        "holdfast:AttachGuardrail",
        "holdfast:DeleteGuardrail",
        "holdfast:DescribeOrganization",
        "holdfast:DetachGuardrail",
        "holdfast:ListGuardrails",
        "holdfast:MoveAccount",
        "holdfast:PutGuardrail",
    }
)
"""What guardrails do not speak of when the managing account asks: else one that denies all could never be undone."""

_MICROSECONDS: Final = 1_000_000


@dataclass(slots=True)
class Remembered:
    """Decisions given to one caller at one policy version."""

    version: int = 0
    given: dict[tuple[str, str], iam.Decision] = field(default_factory=dict)


@functools.lru_cache(maxsize=4_096)
def parsed(text: str, kind: iam.PolicyKind) -> iam.PolicyDocument:
    """Read a policy that was stored; documents do not change, so each is read once."""
    return iam.PolicyDocument.parse(text, kind)


class Authority:
    """Decides, over the policies in the database."""

    def __init__(self, database: Database, clock: Callable[[], int], management: str) -> None:
        """`clock` gives microseconds since the epoch; `management` is the account that manages the organisation."""
        self._database = database
        self._clock = clock
        self.management = management
        self._commits = -1
        self._version = 0
        self._guardrails: dict[str, tuple[tuple[iam.Policy, ...], ...]] = {}
        self._facts: dict[str, dict[str, iam.Value]] = {}
        self._resource: dict[tuple[int, str | None], tuple[iam.Policy, ...]] = {}
        self._scopes: dict[int, str] = {}

    def version(self) -> int:
        """Return a number that stands still while nothing changes on which a decision depends."""
        commits = self._database.commits
        if commits != self._commits or commits % 2:
            version = policies.version(self._database)
            if version != self._version:
                self._guardrails.clear()
                self._facts.clear()
                self._resource.clear()
                self._scopes.clear()
                self._version = version
            self._commits = commits
        return self._version

    def decide(
        self,
        caller: Caller,
        registry: Registry,
        action: str,
        repository: str | None,
        keys: Mapping[str, iam.Value] | None = None,
    ) -> iam.Decision:
        """Decide on an act on a repository, or on the registry as such; `keys` are what the request says of itself."""
        resource = registry.arn_of(repository) if repository is not None else "*"
        version = self.version()
        remembered = caller.remembered
        if remembered.version != version:
            remembered.given.clear()
            remembered.version = version
        # Registries of other places have other ARNs; those without a repository are told apart by their number.
        name = (action, resource if repository is not None else f"*{registry.id}")
        if keys is None:
            known = remembered.given.get(name)
            if known is not None:
                return known
        context = self._context(caller, registry, repository, keys or {})
        layers = self._layers(caller, action, self._resource_policies(registry, action, repository))
        owner = None if action in OWN_ONLY or self._manages(caller, action) else registry.account_id
        decision = iam.decide(iam.Question(action, resource, caller.principal, owner, context), layers)
        if action in OF_THE_SERVER and caller.account_id != self.management and decision.allowed:
            decision = iam.Decision(False, "because it is for the account that manages the server", (), decision.steps)  # noqa: FBT003
        if keys is None and not context.was_fleeting:
            if len(remembered.given) >= MAX_REMEMBERED:
                remembered.given.clear()
            remembered.given[name] = decision
        return decision

    def decide_with(
        self, caller: Caller, registry: Registry, action: str, repository: str, resource: tuple[iam.Policy, ...]
    ) -> iam.Decision:
        """Decide as if the repository had these policies: before they are set."""
        self.version()
        context = self._context(caller, registry, repository, {})
        layers = self._layers(caller, action, (*resource, *self._resource_policies(registry, action, None)))
        question = iam.Question(action, registry.arn_of(repository), caller.principal, registry.account_id, context)
        return iam.decide(question, layers)

    def decide_on(
        self,
        caller: Caller,
        action: str,
        arn: str,
        owner: str,
        keys: Mapping[str, iam.Value] | None = None,
        *,
        trust: iam.Policy | None = None,
    ) -> iam.Decision:
        """Decide on an act on an identity; `trust` is the policy of a role that somebody wants to become."""
        self.version()
        context = iam.Context({**caller.facts, **self.facts_of(caller.account_id), **self._time(), **(keys or {})})
        layers = self._layers(caller, action, (trust,) if trust is not None else (), must=trust is not None)
        owned = None if self._manages(caller, action) else owner
        return iam.decide(iam.Question(action, arn, caller.principal, owned, context), layers)

    def decide_for_token(
        self, principal: iam.Principal, arn: str, trust: iam.Policy, claims: Mapping[str, iam.Value]
    ) -> iam.Decision:
        """Decide whether the bearer of an identity provider's token may become a role: its trust alone says so."""
        context = iam.Context({**claims, **self._time()})
        question = iam.Question("sts:AssumeRoleWithWebIdentity", arn, principal, None, context)
        return iam.decide(question, iam.Layers(resource=(trust,), resource_must_allow=True))

    def _layers(
        self, caller: Caller, action: str, resource: tuple[iam.Policy, ...], *, must: bool = False
    ) -> iam.Layers:
        return iam.Layers(
            identity=caller.identity,
            resource=resource,
            guardrails=self.guardrails_of(caller, action),
            boundary=caller.boundary,
            session=caller.session_policies,
            resource_must_allow=must,
        )

    def _manages(self, caller: Caller, action: str) -> bool:
        """Whether the managing account asks for an act on identities: it manages those of all accounts."""
        return action in OF_IDENTITIES and caller.account_id == self.management

    def guardrails_of(self, caller: Caller, action: str) -> tuple[tuple[iam.Policy, ...], ...]:
        """Return the guardrails over a caller's account, a tuple for each level from the root down."""
        if action in MENDING and caller.account_id == self.management:
            return ()
        found = self._guardrails.get(caller.account_id)
        if found is None:
            path = organization.path_to(self._database, caller.account_id)
            targets = [*path, caller.account_id] if path else []
            found = tuple(
                tuple(
                    iam.Policy(f"guardrail {one.name} of {target}", parsed(one.document, iam.PolicyKind.GUARDRAIL))
                    for one in organization.guardrails_of(self._database, target)
                )
                for target in targets
            )
            self._guardrails[caller.account_id] = found
        return found

    def facts_of(self, account_id: str) -> dict[str, iam.Value]:
        """Return the condition keys that an account brings with it."""
        found = self._facts.get(account_id)
        if found is None:
            found = {}
            path = organization.path_to(self._database, account_id)
            of = organization.organization(self._database) if path else None
            if of is not None:
                found = {"aws:principalorgid": of.id, "aws:principalorgpaths": (f"{of.id}/{'/'.join(path)}/",)}
            self._facts[account_id] = found
        return found

    def _context(
        self, caller: Caller, registry: Registry, repository: str | None, keys: Mapping[str, iam.Value]
    ) -> iam.Context:
        values: dict[str, iam.Value] = {**caller.facts, **self.facts_of(caller.account_id), **self._time()}
        values["aws:requestedregion"] = registry.region
        values["aws:resourceaccount"] = registry.account_id
        of_owner = self.facts_of(registry.account_id).get("aws:principalorgid")
        if of_owner is not None:
            values["aws:resourceorgid"] = of_owner
        tags: dict[str, str] | None = None

        def tag(key: str) -> str | None:
            nonlocal tags
            if tags is None:
                identity = catalog.repository_id(self._database, registry.id, repository or "")
                found = catalog.repository_tags(self._database, identity) if identity is not None else []
                tags = {name.lower(): value for name, value in found}
            return tags.get(key)

        later = {"aws:resourcetag/": tag, "ecr:resourcetag/": tag} if repository is not None else None
        return iam.Context({**values, **{key.lower(): value for key, value in keys.items()}}, later)

    def _time(self) -> dict[str, iam.Value]:
        seconds = self._clock() / _MICROSECONDS
        told = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"aws:currenttime": told, "aws:epochtime": str(int(seconds))}

    def _resource_policies(self, registry: Registry, action: str, repository: str | None) -> tuple[iam.Policy, ...]:
        if action in OWN_ONLY:
            return ()
        of_repository = self._stored(registry, repository) if repository is not None else ()
        scope = self._scopes.get(registry.id)
        if scope is None:
            scope = self._scopes[registry.id] = value_of(self._database, registry, REGISTRY_POLICY_SCOPE)
        if scope == "V1" and action not in V1_ACTIONS:
            return of_repository
        return (*of_repository, *self._stored(registry, None))

    def _stored(self, registry: Registry, repository: str | None) -> tuple[iam.Policy, ...]:
        """Return the policy of a repository, or of the registry itself."""
        found = self._resource.get((registry.id, repository))
        if found is None:
            if repository is None:
                text, kind = policies.registry_policy(self._database, registry.id), iam.PolicyKind.RESOURCE
                name = f"policy of registry {registry.account_id}"
            else:
                text = policies.repository_policy(self._database, registry.id, repository)
                kind, name = iam.PolicyKind.REPOSITORY, f"policy of repository {repository}"
            found = (iam.Policy(name, parsed(text, kind)),) if text is not None else ()
            if len(self._resource) >= MAX_REMEMBERED:
                self._resource.clear()
            self._resource[registry.id, repository] = found
        return found


def as_policies(name: str, documents: str) -> tuple[iam.Policy, ...]:
    """Read the policies inside an identity, stored as a JSON list."""
    found: list[Any] = json.loads(documents)
    return tuple(
        iam.Policy(f"policy {place} inside {name}", parsed(json.dumps(one), iam.PolicyKind.IDENTITY))
        for place, one in enumerate(found)
    )
