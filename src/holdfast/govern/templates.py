"""From the resources of a template to a plan: what is there, what is wanted, and the calls between them.

This file alone decides how a property of an `AWS::ECR::*` resource is read back and set, and which of them AWS can only
change by replacing the resource. It sends nothing: whoever calls it hands in `ask`, and makes the calls of the plan.

A property that the template does not name is left as it is; nothing is ever deleted. Without the record that a stack
keeps, nobody knows whether a thing that the template does not name was ever its own.

Source: AWS CloudFormation template reference, AWS::ECR.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.govern.cloudformation import TemplateInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.govern.cloudformation import Attributes, Resource, Surroundings

Ask = Callable[..., Any]
"""`ask(operation, absent, **parameters)`: call an operation; None when it says that nothing is there."""

Value: TypeAlias = Any
"""What JSON may hold."""

State = dict[str, Any]
"""Property -> its value, in a form that is the same for the same meaning."""


class Action(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    SAME = "no change"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of Amazon ECR's API: the operation in snake case, and its parameters."""

    operation: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One property that is not as it is wanted."""

    property: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done for one resource."""

    logical_id: str
    type: str
    name: str
    action: Action
    changes: tuple[Change, ...] = ()
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of resource."""

    properties: frozenset[str]
    name: Callable[[State], str]
    wanted: Callable[[State], State]
    observe: Callable[[Ask, State], State | None]
    calls: Callable[[State, State, State | None], list[Call]]
    """(properties, what is wanted, what is there; None: nothing) -> calls."""

    fixed: frozenset[str] = frozenset()
    """What AWS changes by replacing the resource."""


def plan(resources: Sequence[Resource], ask: Ask) -> list[Step]:
    """Compare what is wanted with what is there. Raises TemplateInvalid for a type or property that is not known."""
    seen: dict[tuple[str, str], str] = {}
    for resource in resources:
        key = (resource.type, _kind(resource).name(resource.properties))
        if key in seen:
            msg = f"{seen[key]} and {resource.logical_id} are the same thing: {' '.join(key)}."
            raise TemplateInvalid(msg)
        seen[key] = resource.logical_id
    return [_step(resource, ask) for resource in resources]


def _step(resource: Resource, ask: Ask) -> Step:
    kind = _kind(resource)
    name = kind.name(resource.properties)
    wanted = kind.wanted(resource.properties)
    current = kind.observe(ask, resource.properties)
    if current is None:
        changes = tuple(Change(key, None, value) for key, value in wanted.items())
        calls = tuple(kind.calls(resource.properties, wanted, None))
        return Step(resource.logical_id, resource.type, name, Action.CREATE, changes, calls)
    changes = tuple(Change(key, current.get(key), wanted[key]) for key in _changed(wanted, current))
    if not changes:
        return Step(resource.logical_id, resource.type, name, Action.SAME)
    if kind.fixed & {one.property for one in changes}:
        return Step(resource.logical_id, resource.type, name, Action.REPLACE, changes)
    calls = tuple(kind.calls(resource.properties, wanted, current))
    return Step(resource.logical_id, resource.type, name, Action.UPDATE, changes, calls)


def _kind(resource: Resource) -> Kind:
    kind = KINDS.get(resource.type)
    if kind is None:
        known = ", ".join(KINDS)
        msg = f"{resource.logical_id} is of the type {resource.type}, which is not known here. Known are {known}."
        raise TemplateInvalid(msg)
    unknown = sorted(set(resource.properties) - kind.properties)
    if unknown:
        msg = f"{resource.logical_id} has properties that are not known here: {', '.join(unknown)}."
        raise TemplateInvalid(msg)
    return kind


def _changed(wanted: State, current: State) -> list[str]:
    return [key for key, value in wanted.items() if not _agrees(current.get(key), value)]


def _agrees(current: Value, wanted: Value) -> bool:
    """Whether what is there is what is wanted; of a mapping only the keys that are wanted count."""
    if isinstance(wanted, dict) and isinstance(current, dict):
        return all(key in current and _agrees(current[key], value) for key, value in wanted.items())
    return bool(current == wanted)


# --- reading properties ----------------------------------------------------------------------------------------------


def _needed(properties: State, name: str) -> Value:
    value = properties.get(name)
    if value in {None, ""} if isinstance(value, str | None) else False:
        msg = f"The property {name} must be there: a name that CloudFormation would make up is not known here."
        raise TemplateInvalid(msg)
    return value


def _name(property_: str) -> Callable[[State], str]:
    return lambda properties: str(_needed(properties, property_))


def _policy(value: Value, where: str) -> Value:
    """Read a policy, which a template has as text or as an object, so that two of one meaning are equal."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        msg = f"{where} is not JSON: {error}."
        raise TemplateInvalid(msg) from None


