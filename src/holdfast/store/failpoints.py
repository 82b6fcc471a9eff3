"""Named places where a test may end the process: what is on the disk at each of them must be enough to go on from.

Nothing is armed unless `serve` was told so by HOLDFAST_FAILPOINTS, and it says so loudly. A place that is not armed
costs one look at an empty dictionary. A new boundary between two effects gets a row in the table and a `reach` at its
place; the crash tests run over the table, so a name that no test reaches turns them red.
"""

from __future__ import annotations

import os
import re
import signal
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from holdfast.core.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Request = TypeVar("Request")
Answer = TypeVar("Answer")

VARIABLE: Final = "HOLDFAST_FAILPOINTS"
ANY: Final = "*"

POINTS: Final = {
    "start.folders-made": "the folders of the blobs are made and not synced",
    "start.seal-written": "the key that seals secrets is written and has no name yet",
    "schema.before": "a script of the schema is about to be committed",
    "schema.after": "a script of the schema is committed",
    "upload.before-write": "bytes of an upload came and are not written",
    "upload.after-write": "bytes of an upload are written and not synced",
    "upload.after-sync": "bytes of an upload are durable and not answered for",
    "upload.before-discard": "the row of an upload is gone, its file is not",
    "blob.before-sync": "an upload hashes to its digest and is not synced",
    "blob.after-sync": "a blob's bytes are synced and have no name",
    "blob.after-link": "a blob has its name, and its folder is not synced",
    "blob.after-folder-sync": "a blob is durable, its upload's file is still there",
    "blob.after-unstage": "a blob is durable and no row names it",
    "blob.before-delete": "a blob has no row any more and its file is there",
    "blob.after-delete": "a blob's file is gone and is still noted as doomed",
    "commit.begun": "a transaction is open and nothing is written in it",
    "commit.before": "all jobs of a transaction have run and it is not committed",
    "commit.after": "a transaction is committed and nobody was told",
    "collect.removed": "a page of a collection is committed",
    "start.ledger-key-written": "a key of the ledger is written and no row names it",
    "ledger.sequenced": "entries have their places, and none is published",
    "ledger.entries-written": "entries are published on disk, the checkpoint that covers them is not",
    "ledger.checkpoint-written": "the new checkpoint is on disk beside the old one",
    "ledger.published": "a checkpoint is published and nobody was told",
    "answer.before": "a request is done and not answered",
}
"""Name -> what is true there."""

_armed: dict[str, Callable[[str], None]] = {}


def reach(name: str) -> None:
    """Be at a place: does nothing unless it is armed."""
    if _armed:
        action = _armed.get(name) or _armed.get(ANY)
        if action is not None:
            action(name)


def on(name: str, action: Callable[[str], None]) -> None:
    """Do something at a place, or at any (`*`); for tests in this process, which also call `clear`."""
    _armed[_known(name)] = action


def clear() -> None:
    """Arm nothing."""
    _armed.clear()


def arm(plan: str) -> dict[str, int]:
    """Arm what a plan says, `NAME[@N], ...`: the process is killed when it comes to the place for the N-th time.

    Returns the places and their numbers. Raises ConfigurationInvalid.
    """
    armed: dict[str, int] = {}
    for part in plan.split(","):
        found = re.fullmatch(r"\s*([a-z.*-]+)(?:@([1-9][0-9]{0,8}))?\s*", part, re.ASCII)
        if found is None:
            msg = f"{VARIABLE} is a list of NAME or NAME@N, where N is the how-manieth time; {part!r} is not."
            raise ConfigurationInvalid(msg)
        armed[_known(found[1])] = int(found[2] or 1)
    for name, number in armed.items():
        on(name, _killer(number))
    return armed


def before_answers(
    handler: Callable[[Request], Coroutine[Any, Any, Answer]],
) -> Callable[[Request], Coroutine[Any, Any, Answer]]:
    """Return the handler, with `answer.before` behind it if anything is armed now."""
    if not _armed:
        return handler

    async def answer(request: Request) -> Answer:
        answered = await handler(request)
        reach("answer.before")
        return answered

    return answer


def _known(name: str) -> str:
    if name not in POINTS and name != ANY:
        msg = f"There is no failpoint {name!r}; there are {', '.join(POINTS)}."
        raise ConfigurationInvalid(msg)
    return name


def _killer(number: int) -> Callable[[str], None]:
    times = count(1)

    def kill(_name: str) -> None:
        if next(times) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill
