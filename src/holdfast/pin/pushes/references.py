"""From a written reference to pushes: its repository, its tag, and what is meant if it has none.

This file alone decides when a reference without a tag means `latest`, and when it may hold a tag that is not seen.
"""

from __future__ import annotations

import itertools
from typing import Final

from holdfast.pin.pushes.passage import Span
from holdfast.pin.pushes.push import Purpose, Push
from holdfast.pin.pushes.tag import Repetition, Text, cut, literal, shown, split_reference, unknown, words_of

_OTHER_PLACES: Final = (
    "dir:",
    "oci:",
    "oci-archive:",
    "docker-archive:",
    "docker-daemon:",
    "containers-storage:",
    "ostree:",
)
_REGISTRIES_OF_TESTS: Final = ("localhost", "127.0.0.1", "[::1]", "kind-registry", "registry.localhost",
                               "host.docker.internal", "ttl.sh", "ko.local", "kind.local")  # fmt: skip


def pushes(
    reference: Text,
    via: str,
    place: int,
    scheme: str = "",
    purpose: Purpose = Purpose.IMAGE,
    *,
    every_tag: bool = False,
) -> list[Push]:
    """Return the push of one reference; none if it goes to a folder or an archive."""
    text = shown(reference)
    if text.startswith(_OTHER_PLACES):
        return []
    for known in (scheme, "docker://", "oci://"):
        if known and text.startswith(known):
            reference = cut(reference, len(known))
            break
    repository, tag, digest = split_reference(reference)
    if digest or not shown(reference):
        return []
    if every_tag:
        every = unknown("--all-tags", "pushes each tag that this machine has for the image")
        return [Push(repository, every, via, place, purpose=purpose)]
    if tag is not None and tag:
        return [Push(repository, tag, via, place, span_of(tag), purpose=purpose)]
    hidden = hidden_tag(reference)
    if hidden is not None:
        return [Push(repository, hidden, via, place, purpose=purpose)]
    return [Push(repository, literal("latest"), via, place, implied=True, purpose=purpose)]


def hidden_tag(reference: Text) -> Text | None:
    """Return the part that may hold the tag of a reference in which none is written; None if `latest` is meant."""
    if not reference:
        return None
    slash = max((at for at, part in enumerate(reference) if part.literal and "/" in part.text), default=-1)
    name = reference[slash:] if slash >= 0 else reference
    if slash >= 0 and not name[0].text.endswith("/"):
        # `repo/app-$X`: a name that a variable ends, far more often than one that a tag follows.
        return name[-1:] if name[-1].repetition is Repetition.UNKNOWN and not name[-1].literal else None
    first = name[1] if slash >= 0 and len(name) > 1 else name[0]
    if first.literal or first.whole:
        return None
    if first.repetition is Repetition.UNKNOWN:
        return tuple(part for part in name if part is not name[0] or slash < 0)
    return (first,) if len(reference) == 1 else None


def repository_of(reference: Text) -> Text:
    """Return the repository of a reference."""
    return split_reference(reference)[0]


def span_of(text: Text) -> Span | None:
    """Return where a text is written, if all its parts stand side by side in the file."""
    spans = [part.span for part in text]
    if not spans or any(span is None for span in spans):
        return None
    known = [span for span in spans if span is not None]
    if any(before.end != after.start for before, after in itertools.pairwise(known)):
        return None
    return Span(known[0].start, known[-1].end)


def place_within(text: Text, bounds: tuple[int, int]) -> int:
    """Return where a text is written inside of bounds; what it is made of may be written elsewhere."""
    used = [part.at for part in text if part.at is not None]
    places = [*used, *(part.span.start for part in text if part.span is not None)]
    return next((place for place in places if bounds[0] <= place < bounds[1]), bounds[0])


def is_throwaway(repository: Text) -> bool:
    """Tell whether a registry is one of this machine or of a test: what it holds is gone with the run."""
    host = shown(repository).partition("/")[0]
    name = host.partition(":")[0] if not host.startswith("[") else "[::1]"
    return name in _REGISTRIES_OF_TESTS


def cache_setting(setting: Text, via: str, place: int) -> list[Push]:
    """Return the push of `type=registry,ref=...`, as BuildKit exports its cache."""
    pieces = words_of(setting)
    kinds = [shown(piece) for piece in pieces if shown(piece).startswith("type=")]
    result: list[Push] = []
    if kinds and kinds[0] != "type=registry":
        return []
    for piece in pieces:
        if shown(piece).startswith("ref="):
            result += caches(cut(piece, 4), via, place)
        elif not kinds and "=" not in shown(piece) and "/" in shown(piece):
            result += caches(piece, via, place)
    return result


def caches(reference: Text, via: str, place: int, *, content: bool = False) -> list[Push]:
    """Return the push of a cache; `content`: its tags are made of what they name (kaniko), and hold."""
    if content:
        tag = unknown("KEY", "is made of the layer's content")
        return [Push(repository_of(reference), tag, via, place, purpose=Purpose.CACHE)]
    return pushes(reference, via, place, purpose=Purpose.CACHE)
