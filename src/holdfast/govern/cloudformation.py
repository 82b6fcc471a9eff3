"""CloudFormation templates, read: YAML or JSON text in, resources with resolved properties out.

This file alone decides which parts of the template language are understood: parameters, conditions, mappings, pseudo
parameters and the functions in the table below. Whatever else stands in a template is refused by name, never skipped: a
template that is half understood would be half applied. It knows nothing of what resources mean.

Source: AWS CloudFormation user guide, "Template anatomy" and "Intrinsic function reference".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Value: TypeAlias = Any
"""What YAML or JSON may hold."""

MAX_CHARACTERS: Final = 1_048_576
"""Of a template in S3. Source: AWS CloudFormation quotas."""

_TOP: Final = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    }
)
_OF_RESOURCE: Final = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
)
_MAX_DEPTH: Final = 64
_IN_SUB: Final = re.compile(r"\$\{(!?)([A-Za-z0-9:._-]+)\}")


class TemplateInvalid(Exception):
    """A template that cannot be read, or holds something that is not understood; the message says where."""


class _NoValue:
    """What AWS::NoValue stands for: as if the property were not there."""


_NO_VALUE: Final = _NoValue()


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a template, its functions resolved."""

    logical_id: str
    type: str
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a template may ask of where it is applied, and what was given to it."""

    account_id: str
    region: str
    stack_name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


Attributes = dict[tuple[str, str], "Callable[[dict[str, Any]], str]"]
"""(type, attribute) -> how its value is made of the resource's properties; the attribute "" is what Ref gives."""


def resolve(text: str, around: Surroundings, attributes: Attributes) -> list[Resource]:
    """Read a template and return the resources whose conditions hold, each after those that it needs."""
    document = _parse(text)
    return _Template(document, around, attributes).resources()


# --- text ------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation has it: no aliases, no key twice, `!Function` for `Fn::Function`, dates as text."""

    def compose_node(self, parent: Any, index: Any) -> Value:  # noqa: ANN401 - yaml's signature
        if self.check_event(yaml.AliasEvent):
            msg = "Templates have no YAML aliases."
            raise TemplateInvalid(msg)
        return super().compose_node(parent, index)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int):
            msg = f"A key at line {key_node.start_mark.line + 1} is no text."
            raise TemplateInvalid(msg)
        if str(key) in made:
            msg = f"The key {str(key)!r} stands twice in one mapping (line {key_node.start_mark.line + 1})."
            raise TemplateInvalid(msg)
        made[str(key)] = loader.construct_object(value_node, deep=True)
    return made


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value: Value
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = [loader.construct_object(one, deep=True) for one in node.value]
    else:
        value = _mapping(loader, node) if isinstance(node, yaml.MappingNode) else None
    return {name: value}


def _plain(_loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _plain)
_Loader.add_multi_constructor("!", _function)


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        msg = f"The template is longer than {MAX_CHARACTERS} characters."
        raise TemplateInvalid(msg)
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"The template is neither YAML nor JSON: {error}"
        raise TemplateInvalid(msg) from None
    if not isinstance(document, dict):
        msg = "A template is a mapping with Resources."
        raise TemplateInvalid(msg)
    unknown = [name for name in document if name not in _TOP]
    if unknown:
        hint = " Transforms and macros run at AWS alone." if {"Transform", "Rules"} & set(unknown) else ""
        msg = f"The template has sections that are not understood here: {', '.join(unknown)}.{hint}"
        raise TemplateInvalid(msg)
    return document


# --- functions -------------------------------------------------------------------------------------------------------


