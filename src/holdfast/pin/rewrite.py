"""Digests written into files, and taken out again: exact bytes changed, and proven to be all that changed. Pure.

This file alone decides what becomes of a file's bytes. An edit counts only when the proofs hold: put back, its spans
give the old bytes again; the new file, read anew, has the same mentions in the same order, but that those which were
meant name the digest that was meant; and YAML and JSON have the same tree but for that. What cannot be proven is not
done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from holdfast.pin import structure
from holdfast.pin.files import mentions
from holdfast.pin.image import DEFAULT_TAG, parse_image
from holdfast.pin.mention import Form, Span, Splice, Unreadable, splices, without_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdfast.pin.mention import Mention

_MARK: Final = b"@"
_DIGEST: Final = "sha256:"


class Unproven(Exception):
    """An edit that would change more, or something else, than was meant; the message says what."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a change put in the place of what, so that it can be undone: `before` became `after`, at a mention."""

    where: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A mention, and the digest that it shall name; None takes it out."""

    mention: Mention
    digest: str | None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file's new bytes: which wishes they fulfil, and why others are not."""

    path: str
    before: bytes
    after: bytes
    done: tuple[Wish, ...]
    refused: tuple[tuple[Wish, str], ...]
    records: tuple[Record, ...]


def rewrite(path: str, data: bytes, wishes: Sequence[Wish], records: Sequence[Record] = ()) -> Rewritten:
    """Fulfil wishes: all at once if that can be proven, else one by one, leaving out those that cannot.

    `records` are those of earlier changes of the file; what comes back has those that hold now.
    """
    done: list[Wish] = []
    refused: list[tuple[Wish, str]] = []
    waiting = [tuple(wishes)] if wishes else []
    while waiting:
        some = waiting.pop()
        try:
            _changed(path, data, [*done, *some], records)
        except Unproven as error:
            if len(some) == 1:
                refused.append((some[0], str(error)))
            else:
                # Halves find the few that cannot be with few readings of the file.
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
        else:
            done += some
    after, kept = _changed(path, data, done, records) if done else (data, tuple(records))
    return Rewritten(path, data, after, tuple(done), tuple(refused), kept)


def _changed(
    path: str, data: bytes, wishes: Sequence[Wish], records: Sequence[Record]
) -> tuple[bytes, tuple[Record, ...]]:
    """Return the new bytes and the records that hold then; raises Unproven."""
    pairs = [(wish, splice) for wish in wishes for splice in _splices(wish, data, records)]
    wanted = [splice for _, splice in pairs]
    after = spliced(data, wanted)
    prove_bytes(data, after, wanted)
    prove_mentions(path, data, after, wishes)
    differs = structure.difference(path, data, after)
    if differs is not None:
        raise Unproven(differs)
    return after, tuple(_recorded(data, after, pairs, records))


# --- bytes -----------------------------------------------------------------------------------------------------------


def spliced(data: bytes, wanted: Iterable[Splice]) -> bytes:
    """Put new bytes in the places of spans; raises Unproven when two want the same place for different bytes."""
    pieces, at = [], 0
    for splice in sorted(set(wanted)):
        if splice.span.start < at or splice.span.end > len(data):
            msg = "two mentions share this place and would write different things there"
            raise Unproven(msg)
        pieces += [data[at : splice.span.start], splice.new]
        at = splice.span.end
    return b"".join((*pieces, data[at:]))


def prove_bytes(before: bytes, after: bytes, wanted: Iterable[Splice]) -> None:
    """Prove that what lies outside the spans is the same: from the end, spans put back give the old bytes."""
    ordered = sorted(set(wanted))
    undone = bytearray(after)
    shift = sum(len(one.new) - (one.span.end - one.span.start) for one in ordered)
    if len(after) != len(before) + shift:
        msg = "the new file has another length than the change makes it"
        raise Unproven(msg)
    for one in reversed(ordered):
        shift -= len(one.new) - (one.span.end - one.span.start)
        start = one.span.start + shift
        if undone[start : start + len(one.new)] != one.new:
            msg = "the new bytes are not where they were meant to be"
            raise Unproven(msg)
        undone[start : start + len(one.new)] = before[one.span.start : one.span.end]
    if undone != before:
        msg = "bytes outside the change would change"
        raise Unproven(msg)


# --- meaning ---------------------------------------------------------------------------------------------------------


