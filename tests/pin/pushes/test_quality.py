"""The hand-labelled corpus is read as well as it was: a change that reads it worse turns this red."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "push_quality.py"
SPEC = importlib.util.spec_from_file_location("push_quality", PROGRAM)
assert SPEC is not None
assert SPEC.loader is not None
push_quality = importlib.util.module_from_spec(SPEC)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    import sys  # noqa: PLC0415 - dataclasses ask for the module by its name

    assert SPEC is not None
    assert SPEC.loader is not None
    sys.modules["push_quality"] = push_quality
    SPEC.loader.exec_module(push_quality)


def test_the_corpus_is_large_enough() -> None:
    files = push_quality.labelled()
    assert len(files) >= 40
    assert all((push_quality.CORPUS / one["path"]).is_file() for one in files)
    assert {one["path"] for one in files} == {
        path.relative_to(push_quality.CORPUS).as_posix()
        for path in push_quality.CORPUS.rglob("*")
        if path.is_file() and path.name not in {"labels.toml", "README.md"}
    }


def test_it_is_read_well() -> None:
    quality = push_quality.measure()
    assert quality.precision >= 0.97, sorted(quality.wrong)
    assert quality.recall >= 0.90, sorted(quality.missed)
    reused = quality.of("reused")
    assert reused.precision >= 0.97, sorted(reused.wrong)
    assert reused.recall >= 0.88, sorted(reused.missed)
