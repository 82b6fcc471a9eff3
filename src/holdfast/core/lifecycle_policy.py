"""The language of lifecycle policies: what a document says, checked as Amazon ECR checks it.

This file alone decides what a policy may be; what a policy does to images stands in `lifecycle.py`. It knows nothing of
repositories or where policies are kept. Each refusal is a ParameterInvalid with ECR's own sentence where that is known
(measured on AWS; their checker is a Java JSON-schema validator, whose wording shows) and one of the same form where it
is not: those are marked "ours".

Source: Amazon ECR User Guide, "Lifecycle policy properties" and "Examples of lifecycle policies".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from holdfast.core import strict_json
from holdfast.core.errors import ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_RULES: Final = 50
MAX_WILDCARDS: Final = 4
"""Of one tag pattern."""

MIN_ARCHIVE_DAYS: Final = 90
"""An archived image stays for at least this long before a policy may expire it."""

MAX_TEXT_CHARACTERS: Final = 30_720
"""Of a policy. Source: Amazon ECR API, LifecyclePolicyText."""

_PARAMETER: Final = "LifecyclePolicyText"
_UNREADABLE: Final = "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy."
_NO_SCHEMA: Final = "instance failed to match exactly one schema (matched 0 out of 4)"


class TagStatus(StrEnum):
    """Which images a rule selects by their tags."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"
    ANY = "any"


class StorageClass(StrEnum):
    """Where an image lies."""

    STANDARD = "standard"
    ARCHIVE = "archive"


class CountType(StrEnum):
    """What a rule counts."""

    MORE_THAN = "imageCountMoreThan"
    SINCE_PUSHED = "sinceImagePushed"
    SINCE_PULLED = "sinceImagePulled"
    SINCE_TRANSITIONED = "sinceImageTransitioned"


class ActionType(StrEnum):
    """What a rule does: delete the image, or archive it (the only target that there is)."""

    EXPIRE = "expire"
    TRANSITION = "transition"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `patterns` are whole-tag wildcards; a prefix of `tagPrefixList` is kept as a pattern in `prefixes`."""

    priority: int
    description: str
    tag_status: TagStatus
    patterns: tuple[str, ...]
    prefixes: tuple[str, ...]
    storage_class: StorageClass
    count_type: CountType
    count: int
    action: ActionType


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was checked: its rules in the order in which they apply."""

    rules: tuple[Rule, ...]