def _camel(value: Value) -> Value:
    """Turn the names of a template's properties (RepositoryFilters) into the API's (repositoryFilters)."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(one) for key, one in value.items()}
    return [_camel(one) for one in value] if isinstance(value, list) else value


def _flag(value: Value) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _mutability(properties: State) -> State:
    if "ImageTagMutability" not in properties and "ImageTagMutabilityExclusionFilters" not in properties:
        return {}
    filters = [
        {
            "filterType": one.get("ImageTagMutabilityExclusionFilterType", "WILDCARD"),
            "filter": one.get("ImageTagMutabilityExclusionFilterValue"),
        }
        for one in properties.get("ImageTagMutabilityExclusionFilters") or ()
    ]
    return {"ImageTagMutability": {"mode": properties.get("ImageTagMutability", "MUTABLE"), "filters": filters}}


def _told_mutability(reply: State) -> State:
    filters = reply.get("imageTagMutabilityExclusionFilters") or []
    return {"mode": reply.get("imageTagMutability", "MUTABLE"), "filters": filters}


def _mutability_parameters(wanted: State) -> State:
    settings = wanted.get("ImageTagMutability")
    if settings is None:
        return {}
    filters = {"imageTagMutabilityExclusionFilters": settings["filters"]} if settings["filters"] else {}
    return {"imageTagMutability": settings["mode"], **filters}


def _pairs(tags: Value) -> dict[str, str]:
    return {str(one["Key"]): str(one.get("Value", "")) for one in tags}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# --- AWS::ECR::Repository --------------------------------------------------------------------------------------------


def _repository_wanted(properties: State) -> State:
    wanted = _mutability(properties)
    if "EncryptionConfiguration" in properties:
        wanted["EncryptionConfiguration"] = _camel(properties["EncryptionConfiguration"])
    if "ImageScanningConfiguration" in properties:
        wanted["ImageScanningConfiguration"] = _flag(properties["ImageScanningConfiguration"].get("ScanOnPush", False))
    if "LifecyclePolicyText" in (properties.get("LifecyclePolicy") or {}):
        wanted["LifecyclePolicy"] = _policy(properties["LifecyclePolicy"]["LifecyclePolicyText"], "LifecyclePolicyText")
    if "RepositoryPolicyText" in properties:
        wanted["RepositoryPolicyText"] = _policy(properties["RepositoryPolicyText"], "RepositoryPolicyText")
    if "Tags" in properties:
        wanted["Tags"] = _pairs(properties["Tags"])
    return wanted


def _repository_now(ask: Ask, properties: State) -> State | None:
    name = properties["RepositoryName"]
    reply = ask("describe_repositories", "RepositoryNotFoundException", repositoryNames=[name])
    if reply is None:
        return None
    found = reply["repositories"][0]
    wanted = _repository_wanted(properties)
    now: State = {
        "Arn": found["repositoryArn"],
        "ImageTagMutability": _told_mutability(found),
        "EncryptionConfiguration": found.get("encryptionConfiguration", {}),
        "ImageScanningConfiguration": found.get("imageScanningConfiguration", {}).get("scanOnPush", False),
    }
    if "LifecyclePolicy" in wanted:
        told = ask("get_lifecycle_policy", "LifecyclePolicyNotFoundException", repositoryName=name)
        now["LifecyclePolicy"] = told and json.loads(told["lifecyclePolicyText"])
    if "RepositoryPolicyText" in wanted:
        told = ask("get_repository_policy", "RepositoryPolicyNotFoundException", repositoryName=name)
        now["RepositoryPolicyText"] = told and json.loads(told["policyText"])
    if "Tags" in wanted:
        now["Tags"] = _pairs(ask("list_tags_for_resource", None, resourceArn=found["repositoryArn"])["tags"])
    return now


def _repository_calls(properties: State, wanted: State, now: State | None) -> list[Call]:
    name = {"repositoryName": properties["RepositoryName"]}
    if now is not None:
        arn = {"resourceArn": now["Arn"]}
        return [_repository_call(name, arn, key, wanted) for key in _changed(wanted, now)]
    made: State = {**name, **_mutability_parameters(wanted)}
    if "EncryptionConfiguration" in wanted:
        made["encryptionConfiguration"] = wanted["EncryptionConfiguration"]
    if "ImageScanningConfiguration" in wanted:
        made["imageScanningConfiguration"] = {"scanOnPush": wanted["ImageScanningConfiguration"]}
    if "Tags" in wanted:
        made["tags"] = _listed(wanted["Tags"])
    calls = [Call("create_repository", made)]
    later = [key for key in ("LifecyclePolicy", "RepositoryPolicyText") if key in wanted]
    return calls + [_repository_call(name, {}, key, wanted) for key in later]


def _repository_call(name: State, arn: State, key: str, wanted: State) -> Call:
    """Return the call that sets one property of a repository."""
    match key:
        case "ImageTagMutability":
            return Call("put_image_tag_mutability", {**name, **_mutability_parameters(wanted)})
        case "ImageScanningConfiguration":
            scanning = {"imageScanningConfiguration": {"scanOnPush": wanted[key]}}
            return Call("put_image_scanning_configuration", {**name, **scanning})
        case "LifecyclePolicy":
            return Call("put_lifecycle_policy", {**name, "lifecyclePolicyText": _policy_text(wanted[key])})
        case "RepositoryPolicyText":
            return Call("set_repository_policy", {**name, "policyText": _policy_text(wanted[key])})
        case _:
            return Call("tag_resource", {**arn, "tags": _listed(wanted["Tags"])})


def _policy_text(value: Value) -> str:
    return json.dumps(value, indent=2)


# --- the registry's own settings -------------------------------------------------------------------------------------


def _registry_policy_now(ask: Ask, _properties: State) -> State | None:
    told = ask("get_registry_policy", "RegistryPolicyNotFoundException")
    return None if told is None else {"PolicyText": json.loads(told["policyText"])}


def _replication_wanted(properties: State) -> State:
    configuration = _camel(_needed(properties, "ReplicationConfiguration"))
    for rule in configuration.get("rules") or () if isinstance(configuration, dict) else ():
        deletes = rule.get("deleteReplication")
        if isinstance(deletes, dict) and "enabled" in deletes:
            deletes["enabled"] = _flag(deletes["enabled"])
    return {"ReplicationConfiguration": configuration}


def _replication_now(ask: Ask, _properties: State) -> State:
    told = ask("describe_registry", None).get("replicationConfiguration") or {"rules": []}
    rules = [
        {key: value for key, value in rule.items() if value or key != "repositoryFilters"} for rule in told["rules"]
    ]
    return {"ReplicationConfiguration": {"rules": rules}}


def _scanning_wanted(properties: State) -> State:
    return {"ScanType": _needed(properties, "ScanType"), "Rules": _camel(properties.get("Rules") or [])}


def _scanning_now(ask: Ask, _properties: State) -> State:
    told = ask("get_registry_scanning_configuration", None)["scanningConfiguration"]
    return {"ScanType": told.get("scanType", "BASIC"), "Rules": told.get("rules") or []}


def _signing_now(ask: Ask, _properties: State) -> State | None:
    told = ask("get_signing_configuration", "SigningConfigurationNotFoundException")
    return None if told is None else {"Rules": told["signingConfiguration"]["rules"]}


def _put(operation: str, make: Callable[[State], State]) -> Callable[[State, State, State | None], list[Call]]:
    """Return calls of a kind that one operation sets as a whole."""
    return lambda _properties, wanted, _now: [Call(operation, make(wanted))]


# --- pull-through rules, creation templates --------------------------------------------------------------------------

_RULE: Final = {
    "UpstreamRegistryUrl": "upstreamRegistryUrl",
    "UpstreamRegistry": "upstreamRegistry",
    "UpstreamRepositoryPrefix": "upstreamRepositoryPrefix",
    "CredentialArn": "credentialArn",
    "CustomRoleArn": "customRoleArn",
}
"""Property -> member of the API."""


def _rule_wanted(properties: State) -> State:
    wanted = {key: properties[key] for key in _RULE if key in properties}
    if "UpstreamRegistryUrl" in wanted:
        wanted["UpstreamRegistryUrl"] = str(wanted["UpstreamRegistryUrl"]).removeprefix("https://").rstrip("/")
    return wanted


def _rule_now(ask: Ask, properties: State) -> State | None:
    prefix = properties["EcrRepositoryPrefix"]
    absent = "PullThroughCacheRuleNotFoundException"
    reply = ask("describe_pull_through_cache_rules", absent, ecrRepositoryPrefixes=[prefix])
    if reply is None or not reply["pullThroughCacheRules"]:
        return None
    told = reply["pullThroughCacheRules"][0]
    return _rule_wanted({key: told[member] for key, member in _RULE.items() if member in told})


def _rule_calls(properties: State, wanted: State, now: State | None) -> list[Call]:
    prefix = {"ecrRepositoryPrefix": properties["EcrRepositoryPrefix"]}
    if now is None:
        given = {_RULE[key]: value for key, value in wanted.items()}
        return [Call("create_pull_through_cache_rule", {**prefix, **given})]
    given = {_RULE[key]: wanted[key] for key in ("CredentialArn", "CustomRoleArn") if key in wanted}
    return [Call("update_pull_through_cache_rule", {**prefix, **given})]


def _template_wanted(properties: State) -> State:
    wanted = _mutability(properties)
    for key in ("Description", "AppliedFor", "CustomRoleArn"):
        if key in properties:
            wanted[key] = properties[key]
    if isinstance(wanted.get("AppliedFor"), list):
        wanted["AppliedFor"] = sorted(wanted["AppliedFor"], key=str)
    if "EncryptionConfiguration" in properties:
        wanted["EncryptionConfiguration"] = _camel(properties["EncryptionConfiguration"])
    for key in ("RepositoryPolicy", "LifecyclePolicy"):
        if key in properties:
            wanted[key] = _policy(properties[key], key)
    if "ResourceTags" in properties:
        wanted["ResourceTags"] = _pairs(properties["ResourceTags"])
    return wanted


def _template_now(ask: Ask, properties: State) -> State | None:
    prefix = properties["Prefix"]
    reply = ask("describe_repository_creation_templates", "TemplateNotFoundException", prefixes=[prefix])
    if reply is None or not reply["repositoryCreationTemplates"]:
        return None
    told = reply["repositoryCreationTemplates"][0]
    return {
        "ImageTagMutability": _told_mutability(told),
        "Description": told.get("description"),
        "AppliedFor": sorted(told.get("appliedFor") or ()),
        "CustomRoleArn": told.get("customRoleArn"),
        "EncryptionConfiguration": told.get("encryptionConfiguration", {}),
        "RepositoryPolicy": _policy(told["repositoryPolicy"], "") if told.get("repositoryPolicy") else None,
        "LifecyclePolicy": _policy(told["lifecyclePolicy"], "") if told.get("lifecyclePolicy") else None,
        "ResourceTags": _pairs(told.get("resourceTags") or ()),
    }


def _template_calls(properties: State, wanted: State, now: State | None) -> list[Call]:
    given: State = {"prefix": properties["Prefix"], **_mutability_parameters(wanted)}
    for key, member in (
        ("Description", "description"),
        ("AppliedFor", "appliedFor"),
        ("CustomRoleArn", "customRoleArn"),
        ("EncryptionConfiguration", "encryptionConfiguration"),
    ):
        if key in wanted:
            given[member] = wanted[key]
    for key, member in (("RepositoryPolicy", "repositoryPolicy"), ("LifecyclePolicy", "lifecyclePolicy")):
        if key in wanted:
            given[member] = _policy_text(wanted[key])
    if "ResourceTags" in wanted:
        given["resourceTags"] = _listed(wanted["ResourceTags"])
    verb = "create" if now is None else "update"
    return [Call(f"{verb}_repository_creation_template", given)]


# --- the table -------------------------------------------------------------------------------------------------------

_REGISTRY: Final = "the registry"

KINDS: Final[dict[str, Kind]] = {
    "AWS::ECR::Repository": Kind(
        frozenset(
            {
                *("RepositoryName", "ImageTagMutability", "ImageTagMutabilityExclusionFilters", "LifecyclePolicy"),
                *("EncryptionConfiguration", "ImageScanningConfiguration", "RepositoryPolicyText", "Tags"),
                "EmptyOnDelete",  # about deletion, which is not done here
            }
        ),
        _name("RepositoryName"),
        _repository_wanted,
        _repository_now,
        _repository_calls,
        frozenset({"EncryptionConfiguration"}),
    ),
    "AWS::ECR::RepositoryCreationTemplate": Kind(
        frozenset(
            {
                *("Prefix", "Description", "AppliedFor", "ImageTagMutability", "ImageTagMutabilityExclusionFilters"),
                *("RepositoryPolicy", "LifecyclePolicy", "EncryptionConfiguration", "ResourceTags", "CustomRoleArn"),
            }
        ),
        _name("Prefix"),
        _template_wanted,
        _template_now,
        _template_calls,
    ),
    "AWS::ECR::PullThroughCacheRule": Kind(
        frozenset({"EcrRepositoryPrefix", *_RULE}),
        _name("EcrRepositoryPrefix"),
        _rule_wanted,
        _rule_now,
        _rule_calls,
        frozenset({"UpstreamRegistryUrl", "UpstreamRegistry", "UpstreamRepositoryPrefix"}),
    ),
    "AWS::ECR::RegistryPolicy": Kind(
        frozenset({"PolicyText"}),
        lambda _: _REGISTRY,
        lambda properties: {"PolicyText": _policy(_needed(properties, "PolicyText"), "PolicyText")},
        _registry_policy_now,
        _put("put_registry_policy", lambda wanted: {"policyText": _policy_text(wanted["PolicyText"])}),
    ),
    "AWS::ECR::ReplicationConfiguration": Kind(
        frozenset({"ReplicationConfiguration"}),
        lambda _: _REGISTRY,
        _replication_wanted,
        _replication_now,
        _put(
            "put_replication_configuration",
            lambda wanted: {"replicationConfiguration": wanted["ReplicationConfiguration"]},
        ),
    ),
    "AWS::ECR::RegistryScanningConfiguration": Kind(
        frozenset({"ScanType", "Rules"}),
        lambda _: _REGISTRY,
        _scanning_wanted,
        _scanning_now,
        _put(
            "put_registry_scanning_configuration",
            lambda wanted: {"scanType": wanted["ScanType"], "rules": wanted["Rules"]},
        ),
    ),
    "AWS::ECR::SigningConfiguration": Kind(
        frozenset({"Rules"}),
        lambda _: _REGISTRY,
        lambda properties: {"Rules": _camel(properties.get("Rules") or [])},
        _signing_now,
        _put("put_signing_configuration", lambda wanted: {"signingConfiguration": {"rules": wanted["Rules"]}}),
    ),
}
"""The types that are known."""


def attributes(around: Surroundings) -> Attributes:
    """Say what references between resources give before the resources exist."""

    def arn(properties: State) -> str:
        partition = "aws-cn" if around.region.startswith("cn-") else "aws"
        return f"arn:{partition}:ecr:{around.region}:{around.account_id}:repository/{properties['RepositoryName']}"

    return {
        ("AWS::ECR::Repository", ""): _name("RepositoryName"),
        ("AWS::ECR::Repository", "Arn"): arn,
        ("AWS::ECR::RepositoryCreationTemplate", ""): _name("Prefix"),
        ("AWS::ECR::PullThroughCacheRule", ""): _name("EcrRepositoryPrefix"),
        ("AWS::ECR::RegistryPolicy", ""): lambda _: around.account_id,
        ("AWS::ECR::RegistryPolicy", "RegistryId"): lambda _: around.account_id,
    }
