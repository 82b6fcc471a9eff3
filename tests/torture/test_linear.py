"""The checker finds an order where there is one, and says so where there is none: it can fail."""

from __future__ import annotations

import random

import pytest

from torture.linear import Call, Tag, step, why_not

A, B = "sha256:a", "sha256:b"


def put(value: str, asked: float, answered: float, *, won: bool = True) -> Call:
    return Call("put", value, asked, answered, won)


def get(found: str | None, asked: float, answered: float) -> Call:
    return Call("get", None, asked, answered, found)


def delete(asked: float, answered: float, *, was_there: bool = True) -> Call:
    return Call("delete", None, asked, answered, was_there)


def mode(value: str, asked: float, answered: float) -> Call:
    return Call("mode", value, asked, answered, answer=True)


GOOD = {
    "two pushes at once, one wins": [put(A, 0, 3), put(B, 1, 2, won=False), get(A, 4, 5)],
    "a read beside a push sees either": [put(A, 0, 10), get(None, 1, 2), get(A, 3, 4)],
    "the digest comes back": [put(A, 0, 1), delete(2, 3), put(B, 4, 5, won=False), put(A, 6, 7)],
    "switched, then moved": [put(A, 0, 1), mode("free", 2, 9), put(B, 3, 4), get(B, 10, 11)],
    "a push without an answer took place": [Call("put", A, 0, 5, known=False), get(A, 6, 7)],
    "a push without an answer did not": [Call("put", A, 0, 5, known=False), put(B, 6, 7)],
    "a push without an answer took place late": [
        Call("put", A, 0, 9, known=False), get(None, 1, 2), get(A, 3, 4)
    ],
}  # fmt: skip

BAD = {
    "both of two racers win": [put(A, 0, 3), put(B, 1, 2)],
    "a held tag moves": [put(A, 0, 1), get(A, 2, 3), get(B, 4, 5), put(B, 3.5, 6)],
    "a push that was answered is gone": [put(A, 0, 1), get(None, 2, 3)],
    "a read goes back in time": [put(A, 0, 10), get(A, 1, 2), get(None, 3, 4)],
    "a tombstone is ignored": [put(A, 0, 1), delete(2, 3), put(B, 4, 5)],
    "the loser is told it won": [put(A, 0, 3), put(B, 0, 3), get(A, 4, 5)],
    "a switch is not heard": [mode("held", 0, 1), put(A, 2, 3), put(B, 4, 5)],
    "after the end of the server": [Call("put", A, 0, 5, known=False), get(None, 6, 7), get(A, 8, 9)],
    "deleted twice": [put(A, 0, 1), delete(2, 5), delete(3, 4)],
}


@pytest.mark.parametrize("name", GOOD)
def test_an_order_is_found(name: str) -> None:
    assert why_not(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_where_there_is_none_it_is_said(name: str) -> None:
    reason = why_not(BAD[name])
    assert reason is not None
    assert "none of these can follow" in reason


def made_up(chance: random.Random, count: int) -> list[Call]:
    """Make up a history that has an order: each takes place at a moment, and is asked before and answered after."""
    tag, calls, now = Tag(), [], 0.0
    for _ in range(count):
        now += chance.random()
        kind = chance.choice(("put", "put", "get", "get", "delete", "mode"))
        value = chance.choice((A, B)) if kind == "put" else chance.choice(("held", "free")) if kind == "mode" else None
        began, ended = now - chance.random() * 2, now + chance.random() * 2
        if kind in {"put", "delete"} and chance.random() < 0.1:
            call = Call(kind, value, began, ended, known=False)
            if chance.random() < 0.5:
                tag, _ = step(tag, call)
        else:
            bare = Call(kind, value, began, ended)
            tag, answer = step(tag, bare)
            call = Call(kind, value, began, ended, answer)
        calls.append(call)
    return calls


@pytest.mark.parametrize("seed", range(20))
def test_histories_made_up_in_an_order_pass_and_an_answer_changed_is_found(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    calls = made_up(chance, 80)
    assert why_not(calls) is None
    # A digest that nobody ever pushed cannot be read, wherever.
    place = chance.randrange(len(calls))
    lie = Call("get", None, calls[place].asked, calls[place].answered, "sha256:never pushed")
    assert why_not([*calls, lie]) is not None
