"""Pull-through cache rules: which repositories come from which upstream registry, and where a held tag drifted.

The fetching itself stands in `fetching.py`. Source: Amazon ECR API, CreatePullThroughCacheRule and its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from holdfast.core import prefixes
from holdfast.core.errors import (
    CredentialNotFound,
    LimitExceeded,
    ParameterInvalid,
    PullThroughRuleExists,
    PullThroughRuleNotFound,
    UpstreamUnsupported,
)
from holdfast.core.prefixes import ROOT
from holdfast.core.upstream import parse_upstream
from holdfast.registry.binding import Act
from holdfast.registry.remotes import RemoteError
from holdfast.store import entries, flows
from holdfast.store.entries import EntryKind
from holdfast.store.flows import PullThroughRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.remotes import Credentials, Remote, Remotes
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.flows import UpstreamTag

MAX_RULES: Final = 50
"""Of a registry. Source: Amazon ECR service quotas."""

BEYOND_THE_LIST: Final = "holdfast:UseAnyUpstream"
"""The right to name an upstream that is not in ECR's list: it lets the server send requests to any address."""


@dataclass(frozen=True, slots=True)
class RuleGiven:
    """A rule as a caller gives it."""

    prefix: str
    url: str
    kind: str | None = None
    upstream_prefix: str = ""
    """Empty when none was given, which means the same as ROOT."""
    credential: str | None = None
    custom_role: str | None = None


