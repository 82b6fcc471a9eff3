"""Which calls of the operating system a piece of code makes, in order, seen from beside: nothing is replaced."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_WATCHED: Final = {
    one: one.__name__
    for one in (os.fsync, os.fdatasync, os.link, os.rename, os.replace, os.unlink, os.pwritev, os.pwrite)
}


@contextmanager
def disk_calls() -> Iterator[list[tuple[str, str]]]:
    """Gather (call, function that made it) from every thread that begins inside the block, and from this one."""
    seen: list[tuple[str, str]] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and (name := _WATCHED.get(argument)) is not None:
            seen.append((name, frame.f_code.co_name))

    before = sys.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
