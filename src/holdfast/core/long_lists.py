"""Long lists sorted and let go in short steps.

Python runs one thread at a time, and neither a sort nor the end of a list lets another in before it is done. Over
100,000 images that was 200 ms of processor time in which the server answered nobody; here a step is a few of them.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

STEP_ITEMS: Final = 4_000
"""Items that are sorted or let go at a time."""

_SAMPLES: Final = 16
"""Items looked at for each piece, to cut the list into pieces of about the same length."""


def sorted_in_steps(items: Sequence[T], key: Callable[[T], Any]) -> list[T]:
    """Sort by a key, as `sorted` does: equal items stay in the order given."""
    if len(items) <= STEP_ITEMS:
        return sorted(items, key=key)
    found: list[T] = []
    for piece in pieces_of(items, key):
        piece.sort(key=key)
        found += piece
    return found


def pieces_of(items: Sequence[T], key: Callable[[T], Any]) -> list[list[T]]:
    """Cut a list at some of its own keys: no key of a piece is greater than one of the next, equal ones stay together.

    Pieces are some STEP_ITEMS long, but where more keys are equal.
    """
    pieces = len(items) // STEP_ITEMS + 1
    sample = sorted(key(one) for one in items[:: max(1, len(items) // (pieces * _SAMPLES))])
    cuts = sample[_SAMPLES::_SAMPLES]
    found: list[list[T]] = [[] for _ in range(len(cuts) + 1)]
    for one in items:
        found[bisect_right(cuts, key(one))].append(one)
    return found


def let_go(*lists: list[Any]) -> None:
    """Empty lists, the first first."""
    for items in lists:
        while items:
            del items[-STEP_ITEMS:]
