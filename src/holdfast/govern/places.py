"""The places that an inventory reads: which accounts, which of their regions, and with whose credentials.

This file alone decides how the places of an organization are found. An account that cannot be entered is a failure with
a name, and the others go on. It reads nothing of registries.

Sources: AWS Organizations, ListAccounts (of the management account or a delegated administrator); the role
OrganizationAccountAccessRole is there only in accounts that Organizations made.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.client.aws import Account
from holdfast.govern.failing import failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.client.aws import AWS, Caller, Identity
    from holdfast.govern.estate import Failure

DEFAULT_ROLE: Final = "OrganizationAccountAccessRole"
EVERYWHERE: Final = "*"
"""The region of a failure that concerns all of an account's."""

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """One account in one region, and the credentials to read it."""

    account: str
    region: str
    account_name: str | None
    aws: AWS

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"

    def caller(self, service: str = "ecr") -> Caller:
        """Return a caller of a service here."""
        return self.aws.caller(service, self.region)


@dataclass(frozen=True, slots=True)
class Where:
    """Which accounts and regions are wanted."""

    organization: bool = False
    """All active accounts of the organization."""

    accounts: tuple[str, ...] = ()
    """These accounts; none named and no organization: the one of the credentials."""

    regions: tuple[str, ...] = ()
    """These regions; none named: all that are enabled in each account, or that the server hosts."""

    role: str = DEFAULT_ROLE
    external_id: str | None = None


@dataclass(slots=True)
class Found:
    """The places, and the accounts that could not be entered."""

    identity: Identity
    places: list[Place] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def find(aws: AWS, where: Where) -> Found:
    """Find the places. Raises APIError, APIUnreachable, CallInvalid when the credentials themselves are no good."""
    identity = aws.identity()
    found = Found(identity)
    named = [Account(one) for one in where.accounts or (identity.account,)]
    accounts = aws.accounts() if where.organization else named
    with ThreadPoolExecutor(_AT_ONCE, "places") as pool:
        for places, failures in pool.map(lambda one: _of_account(aws, identity, where, one), accounts):
            found.places += places
            found.failures += failures
    return found


def _of_account(
    aws: AWS, identity: Identity, where: Where, account: Account
) -> tuple[Sequence[Place], Sequence[Failure]]:
    inside = aws
    if account.id != identity.account:
        arn = f"arn:{identity.partition}:iam::{account.id}:role/{where.role}"
        try:
            inside = aws.assume(arn, where.external_id)
            inside.frozen_credentials()
        except (APIError, APIUnreachable, CallInvalid) as error:
            return (), (failure_of(account.id, EVERYWHERE, f"sts:AssumeRole {arn}", error),)
    regions: Sequence[str] = where.regions
    failures: list[Failure] = []
    if not regions:
        try:
            regions = _hosted(aws, inside, account.id) if aws.endpoint else inside.regions()
        except (APIError, APIUnreachable, CallInvalid) as error:
            what = "holdfast:ListRegistries" if aws.endpoint else "account:ListRegions"
            failures.append(failure_of(account.id, EVERYWHERE, what, error))
    return [Place(account.id, region, account.name, inside) for region in regions], failures


def _hosted(base: AWS, inside: AWS, account: str) -> list[str]:
    """Return the regions in which a Holdfast server has a registry of the account; the managing account sees all."""
    for aws in dict.fromkeys((base, inside)):
        caller = aws.caller("holdfast", aws.region or "us-east-1")
        try:
            listed: list[Any] = [one for page in caller.pages("ListRegistries", "registries") for one in page]
        finally:
            caller.close()
        regions = sorted(one["region"] for one in listed if one["registryId"] == account)
        if regions:
            return regions
    return []
