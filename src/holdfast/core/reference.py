"""Names of repositories and tags: their grammar and limits, and nothing else.

Sources: OCI distribution specification, "Pulling manifests" (name and reference grammar); Amazon ECR API,
RepositoryName (2 to 256 characters).
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.core.digest import Digest
from holdfast.core.errors import NameInvalid, TagInvalid

REPOSITORY_NAME_MIN_CHARACTERS: Final = 2
REPOSITORY_NAME_MAX_CHARACTERS: Final = 256
TAG_MAX_CHARACTERS: Final = 128

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


def parse_repository_name(text: str) -> str:
    """Return the name unchanged when it is one; raises NameInvalid."""
    if not REPOSITORY_NAME_MIN_CHARACTERS <= len(text) <= REPOSITORY_NAME_MAX_CHARACTERS:
        msg = (
            f"A repository name has {REPOSITORY_NAME_MIN_CHARACTERS} to {REPOSITORY_NAME_MAX_CHARACTERS} characters; "
            f"this one has {len(text)}."
        )
        raise NameInvalid(msg)
    if not _REPOSITORY_NAME.fullmatch(text):
        msg = (
            "A repository name is made of lower-case letters and digits, joined by single '.', '_', '__' or any "
            "number of '-', in components separated by '/'."
        )
        raise NameInvalid(msg, {"name": text})
    return text


def parse_tag(text: str) -> str:
    """Return the tag unchanged when it is one; raises TagInvalid."""
    if not _TAG.fullmatch(text):
        msg = (
            f"A tag has at most {TAG_MAX_CHARACTERS} letters, digits, '_', '.' and '-', and starts with a letter, a "
            "digit or '_'."
        )
        raise TagInvalid(msg, {"tag": text[:TAG_MAX_CHARACTERS]})
    return text


def parse_reference(text: str) -> str | Digest:
    """Read what stands after `/manifests/`: a digest when it has a colon, otherwise a tag."""
    return Digest.parse(text) if ":" in text else parse_tag(text)
