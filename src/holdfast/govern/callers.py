"""Callers for a flip: the places of a plan, entered, and one caller of Amazon ECR's API for each.

This file alone decides how a flip reaches its places. Those that cannot be entered are told before anything is changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.govern import places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.client.aws import AWS, Caller
    from holdfast.govern.estate import Failure
    from holdfast.govern.places import Where


class Callers:
    """One caller for each place; `failures` are the accounts that could not be entered."""

    def __init__(self, aws: AWS, where: Where, wanted: Iterable[tuple[str, str]]) -> None:
        """Enter the accounts of these places. Raises APIError, APIUnreachable, CallInvalid."""
        pairs = sorted(set(wanted))
        accounts = tuple(dict.fromkeys(account for account, _ in pairs))
        regions = tuple(dict.fromkeys(region for _, region in pairs))
        self._callers: dict[tuple[str, str], Caller] = {}
        self._who: dict[str, str] = {}
        self.failures: list[Failure] = []
        if not pairs:
            return
        found = places.find(aws, replace(where, organization=False, accounts=accounts, regions=regions))
        self.failures = found.failures
        for place in found.places:
            if (place.account, place.region) in pairs:
                self._callers[place.account, place.region] = place.caller()
                if place.account not in self._who:
                    self._who[place.account] = _arn(place.aws)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for caller in self._callers.values():
            caller.close()

    def call(self, place: tuple[str, str], operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Call an operation of Amazon ECR. Raises APIError, APIUnreachable, CallInvalid."""
        caller = self._callers.get(place)
        if caller is None:
            told = next((one for one in self.failures if one.account == place[0]), None)
            raise APIError(
                told.code if told else "NotEntered", told.sentence if told else "The place could not be entered.", 400
            )
        return caller.call(operation, **parameters)

    def who(self, place: tuple[str, str]) -> str:
        """Return the ARN of who calls there."""
        return self._who.get(place[0], "unknown")


def _arn(aws: AWS) -> str:
    try:
        return aws.identity().arn
    except (APIError, APIUnreachable, CallInvalid):
        return "unknown"  # the calls themselves tell what is wrong
