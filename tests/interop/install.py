"""Install the clients that this machine can install, and say what is there: `python tests/interop/install.py`.

A launcher only, so that the command needs no package to be installed first; `provision.py` does the work.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(importlib.import_module("interop.provision").main())
