"""The models in docs/models hold, and each half of a rule is needed for that."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parent.parent / "docs" / "models"


@pytest.mark.skipif(shutil.which("spin") is None, reason="spin is not installed (Debian package spin)")
def test_the_collection_never_takes_what_a_push_was_told_of() -> None:
    done = subprocess.run([MODELS / "check.sh"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
