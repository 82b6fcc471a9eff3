"""Strings and names of languages that are read loosely: Groovy, TypeScript, Python, Java, Go.

This file alone tells strings from comments. It follows no grammar beyond that: what is asked of such files is which
text is given to which name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.pin.source import UnreadableFile

if TYPE_CHECKING:
    from holdfast.pin.source import Source

MAX_TOKENS: Final = 500_000

_COMMENTS: Final = r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
_HASH_COMMENTS: Final = r"\#[^\n]*"
_STRINGS: Final = (
    r"(?P<quote>'''|\"\"\"|`|'|\")"
    r"(?P<inner>(?:(?<='''|\"\"\")(?:\\[\s\S]|(?!(?P=quote))[\s\S])*|(?<=`)(?:\\[\s\S]|[^`\\])*|(?:\\.|(?!(?P=quote))[^\n\\])*))"
    r"(?P=quote)"
)
_NAMES: Final = r"(?P<name>[A-Za-z_]\w*)|(?P<sign>[(){}\[\]:,.=;])"
_WITH_SLASHES: Final = re.compile(f"{_COMMENTS}|{_STRINGS}|{_NAMES}")
_WITH_HASHES: Final = re.compile(f"{_HASH_COMMENTS}|{_STRINGS}|{_NAMES}")


class Token(NamedTuple):
    """A string (`quote` is set, and the span is what is within), a name, or a sign."""

    start: int
    end: int
    text: str
    quote: str


def tokens(source: Source, *, hash_comments: bool = False) -> list[Token]:
    """Return strings, names and signs in their order; raises UnreadableFile over the limit."""
    grammar = _WITH_HASHES if hash_comments else _WITH_SLASHES
    found: list[Token] = []
    for match in grammar.finditer(source.text):
        quote = match["quote"]
        if quote:
            found.append(Token(match.start("inner"), match.end("inner"), match["inner"], quote))
        elif match["name"] or match["sign"]:
            found.append(Token(match.start(), match.end(), match.group(), ""))
        if len(found) > MAX_TOKENS:
            msg = f"It has more than {MAX_TOKENS} words."
            raise UnreadableFile(msg)
    return found
