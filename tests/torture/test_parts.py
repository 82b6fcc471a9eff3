"""Every part of the battery in its short form; `make torture` runs the long ones with fresh seeds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from torture.part import NotHere, Part, Round, memory_folder
from torture.parts import PARTS

SEED = 1
"""The same on every run: a red test is red again. Fresh seeds are for `make torture`."""


@pytest.mark.parametrize("part", [part for part in PARTS if part.name != "planted"], ids=lambda part: part.name)
def test_part(part: Part) -> None:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-torture-", dir=memory_folder()))
    try:
        part.run(Round(SEED, folder, long=False))
    except NotHere as reason:
        pytest.skip(f"{part.name} ({part.shows}): {reason}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
