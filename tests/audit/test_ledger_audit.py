"""The audit of files: whatever of a ledger is deleted, changed or put in another order, it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forged_ledger import POLICY, Forged, Writer, digest, many, publish
from holdfast.audit import verdicts
from holdfast.core import entry
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.ledger_audit import Auditor
from holdfast.core.merkle import inclusion_proof
from holdfast.core.signed_note import NoteInvalid
from holdfast.core.tiles import TileReader, join_bundle, split_bundle
from holdfast.core.tlog_policy import PolicyUnmet
from holdfast.core.tlog_proof import TlogProof

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 520
"""Two whole bundles and a partial one, three tiles of level 0 and one of level 1."""


@pytest.fixture(scope="module")
def whole() -> Forged:
    """A ledger that nothing is wrong with."""
    return publish(many(SIZE))


def audited(forged: Forged, **files: bytes) -> list[str]:
    changed = Forged({**forged.files, **files}, forged.note, forged.checkpoint)
    done = Auditor(changed.fetch).follow(forged.checkpoint)
    return [one.code for one in done.all_findings]


def with_entries(forged: Forged, path: str, change: Callable[[list[bytes]], list[bytes]]) -> dict[str, bytes]:
    return {path: join_bundle(change(split_bundle(forged.files[path])))}


def test_a_whole_ledger_has_no_finding(whole: Forged) -> None:
    done = Auditor(whole.fetch).follow(whole.checkpoint)
    assert not done.all_findings
    assert (done.size, done.tiles) == (SIZE, 4)


def test_an_audit_goes_on_where_it_stopped() -> None:
    contents = many(SIZE)
    last = publish(contents)
    for first in (1, 255, 256, 257, 512, SIZE):
        before = publish(contents[:first])
        auditor = Auditor(before.fetch)
        auditor.follow(before.checkpoint)
        auditor._fetch = last.fetch
        assert not auditor.follow(last.checkpoint).all_findings


def _exchange(entries: list[bytes]) -> list[bytes]:
    entries[3], entries[4] = entries[4], entries[3]
    return entries


def _rewrite(entries: list[bytes]) -> list[bytes]:
    entries[7] = entries[7].replace(b'"through":"oci"', b'"through":"ecr"')
    return entries


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/8"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda entries: entries[1:], "entries-missing"),
        (lambda entries: [*entries[:5], entries[0], *entries[5:]], "entries-added"),
        (_exchange, "root-differs"),
        (_rewrite, "root-differs"),
    ],
)
def test_an_entry_deleted_added_exchanged_or_changed_is_found(
    whole: Forged, path: str, change: Callable[[list[bytes]], list[bytes]], code: str
) -> None:
    assert code in audited(whole, **with_entries(whole, path, change))


def test_an_entry_that_was_changed_is_named(whole: Forged) -> None:
    files = {**whole.files, **with_entries(whole, "tile/entries/001", _rewrite)}
    done = Auditor(Forged(files, whole.note, whole.checkpoint).fetch).follow(whole.checkpoint)
    assert [one.index for one in done.findings if one.code == "tile-differs" and one.index is not None] == [263]


def test_every_file_is_read(whole: Forged) -> None:
    for path in whole.files.keys() - {"checkpoint"}:
        fewer = {name: content for name, content in whole.files.items() if name != path}
        done = Auditor(Forged(fewer, whole.note, whole.checkpoint).fetch).follow(whole.checkpoint)
        assert "file-missing" in [one.code for one in done.findings], path


def test_every_byte_of_every_tile_counts(whole: Forged) -> None:
    for path, content in whole.files.items():
        if path.startswith(("tile/0", "tile/1")):
            for at in (0, len(content) // 2, len(content) - 1):
                flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
                assert audited(whole, **{path: flipped}) == ["tile-differs"]
            assert audited(whole, **{path: content + b"\0"}) == ["tile-changed"]


def test_a_ledger_rewritten_and_signed_anew_contradicts_what_was_seen_before(whole: Forged) -> None:
    rewritten = publish(_rewrite(many(SIZE + 10)))
    done = Auditor(rewritten.fetch).follow(rewritten.checkpoint, [whole.checkpoint])
    assert [one.code for one in done.findings] == ["chain-broken", "forked"]
    grown = publish(many(SIZE + 10))
    assert not Auditor(grown.fetch).follow(grown.checkpoint, [whole.checkpoint]).all_findings
    shortened = publish(many(SIZE - 1))
    done = Auditor(shortened.fetch).follow(shortened.checkpoint, [whole.checkpoint])
    assert [one.code for one in done.findings] == ["ledger-shortened"]


def test_a_document_is_what_its_entry_refers_to() -> None:
    writer = Writer()
    writer.created()
    long = {"text": "x" * 70_000}
    told = {"at": 1, "principal": "p", "access_key": "k", "source": "s", "through": "ecr", "after": long}
    leaf = entry.write(entry.Entry("lifecycle-policy-put", "r", None, None, 1, None, told))
    writer.contents.append(leaf.content)
    [(sha256, content)] = leaf.documents.items()
    forged = publish(writer.contents)
    assert audited(forged) == ["file-missing"]
    assert audited(forged, **{f"document/{sha256}": content}) == []
    assert audited(forged, **{f"document/{sha256}": content[:-1] + b" "}) == ["document-changed"]


def test_the_verdict_needs_a_signature_that_is_believed(whole: Forged) -> None:
    stranger = whole.note.replace(b"forged ", b"other ")
    with pytest.raises((PolicyUnmet, NoteInvalid)):
        verdicts.begin_audit(stranger, POLICY, whole.fetch)
    other = Checkpoint(whole.checkpoint.origin, SIZE, b"\0" * 32).text()
    with pytest.raises(NoteInvalid, match="does not hold"):
        verdicts.begin_audit(other + whole.note[whole.note.index(b"\n\n") + 1 :], POLICY, whole.fetch)


def test_a_fork_is_no_consistent_ledger(whole: Forged) -> None:
    older = publish(many(SIZE - 100))
    assert verdicts.consistency(older.note, whole.note, POLICY, whole.fetch).holds
    forked = publish(_rewrite(many(SIZE - 100)))
    verdict = verdicts.consistency(forked.note, whole.note, POLICY, whole.fetch)
    assert not verdict.holds
    assert "forked" in verdict.document["reason"]
    same = verdicts.consistency(publish(_rewrite(many(SIZE))).note, whole.note, POLICY, whole.fetch)
    assert not same.holds
    assert "two different trees" in same.document["reason"]
    assert not verdicts.consistency(whole.note, older.note, POLICY, whole.fetch).holds


def test_a_receipt_is_for_its_entry_alone(whole: Forged) -> None:
    contents = many(SIZE)
    hashes = inclusion_proof(300, SIZE, TileReader(SIZE, lambda tile: whole.fetch(tile.path)))
    proof = TlogProof(300, tuple(hashes), whole.note, contents[300])
    verdict = verdicts.receipt(proof.encode(), POLICY)
    assert verdict.holds
    assert verdict.document["entry"]["tag"] == "v299"
    assert verdict.document["entry"]["digest"] == digest("a")
    for wrong in (
        TlogProof(301, tuple(hashes), whole.note, contents[300]),
        TlogProof(300, tuple(hashes), whole.note, contents[301]),
        TlogProof(300, tuple(hashes[:-1]), whole.note, contents[300]),
        TlogProof(300, tuple(reversed(hashes)), whole.note, contents[300]),
        TlogProof(300, tuple(hashes), publish(many(SIZE - 1)).note, contents[300]),
    ):
        assert not verdicts.receipt(wrong.encode(), POLICY).holds
    assert not verdicts.receipt(proof.encode(), POLICY, contents[301]).holds
    assert not verdicts.receipt(TlogProof(300, tuple(hashes), whole.note).encode(), POLICY).holds
