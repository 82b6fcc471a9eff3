"""docker/metadata-action: from its rules (`type=sha`, `type=ref,event=branch`, ...) to the tags that it makes.

This file alone knows those rules, and when `latest` comes with them. Source: the action's README ("tags input",
"flavor input", "Typ-specific notes of each type").
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import variables
from holdfast.pin.pushes.tag import Part, Repetition, Text, cut, literal, shown, unknown, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holdfast.pin.pushes.variables import Meaning

DEFAULT_RULES: Final = ("type=schedule", "type=ref,event=branch", "type=ref,event=tag", "type=ref,event=pr")
"""What the action does without the input `tags`."""

_FLOATING: Final = variables.Meaning(
    Repetition.REUSED, "is a part of the version: each release that shares it moves the tag"
)
_VERSION: Final = variables.Meaning(Repetition.RELEASE, "is the version in the tag of git")
_NIGHTLY: Final = variables.Meaning(Repetition.REUSED, "is the name of a schedule: every run of it pushes the same tag")
_EDGE: Final = variables.Meaning(Repetition.REUSED, "is the newest commit of a branch: every run for it moves the tag")
_DATE: Final = variables.Meaning(Repetition.REUSED, "is a date: two runs on one day push the same tag")
_MOMENT: Final = variables.NOW
_WITH_LATEST: Final = frozenset({"semver", "pep440", "match"})
_WHOLE_VERSIONS: Final = re.compile(r"\{\{\s*(raw|version|base|tag)\s*\}\}")
_PIECE: Final = re.compile(r"\{\{.*?\}\}")


_EVENTS: Final = {
    "schedule": {"schedule"},
    "pr": {"pull_request", "pull_request_target", "workflow_call"},
    "edge": {"push", "push branches", "schedule", "workflow_dispatch", "workflow_call", "pull_request"},
}
"""Rule -> the events that it makes a tag for."""


def _can_happen(kind: str, event: str, events: Collection[str]) -> bool:
    wanted = _EVENTS.get(event if kind == "ref" else kind)
    if kind == "ref" and event == "branch":
        return not events or bool(set(events) - {"pull_request", "pull_request_target", "release", "push tags"})
    if kind in {"semver", "pep440", "match"} or (kind == "ref" and event == "tag"):
        return not events or bool(set(events) & {"push", "push tags", "release", "workflow_dispatch", "workflow_call",
                                                 "create", "workflow_run", "repository_dispatch"})  # fmt: skip
    return wanted is None or not events or bool(set(events) & wanted)


def tags(rules: Sequence[Text], flavor: Sequence[Text], *, written: bool, events: Collection[str] = ()) -> list[Text]:
    """Return the tags that rules make; `written`: whether the input `tags` is there.

    A rule's text keeps its places, so that an edit can name it. A rule for events that do not start the workflow makes
    no tag; `push tags` is a push for tags alone, and without `events` all may happen.
    """
    settings = {name: value for line in flavor for name, _, value in [shown(line).partition("=")]}
    latest = settings.get("latest", "auto").strip()
    found: list[Text] = []
    auto = False
    for rule in rules if written else [literal(one) for one in DEFAULT_RULES]:
        fields = _fields(rule)
        kind = shown(fields.get("type", literal("raw")))
        off = shown(fields.get("enable", ())).strip() == "false"
        if off or not _can_happen(kind, shown(fields.get("event", ())), events):
            continue
        tag = _tag(kind, fields)
        if tag is None:
            continue
        event = shown(fields.get("event", ()))
        auto = auto or kind in _WITH_LATEST or (kind == "ref" and event == "tag")
        prefix, suffix = fields.get("prefix", ()), fields.get("suffix", ())
        if kind == "sha" and "prefix" not in fields:
            prefix = literal("sha-")
        if kind == "ref" and event == "pr" and "prefix" not in fields:
            prefix = literal("pr-")
        prefix = prefix or _global(settings, "prefix")
        suffix = suffix or _global(settings, "suffix")
        found.append(tuple(replace(part, setting="rule") for part in (*prefix, *tag, *suffix)))
    if latest == "true" or (latest == "auto" and auto):
        span = next((part.span for line in flavor for part in line if shown(line).startswith("latest=true")), None)
        found.append((Part("latest", span=span, setting="flavor"),))
    return found


def _global(settings: dict[str, str], name: str) -> Text:
    return literal(settings.get(name, "").strip())


def _fields(rule: Text) -> dict[str, Text]:
    """Split `type=raw,value=x,enable=...`; a rule without `=` is `type=raw,value=` of it."""
    fields: dict[str, Text] = {}
    pieces = words_of(rule, ",")
    for piece in pieces:
        name, equals, _ = shown(piece).partition("=")
        if equals and name.isalpha():
            fields[name] = cut(piece, len(name) + 1)
        elif "value" not in fields:
            fields["value"] = piece
    return fields


def _as(meaning: Meaning, text: str) -> Text:
    return (meaning.part(text),)


def _tag(kind: str, fields: dict[str, Text]) -> Text | None:  # noqa: PLR0911 - a row for each type
    pattern = shown(fields.get("pattern", ()))
    event = shown(fields.get("event", ()))
    if kind == "raw":
        return _raw(fields.get("value", ()))
    if kind == "sha":
        long = shown(fields.get("format", ())) == "long"
        return _as(variables.SHA if long else variables.SHORT_SHA, "type=sha")
    if kind == "ref":
        meaning = {"tag": _VERSION, "pr": variables.PULL_REQUEST}.get(event, variables.BRANCH)
        return _as(meaning, f"type=ref,event={event}")
    if kind in {"semver", "pep440"}:
        if _WHOLE_VERSIONS.search(pattern) or ("major" in pattern and "minor" in pattern and "patch" in pattern):
            return _as(_VERSION, f"type={kind},pattern={pattern}")
        return _as(_FLOATING if "{{" in pattern else _VERSION, f"type={kind},pattern={pattern}")
    if kind == "match":
        return _as(_VERSION, f"type=match,pattern={pattern}")
    if kind == "schedule":
        return _as(_when(pattern) or _NIGHTLY, pattern or "nightly")
    if kind == "edge":
        return _as(_EDGE, "type=edge")
    return unknown(f"type={kind}", "is no type that is known")


def _when(pattern: str) -> Meaning | None:
    if "date" not in pattern:
        return None
    return _MOMENT if re.search(r"[Hhms]{2,}|[Xx]\b", pattern) else _DATE


def _raw(value: Text) -> Text | None:
    """Return `type=raw,value=...`; its own expressions ({{branch}}, {{sha}}, {{date ...}}) are read."""
    result: list[Part] = []
    for part in value:
        if not part.literal:
            result.append(part)
            continue
        at = 0
        for match in _PIECE.finditer(part.text):
            result.extend(cut((part,), at, match.start()))
            result.append(_expression(match.group()).part(match.group()))
            at = match.end()
        result.extend(cut((part,), at, len(part.text)))
    return tuple(result) or None


def _expression(text: str) -> Meaning:
    name = text.strip("{} ").split()[0] if text.strip("{} ") else ""
    if name == "date":
        return _when(text) or _DATE
    return {
        "sha": variables.SHORT_SHA,
        "branch": variables.BRANCH,
        "base_ref": variables.BRANCH,
        "tag": _VERSION,
        "commit_date": variables.Meaning(Repetition.COMMIT, "is the time of the commit"),
    }.get(name, variables.SETTING)