class _Template:
    """One template being resolved."""

    def __init__(self, document: dict[str, Any], around: Surroundings, attributes: Attributes) -> None:
        self._resources = _section(document, "Resources")
        self._mappings = _section(document, "Mappings")
        self._conditions = _section(document, "Conditions")
        self._attributes = attributes
        self._pseudo = {
            "AWS::AccountId": around.account_id,
            "AWS::Region": around.region,
            "AWS::StackName": around.stack_name,
            "AWS::Partition": "aws-cn" if around.region.startswith("cn-") else "aws",
            "AWS::URLSuffix": "amazonaws.com.cn" if around.region.startswith("cn-") else "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }
        self._parameters = _parameters(_section(document, "Parameters"), around.parameters)
        self._done: dict[str, Resource] = {}
        self._open: list[str] = []
        self._depth = 0
        self._functions: dict[str, Callable[[Any, str], Any]] = {
            "Ref": self._ref,
            "Condition": lambda value, _: self._holds(str(value)),
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
            "Fn::Equals": self._equals,
            "Fn::And": lambda value, where: all(self._truth(one, where) for one in _list(value, where)),
            "Fn::Or": lambda value, where: any(self._truth(one, where) for one in _list(value, where)),
            "Fn::Not": lambda value, where: not self._truth(_list(value, where, 1)[0], where),
            "Fn::ToJsonString": lambda value, where: json.dumps(self._value(value, where)),
        }

    def resources(self) -> list[Resource]:
        """Resolve all resources; each comes after those that it needs."""
        if not self._resources:
            msg = "The template has no Resources."
            raise TemplateInvalid(msg)
        for logical_id in self._resources:
            if self._is_wanted(logical_id):
                self._resource(logical_id)
        return list(self._done.values())

    def _is_wanted(self, logical_id: str) -> bool:
        described = self._resources[logical_id]
        if not isinstance(described, dict) or not isinstance(described.get("Type"), str):
            msg = f"The resource {logical_id} has no Type."
            raise TemplateInvalid(msg)
        unknown = [key for key in described if key not in _OF_RESOURCE]
        if unknown:
            msg = f"The resource {logical_id} has attributes that are not understood here: {', '.join(unknown)}."
            raise TemplateInvalid(msg)
        return "Condition" not in described or self._holds(str(described["Condition"]))

    def _resource(self, logical_id: str) -> Resource:
        if logical_id in self._done:
            return self._done[logical_id]
        if logical_id in self._open:
            msg = f"Resources need each other in a circle: {' -> '.join([*self._open, logical_id])}."
            raise TemplateInvalid(msg)
        self._open.append(logical_id)
        described = self._resources[logical_id]
        needs = described.get("DependsOn", [])
        for other in [needs] if isinstance(needs, str) else needs:
            if other not in self._resources:
                msg = f"{logical_id} depends on {other}, which the template does not have."
                raise TemplateInvalid(msg)
            if self._is_wanted(other):
                self._resource(other)
        properties = self._value(described.get("Properties") or {}, f"{logical_id}.Properties")
        if not isinstance(properties, dict):
            msg = f"{logical_id}.Properties is no mapping."
            raise TemplateInvalid(msg)
        self._open.pop()
        self._done[logical_id] = Resource(logical_id, described["Type"], properties)
        return self._done[logical_id]

    def _value(self, value: Value, where: str) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            msg = f"{where}: nested deeper than {_MAX_DEPTH} levels."
            raise TemplateInvalid(msg)
        try:
            if isinstance(value, dict):
                return self._mapping(value, where)
            if isinstance(value, list):
                resolved = (self._value(one, f"{where}[{number}]") for number, one in enumerate(value))
                return [one for one in resolved if one is not _NO_VALUE]
            return value
        finally:
            self._depth -= 1

    def _mapping(self, value: dict[str, Any], where: str) -> Value:
        name = next(iter(value), "")
        if len(value) == 1 and (name in {"Ref", "Condition"} or name.startswith("Fn::")):
            function = self._functions.get(name)
            # A policy statement has a Condition of its own, which is a mapping and no name.
            if name != "Condition" or isinstance(value[name], str):
                if function is None:
                    msg = f"{where}: the function {name} is not understood here."
                    raise TemplateInvalid(msg)
                return function(value[name], where)
        resolved = {key: self._value(one, f"{where}.{key}") for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not _NO_VALUE}

    def _ref(self, value: Value, where: str) -> Value:
        name = str(value)
        for known in (self._pseudo, self._parameters):
            if name in known:
                return known[name]
        if name in self._resources:
            return self._attribute(name, "", where)
        msg = f"{where}: {name} is neither a parameter nor a resource of the template."
        raise TemplateInvalid(msg)

    def _get_att(self, value: Value, where: str) -> str:
        parts = value.split(".", 1) if isinstance(value, str) else _list(value, where, 2)
        return self._attribute(str(parts[0]), str(parts[-1]), where)

    def _attribute(self, logical_id: str, attribute: str, where: str) -> str:
        if logical_id not in self._resources or not self._is_wanted(logical_id):
            msg = f"{where}: the template has no resource {logical_id}, or its condition does not hold."
            raise TemplateInvalid(msg)
        resource = self._resource(logical_id)
        make = self._attributes.get((resource.type, attribute))
        if make is None:
            what = f"the attribute {attribute}" if attribute else "a reference"
            msg = f"{where}: {what} of {logical_id} ({resource.type}) is not known before it exists."
            raise TemplateInvalid(msg)
        return make(resource.properties)

    def _sub(self, value: Value, where: str) -> str:
        template, own = value, {}
        if not isinstance(value, str):
            template, own = _list(value, where, 2)
            own = self._value(own, where)

        def replaced(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return _text(own[name], where)
            is_attribute = "." in name and name.partition(".")[0] in self._resources
            return _text(self._get_att(name, where) if is_attribute else self._ref(name, where), where)

        return _IN_SUB.sub(replaced, str(template))

    def _join(self, value: Value, where: str) -> str:
        separator, parts = _list(value, where, 2)
        return str(separator).join(_text(one, where) for one in _list(self._value(parts, where), where))

    def _select(self, value: Value, where: str) -> Value:
        number, parts = _list(value, where, 2)
        listed = _list(self._value(parts, where), where)
        try:
            return listed[int(str(self._value(number, where)))]
        except (ValueError, IndexError):
            msg = f"{where}: Fn::Select has no such place."
            raise TemplateInvalid(msg) from None

    def _split(self, value: Value, where: str) -> list[str]:
        separator, text = _list(value, where, 2)
        if not separator:
            msg = f"{where}: Fn::Split needs a separator."
            raise TemplateInvalid(msg)
        return _text(self._value(text, where), where).split(str(separator))

    def _find_in_map(self, value: Value, where: str) -> Value:
        keys = [_text(self._value(one, where), where) for one in _list(value, where, 3)]
        found: Any = self._mappings
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            msg = f"{where}: the template has no mapping {' / '.join(keys)}."
            raise TemplateInvalid(msg)
        return found

    def _if(self, value: Value, where: str) -> Value:
        name, then, otherwise = _list(value, where, 3)
        return self._value(then if self._holds(str(name)) else otherwise, where)

    def _equals(self, value: Value, where: str) -> bool:
        left, right = (self._value(one, where) for one in _list(value, where, 2))
        return _text(left, where) == _text(right, where)

    def _truth(self, value: Value, where: str) -> bool:
        resolved = self._value(value, where)
        if not isinstance(resolved, bool):
            msg = f"{where}: a condition is needed here."
            raise TemplateInvalid(msg)
        return resolved

    def _holds(self, name: str) -> bool:
        if name not in self._conditions:
            msg = f"The template has no condition {name}."
            raise TemplateInvalid(msg)
        return self._truth(self._conditions[name], f"Conditions.{name}")


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name) or {}
    if not isinstance(section, dict):
        msg = f"The section {name} is no mapping."
        raise TemplateInvalid(msg)
    return section


def _parameters(described: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the parameters; checked as the template asks."""
    unknown = [name for name in given if name not in described]
    if unknown:
        msg = f"The template has no parameter {', '.join(unknown)}."
        raise TemplateInvalid(msg)
    values: dict[str, Any] = {}
    for name, about in described.items():
        if not isinstance(about, dict):
            msg = f"The parameter {name} is no mapping."
            raise TemplateInvalid(msg)
        if name not in given and "Default" not in about:
            msg = f"The parameter {name} has no default; give it with --parameter {name}=VALUE."
            raise TemplateInvalid(msg)
        value = _text(given.get(name, about.get("Default")), f"Parameters.{name}")
        kind = str(about.get("Type", "String"))
        allowed = about.get("AllowedValues")
        pattern = about.get("AllowedPattern")
        if allowed is not None and value not in [_text(one, name) for one in _list(allowed, name)]:
            msg = f"The parameter {name} must be one of {', '.join(map(str, allowed))}, not {value!r}."
            raise TemplateInvalid(msg)
        if pattern is not None and not _matches(str(pattern), value, name):
            msg = f"The parameter {name} must match {pattern}, and {value!r} does not."
            raise TemplateInvalid(msg)
        if kind not in {"String", "Number", "CommaDelimitedList"}:
            msg = f"The parameter {name} is of the type {kind}, which is not understood here."
            raise TemplateInvalid(msg)
        values[name] = [one.strip() for one in value.split(",")] if kind == "CommaDelimitedList" else value
    return values


def _matches(pattern: str, value: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error as error:
        msg = f"The AllowedPattern of the parameter {name} cannot be used: {error}."
        raise TemplateInvalid(msg) from None


def _list(value: Value, where: str, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        msg = f"{where}: a list{f' of {length}' if length else ''} is needed here."
        raise TemplateInvalid(msg)
    return value


def _text(value: Value, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    msg = f"{where}: a text is needed here."
    raise TemplateInvalid(msg)