class PullThroughRules:
    """The use cases over pull-through cache rules."""

    def __init__(
        self,
        database: Database,
        access: Access,
        credentials: Credentials,
        remotes: Remotes,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._credentials = credentials
        self._remotes = remotes
        self._clock = clock
        self._known: tuple[int, dict[int, list[PullThroughRule]]] = (-1, {})

    async def create(self, caller: Caller, registry: Registry, given: RuleGiven, *, through: str) -> PullThroughRule:
        """Make a rule. Raises PullThroughRuleExists, UpstreamUnsupported, CredentialNotFound, LimitExceeded."""
        self._access.require(caller, registry, "ecr:CreatePullThroughCacheRule")
        upstream = parse_upstream(given.url)
        if upstream is None:
            raise UpstreamUnsupported(given.url)
        if upstream.kind is None:
            self._access.require(caller, registry, BEYOND_THE_LIST)
        if given.kind is not None and upstream.kind is not None and given.kind != upstream.kind:
            parameter, why = "upstreamRegistry", f"The upstream registry URL is one of {upstream.kind}"
            raise ParameterInvalid(parameter, why)
        if given.prefix == ROOT and given.upstream_prefix not in {"", ROOT}:
            parameter, why = "upstreamRepositoryPrefix", "The ROOT prefix cannot have an upstream repository prefix"
            raise ParameterInvalid(parameter, why)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> PullThroughRule:
            kept = flows.rules(txn, registry.id)
            if any(prefixes.same(one.prefix, given.prefix) for one in kept):
                raise PullThroughRuleExists(given.prefix, registry.account_id)
            if len(kept) >= MAX_RULES:
                what = "pull through cache rules"
                raise LimitExceeded(what, MAX_RULES)
            if given.credential is not None:
                self._credentials.find(txn, registry, given.credential)
            row = PullThroughRule(
                given.prefix,
                given.url,
                upstream.kind or given.kind,
                given.upstream_prefix,
                given.credential,
                given.custom_role,
                act.at,
                act.at,
            )
            _write(txn, registry, None, row, act)
            return row

        return await self._database.write(job)

    async def update(
        self,
        caller: Caller,
        registry: Registry,
        prefix: str,
        *,
        credential: str | None,
        custom_role: str | None,
        through: str,
    ) -> PullThroughRule:
        """Change the credential or the role of a rule; what is not given stays."""
        self._access.require(caller, registry, "ecr:UpdatePullThroughCacheRule")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> PullThroughRule:
            before = require_rule(txn, registry, prefix)
            if credential is not None:
                self._credentials.find(txn, registry, credential)
            after = replace(
                before,
                credential=credential if credential is not None else before.credential,
                custom_role=custom_role if custom_role is not None else before.custom_role,
                updated_at=act.at,
            )
            _write(txn, registry, before, after, act)
            return after

        return await self._database.write(job)

    async def delete(self, caller: Caller, registry: Registry, prefix: str, *, through: str) -> PullThroughRule:
        """Delete a rule; what came by it stays, as repositories like any other."""
        self._access.require(caller, registry, "ecr:DeletePullThroughCacheRule")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> PullThroughRule:
            found = require_rule(txn, registry, prefix)
            flows.delete_rule(txn, registry.id, found.prefix)
            body = act.body(prefix=found.prefix, before=_told(found), after=None)
            entries.append(txn, registry.id, EntryKind.PULL_THROUGH_RULE_CHANGED, body)
            return found

        return await self._database.write(job)

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[PullThroughRule]:
        """List rules by prefix, those after one, at most `limit`."""
        self._access.require(caller, registry, "ecr:DescribePullThroughCacheRules")
        return flows.rules(self._database, registry.id, after=after, limit=limit)

    def described(self, caller: Caller, registry: Registry, wanted: list[str]) -> list[PullThroughRule]:
        """Return the rules of these prefixes; raises PullThroughRuleNotFound for the first that is not there."""
        self._access.require(caller, registry, "ecr:DescribePullThroughCacheRules")
        return [require_rule(self._database, registry, prefix) for prefix in wanted]

    async def validate(self, caller: Caller, registry: Registry, prefix: str) -> tuple[PullThroughRule, str | None]:
        """Log in upstream as the rule says; return the rule, and why that failed (None when it did not)."""
        self._access.require(caller, registry, "ecr:ValidatePullThroughCacheRule")
        found = require_rule(self._database, registry, prefix)
        try:
            remote = self.remote(registry, found)
        except CredentialNotFound as error:
            return found, error.message
        try:
            await remote.check()
        except RemoteError as error:
            return found, error.message
        finally:
            remote.close()
        return found, None

    def drifted(self, caller: Caller, registry: Registry, *, after: tuple[str, str], limit: int) -> list[UpstreamTag]:
        """List tags that hold while upstream names something else by them, by (repository, tag), those after a pair."""
        self._access.require(caller, registry, "holdfast:ListUpstreamDrift")
        return flows.drifted(self._database, registry.id, after=after, limit=limit)

    # --- for the fetching --------------------------------------------------------------------------------------------

    def rule_for(self, registry: Registry, repository: str) -> PullThroughRule | None:
        """Return the rule that a repository comes by: that of the longest prefix. On the path of every pull."""
        commits = self._database.commits
        if self._known[0] != commits or commits % 2:
            self._known = (commits, {})
        kept = self._known[1].get(registry.id)
        if kept is None:
            kept = self._known[1][registry.id] = flows.rules(self._database, registry.id)
        if not kept:
            return None
        closest = prefixes.closest((one.prefix for one in kept), repository)
        return next((one for one in kept if one.prefix == closest), None)

    def remote(self, registry: Registry, rule: PullThroughRule) -> Remote:
        """Open the upstream of a rule, logged in as the rule says; raises CredentialNotFound."""
        upstream = parse_upstream(rule.url)
        if upstream is None:
            raise UpstreamUnsupported(rule.url)
        return self._remotes.open(upstream.url, self._credentials.login(registry, rule.credential), only_pulls=True)


def require_rule(reader: Reader, registry: Registry, prefix: str) -> PullThroughRule:
    """Find the rule of a prefix, or raise PullThroughRuleNotFound."""
    for one in flows.rules(reader, registry.id):
        if prefixes.same(one.prefix, prefix):
            return one
    raise PullThroughRuleNotFound(prefix, registry.account_id)


def _write(
    txn: Transaction, registry: Registry, before: PullThroughRule | None, after: PullThroughRule, act: Act
) -> None:
    flows.write_rule(txn, registry.id, after)
    body = act.body(prefix=after.prefix, before=before and _told(before), after=_told(after))
    entries.append(txn, registry.id, EntryKind.PULL_THROUGH_RULE_CHANGED, body)


def _told(rule: PullThroughRule) -> dict[str, str | None]:
    return {
        "url": rule.url,
        "upstream_prefix": rule.upstream_prefix,
        "credential": rule.credential,
        "custom_role": rule.custom_role,
    }
