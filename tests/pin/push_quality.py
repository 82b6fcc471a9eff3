"""How well pushes are read: the hand-labelled corpus against what the readers say, by verdict and by CI system.

    python tests/pin/push_quality.py        print precision, recall, and every miss

A label is a file, a line and a verdict; a push that is found is right if its file, line and verdict are labelled.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.pin.pushes import reading
from holdfast.pin.pushes.push import Purpose
from holdfast.pin.pushes.tag import Repetition

CORPUS = Path(__file__).parent / "corpus" / "pushes"
VERDICTS = {one.name.lower(): one for one in Repetition}

Label = tuple[str, int, str]


@dataclass(frozen=True)
class Quality:
    """What was right, what was found wrongly, what was missed."""

    right: frozenset[Label]
    wrong: frozenset[Label]
    missed: frozenset[Label]

    @property
    def precision(self) -> float:
        return len(self.right) / max(len(self.right) + len(self.wrong), 1)

    @property
    def recall(self) -> float:
        return len(self.right) / max(len(self.right) + len(self.missed), 1)

    def of(self, verdict: str) -> Quality:
        def only(labels: frozenset[Label]) -> frozenset[Label]:
            return frozenset(one for one in labels if one[2] == verdict)

        return Quality(only(self.right), only(self.wrong), only(self.missed))


def labelled() -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = tomllib.loads((CORPUS / "labels.toml").read_text("utf-8"))["file"]
    return files


def found_in(path: str) -> set[Label]:
    text = (CORPUS / path).read_text("utf-8")
    found = reading.read(path, text)
    return {
        (path, text.count("\n", 0, push.place) + 1, push.verdict.name.lower())
        for push in (found.pushes if found is not None else ())
        if push.purpose in {Purpose.IMAGE, Purpose.CHART}
    }


def measure() -> Quality:
    expected: set[Label] = set()
    found: set[Label] = set()
    for file in labelled():
        for label in file["pushes"]:
            line, verdict = label.split()
            expected.add((file["path"], int(line), verdict))
        found |= found_in(file["path"])
    return Quality(frozenset(expected & found), frozenset(found - expected), frozenset(expected - found))


def main() -> int:
    quality = measure()
    files = labelled()
    systems = Counter(row.name for one in files if (row := reading.system_of(one["path"])) is not None)
    print(f"pushes: {len(files)} pipelines ({', '.join(f'{n} {name}' for name, n in sorted(systems.items()))})")
    print(f"{'verdict':<10}{'labels':>8}{'precision':>11}{'recall':>8}")
    for verdict in (*VERDICTS, ""):
        one = quality.of(verdict) if verdict else quality
        print(f"{verdict or 'all':<10}{len(one.right) + len(one.missed):>8}{one.precision:>11.3f}{one.recall:>8.3f}")
    for title, labels in (("found wrongly", quality.wrong), ("missed", quality.missed)):
        for path, line, verdict in sorted(labels):
            print(f"{title}: {path}:{line} {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
