"""`make torture`: the battery in its long form, with fresh seeds, until the time is over.

Ends with 0 when all was green, with 1 when anything was red: what, the seed, and the command that does it again.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from torture.part import NotHere, Part, Round, Tally, memory_folder
from torture.parts import PARTS

STUCK_SECONDS = 1_200
"""A round that shows no sign of life for so long is stuck: its threads are shown and the run ends red."""


@dataclass
class Score:
    """What a part came to."""

    tally: Tally = field(default_factory=Tally)
    rounds: int = 0
    seconds: float = 0.0
    red: list[int] = field(default_factory=list)
    not_here: str = ""

    def told(self) -> str:
        """Say how it stands."""
        return self.not_here or (f"RED, seeds {', '.join(map(str, self.red))}" if self.red else "green")


def main() -> int:
    """Run."""
    asked = _arguments()
    parts = [part for part in PARTS if not asked.only or part.name in asked.only]
    scores = {part.name: Score() for part in parts}
    began = time.monotonic()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"The battery runs for {asked.minutes:g} minutes; the first seed is {seed}.", flush=True)
    while True:
        for part in parts:
            if (time.monotonic() - began) >= asked.minutes * 60 and scores[part.name].rounds:
                break
            if not scores[part.name].not_here:
                _one(part, seed, scores[part.name], began, short=asked.short)
        seed += 1
        if (time.monotonic() - began) >= asked.minutes * 60 or asked.once:
            break
    _tell(parts, scores, time.monotonic() - began, as_json=asked.json)
    return 1 if any(score.red for score in scores.values()) else 0


def _one(part: Part, seed: int, score: Score, began: float, *, short: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-torture-", dir=memory_folder()))
    given = Round(seed, folder, long=not short, alive=_watched)
    at = time.monotonic()
    _watched()
    try:
        part.run(given)
    except NotHere as reason:
        score.not_here = f"not here: {reason}"
    except Exception:  # noqa: BLE001 - whatever went wrong is told, and the rest goes on
        score.red.append(seed)
        traceback.print_exc()
        again = f"--only {part.name} --seed {seed} --once{' --short' if short else ''}"
        print(f'RED: {part.name}. Again: make torture ARGS="{again}"', file=sys.stderr, flush=True)
    finally:
        faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(folder, ignore_errors=True)
    took = time.monotonic() - at
    score.rounds += 1
    score.seconds += took
    for name, value in vars(given.tally).items():
        setattr(score.tally, name, getattr(score.tally, name) + value)
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    done = f"{given.tally.runs} runs, {given.tally.operations} operations, {given.tally.kills} harms"
    print(f"[{minutes:3}:{seconds:02}] {part.name:11} seed {seed}: {done}, {took:.1f} s, {score.told()}", flush=True)


def _watched() -> None:
    """Begin anew to wait for the next sign of life."""
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)


def _tell(parts: list[Part], scores: dict[str, Score], seconds: float, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seconds": round(seconds), "parts": {name: _as_json(one) for name, one in scores.items()}}))
        return
    print(f"\n{'part':11} {'rounds':>6} {'runs':>7} {'operations':>10} {'harms':>7} {'minutes':>7}  outcome")
    for part in parts:
        score, tally = scores[part.name], scores[part.name].tally
        print(
            f"{part.name:11} {score.rounds:6} {tally.runs:7} {tally.operations:10} {tally.kills:7} "
            f"{score.seconds / 60:7.1f}  {score.told()}   ({part.shows})"
        )
    red = sum(len(score.red) for score in scores.values())
    print(f"\n{seconds / 60:.1f} minutes, {red} violations.")


def _as_json(score: Score) -> dict[str, object]:
    return {"rounds": score.rounds, **vars(score.tally), "red_seeds": score.red, "not_here": score.not_here}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long; each part runs at least once")
    parser.add_argument("--seed", type=int, help="the first seed; unset, by chance")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="only these parts")
    parser.add_argument("--once", action="store_true", help="one round of each, however long it takes")
    parser.add_argument("--short", action="store_true", help="the size of `make test`")
    parser.add_argument("--json", action="store_true", help="the table for programs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
