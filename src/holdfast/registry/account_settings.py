"""The account settings of Amazon ECR: which there are, what they may be, and what they are set to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid
from holdfast.registry.binding import Act
from holdfast.store import entries, settings
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction

BASIC_SCAN_TYPE_VERSION: Final = "BASIC_SCAN_TYPE_VERSION"
REGISTRY_POLICY_SCOPE: Final = "REGISTRY_POLICY_SCOPE"
BLOB_MOUNTING: Final = "BLOB_MOUNTING"

VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    BASIC_SCAN_TYPE_VERSION: ("AWS_NATIVE",),
    REGISTRY_POLICY_SCOPE: ("V2", "V1"),
    BLOB_MOUNTING: ("ENABLED", "DISABLED"),
}
"""Setting -> its values, the default first. Source: Amazon ECR API, PutAccountSetting; that mounting is on before
anyone asks is ours: it spares uploads and asks for the same rights."""


class AccountSettings:
    """The use cases over account settings."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    def get(self, caller: Caller, registry: Registry, name: str) -> str:
        """Return the value of a setting."""
        self._access.require(caller, registry, "ecr:GetAccountSetting", keys={"ecr:AccountSetting": name})
        _check("name", name, tuple(VALUES))
        return value_of(self._database, registry, name)

    async def put(self, caller: Caller, registry: Registry, name: str, value: str, *, through: str) -> str:
        """Change a setting; the same again changes nothing."""
        self._access.require(caller, registry, "ecr:PutAccountSetting", keys={"ecr:AccountSetting": name})
        _check("name", name, tuple(VALUES))
        _check("value", value, VALUES[name])
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> str:
            before = value_of(txn, registry, name)
            if before != value:
                settings.put_account_setting(txn, registry.id, name, value)
                body = act.body(setting=name, before=before, after=value)
                entries.append(txn, registry.id, EntryKind.ACCOUNT_SETTING_CHANGED, body)
            return value

        return await self._database.write(job)


def value_of(reader: Reader, registry: Registry, name: str) -> str:
    """Return what a setting is: as it was put, or its default."""
    return settings.account_setting(reader, registry.id, name) or VALUES[name][0]


def _check(parameter: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ParameterInvalid(parameter, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
