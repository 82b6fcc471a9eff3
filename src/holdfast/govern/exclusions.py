"""The smallest set of exclusion filters that keeps chosen tags movable, and what else stays movable because of it.

Pure. This file alone decides which filters are thought of and which set is best: it must match every chosen tag; then
as few as possible of the tags that shall hold; then as few filters as possible; then filters that say most (the
longest text, the fewest wildcards). Small questions are answered exactly, by search; `is_exact` says whether this one
was.

Limits of Amazon ECR: at most 5 filters of 1 to 128 characters, at most 2 wildcards in each (see `core.mutability`).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.mutability import MAX_FILTER_CHARACTERS, MAX_FILTERS, is_signature_tag, matches
from holdfast.govern.tag_kinds import short_tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

MAX_NODES: Final = 50_000
"""Of the search; beyond, the best set so far is the answer."""

_MAX_PAIRED: Final = 200
"""Pairs are made of so many chosen tags, spread over all."""

_TOKENS: Final = re.compile(r"[-_.]+|[0-9]+|[A-Za-z]+")
_SIGNATURES: Final = ("sha256-*", "sha512-*")


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A set of filters, and what it does."""

    filters: tuple[str, ...]
    missed: tuple[str, ...]
    """Chosen tags that no filter matches: five did not suffice."""

    collateral: tuple[str, ...]
    """Tags that shall hold, and that a filter matches all the same."""

    live: int
    """Live tags there are."""

    movable: tuple[str, ...]
    """Live tags that stay movable."""

    is_exact: bool

    @property
    def share(self) -> float:
        """The share of the live tags that stays movable, from 0 to 1."""
        return len(self.movable) / self.live if self.live else 0.0

    @property
    def sentence(self) -> str:
        """What stays movable because of it."""
        if not self.filters:
            return "No exclusion is needed: every tag holds."
        shown = ", ".join(map(short_tag, self.movable[:5])) + (" and others" if len(self.movable) > 5 else "")  # noqa: PLR2004
        stays = (
            f"{len(self.movable)} of {self.live} live tags stay movable ({self.share:.1%})"
            if self.live
            else ("there are no live tags yet")
        )
        told = f"{', '.join(self.filters)}: {stays}" + (f": {shown}." if self.movable else ".")
        if self.collateral:
            told += f" {len(self.collateral)} of them were not meant to."
        if self.missed:
            told += f" {len(self.missed)} of the chosen tags are not covered: five filters do not suffice."
        return told


def synthesize(
    keep: Iterable[str], hold: Iterable[str] = (), live: Iterable[str] = (), *, most: int = MAX_FILTERS
) -> Synthesis:
    """Find filters that match every tag of `keep`, and as few of `hold` as can be; `live` are the tags there are."""
    chosen = tuple(sorted(set(keep)))
    held = tuple(sorted(set(hold) - set(chosen)))
    search = _Search(chosen, held, candidates(chosen), most)
    filters = tuple(sorted(search.best()))
    there = sorted(set(live))
    return Synthesis(
        filters=filters,
        missed=tuple(tag for tag in chosen if not _any(filters, tag)),
        collateral=tuple(tag for tag in held if _any(filters, tag)),
        live=len(there),
        movable=tuple(tag for tag in there if _any(filters, tag)),
        is_exact=search.is_exact,
    )


