"""Receipts, policies, and what a witness decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import merkle
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import ProofInvalid
from holdfast.core.signed_note import KeyKind, Note, NoteInvalid, Signer, write_note
from holdfast.core.tlog_policy import Policy, PolicyInvalid, PolicyUnmet
from holdfast.core.tlog_proof import TlogProof
from holdfast.core.witnessing import AddCheckpoint, Refusal, Seen, decide
from trees import forest

LOG = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\1" * 32)
NEXT_LOG = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\4" * 32)
WITNESSES = [
    Signer.from_seed(f"w{number}.example", KeyKind.COSIGNATURE, bytes([10 + number]) * 32) for number in range(4)
]
POLICY = "\n".join(
    [
        f"log {LOG.verifier} https://example.com/log",
        *(f"witness W{number} {one.verifier}" for number, one in enumerate(WITNESSES)),
        "  # two of three, and the fourth",
        "group three 2 W0 W1\tW2",
        "group both all three W3",
        "quorum both",
        "",
    ]
)


def signed(size: int, *witnesses: int, signer: Signer = LOG, root: bytes | None = None) -> bytes:
    text = Checkpoint("example.com/log", size, root or forest(size).frontier.root()).text()
    return write_note(text, [signer.sign(text), *(WITNESSES[number].sign(text, 1_700_000_000) for number in witnesses)])


def receipt(index: int = 3, size: int = 7, *witnesses: int) -> TlogProof:
    hashes = merkle.inclusion_proof(index, size, forest(size).reader(size))
    return TlogProof(index, tuple(hashes), signed(size, *witnesses), b"entry %d" % index)


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_is_read_as_it_was_written_and_holds() -> None:
    made = receipt()
    again = TlogProof.parse(made.encode())
    assert again == made
    assert again.verify(b"entry 3", Policy.trusting(LOG.verifier)).checkpoint.size == 7


def test_a_receipt_of_the_only_entry_has_no_hashes() -> None:
    made = receipt(0, 1)
    assert made.hashes == ()
    TlogProof.parse(made.encode()).verify(b"entry 0", Policy.trusting(LOG.verifier))


def test_a_receipt_holds_for_its_entry_alone() -> None:
    with pytest.raises(ProofInvalid):
        receipt().verify(b"entry 4", Policy.trusting(LOG.verifier))


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
@settings(max_examples=300)
def test_a_receipt_that_was_touched_does_not_hold(at: int, change: bytes) -> None:
    good = receipt().encode()
    at %= len(good)
    forged = good[:at] + change + good[at + len(change) :]
    try:
        read = TlogProof.parse(forged)
        read.verify(b"entry 3", Policy.trusting(LOG.verifier))
    except (NoteInvalid, PolicyUnmet, ProofInvalid):
        return
    assert replace(read, extra=None) == replace(receipt(), extra=None), "only the extra line is not authenticated"


@pytest.mark.parametrize(
    "change",
    [
        (b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2"),
        (b"index 3", b"index 03"),
        (b"index 3\n", b""),
        (b"index 3", b"index 3\nAAAA"),
        (b"\n\n", b"\n"),
    ],
)
def test_what_is_no_receipt(change: tuple[bytes, bytes]) -> None:
    with pytest.raises(NoteInvalid):
        TlogProof.parse(receipt().encode().replace(*change, 1))


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("witnesses", "enough"),
    [((0, 1, 3), True), ((0, 1, 2, 3), True), ((1, 2, 3), True), ((0, 3), False), ((0, 1, 2), False), ((), False)],
)
def test_the_quorum_is_counted_by_groups(witnesses: tuple[int, ...], enough: bool) -> None:  # noqa: FBT001
    policy = Policy.parse(POLICY.encode())
    if enough:
        assert len(policy.judge(signed(5, *witnesses)).cosignatures) == len(witnesses)
    else:
        with pytest.raises(PolicyUnmet, match="quorum"):
            policy.judge(signed(5, *witnesses))


def test_the_log_itself_must_have_signed() -> None:
    policy = Policy.parse(POLICY.encode())
    with pytest.raises(PolicyUnmet, match="no key"):
        policy.judge(signed(5, 0, 1, 3, signer=NEXT_LOG))
    text = Checkpoint("example.com/other", 5, b"\0" * 32).text()
    with pytest.raises(PolicyUnmet, match="does not know"):
        policy.judge(write_note(text, [LOG.sign(text)]))


def test_either_key_of_a_log_is_enough_while_keys_change() -> None:
    policy = Policy.trusting(LOG.verifier, NEXT_LOG.verifier)
    assert policy.judge(signed(5, signer=NEXT_LOG)).log == NEXT_LOG.verifier
    assert policy.judge(signed(5)).log == LOG.verifier


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "quorum"),
        (f"log {LOG.verifier}\n", "quorum"),
        ("quorum W9\n", "line 1"),
        ("quorum none\nquorum none\n", "line 2"),
        (f"log {WITNESSES[0].verifier}\nquorum none\n", "line 1"),
        (f"witness W {LOG.verifier}\nquorum W\n", "line 1"),
        (f"witness none {WITNESSES[0].verifier}\nquorum none\n", "taken"),
        (f"witness W {WITNESSES[0].verifier}\nwitness V {WITNESSES[0].verifier}\nquorum W\n", "same key"),
        (f"log {LOG.verifier}\nlog {LOG.verifier}\nquorum none\n", "same key"),
        (f"witness W {WITNESSES[0].verifier}\ngroup G 2 W\nquorum G\n", "threshold"),
        (f"witness W {WITNESSES[0].verifier}\ngroup G 0 W\nquorum G\n", "threshold"),
        (f"witness W {WITNESSES[0].verifier}\ngroup G any W W\nquorum G\n", "member"),
        (f"witness W {WITNESSES[0].verifier}\ngroup G any G\nquorum G\n", "taken|defines"),
        ("trust everybody\nquorum none\n", "begins with"),
        ("quorum none extra\n", "words"),
        ("quorum\x0bnone\n", "control"),
    ],
)
def test_what_is_no_policy(text: str, why: str) -> None:
    with pytest.raises(PolicyInvalid, match=why):
        Policy.parse(text.encode())


@given(st.binary(max_size=200))
def test_the_parser_of_policies_raises_only_its_own_error(content: bytes) -> None:
    try:
        Policy.parse(content + b"\nquorum none\n")
    except PolicyInvalid:
        return


# --- witnesses --------------------------------------------------------------------------------------------------------


def request(old: int, size: int, **changes: object) -> AddCheckpoint:
    proof = tuple(merkle.consistency_proof(old, size, forest(size).reader(size))) if old <= size else ()
    made = AddCheckpoint(old, proof, signed(size))
    return replace(made, **changes)  # type: ignore[arg-type]


def seen(size: int) -> Seen:
    return Seen(size, forest(size).frontier.root())


@pytest.mark.parametrize(("old", "size"), [(0, 5), (5, 5), (3, 9), (4, 300)])
def test_a_log_that_grows_is_cosigned(old: int, size: int) -> None:
    note, checkpoint = decide(request(old, size), [LOG.verifier], seen(old) if old else None)
    assert checkpoint.size == size
    assert note.text == checkpoint.text()


@pytest.mark.parametrize(
    ("asked", "last", "status"),
    [
        (request(3, 9, note=b"nonsense"), seen(3), 400),
        (request(9, 3), seen(9), 400),
        (request(3, 9, note=signed(9, signer=NEXT_LOG)), seen(3), 403),
        (request(3, 9), seen(4), 409),
        (request(3, 9), None, 409),
        (request(0, 9), seen(3), 409),
        (request(5, 5, note=signed(5, root=b"\7" * 32)), seen(5), 409),
        (request(3, 9, proof=()), seen(3), 422),
        (request(0, 9, proof=(b"\0" * 32,)), None, 422),
        (request(3, 9, note=signed(9, root=b"\7" * 32)), seen(3), 422),
        (request(3, 9), Seen(3, b"\7" * 32), 422),
    ],
)
def test_a_log_that_does_not_is_refused(asked: AddCheckpoint, last: Seen | None, status: int) -> None:
    with pytest.raises(Refusal) as refusal:
        decide(asked, [LOG.verifier], last)
    assert refusal.value.status == status
    if status == 409:
        assert refusal.value.seen_size == (last.size if last else 0)


def test_a_log_that_is_not_known_is_refused() -> None:
    other = Signer.from_seed("example.com/other", KeyKind.ED25519, b"\1" * 32)
    with pytest.raises(Refusal) as refusal:
        decide(request(0, 5), [other.verifier], None)
    assert refusal.value.status == 404


@given(st.integers(0, 500), st.integers(0, 500))
@settings(max_examples=50, deadline=None)
def test_requests_are_read_as_they_were_written(one: int, other: int) -> None:
    made = request(*sorted((one, other)))
    assert AddCheckpoint.parse(made.encode()) == made


@given(st.binary(max_size=200))
def test_the_parser_of_requests_raises_only_its_own_error(body: bytes) -> None:
    try:
        read = AddCheckpoint.parse(body)
        Note.parse(read.note)
    except NoteInvalid:
        return
