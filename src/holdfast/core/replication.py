"""Replication's rules: what goes where, when a failed one is tried again, when a backfill gives up. Pure.

Sources: Amazon ECR API, PutReplicationConfiguration; Amazon ECR user guide, "Private image replication" and
"Replication backfill"; Amazon ECR service quotas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RULES: Final = 25
MAX_DESTINATIONS: Final = 25
"""Different destinations over all rules. Source: Amazon ECR service quotas."""

MAX_ATTEMPTS: Final = 34
"""Of one replication: with the pauses below about a day, then it is FAILED."""

FIRST_PAUSE_SECONDS: Final = 5
LONGEST_PAUSE_SECONDS: Final = 3_600

MAX_BACKFILLS: Final = 10
LEAST_JUDGED: Final = 100
"""A backfill gives up when half of its replications or more failed, looked at from this many on."""

_WHERE: Final = "replicationConfiguration"


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """A registry, by its region and account."""

    region: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the repositories go that one of the prefixes fits (all of them when there is none)."""

    destinations: tuple[Destination, ...]
    prefixes: tuple[str, ...]
    deletes: bool

    def fits(self, repository: str) -> bool:
        """Whether the rule is about a repository. PREFIX_MATCH compares text, not components."""
        return not self.prefixes or any(repository.startswith(prefix) for prefix in self.prefixes)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A registry's replication configuration; without rules nothing is replicated."""

    rules: tuple[Rule, ...] = ()

    def destinations(self, repository: str, *, deletes: bool = False) -> list[Destination]:
        """Return where images of a repository go, each place once; with `deletes`, where deletions go too."""
        found = (
            destination
            for rule in self.rules
            if rule.fits(repository) and (rule.deletes or not deletes)
            for destination in rule.destinations
        )
        return list(dict.fromkeys(found))

    def has(self, destination: Destination) -> bool:
        """Whether any rule names a destination."""
        return any(destination in rule.destinations for rule in self.rules)

    def document(self) -> dict[str, Any]:
        """Return the configuration in the shape of ECR's API."""
        return {"rules": [_document(rule) for rule in self.rules]}

    def text(self) -> str:
        """Return the configuration as it is kept."""
        return json.dumps(self.document(), separators=(",", ":"))


def parse_configuration(document: Mapping[str, Any], source: Destination) -> Configuration:
    """Read a configuration that fits the service model; raises ParameterInvalid with ECR's sentence."""
    rules = tuple(_rule(one) for one in document.get("rules") or ())
    if len(rules) > MAX_RULES:
        raise ParameterInvalid(_WHERE, f"Member must have length less than or equal to {MAX_RULES}")
    everywhere = {destination for rule in rules for destination in rule.destinations}
    if source in everywhere:
        why = "Replication destination cannot be the same as the source registry"
        raise ParameterInvalid(_WHERE, why)
    if len(everywhere) > MAX_DESTINATIONS:
        why = f"Replication configuration cannot have more than {MAX_DESTINATIONS} unique destinations"
        raise ParameterInvalid(_WHERE, why)
    return Configuration(rules)


def kept_configuration(text: str | None) -> Configuration:
    """Read what `Configuration.text` wrote."""
    return Configuration(tuple(_rule(one) for one in json.loads(text)["rules"])) if text else Configuration()


def pause_seconds(attempts: int) -> int:
    """Return how long to wait after so many attempts that failed: twice as long each time, an hour at most."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS << min(attempts, 16))


def gives_up(completed: int, failed: int) -> bool:
    """Whether a backfill of which so many replications ended fails as a whole."""
    return completed + failed >= LEAST_JUDGED and failed * 2 >= completed + failed


def _rule(document: Mapping[str, Any]) -> Rule:
    return Rule(
        tuple(dict.fromkeys(Destination(one["region"], one["registryId"]) for one in document["destinations"])),
        tuple(dict.fromkeys(one["filter"] for one in document.get("repositoryFilters") or ())),
        bool((document.get("deleteReplication") or {}).get("enabled")),
    )


def _document(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {
        "destinations": [{"region": one.region, "registryId": one.account_id} for one in rule.destinations]
    }
    if rule.prefixes:
        document["repositoryFilters"] = [{"filter": one, "filterType": "PREFIX_MATCH"} for one in rule.prefixes]
    if rule.deletes:
        document["deleteReplication"] = {"enabled": True}
    return document
