"""A push, as the readers find it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.pin.pushes import tag as tags

if TYPE_CHECKING:
    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.tag import Repetition, Text


class Purpose(StrEnum):
    """What is pushed, or done to a repository."""

    IMAGE = "image"
    CHART = "chart"
    CACHE = "cache"
    SIGNATURE = "signature"
    DELETE = "delete"
    MAKE_MUTABLE = "make mutable"
    CREATE_MUTABLE = "create mutable"


@dataclass(frozen=True, slots=True)
class Push:
    """One tag that a pipeline pushes."""

    repository: Text
    tag: Text
    via: str
    """The command or action that does it: `docker push`."""
    place: int
    """Where in the file, in characters from its beginning."""
    span: Span | None = None
    """Where the tag is written, if it stands in the file as it is."""
    implied: bool = False
    """Whether no tag is written, and `latest` is meant."""
    purpose: Purpose = Purpose.IMAGE
    system: str = "shell"
    """The CI system whose file it is."""
    note: str = ""

    @property
    def verdict(self) -> Repetition:
        """Tell how often the same tag is pushed."""
        return tags.judge(self.tag)[0]

    @property
    def reason(self) -> str:
        """Tell why the verdict is what it is."""
        if self.implied:
            return "no tag is written, so latest is meant: every run pushes the same tag"
        return self.note or tags.judge(self.tag)[1]

    @property
    def image(self) -> str:
        """Return repository and tag as people write them."""
        return f"{tags.shown(self.repository)}:{tags.shown(self.tag)}"
