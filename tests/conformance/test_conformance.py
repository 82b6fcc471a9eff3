"""The OCI conformance program finds nothing wrong, versions 1.1 and dev. `make conformance` shows more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "run.py"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="the OCI conformance program needs a Go toolchain to be built")
def test_the_oci_conformance_program_finds_nothing_wrong() -> None:
    done = subprocess.run([sys.executable, RUN, "--no-skips"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
