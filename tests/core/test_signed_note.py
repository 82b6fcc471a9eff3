"""Signed notes, keys and checkpoints: against published examples, and against forgers."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import EMPTY_ROOT
from holdfast.core.signed_note import KeyKind, Note, NoteInvalid, Signer, VerifierKey, parse_signatures, write_note

LOG = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\1" * 32)
WITNESS = Signer.from_seed("witness.example/w", KeyKind.COSIGNATURE, b"\2" * 32)
CHECKPOINT = Checkpoint("example.com/log", 0, EMPTY_ROOT)

# The example of the documentation of Go's golang.org/x/mod/sumdb/note, whose format signed-note is.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()


def note(*lines: str) -> bytes:
    return write_note(CHECKPOINT.text(), lines or (LOG.sign(CHECKPOINT.text()),))


def test_the_published_example_holds() -> None:
    key = VerifierKey.parse(GO_VKEY)
    assert str(key) == GO_VKEY
    assert [one.key for one in Note.parse(GO_NOTE).verify([key])] == [key]


def test_a_changed_text_does_not_hold() -> None:
    with pytest.raises(NoteInvalid, match="does not hold"):
        Note.parse(GO_NOTE.replace(b"answer", b"Answer")).verify([VerifierKey.parse(GO_VKEY)])


def test_a_log_and_a_witness_sign_one_checkpoint() -> None:
    signed = note(LOG.sign(CHECKPOINT.text()), WITNESS.sign(CHECKPOINT.text(), 1_700_000_000))
    found = Note.parse(signed).verify([LOG.verifier, WITNESS.verifier])
    assert [(one.key, one.seconds) for one in found] == [(LOG.verifier, None), (WITNESS.verifier, 1_700_000_000)]
    assert Checkpoint.of(Note.parse(signed)) == CHECKPOINT


def test_a_cosignature_holds_for_its_time_alone() -> None:
    line = parse_signatures(WITNESS.sign(CHECKPOINT.text(), 1_700_000_000))[0]
    forged = (1_700_000_001).to_bytes(8, "big") + line.signature[8:]
    with pytest.raises(NoteInvalid):
        WITNESS.verifier.verify(forged, CHECKPOINT.text())


def test_unknown_keys_are_passed_over_and_known_ones_must_hold() -> None:
    stranger = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\3" * 32)
    both = Note.parse(note(stranger.sign(CHECKPOINT.text()), LOG.sign(CHECKPOINT.text())))
    assert [one.key for one in both.verify([LOG.verifier])] == [LOG.verifier]
    assert Note.parse(note(stranger.sign(CHECKPOINT.text()))).verify([LOG.verifier]) == []
    broken = LOG.sign(b"another text\n")
    with pytest.raises(NoteInvalid):
        Note.parse(note(broken)).verify([LOG.verifier])


def test_one_key_cannot_sign_twice() -> None:
    line = LOG.sign(CHECKPOINT.text())
    assert len(Note.parse(note(line, line)).verify([LOG.verifier])) == 1


def test_sixteen_signatures_are_taken() -> None:
    lines = [
        Signer.from_seed(f"k{number}", KeyKind.ED25519, bytes([number]) * 32).sign(CHECKPOINT.text())
        for number in range(16)
    ]
    assert len(Note.parse(note(*lines)).signatures) == 16


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        note() + b"x",
        note()[:-1],
        note().replace(b"\n", b"\r\n"),
        note().replace(b"example.com/log\n", b"example\xff\n", 1),
        note().replace(b"log ", b"log  "),
        note().replace(b"=\n", b"\n"),
        "text\n\n— a+b AAAAAAA=\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
    ],
)
def test_what_is_no_note(content: bytes) -> None:
    with pytest.raises(NoteInvalid):
        Note.parse(content).verify([LOG.verifier])


@given(st.binary(max_size=300))
def test_the_parser_raises_only_its_own_error(content: bytes) -> None:
    try:
        Checkpoint.of(Note.parse(content))
    except NoteInvalid:
        return


@given(st.binary(min_size=1, max_size=40), st.integers(0, 300))
def test_no_bit_of_a_checkpoint_can_be_changed(change: bytes, at: int) -> None:
    good = note()
    at %= len(good)
    forged = good[:at] + change + good[at + len(change) :]
    if forged == good:
        return
    try:
        found = Note.parse(forged)
        signed = found.verify([LOG.verifier])
    except NoteInvalid:
        return
    assert not signed or found.text == CHECKPOINT.text()


@pytest.mark.parametrize(
    "text",
    [
        b"origin\n1\n",
        b"origin\n01\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n-1\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n1_0\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n9223372036854775808\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"\n1\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n1\n" + base64.b64encode(EMPTY_ROOT[1:]) + b"\n",
        b"origin\n1\n" + base64.b64encode(EMPTY_ROOT),
        b"origin\n1\n" + base64.b64encode(EMPTY_ROOT) + b"\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint(text: bytes) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)


def test_extension_lines_are_kept_apart() -> None:
    text = CHECKPOINT.text() + b"more\n"
    assert Checkpoint.parse(text).extensions == ("more",)
    assert Checkpoint.parse(text).text() == text


def test_a_private_key_is_written_and_read_and_never_shown() -> None:
    again = Signer.parse(LOG.secret_text() + "\n")
    assert again.verifier == LOG.verifier
    secret = LOG.secret_text().rpartition("+")[2]
    assert secret not in repr(LOG)
    with pytest.raises(NoteInvalid) as error:
        Signer.parse(LOG.secret_text()[:-4] + "AAA=")
    assert secret[:20] not in str(error.value)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+aabbccdd",
        "name+aabbccdd+AAAA",
        str(LOG.verifier).replace("+", "+0", 1),
        str(LOG.verifier)[:-4],
        "a b" + str(LOG.verifier)[len("example.com/log") :],
        "other" + str(LOG.verifier)[len("example.com/log") :],
        "not\udcffutf8" + str(LOG.verifier)[len("example.com/log") :],
    ],
)
def test_what_is_no_verifier_key(vkey: str) -> None:
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(vkey)