def candidates(chosen: Sequence[str]) -> list[str]:
    """Return the filters that are thought of: each tag itself, and what two of them have in common."""
    # A signature's name holds the digest that it signs: the next one has another name.
    found = dict.fromkeys(one for one in chosen if len(one) <= MAX_FILTER_CHARACTERS and not is_signature_tag(one))
    for one in _SIGNATURES:
        if any(matches(one, tag) for tag in chosen):
            found[one] = None
    step = max(1, len(chosen) // _MAX_PAIRED)
    plain = [one for one in chosen if not is_signature_tag(one)][::step]
    for first, second in itertools.combinations(plain, 2):
        for one in common(first, second):
            found[one] = None
    # A filter that says nothing would be no exclusion: the repository would be mutable under another name.
    return [one for one in found if one.strip("*-_.")]


def common(first: str, second: str) -> list[str]:
    """Return filters that match two tags: the same words at the beginning, at the end, at both, or one anywhere.

    Whole words only: that `latest` and `test` end with the same letters means nothing.
    """
    one, other = _TOKENS.findall(first), _TOKENS.findall(second)
    head = "".join(_shared(one, other))
    tail = "".join(reversed(_shared(one[::-1], other[::-1])))
    found = [f"{head}*"] if head else []
    if tail:
        found.append(f"*{tail}")
    if head and tail:
        found.append(f"{head}*{tail}")
    found += [f"*{word}*" for word in sorted({each for each in one if each.isalpha()} & set(other))]
    return [
        each for each in found if len(each) <= MAX_FILTER_CHARACTERS and matches(each, first) and matches(each, second)
    ]


def _shared(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [first for first, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def _any(filters: Collection[str], tag: str) -> bool:
    return any(matches(one, tag) for one in filters)


class _Search:
    """Set cover by branch and bound, over bit sets."""

    def __init__(self, chosen: Sequence[str], held: Sequence[str], filters: Sequence[str], most: int) -> None:
        self._most = most
        self._all = (1 << len(chosen)) - 1
        rows = [
            (
                sum(1 << number for number, tag in enumerate(chosen) if matches(one, tag)),
                sum(1 << number for number, tag in enumerate(held) if matches(one, tag)),
                (one.count("*"), -len(one.replace("*", "")), one),
            )
            for one in filters
        ]
        self._rows = _undominated(rows)
        self._best: tuple[tuple[int, int, int, int, int], tuple[int, ...]] | None = None
        self._nodes = 0
        self.is_exact = True

    def best(self) -> list[str]:
        """Return the best set of filters."""
        if not self._all:
            return []
        self._keep(self._greedy())
        self._branch(0, 0, ())
        if self._best is not None and self._best[0][0]:
            self.is_exact = False
        return [self._rows[number][2][2] for number in self._best[1]] if self._best else []

    def _cost(self, picked: tuple[int, ...]) -> tuple[int, int, int, int, int]:
        covered = collateral = wildcards = letters = 0
        for number in picked:
            row = self._rows[number]
            covered |= row[0]
            collateral |= row[1]
            wildcards += row[2][0]
            letters += row[2][1]
        return ((self._all & ~covered).bit_count(), collateral.bit_count(), len(picked), wildcards, letters)

    def _keep(self, picked: tuple[int, ...]) -> None:
        cost = self._cost(picked)
        if self._best is None or cost < self._best[0]:
            self._best = (cost, picked)

    def _greedy(self) -> tuple[int, ...]:
        covered = collateral = 0
        picked: list[int] = []
        while covered != self._all and len(picked) < self._most:
            number, row = max(
                enumerate(self._rows),
                key=lambda item: (
                    (item[1][0] & ~covered).bit_count(),
                    -(item[1][1] & ~collateral).bit_count(),
                    -item[1][2][0],
                    -item[1][2][1],
                ),
            )
            picked.append(number)
            covered |= row[0]
            collateral |= row[1]
        return tuple(picked)

    def _branch(self, covered: int, collateral: int, picked: tuple[int, ...]) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.is_exact = False
            return
        self._keep(picked)
        if covered == self._all or len(picked) == self._most:
            return
        assert self._best is not None  # noqa: S101 - the greedy answer is there
        best = self._best[0]
        if best[0] == 0 and (collateral.bit_count(), len(picked) + 1) > (best[1], best[2]):
            return
        # One of the filters that match the tag with the fewest must be in every cover.
        open_tags = self._all & ~covered
        fewest: list[int] | None = None
        while open_tags:
            bit = open_tags & -open_tags
            open_tags ^= bit
            having = [number for number, row in enumerate(self._rows) if row[0] & bit]
            if fewest is None or len(having) < len(fewest):
                fewest = having
        for number in sorted(
            fewest or (), key=lambda one: (self._rows[one][1].bit_count(), -self._rows[one][0].bit_count())
        ):
            row = self._rows[number]
            self._branch(covered | row[0], collateral | row[1], (*picked, number))


_Row = tuple[int, int, tuple[int, int, str]]


def _undominated(rows: list[_Row]) -> list[_Row]:
    """Leave out filters beside one that matches all the same chosen tags, no more of the held, and says no less."""
    best: dict[tuple[int, int], _Row] = {}
    for row in rows:
        known = best.get(row[:2])
        if known is None or row[2] < known[2]:
            best[row[:2]] = row
    return list(best.values())
