"""Pull-through cache rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result
from holdfast.registry.pull_through import RuleGiven

if TYPE_CHECKING:
    from holdfast.store.flows import PullThroughRule


async def create_pull_through_cache_rule(call: Call) -> Result:
    """Make a rule."""
    given = call.parameters
    rule = RuleGiven(
        given["ecrRepositoryPrefix"],
        given["upstreamRegistryUrl"],
        given.get("upstreamRegistry"),
        given.get("upstreamRepositoryPrefix") or "",
        given.get("credentialArn"),
        given.get("customRoleArn"),
    )
    made = await call.use.flows.pull_through.create(call.caller, call.registry, rule, through=THROUGH)
    return _rule(call, made, "createdAt")


async def update_pull_through_cache_rule(call: Call) -> Result:
    """Change the credential of a rule."""
    given = call.parameters
    changed = await call.use.flows.pull_through.update(
        call.caller,
        call.registry,
        given["ecrRepositoryPrefix"],
        credential=given.get("credentialArn"),
        custom_role=given.get("customRoleArn"),
        through=THROUGH,
    )
    told = _rule(call, changed, "updatedAt")
    return {name: value for name, value in told.items() if name not in {"upstreamRegistry", "upstreamRegistryUrl"}}


async def delete_pull_through_cache_rule(call: Call) -> Result:
    """Delete a rule."""
    prefix = call.parameters["ecrRepositoryPrefix"]
    gone = await call.use.flows.pull_through.delete(call.caller, call.registry, prefix, through=THROUGH)
    return _without_kind(_rule(call, gone, "createdAt"))


async def describe_pull_through_cache_rules(call: Call) -> Result:
    """Describe the rules of the prefixes named, or all of them by pages."""
    wanted = call.parameters.get("ecrRepositoryPrefixes")
    if wanted:
        page, token = call.use.flows.pull_through.described(call.caller, call.registry, wanted), None
    else:
        limit = call.limit()
        page = call.use.flows.pull_through.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
        token = call.next_token(page[limit - 1].prefix) if len(page) > limit else None
        page = page[:limit]
    rules = [_rule(call, one, "createdAt", "updatedAt") for one in page]
    return {"pullThroughCacheRules": rules, "nextToken": token}


async def validate_pull_through_cache_rule(call: Call) -> Result:
    """Log in upstream as a rule says."""
    prefix = call.parameters["ecrRepositoryPrefix"]
    rule, failure = await call.use.flows.pull_through.validate(call.caller, call.registry, prefix)
    return {**_without_kind(_rule(call, rule)), "isValid": failure is None, "failure": failure}


def _without_kind(told: Result) -> Result:
    return {name: value for name, value in told.items() if name != "upstreamRegistry"}


def _rule(call: Call, rule: PullThroughRule, *times: str) -> Result:
    moments = {"createdAt": rule.created_at / MICROSECONDS, "updatedAt": rule.updated_at / MICROSECONDS}
    return {
        "ecrRepositoryPrefix": rule.prefix,
        "upstreamRegistryUrl": rule.url,
        "upstreamRegistry": rule.upstream,
        "upstreamRepositoryPrefix": rule.upstream_prefix or None,  # Terraform would replace a rule that tells more
        "registryId": call.registry.account_id,
        "credentialArn": rule.credential,
        "customRoleArn": rule.custom_role,
        **{name: moments[name] for name in times},
    }


PULL_THROUGH: Final[dict[str, Operation]] = {
    "CreatePullThroughCacheRule": create_pull_through_cache_rule,
    "DeletePullThroughCacheRule": delete_pull_through_cache_rule,
    "DescribePullThroughCacheRules": describe_pull_through_cache_rules,
    "UpdatePullThroughCacheRule": update_pull_through_cache_rule,
    "ValidatePullThroughCacheRule": validate_pull_through_cache_rule,
}
"""Operation -> what performs it."""
