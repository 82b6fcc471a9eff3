"""The registries that this server hosts, each of one account in one region; and the settings of each."""

from __future__ import annotations

import json
import re
import secrets
import string
from typing import TYPE_CHECKING, Any

from holdfast.core.errors import ParameterInvalid
from holdfast.core.iam import FULL_GUARDRAIL
from holdfast.registry.binding import Act, forget
from holdfast.store import catalog, entries, organization
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]", re.ASCII)

REFUSAL_STYLES = ("denied", "ecr")
DELETED_TAGS = ("held", "free")


class Registries:
    """Knows the registries and changes their settings."""

    def __init__(self, database: Database, access: Access, default: Registry, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock
        self._default = default.id
        self._known = {registry.id: registry for registry in catalog.registries(database)}
        self._places = {(one.account_id, one.region): one.id for one in self._known.values()}

    @property
    def default(self) -> Registry:
        """The registry of requests that name none."""
        return self._known[self._default]

    @property
    def all(self) -> list[Registry]:
        """Every registry, by account and region."""
        return sorted(self._known.values(), key=lambda one: (one.account_id, one.region))

    @property
    def regions(self) -> frozenset[str]:
        """Every region that a registry is in."""
        return frozenset(region for _, region in self._places)

    def by_id(self, identity: int) -> Registry:
        """Return a registry by its number."""
        return self._known[identity]

    def at(self, account_id: str, region: str) -> Registry | None:
        """Return the registry of an account in a region; None when this server has none."""
        identity = self._places.get((account_id, region))
        return self._known[identity] if identity is not None else None

    def owned_by(self, account_id: str | None, region: str | None = None) -> Registry | None:
        """Return an account's registry in a region; left out, each is the default registry's. None: there is none."""
        return self.at(account_id or self.default.account_id, region or self.default.region)

    def home_of(self, account_id: str) -> Registry:
        """Return the registry in whose record acts on an account's identities stand: its first, else the default."""
        mine = [one for one in self.all if one.account_id == account_id]
        own = self.owned_by(account_id)
        return own or (mine[0] if mine else self.default)

    def page(self, caller: Caller, *, after: tuple[str, str], limit: int) -> list[Registry]:
        """List registries by account and region, those after one: all for the managing account, else the caller's."""
        self._access.require(caller, self.home_of(caller.account_id), "holdfast:ListRegistries")
        sees_all = caller.account_id == self._access.authority.management
        mine = [one for one in self.all if sees_all or one.account_id == caller.account_id]
        return [one for one in mine if (one.account_id, one.region) > after][:limit]

    async def create(self, caller: Caller, account_id: str, region: str, *, through: str) -> Registry:
        """Make the registry of an account in a region; one that is there stays as it is."""
        self._access.require(caller, self.default, "holdfast:CreateRegistry")
        if not _ACCOUNT.fullmatch(account_id):
            raise ParameterInvalid("registryId", "Member must be 12 digits")
        if not _REGION.fullmatch(region):
            raise ParameterInvalid("region", "Member must be the name of a region, like eu-central-1")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Registry:
            return make_registry(txn, account_id, region, act.at, act.body())

        made = await self._database.write(job)
        self._keep(made)
        return made

    def _keep(self, registry: Registry) -> None:
        self._known[registry.id] = registry
        self._places[registry.account_id, registry.region] = registry.id

    async def configure(
        self, caller: Caller, registry: Registry, *, refusal_style: str | None, deleted_tags: str | None, through: str
    ) -> Registry:
        """Change how refused overwrites are told and whether names of deleted tags wait for their digests."""
        self._access.require(caller, registry, "holdfast:PutRegistrySettings")
        if refusal_style is not None and refusal_style not in REFUSAL_STYLES:
            raise ParameterInvalid("refusalStyle", f"Member must satisfy enum value set: [{', '.join(REFUSAL_STYLES)}]")
        if deleted_tags is not None and deleted_tags not in DELETED_TAGS:
            raise ParameterInvalid("deletedTags", f"Member must satisfy enum value set: [{', '.join(DELETED_TAGS)}]")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Registry:
            before = catalog.registry(txn, registry.id)
            style, deleted = refusal_style or before.refusal_style, deleted_tags or before.deleted_tags
            if (style, deleted) != (before.refusal_style, before.deleted_tags):
                catalog.set_registry(txn, registry.id, refusal_style=style, deleted_tags=deleted)
                body = act.body(
                    before={"refusal_style": before.refusal_style, "deleted_tags": before.deleted_tags},
                    after={"refusal_style": style, "deleted_tags": deleted},
                )
                entries.append(txn, registry.id, EntryKind.REGISTRY_CHANGED, body)
            return catalog.registry(txn, registry.id)

        changed = await self._database.write(job)
        self._keep(changed)
        return changed

    async def forget_tag(self, caller: Caller, registry: Registry, repository: str, tag: str, *, through: str) -> bool:
        """Give up the name of a held tag that was deleted; say whether it waited. Open to administrators by policy."""
        self._access.require(caller, registry, "holdfast:ForgetTag", repository)
        act = Act(caller, self._clock(), through)
        return await self._database.write(lambda txn: forget(txn, registry, repository, tag, act))


def make_registry(txn: Transaction, account_id: str, region: str, now: int, body: Mapping[str, Any]) -> Registry:
    """Make a registry that is not there; a new account joins the organisation at its root, guarded by nothing yet."""
    known = catalog.registry_at(txn, account_id, region)
    if known is not None:
        return known
    made = catalog.ensure_registry(txn, account_id, region, now)
    entries.append(txn, made.id, EntryKind.REGISTRY_CREATED, {**body, "account": account_id, "region": region})
    of = organization.organization(txn)
    if of is not None and organization.unit_of(txn, account_id) is None:
        organization.put_account(txn, account_id, of.root, now)
        organization.attach_guardrail(txn, FULL_GUARDRAIL, account_id)
    return made


def found_server(txn: Transaction, places: Sequence[tuple[str, str]], now: int) -> Registry:
    """Make what a server begins with: the organisation, and the registries of these places; return the first of them.

    The account of the first place manages the organisation.
    """
    management = places[0][0]
    of = organization.organization(txn)
    if of is None:
        made = organization.Organization(f"o-{_letters(10)}", management, f"r-{_letters(4)}")
        organization.insert_organization(txn, made, now)
        document = json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        )
        organization.put_guardrail(txn, organization.Guardrail(FULL_GUARDRAIL, document), now)
        organization.attach_guardrail(txn, FULL_GUARDRAIL, made.root)
    elif of.management_account != management:
        organization.set_management_account(txn, management)
    body = {"at": now, "principal": "holdfast", "through": "start"}
    registries = [make_registry(txn, account_id, region, now, body) for account_id, region in places]
    return registries[0]


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(count))
