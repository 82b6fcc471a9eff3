"""What of a code base is pinned, brought up to date or unpinned: wishes out of mentions and knowledge. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.pin.consumers import named
from holdfast.pin.knowledge import tag_name
from holdfast.pin.mention import Role
from holdfast.pin.rewrite import Wish, rewrite, was_recorded

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holdfast.pin.case import Case
    from holdfast.pin.consumers import Named
    from holdfast.pin.knowledge import Knowledge, Known, Trouble
    from holdfast.pin.mention import Mention, Span
    from holdfast.pin.rewrite import Record, Rewritten


class Aim(StrEnum):
    """What is to be done."""

    PIN = "pin"
    UPDATE = "update"
    UNPIN = "unpin"


@dataclass(frozen=True, slots=True)
class Left:
    """A mention that stays as it is, and why. `trouble` where a registry is the reason, or the change has no proof."""

    path: str
    mention: Mention
    name: str
    reason: str
    trouble: Trouble | None = None
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A mention that changes: the digest before and after; None for none."""

    path: str
    mention: Mention
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one file."""

    rewritten: Rewritten
    changes: tuple[Change, ...]
    left: tuple[Left, ...]


def plan(
    case: Case,
    aim: Aim,
    knowledge: Knowledge,
    *,
    platform: str = "",
    accepted: Collection[Span] = (),
    records: Sequence[Record] = (),
    every: bool = False,
) -> Plan:
    """Decide about every image that a file consumes; `accepted` are places that people want as they are.

    `records` are those of earlier changes; with `every`, digests that are on no record are taken out too.
    """
    wishes: dict[int, tuple[Wish, Named]] = {}
    left: list[Left] = []
    for mention in case.mentions:
        if mention.role is not Role.CONSUMES or mention.span in accepted:
            continue
        decided = (
            _undo(case, mention, records, every=every)
            if aim is Aim.UNPIN
            else _decide(case, mention, aim, knowledge, platform)
        )
        if isinstance(decided, Left):
            left.append(decided)
        elif decided is not None:
            wishes[id(decided[0])] = decided
    made = rewrite(case.path, case.data, [wish for wish, _ in wishes.values()], records)
    for wish, why in made.refused:
        left.append(
            Left(case.path, wish.mention, wishes[id(wish)][1].name, f"It is left as it is: {why}.", is_failure=True)
        )
    changes = tuple(
        Change(case.path, wish.mention, wishes[id(wish)][1].name, wishes[id(wish)][1].digest, wish.digest)
        for wish in made.done
    )
    return Plan(made, changes, tuple(left))


def _undo(case: Case, mention: Mention, records: Sequence[Record], *, every: bool) -> tuple[Wish, Named] | Left | None:
    read = named(mention)
    if read is None or not read.digest or mention.rewrite is None:
        return None
    if not every and not was_recorded(mention, case.data, records):
        reason = "The lock file does not say that holdfast pin wrote this digest; --all takes it out too."
        return Left(case.path, mention, read.name, reason)
    return Wish(mention, None), read


def _decide(
    case: Case, mention: Mention, aim: Aim, knowledge: Knowledge, platform: str
) -> tuple[Wish, Named] | Left | None:
    read = named(mention)
    if (read is not None and read.digest is not None) is (aim is Aim.PIN):
        return None
    if read is None or read.image is None:
        reason = " ".join(mention.notes) or "Only a run can tell which image this is."
        return Left(case.path, mention, mention.text, reason)
    if mention.rewrite is None:
        return Left(case.path, mention, read.name, " ".join(mention.notes) or "No change of this file alone pins it.")
    if aim is Aim.UPDATE and read.tag is None:
        return Left(case.path, mention, read.name, "It names no tag that could have moved on.")
    told = knowledge.get(tag_name(read.image))
    wanted = _digest(told, platform)
    if told is None or wanted is None:
        return _unanswered(case, mention, read, told, platform)
    return None if wanted == read.digest else (Wish(mention, wanted), read)


def _digest(told: Known | None, platform: str) -> str | None:
    if told is None:
        return None
    return told.for_platform(platform) if platform and (told.children or told.platform) else told.digest


def _unanswered(case: Case, mention: Mention, read: Named, told: Known | None, platform: str) -> Left:
    name = tag_name(read.image) if read.image is not None else read.name
    if told is None:
        return Left(case.path, mention, read.name, f"{name} was not asked for.", is_failure=True)
    if told.trouble is not None:
        return Left(case.path, mention, read.name, told.sentence, told.trouble, is_failure=True)
    if told.digest is None:
        return Left(case.path, mention, read.name, f"Not found: nothing is called {name}.", is_failure=True)
    return Left(case.path, mention, read.name, f"{name} has no image for {platform}.", is_failure=True)


def difference(made: Rewritten) -> str:
    """Return the change of a file as a unified difference."""
    before, after = (
        # Lines as git counts them; str.splitlines would cut at form feeds and the like.
        re.findall(r"[^\n]*\n|[^\n]+", content.decode("utf-8", "replace"))
        for content in (made.before, made.after)
    )
    lines = difflib.unified_diff(before, after, f"a/{made.path}", f"b/{made.path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
