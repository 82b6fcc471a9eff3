"""The token bucket that is one number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.rates import BURST_SECONDS, admit

SECOND = 1_000_000


class Twin:
    """A token bucket as textbooks have it, with fractions."""

    def __init__(self, per_second: int) -> None:
        self.interval = SECOND // per_second
        self.most = BURST_SECONDS * per_second * self.interval
        self.level = self.most
        self.at: int | None = None

    def admit(self, now: int) -> int:
        if self.at is not None:
            self.level = min(self.most, self.level + now - self.at)
        self.at = now
        if self.level < self.interval:
            return self.interval - self.level
        self.level -= self.interval
        return 0


@given(
    per_second=st.integers(1, 5_000),
    gaps=st.lists(st.one_of(st.integers(0, 2_000), st.integers(0, 40 * SECOND)), max_size=200),
)
def test_it_admits_as_a_bucket_of_tokens_does(per_second: int, gaps: list[int]) -> None:
    twin, full_at, now = Twin(per_second), 0, 10**15
    for gap in gaps:
        now += gap
        full_at, wait = admit(full_at, now, per_second)
        assert wait == twin.admit(now)


def test_ten_seconds_worth_may_come_at_once_and_then_one_at_a_time() -> None:
    full_at, now = 0, 10**15
    for _ in range(50):
        full_at, wait = admit(full_at, now, 5)
        assert wait == 0
    assert admit(full_at, now, 5) == (full_at, 200_000)
    full_at, wait = admit(full_at, now + 200_000, 5)
    assert wait == 0
    assert admit(full_at, now + 200_000, 5)[1] == 200_000


@given(full_at=st.integers(0, 2**62), now=st.integers(0, 2**62), per_second=st.integers(1, 1_000_000))
def test_no_clock_makes_anybody_wait_longer_than_one_interval(full_at: int, now: int, per_second: int) -> None:
    after, wait = admit(full_at, now, per_second)
    assert 0 <= wait <= SECOND // per_second
    assert now <= after <= now + BURST_SECONDS * SECOND
