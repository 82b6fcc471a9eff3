"""The targets, by name: one module for each parser (or a few that read the same thing)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from fuzz.engine import Target

CORPUS: Final = Path(__file__).parent.parent / "corpus"
"""Inputs that once broke something, by target; each run tries them first."""

NAMES: Final = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def load(name: str) -> Target:
    """Import a target."""
    return cast("Target", importlib.import_module(f"fuzz.targets.{name}"))


def corpus(name: str) -> list[bytes]:
    """Read the inputs kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*")) if path.is_file()]
