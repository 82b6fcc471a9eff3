"""A second reading of a changed file, by a parser that knows nothing of images: the same tree but for digests? Pure.

This file alone decides which differences of two trees a digest may make: the text of a scalar that holds one, or a key
`digest` that comes or goes. YAML is compared as events, so that aliases cost nothing, and anchors, tags and styles
count. A file that is no YAML or JSON before (a template, a script) has no such tree, and is proven by its bytes and
mentions alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_YAML: Final = (".yaml", ".yml")
_JSON: Final = (".json",)
_DIGEST: Final = "sha256:"
_KEY: Final = "digest"


def difference(path: str, before: bytes, after: bytes) -> str | None:
    """Say what differs beside digests; None when nothing does, or when there is no tree to compare."""
    name = path.lower()
    if name.endswith(_JSON):
        return _of_json(before, after)
    if name.endswith(_YAML):
        return _of_yaml(before, after)
    return None


def _of_json(before: bytes, after: bytes) -> str | None:
    old = _parsed(before)
    if old is None:
        return None
    new = _parsed(after)
    return "it would be no JSON any more" if new is None else _compared(old[0], new[0], "$")


def _parsed(content: bytes) -> tuple[Any] | None:
    try:
        # Pairs, as an object that has a key twice must not lose one.
        return (json.loads(content, object_pairs_hook=lambda pairs: ("object", pairs)),)
    except (ValueError, RecursionError):
        return None


def _compared(old: Any, new: Any, where: str) -> str | None:  # noqa: ANN401 - JSON
    if isinstance(old, tuple) and isinstance(new, tuple):
        keys, others = [key for key, _ in old[1]], [key for key, _ in new[1]]
        if keys != others:
            return f"the keys at {where} would change"
        pairs = zip(old[1], new[1], strict=True)
        return _first(_compared(one[1], other[1], f"{where}.{one[0]}") for one, other in pairs)
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return _first(_compared(one, new[place], f"{where}[{place}]") for place, one in enumerate(old))
    if isinstance(old, str) and isinstance(new, str) and (old == new or _DIGEST in old + new):
        return None
    return None if type(old) is type(new) and old == new else f"{where} would change"


def _first(found: Any) -> str | None:  # noqa: ANN401 - a generator of answers
    return next((one for one in found if one is not None), None)


def _of_yaml(before: bytes, after: bytes) -> str | None:
    old = _events(before)
    if old is None:
        return None
    new = _events(after)
    if new is None:
        return "it would be no YAML any more"
    one = other = 0
    while one < len(old) and other < len(new):
        if _alike(old[one], new[other]):
            one, other = one + 1, other + 1
        elif _is_digest_pair(new, other):
            other += 2
        elif _is_digest_pair(old, one):
            one += 2
        else:
            return f"line {old[one].start_mark.line + 1} would mean something else"
    one += 2 if _is_digest_pair(old, one) else 0
    other += 2 if _is_digest_pair(new, other) else 0
    return None if one == len(old) and other == len(new) else "it would have more, or less, in it"


def _events(content: bytes) -> list[Any] | None:
    try:
        text = content.decode("utf-8", "replace")
        return list(yaml.parse(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError):
        return None


def _alike(one: Any, other: Any) -> bool:  # noqa: ANN401 - PyYAML's events
    if type(one) is not type(other):
        return False
    if any(getattr(one, name, None) != getattr(other, name, None) for name in ("anchor", "tag", "style", "flow_style")):
        return False
    if not isinstance(one, yaml.ScalarEvent):
        return True
    return bool(one.value == other.value or _DIGEST in one.value or _DIGEST in other.value)


def _is_digest_pair(events: Sequence[Any], place: int) -> bool:
    pair = events[place : place + 2]
    return (
        len(pair) == 2  # noqa: PLR2004 - a key and its value
        and all(isinstance(one, yaml.ScalarEvent) for one in pair)
        and pair[0].value == _KEY
        and pair[1].value.startswith(_DIGEST)
    )
