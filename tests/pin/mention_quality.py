"""How well mentions are read: the hand-labelled corpus against what the readers say, by format; and what others find.

    python tests/pin/mention_quality.py        print precision, recall, every miss, and the comparison

A label is a file, a line, a role and the text of an image. The comparison counts, of the labelled images of
Dockerfiles and of manifests that are consumed without a digest, on how many of their lines another tool says anything.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.pin.files import mentions
from holdfast.pin.mention import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS: Final = Path(__file__).parent / "corpus" / "mentions"
ROLES: Final = {"b": "builds", "p": "pushes"}

Label = tuple[str, int, str, str]


@dataclass(frozen=True)
class Quality:
    """What was right, what was found wrongly, what was missed."""

    files: int
    right: Counter[Label]
    wrong: Counter[Label]
    missed: Counter[Label]

    @property
    def precision(self) -> float:
        return self.right.total() / max(self.right.total() + self.wrong.total(), 1)

    @property
    def recall(self) -> float:
        return self.right.total() / max(self.right.total() + self.missed.total(), 1)


def labelled() -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = tomllib.loads((CORPUS / "labels.toml").read_text("utf-8"))["file"]
    return files


def labels_of(file: dict[str, Any]) -> Counter[Label]:
    found: Counter[Label] = Counter()
    for one in file["mentions"]:
        line, _, rest = one.partition(" ")
        letter, blank, text = rest.partition(" ")
        role = ROLES.get(letter) if blank else None
        found[file["path"], int(line), role or "consumes", text if role else rest] += 1
    return found


def found_in(path: str) -> Counter[Label]:
    found = mentions(path, (CORPUS / path).read_bytes())
    if isinstance(found, Unreadable):
        return Counter()
    return Counter((path, one.line, one.role.value, one.text) for one in found)


def measure(files: list[dict[str, Any]]) -> Quality:
    wanted: Counter[Label] = Counter()
    found: Counter[Label] = Counter()
    for file in files:
        wanted += labels_of(file)
        found += found_in(file["path"])
    return Quality(len(files), wanted & found, found - wanted, wanted - found)


# --- others ----------------------------------------------------------------------------------------------------------


def hadolint(file: Path) -> set[int]:
    ran = _run("hadolint", "--no-color", "-f", "json", str(file))
    return {one["line"] for one in json.loads(ran or "[]") if one["code"] in {"DL3006", "DL3007"}}


def checkov(file: Path) -> set[int]:
    return _checkov().get(file, set())


@lru_cache(maxsize=1)
def _checkov() -> dict[Path, set[int]]:
    """Run it once over the corpus: it takes seconds to start."""
    what = ("--framework", "dockerfile", "kubernetes", "-c", "CKV_DOCKER_7,CKV_K8S_14,CKV_K8S_43")
    reports = json.loads(_run("checkov", "--quiet", "--compact", "-o", "json", *what, "-d", str(CORPUS)) or "[]")
    lines: dict[Path, set[int]] = {}
    for report in reports if isinstance(reports, list) else [reports]:
        for check in report.get("results", {}).get("failed_checks", ()):
            first, last = check["file_line_range"]
            lines.setdefault(CORPUS / check["file_path"].lstrip("/"), set()).update(range(first, last + 1))
    return lines


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout


OTHERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Path], set[int]]]]] = {
    "hadolint": (("dockerfile",), hadolint),
    "checkov": (("dockerfile", "kubernetes"), checkov),
}
"""Tool -> the formats of the corpus that it reads, and the lines of a file that it flags."""


def compared(name: str, formats: tuple[str, ...], flags: Callable[[Path], set[int]]) -> str:
    if shutil.which(name) is None:
        return f"SKIPPED {name}: it is not installed here (put it on the PATH to compare)"
    parts = []
    for form in formats:
        ours = theirs = wanted = 0
        for file in labelled():
            if file["format"] != form:
                continue
            loose = [one for one in labels_of(file) if one[2] == "consumes" and "@sha256:" not in one[3]]
            lines = flags(CORPUS / file["path"]) if loose else set()
            found = found_in(file["path"])
            wanted += len(loose)
            ours += sum(one in found for one in loose)
            theirs += sum(one[1] in lines for one in loose)
        parts.append(f"{form}: of {wanted} images without a digest {name} flags {theirs}, we find {ours}")
    return "; ".join(parts)


def main() -> int:
    files = labelled()
    print(f"{'format':16}{'files':>6}{'labels':>8}{'precision':>11}{'recall':>8}")
    for form in sorted({one["format"] for one in files}):
        _row(form, measure([one for one in files if one["format"] == form]))
    for what in ("public", "written by us"):
        _row(what, measure([one for one in files if (one["source"] == "ours") == (what != "public")]))
    whole = measure(files)
    _row("all", whole)
    for told, labels in (("wrong", whole.wrong), ("missed", whole.missed)):
        for path, line, role, text in sorted(labels):
            print(f"{told:8}{path}:{line} {role} {text}")
    for name, (formats, flags) in OTHERS.items():
        print(compared(name, formats, flags))
    print("SKIPPED renovate: its extractor is a library of Node that has to be driven by hand")
    return 0


def _row(name: str, quality: Quality) -> None:
    labels = quality.right.total() + quality.missed.total()
    print(f"{name:16}{quality.files:>6}{labels:>8}{quality.precision:>11.3f}{quality.recall:>8.3f}")


if __name__ == "__main__":
    sys.exit(main())
