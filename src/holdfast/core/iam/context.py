"""The values of condition keys in one request; names of keys have no case.

This file alone decides which values are too short-lived for an answer to be remembered; it knows no clock: whoever
makes a context puts the time into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Value: TypeAlias = str | tuple[str, ...]
"""One value, or the values of a key that can have several (none of them: as if the key were not there)."""

FLEETING: Final = frozenset({"aws:currenttime", "aws:epochtime"})
"""Keys whose value is another one in the next request."""


class Context:
    """Values by key. `later` finds the values of a family of keys ("aws:resourcetag/") when one is asked for."""

    __slots__ = ("_later", "_values", "was_fleeting")

    def __init__(
        self, values: Mapping[str, Value], later: Mapping[str, Callable[[str], str | None]] | None = None
    ) -> None:
        """`values` are copied; their keys may be written in any case, those of `later` are lower-case."""
        self._values = {key.lower(): value for key, value in values.items()}
        self._later = later or {}
        self.was_fleeting = False
        """Whether a value was asked for that the next request will not have."""

    def get(self, key: str) -> Value | None:
        """Return the value of a key, given in lower case; None when the request has none."""
        if key in FLEETING:
            self.was_fleeting = True
        value = self._values.get(key)
        if value is None and self._later:
            family, slash, name = key.partition("/")
            find = self._later.get(family + slash) if slash else None
            value = find(name) if find is not None else None
        return value if value != () else None
