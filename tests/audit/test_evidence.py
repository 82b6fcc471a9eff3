"""The evidence pack: made and verified without a server, and any change of it is found."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from forged_ledger import POLICY, Writer, digest, publish
from holdfast.audit import pack, verdicts
from holdfast.core.evidence import FORM, MAPPING
from holdfast.core.signed_note import KeyKind, Note, Signer, write_note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forged_ledger import Forged

MAKER = Signer.from_seed("somebody.example", KeyKind.ED25519, b"m" * 32)
DAY = 86_400_000_000
START = 1_700_000_000_000_000 // DAY * DAY
PERIOD = (START, START + DAY)
NASTY = "<script>alert('x')</script>"


def ledger() -> Forged:
    writer = Writer()
    writer.created("IMMUTABLE_WITH_EXCLUSION", ("dev-*",))
    writer.named("a", None)
    writer.named("a", None, tag="dev-1", held=False)
    writer.add(
        "tag-refused", tag="v1", pushed=digest("b"), digest=digest("a"), rule="held", reason=NASTY, principal=NASTY
    )
    writer.add(
        "mutability-changed",
        before={"mode": "IMMUTABLE_WITH_EXCLUSION", "filters": ["dev-*"]},
        after={"mode": "IMMUTABLE", "filters": []},
    )
    writer.named("c", None, tag="v9", at=START + 2 * DAY)
    return publish(writer.contents)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    root, forged = tmp_path / "pack", ledger()
    pack.make(forged.fetch, forged.note, POLICY, root, PERIOD, MAKER, START + 3 * DAY)
    return root


def test_the_report_says_what_was_in_the_period(made: Path) -> None:
    told = json.loads((made / "report.json").read_text())["report"]
    assert told["counts"] == {"mutability-changed": 1, "repository-created": 1, "tag-bound": 2, "tag-refused": 1}
    [repository] = told["repositories"]
    assert (repository["held"], repository["free"]) == (2, 0), "as the settings at the end of the period judge"
    assert [one["mode"] for one in repository["settings"]] == ["IMMUTABLE_WITH_EXCLUSION", "IMMUTABLE"]
    assert [one["index"] for one in told["refusals"]] == [3]
    assert told["findings"] == []
    assert sorted(path.name for path in (made / "receipts").iterdir()) == [f"{n}.tlog-proof" for n in (0, 1, 3, 4)]
    for receipt in (made / "receipts").iterdir():
        assert verdicts.receipt(receipt.read_bytes(), POLICY).holds


def test_the_page_fetches_nothing_and_escapes_everything(made: Path) -> None:
    page = (made / "report.html").read_text()
    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|<script|https?:", page)
    assert page.count("<svg") == 2
    assert "satisf" not in page.replace("does not by itself satisfy a control", "")
    assert all(one.supports.startswith("supports: ") for one in MAPPING)


def test_a_pack_holds_for_whoever_believes_its_maker_and_its_ledger(made: Path) -> None:
    verdict = pack.verify(made, POLICY, [MAKER.verifier])
    assert verdict.holds, verdict.sentences
    stranger = Signer.from_seed("somebody.example", KeyKind.ED25519, b"s" * 32)
    assert not pack.verify(made, POLICY, [stranger.verifier]).holds


def _resign(root: Path) -> None:
    """Make sums and note anew, as a maker would who lies."""
    sums = pack.sums_of(root)
    (root / pack.SUMS).write_bytes(sums)
    text = Note.parse((root / pack.NOTE).read_bytes()).text.decode()
    text = re.sub(r"sha256sums \w+", f"sha256sums {hashlib.sha256(sums).hexdigest()}", text)
    (root / pack.NOTE).write_bytes(write_note(text.encode(), [MAKER.sign(text.encode())]))


def _edit(name: str, before: str, after: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        content = path.read_text()
        assert before in content
        path.write_text(content.replace(before, after))

    return change


def _all_files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_every_byte_of_every_file_counts(made: Path) -> None:
    """Each file once with one byte changed, once with one more, once gone: none of it passes."""
    files = _all_files(made)
    assert {path.relative_to(made).parts[0] for path in files} == {
        "SHA256SUMS",
        "ledger",
        "pack.note",
        "receipts",
        "report.html",
        "report.json",
    }
    for path in files:
        before = path.read_bytes()
        middle = len(before) // 2
        for after in (before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :], before + b"\n", None):
            path.unlink() if after is None else path.write_bytes(after)
            assert not pack.verify(made, POLICY, [MAKER.verifier]).holds, path
        path.write_bytes(before)
    assert pack.verify(made, POLICY, [MAKER.verifier]).holds


def _pose_as_two(root: Path) -> None:
    """Put one file in the place of two, under a name that makes the same lines of sums as both."""
    kept = (root / "SHA256SUMS").read_text().splitlines()
    [first] = [line for line in kept if line.endswith("receipts/1.tlog-proof")]
    [second] = [line for line in kept if line.endswith("receipts/3.tlog-proof")]
    odd = root / f"receipts/1.tlog-proof\n{second.partition('  ')[0]}  receipts"
    odd.mkdir()
    (root / "receipts/1.tlog-proof").rename(odd / "3.tlog-proof")
    (root / "receipts/3.tlog-proof").unlink()
    assert first


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "more.txt").write_text("more"),
        lambda root: (root / "ledger" / "tile" / "more").write_text("more"),
        lambda root: (root / "report.html").rename(root / "report.htm"),
        lambda root: (root / "receipts" / "link").symlink_to(root / "report.json"),
        _pose_as_two,
    ],
)
def test_whatever_is_added_or_moved_is_found(made: Path, change: Callable[[Path], None]) -> None:
    change(made)
    assert not pack.verify(made, POLICY, [MAKER.verifier]).holds


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_edit("report.json", '"held": 2', '"held": 3'), "report.json does not follow"),
        (_edit("report.html", "overwrites refused", "overwrites"), "report.html does not follow"),
        (_edit("receipts/1.tlog-proof", "index 1", "index 2"), "receipts/1.tlog-proof does not follow"),
        (lambda root: (root / "receipts" / "3.tlog-proof").unlink(), "receipts/3.tlog-proof"),
        (lambda root: (root / "ledger" / "notice").write_text("all is well"), "ledger/notice"),
    ],
)
def test_not_even_the_maker_can_report_what_the_ledger_does_not_say(
    made: Path, change: Callable[[Path], None], why: str
) -> None:
    change(made)
    _resign(made)
    verdict = pack.verify(made, POLICY, [MAKER.verifier])
    assert not verdict.holds
    assert why in verdict.document["reason"]


@pytest.mark.parametrize(
    ("said", "instead", "why"),
    [
        (r"(?m)^made .*$", "made 2023-11-20T00:00:00Z", "does not follow"),
        (r"(?m)^period \S+", "period 2023-11-13T00:00:00Z", "does not follow"),
        (r"(?m)^ledger 6", "ledger 7", "not said of the ledger"),
        (r"pack v1", "pack v9", "of form 9"),
        (r"evidence pack", "letter", "no evidence pack"),
        (r"made 2023-11", "made 2023-13", "cannot be"),
    ],
)
def test_what_is_signed_is_said_of_this_pack(made: Path, said: str, instead: str, why: str) -> None:
    text = re.sub(said, instead, Note.parse((made / pack.NOTE).read_bytes()).text.decode()).encode()
    (made / pack.NOTE).write_bytes(write_note(text, [MAKER.sign(text)]))
    verdict = pack.verify(made, POLICY, [MAKER.verifier])
    assert not verdict.holds
    assert why in verdict.document["reason"]


def test_a_maker_cannot_change_the_ledger(made: Path) -> None:
    [bundle] = [path for path in (made / "ledger" / "tile" / "entries").rglob("*") if path.is_file()]
    bundle.write_bytes(bundle.read_bytes().replace(b'"through":"oci"', b'"through":"ecr"'))
    _resign(made)
    assert not pack.verify(made, POLICY, [MAKER.verifier]).holds


def test_findings_of_the_audit_stand_in_the_report(tmp_path: Path) -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.named("b", "a", kind="tag-moved")
    forged = publish(writer.contents)
    told = pack.make(forged.fetch, forged.note, POLICY, tmp_path / "pack", PERIOD, MAKER, START)
    assert [one["code"] for one in told["findings"]] == ["held-tag-moved"]
    assert "held-tag-moved" in (tmp_path / "pack" / "report.html").read_text()
    verdict = pack.verify(tmp_path / "pack", POLICY, [MAKER.verifier])
    assert not verdict.holds
    assert "held-tag-moved" in verdict.document["reason"]


def test_settings_of_the_registry_are_told_as_they_were(tmp_path: Path) -> None:
    writer = Writer()
    writer.created()
    writer.add(
        "registry-changed",
        repository=None,
        at=START - DAY,
        before={"deleted_tags": "held"},
        after={"deleted_tags": "free"},
    )
    writer.add("registry-changed", repository=None, before={"deleted_tags": "free"}, after={"deleted_tags": "held"})
    writer.add("ledger-key-added", repository=None, vkey="new+key")
    forged = publish(writer.contents)
    told = pack.make(forged.fetch, forged.note, POLICY, tmp_path / "pack", PERIOD, MAKER, START)
    assert [one["deleted_tags"] for one in told["registries"][0]["settings"]] == ["free", "held"]
    assert [one["kind"] for one in told["changes"]] == ["repository-created", "registry-changed", "ledger-key-added"]
    assert "What came after it" in (tmp_path / "pack" / "report.html").read_text()


def test_another_report_is_another_form(made: Path) -> None:
    """Whoever changes report or page makes FORM another: packs of before are told from packs that were changed."""
    told = hashlib.sha256((made / "report.json").read_bytes() + (made / "report.html").read_bytes()).hexdigest()
    assert (FORM, told) == (1, "3a77c6936aaaae6a0c92a3a8613f5758536ac0abf4630db15f03882898662350")
