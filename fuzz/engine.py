"""Mutates inputs, keeps those that reach lines which none reached before, and stops at what breaks an invariant.

This file alone decides how inputs are made. It must not know any parser. It is written in plain Python, so that it runs
wherever Holdfast does: slower than a compiled fuzzer, but the same everywhere and in the tests too. With the same seed,
target and number of inputs it does the same again.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

MAX_INPUT_BYTES: Final = 16_384
INPUT_SECONDS: Final = 20
"""An input that takes longer has found something: the slowest sound one takes a fraction of a second."""

_INTERESTING: Final = (
    b"0", b"-1", b"1", b"1.0", b"1e999", b"NaN", b"9223372036854775808", b"99999999999999999999", b"true", b"null",
    b"\x00", b"\n", b"\r\n", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"%00", b"%2f", b"%2e%2e",
    b"..", b"/",
    b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b",", b":", b";", b"=", b"*", b"?", b" ", b"\t", b"A" * 300,
)  # fmt: skip
_MOST_MUTATIONS: Final = 6


class Target(Protocol):
    """What a module in `fuzz.targets` has; the first line of its docstring is the invariant, in one sentence."""

    SEEDS: tuple[bytes, ...]
    WORDS: tuple[bytes, ...]
    COVERS: tuple[str, ...]

    def check(self, data: bytes) -> None:
        """Raise whatever it likes when the invariant does not hold for this input."""


class TooSlow(BaseException):
    """An input that took longer than `INPUT_SECONDS`; no parser may catch it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that breaks the invariant."""

    data: bytes
    error: BaseException


@dataclass(slots=True)
class Report:
    """What a run did."""

    inputs: int = 0
    lines: int = 0
    kept: int = 0
    seconds: float = 0.0
    finding: Finding | None = None


@dataclass(slots=True)
class Fuzzer:
    """One run over one target."""

    target: Target
    seed: int = 0
    corpus: Sequence[bytes] = ()
    _pool: list[bytes] = field(default_factory=list)
    _reached: set[tuple[int, int, int]] = field(default_factory=set)

    def run(self, *, inputs: int | None = None, seconds: float | None = None) -> Report:
        """Try the seeds and the corpus, then mutations of what reached something new, until a bound or a finding."""
        chance = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be guessed
        report, began = Report(), time.monotonic()
        given = [*self.target.SEEDS, *self.corpus]
        self._pool = list(given)
        while report.finding is None:
            report.seconds = time.monotonic() - began
            enough = seconds is not None and report.seconds >= seconds
            if report.inputs >= len(given) and (enough or (inputs is not None and report.inputs >= inputs)):
                break
            data = given[report.inputs] if report.inputs < len(given) else self._mutated(chance)
            report.inputs += 1
            reached, error = self._try(data)
            if error is not None:
                report.finding = Finding(data, error)
            elif not reached <= self._reached:
                self._reached |= reached
                self._pool.append(data)
        report.lines, report.kept = len(self._reached), len(self._pool)
        return report

    def _try(self, data: bytes) -> tuple[set[tuple[int, int, int]], BaseException | None]:
        steps: set[tuple[int, int, int]] = set()
        with _traced(self.target.COVERS, steps), _in_time():
            try:
                self.target.check(data)
            except (Exception, TooSlow) as error:  # noqa: BLE001 - whatever it is, it is the finding
                return steps, error
        return steps, None

    def _mutated(self, chance: random.Random) -> bytes:
        data = bytearray(chance.choice(self._pool) if self._pool else b"")
        for _ in range(chance.randint(1, _MOST_MUTATIONS)):
            self._mutate(data, chance)
        return bytes(data[:MAX_INPUT_BYTES])

    def _mutate(self, data: bytearray, chance: random.Random) -> None:
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 4, 8, 32, 128)))
        match chance.randrange(8):
            case 0 if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 1:
                data[start:end] = b""
            case 2:
                data[start:start] = data[start:end] * chance.choice((1, 2, 16))
            case 3:
                data[start:end] = chance.choice(_INTERESTING)
            case 4 | 5 if self.target.WORDS:
                data[start : end if chance.random() < 0.5 else start] = chance.choice(self.target.WORDS)
            case 6:
                other = chance.choice(self._pool)
                data[start:] = other[chance.randrange(len(other) + 1) :]
            case _:
                data[start:start] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))


@contextmanager
def _traced(files: tuple[str, ...], steps: set[tuple[int, int, int]]) -> Iterator[None]:
    """Note every step from line to line in the files whose names end so."""
    known: dict[str, bool] = {}

    def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        wanted = known.get(name)
        if wanted is None:
            wanted = known[name] = name.endswith(files)
        if not wanted:
            return None
        code, before = id(frame.f_code), 0

        def step(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal before
            if event == "line":
                steps.add((code, before, frame.f_lineno))
                before = frame.f_lineno
            return step

        return step

    previous = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(previous)


@contextmanager
def _in_time() -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        message = f"the input took longer than {INPUT_SECONDS} s"
        raise TooSlow(message)

    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, INPUT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
