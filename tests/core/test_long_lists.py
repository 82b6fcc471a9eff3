"""Long lists sorted in steps: the result is `sorted`'s, whatever the list looks like."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import long_lists
from holdfast.core.long_lists import STEP_ITEMS, let_go, sorted_in_steps

LENGTH = 5 * STEP_ITEMS + 7


@given(keys=st.lists(st.integers(0, 20)), step=st.integers(1, 10))
def test_the_order_is_that_of_sorted_also_of_equals(keys: list[int], step: int) -> None:
    items = [(key, place) for place, key in enumerate(keys)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_lists, "STEP_ITEMS", step)
        assert sorted_in_steps(items, lambda one: one[0]) == sorted(items, key=lambda one: one[0])


@pytest.mark.parametrize("order", ["random", "ordered", "backwards", "nearly"])
def test_no_piece_is_much_longer_than_a_step(order: str) -> None:
    chance = random.Random(7)  # noqa: S311 - an order for a test
    numbers = list(range(LENGTH))
    if order == "random":
        chance.shuffle(numbers)
    elif order == "backwards":
        numbers.reverse()
    elif order == "nearly":
        for _ in range(100):
            one, other = chance.randrange(LENGTH), chance.randrange(LENGTH)
            numbers[one], numbers[other] = numbers[other], numbers[one]
    pieces = long_lists.pieces_of(numbers, lambda one: one)
    assert sum(map(len, pieces)) == LENGTH
    assert max(map(len, pieces)) <= 2 * STEP_ITEMS
    assert sorted_in_steps(numbers, lambda one: one) == list(range(LENGTH))


def test_lists_are_let_go() -> None:
    one: list[Any] = list(range(2 * STEP_ITEMS + 1))
    other: list[Any] = []
    let_go(one, other)
    assert (one, other) == ([], [])
