"""The hand-labelled corpus is read as well as it was: a change that reads it worse turns this red."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("mention_quality", Path(__file__).parent / "mention_quality.py")
assert SPEC is not None
assert SPEC.loader is not None
mention_quality = importlib.util.module_from_spec(SPEC)
sys.modules["mention_quality"] = mention_quality
SPEC.loader.exec_module(mention_quality)


def test_the_corpus_is_whole() -> None:
    files = mention_quality.labelled()
    assert len(files) >= 177
    assert {one["path"] for one in files} == {
        path.relative_to(mention_quality.CORPUS).as_posix()
        for path in mention_quality.CORPUS.rglob("*")
        if path.is_file() and path not in {mention_quality.CORPUS / "labels.toml", mention_quality.CORPUS / "README.md"}
    }


def test_it_is_read_as_well_as_it_was() -> None:
    quality = mention_quality.measure(mention_quality.labelled())
    assert quality.precision >= 0.996, sorted(quality.wrong)
    assert quality.recall >= 0.956, sorted(quality.missed)