def prove_mentions(path: str, before: bytes, after: bytes, wishes: Sequence[Wish]) -> None:
    """Prove that the new file says the same but for the digests: read anew, mention by mention."""
    old, new = _read(path, before), _read(path, after)
    if len(old) != len(new):
        msg = f"the file would name {len(new)} images where it names {len(old)}"
        raise Unproven(msg)
    meant = {(wish.mention.span, wish.mention.where): wish for wish in wishes}
    touched = [slot.span for wish in wishes for slot in (wish.mention.rewrite.slots if wish.mention.rewrite else ())]
    for was, now in zip(old, new, strict=True):
        if (was.kind, was.role, was.context) != (now.kind, now.role, now.context):
            msg = f"{was.where} would become {now.where}"
            raise Unproven(msg)
        wish = meant.get((was.span, was.where))
        if wish is not None:
            _prove_wish(was, now, wish)
        elif (was.text, was.image) != (now.text, now.image) and not _shares(was, touched):
            msg = f"{was.where} would name {now.image or now.text} where it names {was.image or was.text}"
            raise Unproven(msg)


def _prove_wish(was: Mention, now: Mention, wish: Wish) -> None:
    old, new = parse_image(was.image or ""), parse_image(now.image or "")
    if old is None or new is None:
        msg = f"{was.where} would no longer be the name of an image"
        raise Unproven(msg)
    if new.digest != wish.digest or new.name != old.name or (new.tag or DEFAULT_TAG) != (old.tag or DEFAULT_TAG):
        msg = f"{was.where} would name {now.image}, which is not {was.image} with the digest that was meant"
        raise Unproven(msg)


def _shares(mention: Mention, touched: Iterable[Span]) -> bool:
    """Whether a mention is written, in part, where something changed: two stages that use one ARG."""
    own = [mention.span, *(slot.span for slot in (mention.rewrite.slots if mention.rewrite else ()))]
    return any(one == other or (one.start < other.end and other.start < one.end) for one in own for other in touched)


def _read(path: str, data: bytes) -> list[Mention]:
    found = mentions(path, data)
    if isinstance(found, Unreadable):
        msg = f"the file could no longer be read: {found.reason}"
        raise Unproven(msg)
    return found


# --- in and out ------------------------------------------------------------------------------------------------------


def _splices(wish: Wish, data: bytes, records: Sequence[Record]) -> tuple[Splice, ...]:
    if wish.digest is not None:
        return splices(wish.mention, data, wish.digest, DEFAULT_TAG)
    return _undoing(wish.mention, data, records)


def _undoing(mention: Mention, data: bytes, records: Sequence[Record]) -> tuple[Splice, ...]:
    """Return what takes a digest out again: as it was before where a record tells that, else without its `@...`."""
    found = []
    for slot in mention.rewrite.slots if mention.rewrite else ():
        written = data[slot.span.start : slot.span.end]
        undone = _by_record(mention, data, slot.span, records)
        if undone is None and slot.form is not Form.DIGEST and _MARK in written:
            kept = without_digest(written.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            if b":" not in kept.rpartition(b"/")[2] and slot.form is Form.REFERENCE and b"$" not in kept:
                msg = "it names no tag beside the digest, and no record says what stood there before"
                raise Unproven(msg)
            undone = Splice(slot.span, kept)
        if undone is None:
            msg = "no record says what stood there before the digest"
            raise Unproven(msg)
        found.append(undone)
    return tuple(found)


def was_recorded(mention: Mention, data: bytes, records: Sequence[Record]) -> bool:
    """Whether a digest was put there by a change that is on record."""
    slots = mention.rewrite.slots if mention.rewrite else ()
    return any(_by_record(mention, data, slot.span, records) is not None for slot in slots)


def _by_record(mention: Mention, data: bytes, span: Span, records: Sequence[Record]) -> Splice | None:
    """Find the change that wrote what stands here: its new bytes lie round the slot, and are there to the letter."""
    same_place = sorted(records, key=lambda one: one.where != mention.where)
    for record in same_place:
        after = record.after.encode("utf-8", "surrogateescape")
        earliest = max(0, span.end - len(after))
        start = data.find(after, earliest, span.start + len(after))
        if start >= 0 and start <= span.start and start + len(after) >= span.end:
            before = record.before.encode("utf-8", "surrogateescape")
            return Splice(Span(start, start + len(after)), before)
    return None


def _recorded(
    data: bytes, after: bytes, pairs: Sequence[tuple[Wish, Splice]], records: Sequence[Record]
) -> Iterator[Record]:
    """Give the records after a change: what was pinned anew keeps what stood there at first.

    A record whose text stands nowhere any more has done its duty.
    """
    made = dict.fromkeys(records)
    for wish, splice in pairs:
        if wish.digest is None:
            continue
        where = wish.mention.where
        old = data[splice.span.start : splice.span.end].decode("utf-8", "surrogateescape")
        new = splice.new.decode("utf-8", "surrogateescape")
        first = next((one for one in records if one.where == where and _DIGEST in old and old in one.after), None)
        made[Record(where, old, new) if first is None else replace(first, after=first.after.replace(old, new))] = None
    return (one for one in made if one.after.encode("utf-8", "surrogateescape") in after)
