"""What a tag's name says about its use: a pointer that is meant to move, a name that is meant to stay.

Pure. This file alone decides the words. A name is a hint and never proof: what the past shows counts for more.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from holdfast.core.mutability import is_signature_tag


class TagKind(StrEnum):
    """What a tag seems to be for."""

    SIGNATURE = "signature"
    """Of cosign, or the fallback name of referrers: written again with each signature or attestation."""

    CACHE = "cache"
    """Of BuildKit, Kaniko and their kin: written again with each build."""

    LATEST = "latest"
    ENVIRONMENT = "environment"
    BRANCH = "branch"
    FLOATING_VERSION = "floating version"
    """1, v1, 1.2: names the newest of a line."""

    VERSION = "version"
    COMMIT = "commit"
    BUILD = "build"
    """A number or a date of a build."""

    OTHER = "other"


POINTERS: Final = frozenset(
    {TagKind.CACHE, TagKind.LATEST, TagKind.ENVIRONMENT, TagKind.BRANCH, TagKind.FLOATING_VERSION}
)
"""Kinds whose tags are meant to move."""

_EDGE: Final = r"(?:^|[-_.])"
_END: Final = r"(?:$|[-_.])"
_RULES: Final[tuple[tuple[TagKind, re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern, re.ASCII | re.IGNORECASE))
    for kind, pattern in (
        (TagKind.CACHE, rf"{_EDGE}(?:build-?)?cache{_END}"),
        (TagKind.LATEST, rf"{_EDGE}(?:latest|stable|edge|nightly|current|newest|lts){_END}"),
        (TagKind.COMMIT, r"^(?:(?:sha|git|commit)[-_.]?)?(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}$"),
        (TagKind.COMMIT, r"^(?:sha|git|commit)[-_.][0-9a-f]{7,40}$|[-_.](?:g|sha)?(?=[0-9a-f]*[0-9])[0-9a-f]{7,40}$"),
        (TagKind.VERSION, r"^v?\d+\.\d+\.\d+(?:[-+_.].*)?$|^(?:release|rel)[-_./]?v?\d+(?:\.\d+)+$"),
        (TagKind.FLOATING_VERSION, r"^v\d{1,3}(?:\.\d{1,4})?$|^\d{1,2}(?:\.\d{1,4})?$|^\d+\.\d+$"),
        (
            TagKind.BUILD,
            r"^(?:build|b|run|ci)?[-_.]?\d{3,}$|^\d{8}(?:[-_.T]?\d{2,6})?(?:[-_.]\d+)?$|^\d{4}-\d{2}-\d{2}",
        ),
        (
            TagKind.ENVIRONMENT,
            (
                r"^(?:dev|development|test|testing|qa|uat|stage|staging|preprod|pre-prod|prod|production|live|demo|"
                rf"canary|sandbox|integration|int|acc)\d{{0,2}}{_END}"
            ),
        ),
        (
            TagKind.BRANCH,
            (
                r"^(?:main|master|develop|trunk|head|next|snapshot)(?:$|-SNAPSHOT$)|"
                rf"^(?:feature|feat|fix|bugfix|hotfix|branch|pr|mr|pull|merge|dependabot|renovate){_END}"
            ),
        ),
    )
)
"""The first rule that fits."""


def kind_of(tag: str) -> TagKind:
    """Say what a tag seems to be for."""
    if is_signature_tag(tag):
        return TagKind.SIGNATURE
    for kind, pattern in _RULES:
        if pattern.search(tag):
            return kind
    return TagKind.OTHER


def short_tag(tag: str) -> str:
    """Return enough of a tag for a sentence: names of signatures hold a digest."""
    return f"{tag[:15]}...{tag[71:]}" if is_signature_tag(tag) else tag
