"""The organisation: units, which accounts they hold, and the guardrails over them. For the managing account alone.

Source: AWS Organizations user guide, "Service control policies (SCPs)". As there, a unit or account always has a
guardrail; one that allows everything stands at the beginning.
"""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core import iam
from holdfast.core.errors import ParameterInvalid, PolicyRefused, PrincipalExists, PrincipalNotFound, StillInUse
from holdfast.registry.binding import Act
from holdfast.store import entries, organization
from holdfast.store.entries import EntryKind
from holdfast.store.organization import Guardrail, Organization, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction

MAX_DEPTH: Final = 5
"""Levels of units below the root. Source: AWS Organizations quotas."""

MAX_UNITS: Final = 1_000
MAX_GUARDRAILS_OF_TARGET: Final = 10
"""Source: AWS Organizations quotas (5 at first, 10 since 2026)."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The organisation with everything in it; guardrails by the id of the unit or account that they guard."""

    organization: Organization
    units: list[Unit]
    accounts: list[tuple[str, str]]
    guardrails: dict[str, list[str]]


class Organizations:
    """The use cases over the organisation."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    def describe(self, caller: Caller, registry: Registry) -> Tree:
        """Return the whole tree."""
        self._access.require(caller, registry, "holdfast:DescribeOrganization")
        units, accounts = organization.units(self._database), organization.accounts(self._database)
        targets = [*(unit.id for unit in units), *(account_id for account_id, _ in accounts)]
        guardrails = {
            target: [one.name for one in organization.guardrails_of(self._database, target)] for target in targets
        }
        return Tree(_of(self._database), units, accounts, guardrails)

    async def create_unit(
        self, caller: Caller, registry: Registry, name: str, parent: str | None, *, through: str
    ) -> Unit:
        """Make a unit below another one, or below the root."""
        self._access.require(caller, registry, "holdfast:CreateUnit")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Unit:
            of = _of(txn)
            above = _unit(txn, parent or of.root)
            known = organization.units(txn)
            if any(one.parent == above.id and one.name == name for one in known):
                raise PrincipalExists(f"The unit '{name}' is there already.")
            if _depth(known, above.id) >= MAX_DEPTH or len(known) >= MAX_UNITS:
                raise ParameterInvalid(
                    "parentId", f"Units are at most {MAX_DEPTH} levels deep and {MAX_UNITS} in number"
                )
            letters = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
            made = Unit(f"ou-{of.root.removeprefix('r-')}-{letters}", above.id, name)
            organization.insert_unit(txn, made, act.at)
            organization.attach_guardrail(txn, iam.FULL_GUARDRAIL, made.id)
            self._record(txn, registry, act, what="unit-created", unit=made.id, name=name, parent=above.id)
            return made

        return await self._database.write(job)

    async def delete_unit(self, caller: Caller, registry: Registry, identity: str, *, through: str) -> None:
        """Delete a unit that is empty. Raises StillInUse."""
        self._access.require(caller, registry, "holdfast:DeleteUnit")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = _unit(txn, identity)
            below = [one.name for one in organization.units(txn) if one.parent == identity]
            inside = [account_id for account_id, unit in organization.accounts(txn) if unit == identity]
            if found.parent is None or below or inside:
                raise StillInUse(f"The unit holds {', '.join([*below, *inside][:5]) or 'everything'}; move it first.")
            organization.delete_unit(txn, identity)
            self._record(txn, registry, act, what="unit-deleted", unit=identity, name=found.name)

        await self._database.write(job)

    async def move_account(
        self, caller: Caller, registry: Registry, account_id: str, unit: str, *, through: str
    ) -> None:
        """Move an account into a unit."""
        self._access.require(caller, registry, "holdfast:MoveAccount")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            before = organization.unit_of(txn, account_id)
            if before is None:
                raise PrincipalNotFound(f"The account '{account_id}' is not in the organisation.")
            organization.put_account(txn, account_id, _unit(txn, unit).id, act.at)
            self._record(txn, registry, act, what="account-moved", account=account_id, before=before, after=unit)

        await self._database.write(job)

    # --- guardrails --------------------------------------------------------------------------------------------------

    async def put_guardrail(
        self, caller: Caller, registry: Registry, name: str, document: str, *, through: str
    ) -> Guardrail:
        """Make a guardrail, or replace its document."""
        self._access.require(caller, registry, "holdfast:PutGuardrail")
        if name == iam.FULL_GUARDRAIL:
            raise ParameterInvalid("name", f"{name} is always there as it is")
        try:
            iam.PolicyDocument.parse(document, iam.PolicyKind.GUARDRAIL)
        except iam.PolicyInvalid as error:
            parameter = "document"
            raise PolicyRefused(parameter, str(error)) from None
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Guardrail:
            known = organization.guardrail(txn, name)
            made = Guardrail(name, document)
            organization.put_guardrail(txn, made, act.at)
            before = json.loads(known.document) if known is not None else None
            after = json.loads(document)
            self._record(txn, registry, act, what="guardrail-put", guardrail=name, before=before, after=after)
            return made

        return await self._database.write(job)

    async def delete_guardrail(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Delete a guardrail that guards nothing. Raises StillInUse."""
        self._access.require(caller, registry, "holdfast:DeleteGuardrail")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = _guardrail(txn, name)
            targets = organization.targets_of(txn, name)
            if targets or name == iam.FULL_GUARDRAIL:
                raise StillInUse(f"The guardrail guards {', '.join(targets[:5]) or 'every new unit'}; detach it first.")
            organization.delete_guardrail(txn, name)
            self._record(
                txn, registry, act, what="guardrail-deleted", guardrail=name, before=json.loads(found.document)
            )

        await self._database.write(job)

    def guardrails(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[Guardrail]:
        """List guardrails by name, those after one, at most `limit`."""
        self._access.require(caller, registry, "holdfast:ListGuardrails")
        return organization.guardrails(self._database, after=after, limit=limit)

    def targets(self, name: str) -> list[str]:
        """List what a guardrail guards; for those who may list guardrails."""
        return organization.targets_of(self._database, name)

    async def set_attached(
        self, caller: Caller, registry: Registry, name: str, target: str, *, attached: bool, through: str
    ) -> None:
        """Make a guardrail guard a unit or account, or not any more; one must stay. Raises StillInUse."""
        action = "holdfast:AttachGuardrail" if attached else "holdfast:DetachGuardrail"
        self._access.require(caller, registry, action)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = _guardrail(txn, name)
            if organization.unit(txn, target) is None and organization.unit_of(txn, target) is None:
                raise PrincipalNotFound(f"'{target}' is neither a unit nor an account of the organisation.")
            if attached:
                organization.attach_guardrail(txn, found.name, target)
            elif not organization.detach_guardrail(txn, found.name, target):
                raise PrincipalNotFound(f"The guardrail '{name}' does not guard '{target}'.")
            left = len(organization.guardrails_of(txn, target))
            if not 1 <= left <= MAX_GUARDRAILS_OF_TARGET:
                raise StillInUse(
                    f"A unit or account has 1 to {MAX_GUARDRAILS_OF_TARGET} guardrails; without any, nothing would be "
                    f"allowed there. Attach {iam.FULL_GUARDRAIL} or another one first."
                )
            what = "guardrail-attached" if attached else "guardrail-detached"
            self._record(txn, registry, act, what=what, guardrail=name, target=target)

        await self._database.write(job)

    def _record(self, txn: Transaction, registry: Registry, act: Act, **facts: object) -> None:
        entries.append(txn, registry.id, EntryKind.ORGANIZATION_CHANGED, act.body(**facts))


def _of(reader: Reader) -> Organization:
    found = organization.organization(reader)
    assert found is not None  # noqa: S101 - made when the server was founded
    return found


def _unit(reader: Reader, identity: str) -> Unit:
    found = organization.unit(reader, identity)
    if found is None:
        raise PrincipalNotFound(f"The unit '{identity}' does not exist.")
    return found


def _guardrail(reader: Reader, name: str) -> Guardrail:
    found = organization.guardrail(reader, name)
    if found is None:
        raise PrincipalNotFound(f"The guardrail '{name}' does not exist.")
    return found


def _depth(units: list[Unit], identity: str) -> int:
    parents = {one.id: one.parent for one in units}
    depth = 0
    above = parents.get(identity)
    while above is not None:
        depth += 1
        above = parents.get(above)
    return depth
