"""The registries that this server hosts: today one, its account and region; and the settings of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core.errors import ParameterInvalid
from holdfast.registry.binding import Act, forget
from holdfast.store import catalog, entries
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction

REFUSAL_STYLES = ("denied", "ecr")
DELETED_TAGS = ("held", "free")


class Registries:
    """Knows the registries and changes their settings."""

    def __init__(self, database: Database, access: Access, default: Registry, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock
        self.default = default
        """The registry of requests that name none."""

    def owned_by(self, account_id: str | None) -> Registry | None:
        """Return the registry of an account, the default one for None; None when this server has no such account."""
        return self.default if account_id in {None, self.default.account_id} else None

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

        self.default = await self._database.write(job)
        return self.default

    async def forget_tag(self, caller: Caller, registry: Registry, repository: str, tag: str, *, through: str) -> bool:
        """Give up the name of a held tag that was deleted; say whether it waited. Open to administrators by policy."""
        self._access.require(caller, registry, "holdfast:ForgetTag", repository)
        act = Act(caller, self._clock(), through)
        return await self._database.write(lambda txn: forget(txn, registry, repository, tag, act))
