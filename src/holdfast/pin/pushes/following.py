"""From scripts to pushes: the calls that a script makes, and those of scripts inside it (`sh -c "..."`).

This file alone decides what is made of a call that has been found: whether it pushes, what `--all-tags` means after
`docker tag`, and that a deletion before a push is a way round a tag that holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import commands, references
from holdfast.pin.pushes.passage import Passage
from holdfast.pin.pushes.shell import Call, Script, Word
from holdfast.pin.pushes.tag import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.pin.pushes.push import Push
    from holdfast.pin.pushes.tag import Text, Values

_SHELLS: Final = frozenset({"sh", "bash", "ash", "eval"})
_MAX_INSIDE: Final = 3


@dataclass(slots=True)
class Findings:
    """What one file's scripts do."""

    system: str
    pushes: list[Push] = field(default_factory=list)
    labels: list[Push] = field(default_factory=list)
    """Tags given on the machine alone: an edit of a pushed tag has to change them too."""
    calls: list[Call] = field(default_factory=list)
    _known: set[tuple[int, str, str, str]] = field(default_factory=set)

    def add(self, pushes: Sequence[Push]) -> None:
        """Keep pushes, as of this file's system."""
        for push in pushes:
            # A function that is handed a command, and the command itself, are one push.
            key = (push.place, push.image, push.purpose, push.verdict)
            if key not in self._known:
                self._known.add(key)
                self.pushes.append(replace(push, system=self.system))

    def follow(self, script: Script, passage: Passage, inside: int = 0) -> Script:
        """Follow a script and keep what it pushes; it then holds what was set."""
        before = len(script.calls)
        script.run(passage)
        for call in script.calls[before:]:
            self.calls.append(call)
            inner = _inner_script(call)
            if inner is not None and inside < _MAX_INSIDE:
                self.follow(_inside(script, call), inner, inside + 1)
                continue
            self.labels += [replace(one, system=self.system) for one in commands.labels_of(call)]
            for push in commands.pushes_of(call):
                self.add(self._every_tag(push) if shown(push.tag) == "--all-tags" else [push])
        return script

    def words(self, words: Sequence[Values], bounds: tuple[int, int], names: Mapping[str, Values]) -> None:
        """Take a command that is a list of words in the file, not a line of a shell."""
        script = Passage.nowhere("", bounds[0])
        made = tuple(Word(values, 0, 0) for values in words)
        call = Call(made, script, 0, 0, names)
        self.calls.append(call)
        self.labels += [replace(one, system=self.system) for one in commands.labels_of(call)]
        for push in commands.pushes_of(call):
            self.add([replace(push, place=references.place_within(push.tag, bounds))])

    def _every_tag(self, push: Push) -> list[Push]:
        image = shown(push.repository)
        same = [
            replace(push, tag=label.tag, span=label.span, implied=label.implied)
            for label in self.labels
            if shown(label.repository) == image
        ]
        return same or [push]


def _inside(script: Script, call: Call) -> Script:
    return Script(script.known, call.names, script.placeholders)


def _inner_script(call: Call) -> Passage | None:
    """Return the script that a call hands to a shell."""
    for at, word in enumerate(call.words[:6]):
        if commands.text_of(word).rsplit("/", 1)[-1] not in _SHELLS:
            continue
        rest = call.words[at + 1 :]
        if commands.text_of(word) == "eval":
            text = rest[0].values[0] if len(rest) == 1 and rest[0].values else None
        else:
            flags = [commands.text_of(one) for one in rest]
            place = next((i for i, flag in enumerate(flags) if flag.startswith("-") and flag.endswith("c")), None)
            text = rest[place + 1].values[0] if place is not None and place + 1 < len(rest) else None
        if text is None:
            return None
        return _as_passage(text, call)
    return None


def _as_passage(text: Text, call: Call) -> Passage:
    """Return a word's text as a script; variables that stand in it are read again as they are written."""
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for part in text:
        if part.literal and part.span is not None and part.span.end - part.span.start == len(part.text):
            pieces.append((at, part.span.start, len(part.text)))
        at += len(part.text)
    return Passage(shown(text), tuple(pieces), call.script.place(call.start))
