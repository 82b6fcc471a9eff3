"""Shell scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pin.readers.shell_tools import shell_mentions
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from holdfast.pin.mention import Mention
    from holdfast.pin.source import Source


def read(source: Source) -> list[Mention]:
    """Return the mentions of a script; raises UnreadableFile."""
    return shell_mentions(Excerpt.of(source))
