"""Conditions on a push of a tag: only if it is free, only if it names what the client last saw.

This file alone decides what `If-None-Match` and `If-Match` ask of a tag. It must not know HTTP's requests or the
database: it is given two header values and two digests. Source: RFC 9110 sections 13.1.1, 13.1.2 and 13.2.1. The OCI
distribution specification lets clients push conditionally and says nothing of what then holds; this is our extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holdfast.core.digest import Digest

MAX_ENTITY_TAGS: Final = 32
"""Entity tags in one header; nobody needs more than a few."""


class PreconditionInvalid(Exception):
    """A header that is no list of entity tags."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must be true of a tag for a push to be done. `*` stands for whatever the tag names."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def holds(self, bound: Digest | None, pushed: Digest) -> bool:
        """Whether the push may be done, `bound` being what the tag names now, None when it names nothing.

        A push that changes nothing is done in any case: it is most likely the second try of one whose answer was lost
        (RFC 9110 section 13.1.1 allows it by name).
        """
        if bound == pushed:
            return True
        current = {"*", f'"{bound}"'} if bound is not None else set()
        if self.if_match is not None and not self.if_match & current:
            return False
        return self.if_none_match is None or not self.if_none_match & current


def parse(if_match: str | None, if_none_match: str | None) -> Precondition | None:
    """Read the two headers; None when there is none. Raises PreconditionInvalid."""
    if if_match is None and if_none_match is None:
        return None
    return Precondition(_entity_tags(if_match), _entity_tags(if_none_match))


def _entity_tags(header: str | None) -> frozenset[str] | None:
    """Read `*`, or entity tags with commas between. A weak one matches nothing of ours, as all of ours are strong."""
    if header is None:
        return None
    if header.strip(" \t") == "*":
        return frozenset("*")
    found = [one.strip(" \t") for one in header.split(",")]
    if len(found) > MAX_ENTITY_TAGS:
        msg = f"The header names more than {MAX_ENTITY_TAGS} entity tags."
        raise PreconditionInvalid(msg)
    for one in found:
        bare = one.removeprefix("W/")
        if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"' or '"' in bare[1:-1]:  # noqa: PLR2004 - the two quotes
            msg = 'The header is neither * nor a list of entity tags such as "sha256:...", each in double quotes.'
            raise PreconditionInvalid(msg)
    return frozenset(found)
