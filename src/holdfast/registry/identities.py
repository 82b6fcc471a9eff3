"""Groups, roles, attached policies and issuers of tokens: made, changed, listed, deleted. Users: `principals`.

Every act asks for the right on the ARN of what it changes, is recorded, and is undone when it would leave the server
without anyone who may give rights. The acts themselves are rows of one shape: a job inside one transaction.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import iam
from holdfast.core.errors import (
    IdentityTokenRefused,
    ParameterInvalid,
    PolicyRefused,
    PrincipalExists,
    PrincipalNotFound,
    StillInUse,
)
from holdfast.registry import oidc
from holdfast.registry.binding import Act
from holdfast.registry.callers import caller_by_arn, document_of
from holdfast.registry.principals import has_administrator, require_administrator
from holdfast.store import accounts, entries, identities
from holdfast.store.entries import EntryKind
from holdfast.store.identities import GroupRow, ManagedPolicyRow, ProviderRow, RoleRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.registry.access import Access, Caller, Connection
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

MAX_POLICIES: Final = 10
"""Inside an identity, and attached to it. Source: IAM quotas (10 to 20 managed policies attached)."""

MAX_GROUPS_OF_USER: Final = 10
"""Source: IAM quotas."""

DEFAULT_SESSION_SECONDS: Final = 3_600
_IDENTITY: Final = re.compile(r"(user|group|role)/([a-zA-Z0-9+=,.@_-]{1,64})", re.ASCII)
_ISSUER: Final = re.compile(
    r"https://[^\s?#@]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?[^\s?#@]*", re.ASCII
)
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+", re.ASCII)
_TABLES: Final = {"user": "principals", "group": "groups", "role": "roles"}


class Identities:
    """The use cases over groups, roles, policies and issuers."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    # --- groups ------------------------------------------------------------------------------------------------------

    async def create_group(
        self, caller: Caller, registry: Registry, name: str, policies: Sequence[str], *, through: str
    ) -> GroupRow:
        """Make a group."""
        arn = _arn(registry, "group", name)
        self._access.require_on(caller, "holdfast:CreateGroup", arn, registry.account_id)
        row = GroupRow(arn, registry.account_id, name, _inside(policies), self._clock())

        def change(txn: Transaction) -> None:
            if identities.group(txn, arn) is not None:
                raise _exists("group", name)
            identities.insert_group(txn, row)

        await self._act(caller, registry, arn, "created", through, change, policies=json.loads(row.policies))
        return row

    async def delete_group(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Delete a group; its users stay."""
        arn = _arn(registry, "group", name)
        self._access.require_on(caller, "holdfast:DeleteGroup", arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if not identities.delete_group(txn, arn):
                raise _missing("group", name)

        await self._act(caller, registry, arn, "deleted", through, change)

    def groups(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[GroupRow]:
        """List groups by ARN, those after one, at most `limit`."""
        self._access.require_on(caller, "holdfast:ListGroups", _arn(registry, "group", "*"), registry.account_id)
        return identities.groups(self._database, registry.account_id, after=after, limit=limit)

    async def set_member(
        self, caller: Caller, registry: Registry, group: str, user: str, *, member: bool, through: str
    ) -> None:
        """Put a user into a group, or take it out."""
        arn, principal = _arn(registry, "group", group), _arn(registry, "user", user)
        action = "holdfast:AddUserToGroup" if member else "holdfast:RemoveUserFromGroup"
        self._access.require_on(caller, action, arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if identities.group(txn, arn) is None:
                raise _missing("group", group)
            if accounts.principal(txn, principal) is None:
                raise _missing("user", user)
            if not member and not identities.remove_member(txn, arn, principal):
                raise PrincipalNotFound(f"The user '{user}' is not in the group '{group}'.")
            if member:
                identities.add_member(txn, arn, principal)
                if len(identities.groups_of(txn, principal)) > MAX_GROUPS_OF_USER:
                    raise ParameterInvalid("groupName", f"A user is in at most {MAX_GROUPS_OF_USER} groups")

        what = "user-added" if member else "user-removed"
        await self._act(caller, registry, arn, what, through, change, user=principal)

    # --- roles -------------------------------------------------------------------------------------------------------

    async def create_role(
        self,
        caller: Caller,
        registry: Registry,
        name: str,
        trust: str,
        *,
        policies: Sequence[str] = (),
        max_session_seconds: int | None = None,
        tags: Mapping[str, str] | None = None,
        through: str,
    ) -> RoleRow:
        """Make a role."""
        arn = _arn(registry, "role", name)
        self._access.require_on(caller, "holdfast:CreateRole", arn, registry.account_id, keys=_keys_of(tags))
        row = RoleRow(
            arn,
            registry.account_id,
            name,
            _inside(policies),
            _checked_trust(trust),
            max_session_seconds or DEFAULT_SESSION_SECONDS,
            json.dumps(dict(tags or {})),
            None,
            self._clock(),
        )

        def change(txn: Transaction) -> None:
            if identities.role(txn, arn) is not None:
                raise _exists("role", name)
            identities.insert_role(txn, row)

        facts = {"trust": json.loads(row.trust), "policies": json.loads(row.policies), "tags": json.loads(row.tags)}
        await self._act(caller, registry, arn, "created", through, change, **facts)
        return row

    async def set_trust(
        self, caller: Caller, registry: Registry, name: str, trust: str, seconds: int | None, *, through: str
    ) -> RoleRow:
        """Replace a role's trust policy, and the longest life of its sessions if that is given."""
        arn = _arn(registry, "role", name)
        self._access.require_on(caller, "holdfast:PutRoleTrust", arn, registry.account_id)
        checked = _checked_trust(trust)
        before: dict[str, Any] = {}

        def change(txn: Transaction) -> None:
            found = _role(txn, arn, name)
            before.update(trust=json.loads(found.trust), max_session_seconds=found.max_session_seconds)
            identities.set_trust(txn, arn, checked, seconds or found.max_session_seconds)

        after = {"trust": json.loads(checked), **({"max_session_seconds": seconds} if seconds else {})}
        await self._act(caller, registry, arn, "trust-changed", through, change, before=before, after=after)
        return _role(self._database, arn, name)

    async def delete_role(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Delete a role; its sessions end at once."""
        arn = _arn(registry, "role", name)
        self._access.require_on(caller, "holdfast:DeleteRole", arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if not identities.delete_role(txn, arn):
                raise _missing("role", name)

        await self._act(caller, registry, arn, "deleted", through, change)

    def roles(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[RoleRow]:
        """List roles by ARN, those after one, at most `limit`."""
        self._access.require_on(caller, "holdfast:ListRoles", _arn(registry, "role", "*"), registry.account_id)
        return identities.roles(self._database, registry.account_id, after=after, limit=limit)

    # --- policies ----------------------------------------------------------------------------------------------------

    async def put_policy(
        self, caller: Caller, registry: Registry, name: str, document: str, *, through: str
    ) -> ManagedPolicyRow:
        """Make a policy that can be attached, or replace its document."""
        arn = _arn(registry, "policy", name)
        self._access.require_on(caller, "holdfast:PutPolicy", arn, registry.account_id)
        _check(document, iam.PolicyKind.IDENTITY, "document")
        row = ManagedPolicyRow(arn, registry.account_id, name, document, self._clock())
        before: dict[str, Any] = {}

        def change(txn: Transaction) -> None:
            known = identities.managed_policy(txn, arn)
            before.update(json.loads(known.document) if known is not None else {})
            identities.put_managed_policy(txn, row)

        await self._act(caller, registry, arn, "policy-put", through, change, before=before, after=json.loads(document))
        return row

    async def delete_policy(self, caller: Caller, registry: Registry, arn: str, *, through: str) -> None:
        """Delete a policy that nobody has. Raises StillInUse."""
        owned = arn.startswith(_arn(registry, "policy", ""))
        self._access.require_on(caller, "holdfast:DeletePolicy", arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if not owned or identities.managed_policy(txn, arn) is None:
                raise PrincipalNotFound(f"The policy '{arn}' does not exist, or is not this account's to delete.")
            holders = identities.holders(txn, arn)
            if holders:
                raise StillInUse(f"The policy is attached to {', '.join(holders[:5])}. Detach it first.")
            identities.delete_managed_policy(txn, arn)

        await self._act(caller, registry, arn, "deleted", through, change)

    def policies(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[ManagedPolicyRow]:
        """List policies by ARN, those after one, at most `limit`: those that are always there, and the account's."""
        self._access.require_on(caller, "holdfast:ListPolicies", _arn(registry, "policy", "*"), registry.account_id)
        always = [
            ManagedPolicyRow(arn, "aws", arn.rpartition("/")[2], json.dumps(document), 0)
            for arn, document in iam.MANAGED.items()
        ]
        own = identities.managed_policies(self._database, registry.account_id, after=after, limit=limit)
        return sorted([*(one for one in always if one.arn > after), *own], key=lambda one: one.arn)[:limit]

    async def set_attached(
        self, caller: Caller, registry: Registry, identity: str, policy_arn: str, *, attached: bool, through: str
    ) -> None:
        """Attach a policy to user/NAME, group/NAME or role/NAME, or detach it."""
        kind, name = _named(identity)
        arn = _arn(registry, kind, name)
        action = "holdfast:AttachPolicy" if attached else "holdfast:DetachPolicy"
        self._access.require_on(caller, action, arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if not _is_there(txn, kind, arn):
                raise _missing(kind, name)
            if attached:
                _check_usable(txn, registry, policy_arn)
                identities.attach(txn, arn, policy_arn)
                if len(identities.attached(txn, arn)) > MAX_POLICIES:
                    raise ParameterInvalid("policyArn", f"At most {MAX_POLICIES} policies can be attached")
            elif not identities.detach(txn, arn, policy_arn):
                raise PrincipalNotFound(f"The policy '{policy_arn}' is not attached to {identity}.")

        what = "policy-attached" if attached else "policy-detached"
        await self._act(caller, registry, arn, what, through, change, policy=policy_arn)

    async def put_own(
        self,
        caller: Caller,
        registry: Registry,
        identity: str,
        *,
        policies: Sequence[str] | None,
        tags: Mapping[str, str] | None,
        boundary: str | None,
        through: str,
    ) -> None:
        """Replace what an identity has of its own; None leaves it, an empty boundary takes it away."""
        kind, name = _named(identity)
        arn = _arn(registry, kind, name)
        self._access.require_on(caller, "holdfast:PutIdentity", arn, registry.account_id, keys=_keys_of(tags))
        if kind == "group" and (tags is not None or boundary is not None):
            raise ParameterInvalid("identity", "A group has neither tags nor a boundary; its users have")
        inside = None if policies is None else _inside(policies)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}

        def change(txn: Transaction) -> None:
            row = _row(txn, kind, arn)
            if row is None:
                raise _missing(kind, name)
            if boundary:
                _check_usable(txn, registry, boundary)
            old_tags = None if isinstance(row, GroupRow) else row.tags
            old_boundary = None if isinstance(row, GroupRow) else row.boundary
            new_tags = old_tags if tags is None else json.dumps(dict(tags))
            new_boundary = old_boundary if boundary is None else boundary or None
            before.update(policies=json.loads(row.policies), tags=old_tags, boundary=old_boundary)
            after.update(policies=json.loads(inside or row.policies), tags=new_tags, boundary=new_boundary)
            identities.set_own(txn, _TABLES[kind], arn, inside or row.policies, new_tags, new_boundary)

        await self._act(caller, registry, arn, "changed", through, change, before=before, after=after)

    def told(self, arn: str) -> tuple[list[str], list[str]]:
        """Return the ARNs of the policies attached to an identity, and of its groups, or of a group's users."""
        if ":group/" in arn:
            return identities.attached(self._database, arn), identities.members(self._database, arn)
        return identities.attached(self._database, arn), [one.arn for one in identities.groups_of(self._database, arn)]

    # --- issuers -----------------------------------------------------------------------------------------------------

    async def put_provider(
        self,
        caller: Caller,
        registry: Registry,
        issuer: str,
        audiences: Sequence[str],
        keys: str | None,
        *,
        through: str,
    ) -> ProviderRow:
        """Make an issuer of tokens known, or replace its audiences and keys. Raises ParameterInvalid."""
        arn = oidc.arn_of(registry.account_id, issuer)
        self._access.require_on(caller, "holdfast:PutIdentityProvider", arn, registry.account_id)
        if not _ISSUER.fullmatch(issuer):
            raise ParameterInvalid("issuer", "Member must be an https:// address without a query")
        if keys is not None:
            try:
                oidc.parse_keys(keys)
            except IdentityTokenRefused as error:
                raise ParameterInvalid("keys", error.message) from None
        row = ProviderRow(arn, registry.account_id, issuer, json.dumps(list(audiences)), keys, self._clock())

        def change(txn: Transaction) -> None:
            known = identities.provider(txn, arn)
            if known is not None and known.issuer != issuer:
                raise PrincipalExists(f"The issuer {known.issuer} has this name already.")
            identities.put_provider(txn, row)

        await self._act(
            caller,
            registry,
            arn,
            "provider-put",
            through,
            change,
            audiences=list(audiences),
            with_keys=keys is not None,
        )
        return row

    async def delete_provider(self, caller: Caller, registry: Registry, issuer: str, *, through: str) -> None:
        """Forget an issuer."""
        arn = oidc.arn_of(registry.account_id, issuer)
        self._access.require_on(caller, "holdfast:DeleteIdentityProvider", arn, registry.account_id)

        def change(txn: Transaction) -> None:
            if not identities.delete_provider(txn, arn):
                raise PrincipalNotFound(f"The identity provider '{issuer}' is not known.")

        await self._act(caller, registry, arn, "deleted", through, change)

    def providers(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[ProviderRow]:
        """List issuers by ARN, those after one, at most `limit`."""
        arn = f"arn:aws:iam::{registry.account_id}:oidc-provider/*"
        self._access.require_on(caller, "holdfast:ListIdentityProviders", arn, registry.account_id)
        return identities.providers(self._database, registry.account_id, after=after, limit=limit)

    # --- why ---------------------------------------------------------------------------------------------------------

    def explain(
        self,
        caller: Caller,
        registry: Registry,
        principal: str,
        action: str,
        repository: str | None,
        keys: Mapping[str, iam.Value],
        connection: Connection,
    ) -> tuple[str, iam.Decision]:
        """Decide what would be decided if a user or role asked from here; return its ARN and the decision."""
        if not _ACTION.fullmatch(action):
            raise ParameterInvalid("action", "Member must be a service and an action, such as ecr:PutImage")
        arn = principal if principal.startswith("arn:") else f"arn:aws:iam::{registry.account_id}:{principal}"
        account_id = (arn.split(":", 5) + [""] * 5)[4]
        self._access.require_on(caller, "holdfast:ExplainAccess", arn, account_id)
        found = caller_by_arn(self._database, arn, connection)
        if found is None:
            raise PrincipalNotFound(f"There is no user or role '{principal}'.")
        return found.arn, self._access.authority.decide(found, registry, action, repository, keys or None)

    async def _act(
        self,
        caller: Caller,
        registry: Registry,
        arn: str,
        what: str,
        through: str,
        change: Callable[[Transaction], None],
        **facts: Any,  # noqa: ANN401 - values of JSON
    ) -> None:
        """Change and record, in one transaction; refuse what would leave nobody who may give rights."""
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            management = self._access.authority.management
            before = has_administrator(txn, management)
            change(txn)
            if before:
                require_administrator(txn, management, arn.rpartition(":")[2])
            body = act.body(identity=arn, what=what, **facts)
            entries.append(txn, registry.id, EntryKind.IDENTITY_CHANGED, body)

        await self._database.write(job)


def _arn(registry: Registry, kind: str, name: str) -> str:
    return f"arn:aws:iam::{registry.account_id}:{kind}/{name}"


def _named(identity: str) -> tuple[str, str]:
    found = _IDENTITY.fullmatch(identity)
    if found is None:
        raise ParameterInvalid("identity", "Member must be user/NAME, group/NAME or role/NAME")
    return found[1], found[2]


def _row(txn: Transaction, kind: str, arn: str) -> accounts.PrincipalRow | GroupRow | RoleRow | None:
    if kind == "user":
        return accounts.principal(txn, arn)
    return identities.group(txn, arn) if kind == "group" else identities.role(txn, arn)


def _is_there(txn: Transaction, kind: str, arn: str) -> bool:
    return _row(txn, kind, arn) is not None


def _role(reader: Any, arn: str, name: str) -> RoleRow:  # noqa: ANN401 - a database or a transaction
    found = identities.role(reader, arn)
    if found is None:
        raise _missing("role", name)
    return found


def _check_usable(txn: Transaction, registry: Registry, policy_arn: str) -> None:
    own = policy_arn in iam.MANAGED or policy_arn.startswith(_arn(registry, "policy", ""))
    if not own or document_of(txn, policy_arn) is None:
        raise PrincipalNotFound(f"The policy '{policy_arn}' does not exist in this account.")


def _inside(policies: Sequence[str]) -> str:
    for text in policies:
        _check(text, iam.PolicyKind.IDENTITY, "policies")
    return json.dumps([json.loads(text) for text in policies])


def _check(text: str, kind: iam.PolicyKind, parameter: str) -> iam.PolicyDocument:
    try:
        return iam.PolicyDocument.parse(text, kind)
    except iam.PolicyInvalid as error:
        raise PolicyRefused(parameter, str(error)) from None


def _checked_trust(text: str) -> str:
    """Check a trust policy: who lets in the bearers of an issuer's tokens must say which of them.

    Without a condition on a claim besides the audience, anyone with an account at the issuer could become the role:
    every repository of GitHub has the same audience.
    """
    document = _check(text, iam.PolicyKind.TRUST, "trustPolicy")
    for statement in document.statements:
        issuers = statement.whom.federated if statement.whom is not None and statement.allows else frozenset()
        for issuer in issuers:
            name = issuer.partition(":oidc-provider/")[2].lower()
            asked = {one.key for one in statement.conditions if not one.negated and not one.if_exists}
            if not any(key.startswith(f"{name}:") and key != f"{name}:aud" for key in asked):
                path = f"Statement[{statement.place}].Condition"
                why = f"{path}: must say which tokens of {name} are meant, by {name}:sub or another claim"
                raise PolicyRefused("trustPolicy", why)
    return text


def _keys_of(tags: Mapping[str, str] | None) -> dict[str, iam.Value] | None:
    if not tags:
        return None
    keys: dict[str, iam.Value] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**keys, "aws:TagKeys": tuple(tags)}


def _missing(kind: str, name: str) -> PrincipalNotFound:
    return PrincipalNotFound(f"The {kind} '{name}' does not exist.")


def _exists(kind: str, name: str) -> PrincipalExists:
    return PrincipalExists(f"The {kind} '{name}' already exists.")
