"""`python -m fuzz`: fuzz every parser, or one, for so many minutes; what is found is kept in fuzz/corpus."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import traceback

from fuzz import targets
from fuzz.engine import Fuzzer


def main() -> int:
    """Run, tell a line for each target, and return 1 when something was found."""
    options = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=1.0, help="for each target (default: 1)")
    options.add_argument(
        "--target", action="append", choices=targets.NAMES, help="only this one; can stand several times"
    )
    options.add_argument("--seed", type=int, help="of the chance (default: another each time; it is told)")
    given = options.parse_args()
    seed = given.seed if given.seed is not None else int.from_bytes(os.urandom(4))
    found = 0
    for name in given.target or targets.NAMES:
        target = targets.load(name)
        report = Fuzzer(target, seed, targets.corpus(name)).run(seconds=given.minutes * 60)
        print(
            f"{name:16} seed {seed}: {report.inputs:7} inputs, {report.lines:4} steps reached, {report.kept:4} kept, "
            f"{report.inputs / max(report.seconds, 0.001):6.0f}/s",
            flush=True,
        )
        if report.finding is not None:
            found += 1
            data = report.finding.data
            kept = targets.CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
            print(f"  FOUND, kept as {kept}: {data[:200]!r}")
            print("  " + "  ".join(traceback.format_exception(report.finding.error)), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
