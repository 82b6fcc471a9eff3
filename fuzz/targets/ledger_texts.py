"""What is read of a ledger's texts is written back as it came, or is refused with the error of that text."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from holdfast.core.checkpoint import Checkpoint
from holdfast.core.merkle import EMPTY_ROOT
from holdfast.core.signed_note import KeyKind, Note, NoteInvalid, Signer, VerifierKey, write_note
from holdfast.core.tiles import BundleInvalid, Tile, join_bundle, split_bundle
from holdfast.core.tlog_policy import Policy, PolicyInvalid
from holdfast.core.tlog_proof import TlogProof
from holdfast.core.witnessing import AddCheckpoint

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG: Final = Signer.from_seed("example.com/log", KeyKind.ED25519, b"\1" * 32)
_WITNESS: Final = Signer.from_seed("witness.example/w", KeyKind.COSIGNATURE, b"\2" * 32)
_CHECKPOINT: Final = Checkpoint("example.com/log", 7, EMPTY_ROOT)
_NOTE: Final = write_note(
    _CHECKPOINT.text(), (_LOG.sign(_CHECKPOINT.text()), _WITNESS.sign(_CHECKPOINT.text(), 1_700_000_000))
)
_POLICY: Final = (
    f"log {_LOG.verifier}\nwitness w {_WITNESS.verifier} https://witness.example/\n# why\ngroup g 1 w\nquorum g\n"
)

SEEDS = (
    _NOTE,
    _CHECKPOINT.text(),
    TlogProof(3, (EMPTY_ROOT, EMPTY_ROOT), _NOTE, b"{}").encode(),
    TlogProof(0, (), _NOTE).encode(),
    AddCheckpoint(3, (EMPTY_ROOT,), _NOTE).encode(),
    AddCheckpoint(0, (), _NOTE).encode(),
    _POLICY.encode(),
    str(_LOG.verifier).encode(),
    _LOG.secret_text().encode(),
    b"tile/0/x001/234.p/5",
    b"tile/entries/000",
    join_bundle([b"", b"{}", b"a" * 300]),
)
WORDS = (
    "\u2014 ".encode(),
    b"\n\n",
    b"\n",
    b"old 3\n",
    b"extra ",
    b"index ",
    b"quorum none\n",
    b"group h all w g\n",
    b"+",
    b"=",
    b".p/",
    b"x000/",
    b"\x00\x00",
    b"\xff\xff",
    b"18446744073709551616",
)
COVERS = (
    "core/checkpoint.py",
    "core/signed_note.py",
    "core/tlog_proof.py",
    "core/tlog_policy.py",
    "core/tiles.py",
    "core/witnessing.py",
)
PARSERS = (
    "core.checkpoint.Checkpoint.parse",
    "core.signed_note.Note.parse",
    "core.signed_note.Signer.parse",
    "core.signed_note.VerifierKey.parse",
    "core.tiles.Tile.parse",
    "core.tlog_policy.Policy.parse",
    "core.tlog_proof.TlogProof.parse",
    "core.witnessing.AddCheckpoint.parse",
)


def _bundle(data: bytes) -> bytes:
    return join_bundle(split_bundle(data))


def _tile(data: bytes) -> bytes:
    tile = Tile.parse(data.decode("latin-1"))
    return tile.path.encode() if tile is not None else data


def _policy(data: bytes) -> bytes:
    policy = Policy.parse(data)
    assert not policy.has_quorum(()) or b"none" in data
    return data


def _note(data: bytes) -> bytes:
    note = Note.parse(data)
    try:
        note.verify([_LOG.verifier, _WITNESS.verifier])
    except NoteInvalid:
        assert data != _NOTE
    return write_note(note.text, [one.line() for one in note.signatures])


_READ: Final[tuple[tuple[Callable[[bytes], bytes], type[Exception]], ...]] = (
    (_note, NoteInvalid),
    (lambda data: Checkpoint.parse(data).text(), NoteInvalid),
    (lambda data: TlogProof.parse(data).encode(), NoteInvalid),
    (lambda data: AddCheckpoint.parse(data).encode(), NoteInvalid),
    (lambda data: str(VerifierKey.parse(data.decode("latin-1"))).encode("latin-1"), NoteInvalid),
    (_policy, PolicyInvalid),
    (_tile, BundleInvalid),
    (_bundle, BundleInvalid),
)


def check(data: bytes) -> None:
    """Read it as each of them."""
    for read, refusal in _READ:
        try:
            assert read(data) == data, read
        except refusal:
            continue
    with contextlib.suppress(NoteInvalid):
        Signer.parse(data.decode("latin-1"))
