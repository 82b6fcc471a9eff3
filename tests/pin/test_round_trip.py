"""Pinning and unpinning leaves every file as it was, byte for byte; and pinned, nothing else of it has changed."""

from __future__ import annotations

import difflib
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.pin.consumers import consumed
from holdfast.pin.files import FORMATS
from holdfast.pin.knowledge import Known, tag_name
from holdfast.pin.lint import examine
from holdfast.pin.pinning import Aim, Plan, plan
from holdfast.pin.settings import Settings

if TYPE_CHECKING:
    from holdfast.pin.case import Case

HERE = Path(__file__).parent
FOLDERS = [folder for folder in (HERE / "round_trip", HERE / "corpus") if folder.is_dir()]
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
DIGEST = re.compile(rb"(?::latest)?@sha256:[0-9a-f]{64}|sha256:[0-9a-f]{64}")
LEAST_PINS = 40
"""In our own folder; fewer would mean that a reader stopped reading."""


def name(path: Path) -> str:
    folder = next(folder for folder in FOLDERS if path.is_relative_to(folder))
    return path.relative_to(folder).as_posix()


def case_of(path: Path, data: bytes) -> Case | None:
    return examine(name(path), data, Settings(), lambda _name: None).case


def digest_of(image: str) -> Known:
    """Answer as a registry where every name has a digest of its own."""
    return Known("sha256:" + hashlib.sha256(image.encode()).hexdigest())


def pinned(case: Case) -> Plan:
    names = {tag_name(read.image) for _, read in consumed(case) if read.image is not None}
    return plan(case, Aim.PIN, {one: digest_of(one) for one in names})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HERE).as_posix())
def test_pinned_and_unpinned_a_file_is_as_it_was(path: Path) -> None:
    before = path.read_bytes()
    case = case_of(path, before)
    if case is None or not case.mentions:
        return
    made = pinned(case)
    assert not [one for one in made.left if one.is_failure]
    after = made.rewritten.after
    changed = case_of(path, after)
    assert changed is not None
    assert pinned(changed).changes == (), "pinning again changes nothing"
    assert len(made.changes) == sum(
        1
        for (_, was), (_, now) in zip(consumed(case), consumed(changed), strict=True)
        if was.digest is None and now.digest is not None
    )
    undone = plan(changed, Aim.UNPIN, {}, records=made.rewritten.records)
    assert undone.rewritten.after == before
    assert undone.rewritten.records == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HERE).as_posix())
def test_only_digests_come_in(path: Path) -> None:
    """Judged by another program than the proof: what difflib sees as new is digests and what stands round them."""
    before = path.read_bytes()
    case = case_of(path, before)
    if case is None or not case.mentions:
        return
    after = pinned(case).rewritten.after
    matcher = difflib.SequenceMatcher(None, before.split(b"\n"), after.split(b"\n"), autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        old = b"\n".join(before.split(b"\n")[a:b])
        new = b"\n".join(after.split(b"\n")[c:d])
        assert len(DIGEST.findall(new)) > len(DIGEST.findall(old)), new
        assert kind != "delete"


def test_the_formats_are_there_and_pins_are_many() -> None:
    found, pins = set(), 0
    for path in FILES:
        data = path.read_bytes()
        row = next((row for row in FORMATS if row.path.search(name(path))), None)
        found |= {row.name} if row is not None else set()
        case = case_of(path, data)
        if case is not None and path.is_relative_to(HERE / "round_trip"):
            pins += len(pinned(case).changes)
    assert pins >= LEAST_PINS
    assert len(found) >= 12, found
