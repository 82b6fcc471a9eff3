"""How long `holdfast lint` takes for 3,000 files: those of the corpus of mentions, each in some seventeen folders.

python tests/pin/lint_speed.py        print seconds by the wall and seconds of processors, the best of three runs
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus" / "mentions"
FILES: Final = 3_000
RUNS: Final = 3


def tree(folder: Path) -> int:
    """Write the files; return how many bytes they have."""
    sources = sorted(
        path for path in CORPUS.rglob("*") if path.is_file() and path.name not in {"labels.toml", "README.md"}
    )
    size = 0
    for number, source in enumerate(islice(cycle(sources), FILES)):
        data = source.read_bytes()
        goal = folder / f"part{number // len(sources)}" / source.relative_to(CORPUS)
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_bytes(data)
        size += len(data)
    return size


def run(folder: Path) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = (Path(sys.executable).parent / "holdfast", "lint", ".", "--json")
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 1, ended.returncode
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        size = tree(Path(name))
        wall, cpu = min(run(Path(name)) for _ in range(RUNS))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(
        f"{FILES} files, {size / 1e6:.1f} MB: {wall:.2f} s by the wall on {cores} cores (load {load:.1f}), "
        f"{cpu:.2f} s of processors"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
