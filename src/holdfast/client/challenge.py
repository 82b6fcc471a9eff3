"""What a registry asks for in WWW-Authenticate. Pure: text in, values out; never raises.

Source: RFC 9110 section 11 (several challenges may stand in one header, parameters are tokens or quoted strings). What
cannot be read ends the reading: what was understood before it counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_CHARACTERS: Final = 8 * 1024
"""Of one header; more is not looked at. Servers and proxies cut headers at 8 KiB (nginx, Apache)."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - the RFC's word for a run of characters
_PARAMETER: Final = re.compile(rf'[ \t,]*+({_TOKEN})[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|({_TOKEN}))', re.ASCII)
_SCHEME: Final = re.compile(rf"[ \t,]*+({_TOKEN})(?=[ \t,]|$)", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that is offered; the scheme and the names of parameters are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Read a WWW-Authenticate header."""
    text = header[:MAX_CHARACTERS]
    found: list[Challenge] = []
    position = 0
    while scheme := _SCHEME.match(text, position):
        parameters: dict[str, str] = {}
        position = scheme.end()
        while parameter := _PARAMETER.match(text, position):
            name, quoted, token = parameter.groups()
            parameters.setdefault(name.lower(), _ESCAPE.sub(r"\1", quoted) if quoted is not None else token)
            position = parameter.end()
        found.append(Challenge(scheme.group(1).lower(), parameters))
    return found
