"""The file .holdfast.yaml: what a code base accepts and why, what is not looked at, and how grave things are there.

This file alone knows its grammar. What it does not know is refused by name: a misspelt rule that accepts nothing, or a
misspelt key that excludes nothing, must not pass in silence.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from holdfast.core.finding import Severity
from holdfast.core.mutability import matches
from holdfast.pin.acceptance import EVERY_RULE, Ignore
from holdfast.pin.mention import Context
from holdfast.pin.rules import BY_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = ".holdfast.yaml"
MAX_BYTES: Final = 1024 * 1024
OFF: Final = "off"

_KEYS: Final = frozenset({"ignore", "contexts", "exclude", "severities", "baseline"})
_IGNORE_KEYS: Final = frozenset({"rules", "paths", "images", "until", "reason"})
_CONTEXT_KEYS: Final = frozenset({"paths", "context"})


class SettingsInvalid(ValueError):
    """A settings file that cannot be, with the reason."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says; without one, nothing is accepted or excluded."""

    ignores: tuple[Ignore, ...] = ()
    contexts: tuple[tuple[str, Context], ...] = ()
    """Pattern of paths -> where those files' images run; the first that matches counts."""

    exclude: tuple[str, ...] = ()
    severities: Mapping[str, Severity | None] = field(default_factory=dict)
    """Rule -> its severity everywhere; None switches it off."""

    baseline: str | None = None

    def excludes(self, path: str) -> bool:
        """Whether a file is not looked at."""
        return any(matches(one, path) for one in self.exclude)

    def context(self, path: str) -> Context | None:
        """Return where the images of a file run, if the settings say so."""
        return next((context for pattern, context in self.contexts if matches(pattern, path)), None)


class _NoAliases(yaml.SafeLoader):
    """Anchors and aliases have no use in this file, and a few of them make gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's signature
        """Refuse an alias."""
        if self.check_event(yaml.events.AliasEvent):
            msg = "aliases are not understood"
            raise SettingsInvalid(msg)
        return super().compose_node(parent, index)


def parse(content: bytes) -> Settings:
    """Read the file; raises SettingsInvalid."""
    if len(content) > MAX_BYTES:
        msg = f"it has more than {MAX_BYTES} bytes"
        raise SettingsInvalid(msg)
    try:
        document = yaml.load(content, _NoAliases)  # noqa: S506 - a safe loader that knows fewer things still
    except yaml.YAMLError as error:
        raise SettingsInvalid(str(error).replace("\n", " ")) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, SettingsInvalid):
            raise
        msg = "it is no YAML that can be read"
        raise SettingsInvalid(msg) from None
    if document is None:
        return Settings()
    table = _table(document, _KEYS, "the file")
    baseline = table.get("baseline")
    if baseline is not None and not isinstance(baseline, str):
        msg = "'baseline' is the name of a file"
        raise SettingsInvalid(msg)
    return Settings(
        tuple(_ignore(one) for one in _list(table, "ignore")),
        tuple(pair for one in _list(table, "contexts") for pair in _context(one)),
        _texts(table, "exclude"),
        _severities(table.get("severities")),
        baseline,
    )


def _ignore(value: Any) -> Ignore:  # noqa: ANN401 - YAML
    table = _table(value, _IGNORE_KEYS, "an entry of 'ignore'")
    reason = table.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        msg = "each entry of 'ignore' says why, as its 'reason'"
        raise SettingsInvalid(msg)
    rules = _texts(table, "rules") or (EVERY_RULE,)
    for rule in rules:
        if "*" not in rule and rule not in BY_ID:
            msg = f"there is no rule {rule!r}; see holdfast lint --rules"
            raise SettingsInvalid(msg)
    until = table.get("until")
    if until is not None and (not isinstance(until, dt.date) or isinstance(until, dt.datetime)):
        msg = f"'until' is a day like 2027-01-31, not {until!r}"
        raise SettingsInvalid(msg)
    every = (EVERY_RULE,)
    return Ignore(reason.strip(), rules, _texts(table, "paths") or every, _texts(table, "images") or every, until)


def _context(value: Any) -> list[tuple[str, Context]]:  # noqa: ANN401 - YAML
    table = _table(value, _CONTEXT_KEYS, "an entry of 'contexts'")
    try:
        context = Context(str(table.get("context")))
    except ValueError:
        msg = f"'context' is one of {', '.join(Context)}"
        raise SettingsInvalid(msg) from None
    return [(pattern, context) for pattern in _texts(table, "paths")]


def _severities(value: Any) -> dict[str, Severity | None]:  # noqa: ANN401 - YAML
    table = _table(value if value is not None else {}, frozenset(BY_ID), "'severities'")
    made: dict[str, Severity | None] = {}
    for rule, given in table.items():
        # YAML 1.1 reads a bare `off` as false.
        wanted = OFF if given is False else str(given).lower()
        try:
            made[rule] = None if wanted == OFF else Severity(wanted.upper())
        except ValueError:
            names = ", ".join(one.value.lower() for one in Severity)
            msg = f"the severity of {rule} is one of {names} or {OFF}, not {given!r}"
            raise SettingsInvalid(msg) from None
    return made


def _table(value: Any, keys: frozenset[str], where: str) -> dict[str, Any]:  # noqa: ANN401 - YAML
    if not isinstance(value, dict):
        msg = f"{where} is a mapping"
        raise SettingsInvalid(msg)
    unknown = sorted(str(one) for one in value if one not in keys)
    if unknown:
        msg = f"{where} has no {', '.join(map(repr, unknown))}; what there is: {', '.join(sorted(keys))}"
        raise SettingsInvalid(msg)
    return value


def _list(table: dict[str, Any], key: str) -> list[Any]:
    value = table.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        msg = f"'{key}' is a list"
        raise SettingsInvalid(msg)
    return value


def _texts(table: dict[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key)
    listed = [value] if isinstance(value, str) else _list(table, key)
    if not all(isinstance(one, str) and one for one in listed):
        msg = f"'{key}' is a list of text"
        raise SettingsInvalid(msg)
    return tuple(listed)
