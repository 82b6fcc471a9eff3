"""What a script says to the steps after it: `echo "tag=..." >> $GITHUB_OUTPUT`, `::set-output`, `##vso[...]`.

This file alone knows the forms in which CI systems take such words. It follows no script.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes.tag import Part, Values, after, concatenate, literal, shown, union, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.pin.pushes.shell import Word

FILES: Final = re.compile(r"GITHUB_OUTPUT|GITHUB_ENV|BASH_ENV|\.env\b|GITHUB_STATE")
"""What a redirection names when it writes for later steps."""

_COMMAND: Final = re.compile(r"(?:::set-output name=|##vso\[task\.setvariable variable=)([\w.-]+)[^\]:]*(?:::|\])")


class Outputs:
    """What was said so far: name -> values."""

    def __init__(self) -> None:
        self.found: dict[str, Values] = {}
        self.written = False
        """Whether what is said goes to a file for later steps."""
        self._open_output: tuple[str, str] | None = None

    def say(self, program: str, words: Sequence[Word]) -> None:
        """Take what `echo` or `printf` says."""
        if program == "printf" and words:
            format_, *arguments = words
            texts: list[Values] = []
            for at, piece in enumerate(shown(format_.values[0]).replace("\\n", "\n").split("%s")):
                texts += [(literal(piece),)] if piece else []
                texts += [arguments[at].values] if at < len(arguments) else []
            values = concatenate(texts)
        else:
            values = concatenate([one for word in words for one in ((literal(" "),), word.values)])
        for text in values:
            said = shown(text)
            command = _COMMAND.search(said)
            if command:
                self._keep(command.group(1), text, command.end())
            elif self.written:
                self._line_of_output(text)

    def _line_of_output(self, text: tuple[Part, ...]) -> None:
        """Take `NAME=value`, or a line of `NAME<<END ... END`."""
        said = shown(text).strip()
        begins = re.fullmatch(r"([\w.-]+)<<(\S+)", said)
        if begins:
            self._open_output = (begins.group(1), begins.group(2))
        elif self._open_output is None:
            self.line(text)
        elif said == self._open_output[1]:
            self._open_output = None
        else:
            name = self._open_output[0]
            words = tuple(words_of(text))
            self.found[name] = union(self.found.get(name, ()), words)

    def line(self, text: tuple[Part, ...]) -> None:
        """Take `NAME=value`."""
        found = re.match(r"\s*(?:export\s+)?([\w.-]+)=", shown(text))
        if found:
            self._keep(found.group(1), text, found.end())

    def _keep(self, name: str, text: tuple[Part, ...], offset: int) -> None:
        at = 0
        for index, part in enumerate(text):
            if part.literal and at + len(part.text) >= offset:
                rest = after(text, index, offset - at)
                known = self.found.get(name)
                self.found[name] = (rest,) if known is None else union(known, (rest,))
                return
            at += len(part.text)
