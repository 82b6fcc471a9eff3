"""Each parser has a fuzz target that states its invariant; a short run of each finds nothing, and a planted bug."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fuzz.engine import Fuzzer

from fuzz import targets

ROOT = Path(__file__).parents[2]
SHORT_INPUTS = 150


@pytest.mark.parametrize("name", targets.NAMES)
def test_a_short_run_finds_nothing(name: str) -> None:
    report = Fuzzer(targets.load(name), seed=1, corpus=targets.corpus(name)).run(inputs=SHORT_INPUTS)
    if report.finding is not None:
        message = f"{name} breaks on {report.finding.data!r}"
        raise AssertionError(message) from report.finding.error
    assert report.inputs >= SHORT_INPUTS
    assert report.lines > 5, "the parser was reached"
    if name != "newcomers" or module(name).newcomers():
        assert report.kept > len(targets.load(name).SEEDS), "mutations reach what the seeds do not"


@pytest.mark.parametrize("name", targets.NAMES)
def test_the_first_line_states_the_invariant_in_one_sentence(name: str) -> None:
    first = (ROOT / "fuzz" / "targets" / f"{name}.py").read_text("utf-8").partition("\n")[0]
    assert first.startswith('"""')
    assert first.endswith('."""')
    assert first.count(". ") == 0


def test_every_parser_has_a_target() -> None:
    """A parser is a public function or method named parse... that reads one text or bytes, wherever in the source."""
    covered = {parser for name in targets.NAMES for parser in module(name).PARSERS}
    for parser in covered:
        found: Any = importlib.import_module(f"holdfast.{parser.split('.')[0]}")
        for piece in parser.split(".")[1:]:
            found = getattr(found, piece, None) or importlib.import_module(f"{found.__name__}.{piece}")
    late = module("newcomers")
    assert parsers() <= covered | set(late.newcomers()) | late.ELSEWHERE


def module(name: str) -> Any:
    return importlib.import_module(f"fuzz.targets.{name}")


def parsers() -> set[str]:
    source = ROOT / "src" / "holdfast"
    found = set()
    for path in source.rglob("*.py"):
        dotted = ".".join(path.relative_to(source).with_suffix("").parts)
        tree = ast.parse(path.read_text("utf-8"))
        for node in tree.body:
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            found |= {
                f"{dotted}.{owner}{one.name}"
                for one in inner
                if isinstance(one, ast.FunctionDef) and one.name.startswith("parse") and reads_one(one)
            }
    return found


def reads_one(parse: ast.FunctionDef) -> bool:
    needed = [one for one in parse.args.args if one.arg not in {"self", "cls"}]
    needed = needed[: len(needed) - len(parse.args.defaults)] or needed[:1]
    annotation = ast.unparse(needed[0].annotation) if needed and needed[0].annotation else ""
    return len(needed) == 1 and ("str" in annotation or "bytes" in annotation)


def buggy(data: bytes) -> None:
    """A parser with a planted bug, three steps deep."""
    if data[:1] == b"{" and b"size" in data:
        number = data.partition(b"size")[2]
        if number.startswith(b"-1"):
            message = "planted"
            raise KeyError(message)


def test_a_planted_bug_is_found_and_is_found_again_by_the_same_seed() -> None:
    target: Any = SimpleNamespace(SEEDS=(b'{"a":1}',), WORDS=(b"size",), COVERS=("test_targets.py",), check=buggy)
    reports = [Fuzzer(target, seed=7).run(inputs=20_000) for _ in range(2)]
    assert reports[0].finding is not None
    assert reports[1].finding is not None
    assert isinstance(reports[0].finding.error, KeyError)
    assert reports[0].finding.data == reports[1].finding.data
    assert Fuzzer(target, seed=8, corpus=[reports[0].finding.data]).run(inputs=1).finding is not None


def test_what_never_ends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr("fuzz.engine.INPUT_SECONDS", 0.05)
    target: Any = SimpleNamespace(SEEDS=(b"",), WORDS=(), COVERS=(), check=endless)
    report = Fuzzer(target).run(inputs=1)
    assert report.finding is not None
    assert "longer than" in str(report.finding.error)