def parse(text: str) -> Policy:
    """Check a policy. Raises ParameterInvalid, and nothing else, with the first thing that is wrong."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ParameterInvalid(_PARAMETER, f"Member must have length less than or equal to {MAX_TEXT_CHARACTERS}")
    try:
        document = strict_json.parse(text.encode("utf-8", "surrogatepass"))
    except strict_json.StrictJSONError:
        raise ParameterInvalid(_PARAMETER, _UNREADABLE) from None
    if not isinstance(document, dict):
        raise ParameterInvalid(_PARAMETER, _UNREADABLE)
    _keys(document, required=("rules",))
    written = document["rules"]
    _type(written, list, "array")
    if len(written) > MAX_RULES:
        _refuse(f"array is too long: must have at most {MAX_RULES} elements but instance has {len(written)} elements")
    if not written:
        _refuse("array is too short: must have at least 1 elements but instance has 0 elements")
    rules = [_rule(one) for one in written]
    _check_together(rules)
    return Policy(tuple(sorted(rules, key=lambda rule: rule.priority)))


def _rule(written: Any) -> Rule:  # noqa: ANN401 - JSON
    _type(written, dict, "object")
    _keys(written, required=("action", "rulePriority", "selection"), optional=("description",))
    description = written.get("description", "")
    _type(description, str, "string")
    priority = _number(written["rulePriority"])
    selection, action = written["selection"], written["action"]
    _type(selection, dict, "object")
    _type(action, dict, "object")
    kind = _action(action)
    _keys(
        selection,
        required=("countNumber", "countType", "tagStatus"),
        optional=("countUnit", "storageClass", "tagPatternList", "tagPrefixList"),
    )
    count = _number(selection["countNumber"])
    status = TagStatus(_one_of(selection["tagStatus"], TagStatus))
    patterns, prefixes = _tags(selection, status)
    count_type, storage_class = _counted(selection, count, kind)
    return Rule(priority, description, status, patterns, prefixes, storage_class, count_type, count, kind)


def _action(action: Mapping[str, Any]) -> ActionType:
    _keys(action, required=("type",), optional=("targetStorageClass",))
    kind = ActionType(_one_of(action["type"], ActionType))
    if kind is ActionType.TRANSITION:
        if "targetStorageClass" not in action:
            raise ParameterInvalid(_PARAMETER, _UNREADABLE)
        _one_of(action["targetStorageClass"], (StorageClass.ARCHIVE,))
    elif "targetStorageClass" in action:
        _not_allowed(["targetStorageClass"])
    return kind


def _tags(selection: Mapping[str, Any], status: TagStatus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the patterns and prefixes: exactly one list of them where tags are selected, else none."""
    for name in ("tagPatternList", "tagPrefixList"):
        if name not in selection:
            continue
        _type(selection[name], list, "array")
        for one in selection[name]:
            _type(one, str, "string")
            if not one:
                _refuse('string "" is too short (length: 0, required minimum: 1)')
        if status is not TagStatus.TAGGED:
            _refuse(f"Cannot specify {name} with tagStatus {status}")
    patterns = tuple(dict.fromkeys(selection.get("tagPatternList", ())))
    prefixes = tuple(dict.fromkeys(selection.get("tagPrefixList", ())))
    if patterns and prefixes:
        _refuse("If policy has a tagged rule, it must specify only one of tagPrefixList or tagPatternList")
    if status is TagStatus.TAGGED and not patterns and not prefixes:
        _refuse("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if any(pattern.count("*") > MAX_WILDCARDS for pattern in patterns):
        _refuse(f"Invalid tag pattern provided. Total number of * must not exceed {MAX_WILDCARDS}")
    return patterns, prefixes


def _counted(selection: Mapping[str, Any], count: int, kind: ActionType) -> tuple[CountType, StorageClass]:
    """Read what is counted, in which storage class: only some pairs go together."""
    storage = StorageClass(_one_of(selection.get("storageClass", "standard"), StorageClass))
    try:
        count_type = CountType(selection["countType"])
    except ValueError:
        _refuse(_NO_SCHEMA)
    unit = selection.get("countUnit")
    if ("countUnit" in selection) == (count_type is CountType.MORE_THAN) or unit not in {None, "days"}:
        _refuse(_NO_SCHEMA)
    if count_type is CountType.SINCE_TRANSITIONED:
        if storage is not StorageClass.ARCHIVE:
            _refuse(_NO_SCHEMA)
        if count < MIN_ARCHIVE_DAYS:
            _too_low(MIN_ARCHIVE_DAYS, count)
        if kind is not ActionType.EXPIRE:
            _refuse("SINCE_IMAGE_TRANSITIONED supports the EXPIRE action only.")  # ours
    elif storage is not StorageClass.STANDARD:
        _refuse(
            "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN support the STANDARD storage class only."
        )
    if count_type is CountType.SINCE_PULLED and kind is not ActionType.TRANSITION:
        _refuse("SINCE_IMAGE_PULLED supports the TRANSITION action only.")  # ours
    return count_type, storage


def _check_together(rules: list[Rule]) -> None:
    """Check what no rule says alone."""
    if len({rule.priority for rule in rules}) != len(rules):
        _refuse("Duplicate priority in multiple rules")
    for storage in StorageClass:
        selecting = [rule for rule in rules if rule.storage_class is storage]
        if sum(rule.tag_status is TagStatus.UNTAGGED for rule in selecting) > 1:
            _refuse("Only one rule can select Untagged images per storage class")
        of_any = [rule for rule in selecting if rule.tag_status is TagStatus.ANY]
        if len(of_any) > 1:
            _refuse("Only one rule can specify tagStatus=ANY")
        if of_any and of_any[0].priority != max(rule.priority for rule in selecting):
            _refuse("Rule for tagStatus=ANY must have the lowest priority per storage class")
        seen: set[tuple[frozenset[str], bool]] = set()
        for rule in selecting:
            if rule.tag_status is not TagStatus.TAGGED:
                continue
            chosen = (frozenset(rule.patterns or rule.prefixes), bool(rule.patterns))
            if chosen in seen:
                _refuse("Rules of one storage class must select unique sets of tags")  # ours: AWS's page says must
            seen.add(chosen)


# --- the validator's sentences ---------------------------------------------------------------------------------------


def _refuse(why: str) -> NoReturn:
    raise ParameterInvalid(_PARAMETER, f"Lifecycle policy validation failure: {why}")


def _not_allowed(names: Iterable[str]) -> NoReturn:
    listed = ",".join(json.dumps(name[:64]) for name in sorted(names))
    _refuse(f"object instance has properties which are not allowed by the schema: ([{listed}])")


def _too_low(least: int, found: int) -> NoReturn:
    _refuse(f"numeric instance is lower than the required minimum (minimum: {least}, found: {found})")


def _keys(found: Mapping[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    missing = [name for name in required if name not in found]
    if missing:
        _refuse(f"object has missing required properties ([{','.join(map(json.dumps, missing))}])")
    unknown = set(found) - set(required) - set(optional)
    if unknown:
        _not_allowed(unknown)


def _type(value: object, wanted: type, name: str) -> None:
    if not isinstance(value, wanted):
        allowed = f'(allowed: ["{name}"])'
        _refuse(f"instance type ({_type_of(value)}) does not match any allowed primitive type {allowed}")


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(f'instance type ({_type_of(value)}) does not match any allowed primitive type (allowed: ["integer"])')
    if value < 1:
        _too_low(1, value)
    return value


def _one_of(value: object, allowed: Iterable[str]) -> str:
    names = [str(one) for one in allowed]
    if not isinstance(value, str) or value not in names:
        shown = json.dumps(value, ensure_ascii=False)[:64]
        _refuse(
            f"instance value ({shown}) not found in enum (possible values: {json.dumps(names, separators=(',', ':'))})"
        )
    return value
