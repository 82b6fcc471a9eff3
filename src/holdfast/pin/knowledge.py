"""What registries told of images, as values: which digest a name has, what kind of thing it is, whether the tag holds.

This file alone decides how an answer is kept and found again. It asks nobody: a client does, and tests write answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast.core.manifest import DOCKER_LIST, OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pin.image import ImageReference


INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})


class Trouble(StrEnum):
    """Why a question had no answer."""

    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate limit"
    UNREACHABLE = "unreachable"
    INVALID = "invalid answer"
    NOT_LOCKED = "not in the lock file"


@dataclass(frozen=True, slots=True)
class Child:
    """One image of an index."""

    digest: str
    platform: str
    """`os/architecture` with `/variant` where there is one; empty where the index names none."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was told of one name, `registry/repository:tag` or `registry/repository@digest`.

    Without trouble and without a digest the name names nothing.
    """

    digest: str | None = None
    media_type: str = ""
    children: tuple[Child, ...] = ()
    """Of an index; none for an image of one platform."""

    platform: str = ""
    """Of an image that is no index, where it was looked at."""

    held: bool | None = None
    """Whether the repository holds the tag, so that it never names another image; None where nobody says."""

    trouble: Trouble | None = None
    sentence: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the registry answered that nothing has this name."""
        return self.trouble is None and self.digest is None

    @property
    def is_index(self) -> bool:
        """Whether it names an index: one image for each platform."""
        return bool(self.children) or self.media_type in INDEXES

    def for_platform(self, platform: str) -> str | None:
        """Return the digest of the image for a platform; None when there is none for it."""
        if not self.is_index:
            return self.digest if fits(self.platform, platform) else None
        return next((one.digest for one in self.children if fits(one.platform, platform)), None)


Knowledge: TypeAlias = "Mapping[str, Known]"
"""Name (see `tag_name`, `digest_name`) -> what was told of it; what is missing was not asked."""


def fits(offered: str, wanted: str) -> bool:
    """Whether an image for one platform is what was asked for; without a variant in the question any will do."""
    return offered == wanted or offered.startswith(wanted + "/")


def tag_name(image: ImageReference) -> str:
    """Return the name by which a tag is asked for; a missing tag means `latest`, as everywhere."""
    return f"{image.name}:{image.tag or 'latest'}"


def digest_name(image: ImageReference) -> str:
    """Return the name by which a digest is asked for."""
    return f"{image.name}@{image.digest}"
