"""Was there an order? A checker of recorded histories of one tag, after Wing and Gong, with Lowe's memory.

Many clients asked at the same time, and each wrote down when it asked and when it was answered. The history is
linearizable if every operation can be thought to have taken place at one moment between the two, so that a registry
that does one thing after the other would have given the same answers. An operation that was never answered may have
taken place at any moment until the server was dead, or never.

Source: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993); Lowe, "Testing for linearizability" (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tag(NamedTuple):
    """What there is to know of one tag."""

    bound: str | None = None
    tombstone: str | None = None
    held: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One operation on a tag: `put`, `get`, `delete` or `mode`; times on one clock, in seconds."""

    kind: str
    value: str | None
    """What was put, or the mode: "held" or "free"."""
    asked: float
    answered: float
    answer: object = None
    """The digest of a get, True or False of a put or delete; None when none came: then `answered` is the latest."""
    known: bool = True

    def __str__(self) -> str:
        end = f"{self.answered:.6f}" if self.answered < inf else "never"
        said = f"-> {self.answer}" if self.known else "-> no answer"
        return f"[{self.asked:.6f} .. {end}] {self.kind} {self.value or ''} {said}"


def step(tag: Tag, call: Call) -> tuple[Tag, object]:  # noqa: PLR0911 - one return a row of the rule
    """Do one operation on a registry that does one thing after the other."""
    if call.kind == "get":
        return tag, tag.bound
    if call.kind == "mode":
        return tag._replace(held=call.value == "held"), True
    if call.kind == "delete":
        if tag.bound is None:
            return tag, False
        return Tag(None, tag.bound if tag.held else tag.tombstone, tag.held), True
    if tag.bound == call.value:
        return tag, True
    if tag.bound is None and tag.tombstone in {None, call.value}:
        return Tag(call.value, None, tag.held), True
    if tag.bound is not None and not tag.held:
        return tag._replace(bound=call.value), True
    return tag, False


def why_not(history: Sequence[Call], start: Tag = Tag()) -> str | None:  # noqa: B008 - a value that does not change
    """Return None when there is an order, else the longest beginning of one and what could not follow."""
    calls = sorted(history, key=lambda call: call.asked)
    ends = [call.answered if call.known else inf for call in calls]
    last = [call.answered for call in calls]
    needed = sum(call.known for call in calls)
    seen: set[tuple[int, frozenset[int], Tag]] = set()
    best, most = None, -1
    # Each entry of the stack: the first call not taken, those taken beyond it, the state, how many known ones are
    # taken, the latest question among the taken, and the order so far (as a linked list).
    stack: list[tuple[int, frozenset[int], Tag, int, float, tuple[int, object] | None]] = [
        (0, frozenset(), start, 0, -inf, None)
    ]
    while stack:
        first, beyond, tag, taken, latest, order = stack.pop()
        if taken == needed:
            return None
        if (first, beyond, tag) in seen:
            continue
        seen.add((first, beyond, tag))
        if taken > most:
            best, most = order, taken
        bound, number = inf, first
        options: list[int] = []
        while number < len(calls) and calls[number].asked <= bound:
            if number not in beyond and (calls[number].known or last[number] >= latest):
                options.append(number)
                bound = min(bound, ends[number])
            number += 1
        for option in reversed(options):
            call = calls[option]
            after, answer = step(tag, call)
            if call.asked > bound or (call.known and answer != call.answer) or (not call.known and after == tag):
                continue
            now = max(latest, call.asked)
            next_first, next_beyond = _advance(calls, last, first, beyond | {option}, now)
            stack.append((next_first, next_beyond, after, taken + call.known, now, (option, order)))
    return _explain(calls, _listed(best))


def _advance(
    calls: Sequence[Call], last: Sequence[float], first: int, beyond: frozenset[int], latest: float
) -> tuple[int, frozenset[int]]:
    """Pass over what is taken, and what was never answered and can no longer have taken place."""
    while first < len(calls) and (first in beyond or (not calls[first].known and last[first] < latest)):
        first += 1
    return first, frozenset(one for one in beyond if one >= first)


def _listed(order: tuple[int, object] | None) -> list[int]:
    found: list[int] = []
    while order is not None:
        found.append(order[0])
        order = order[1]  # type: ignore[assignment]
    return found[::-1]


def _explain(calls: Sequence[Call], best: Sequence[int]) -> str:
    taken = "\n  ".join(str(calls[number]) for number in best[-12:])
    rest = [call for number, call in enumerate(calls) if number not in set(best)]
    left = "\n  ".join(map(str, rest[:12]))
    return f"no order explains {len(calls)} operations. After\n  {taken}\nnone of these can follow:\n  {left}"
