"""What a witness decides: may this checkpoint be cosigned, after the last one that was?

This file alone decides that, and how a request to a witness is written and read. It keeps nothing: whoever calls hands
in what the witness saw last, and stores what it is told to, in one step. Source: C2SP tlog-witness v1.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.checkpoint import Checkpoint, parse_size
from holdfast.core.merkle import HASH_BYTES, MAX_PROOF_HASHES, ProofInvalid, verify_consistency
from holdfast.core.signed_note import MAX_NOTE_BYTES, Note, NoteInvalid, decode_base64, encode_base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.core.signed_note import VerifierKey

MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES
SIZE_TYPE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Write the request."""
        lines = [f"old {self.old}", *map(encode_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request; raises NoteInvalid."""
        head, blank, note = body.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            lines = [""]
        if not blank or not lines[0].startswith("old "):
            msg = "a request is 'old N', the lines of the proof, an empty line, and a checkpoint"
            raise NoteInvalid(msg)
        proof = tuple(map(decode_base64, lines[1:]))
        if len(proof) > MAX_PROOF_HASHES or any(len(one) != HASH_BYTES for one in proof):
            msg = f"a proof is at most {MAX_PROOF_HASHES} hashes of {HASH_BYTES} bytes"
            raise NoteInvalid(msg)
        return cls(parse_size(lines[0].removeprefix("old ")), proof, note)


@dataclass(frozen=True, slots=True)
class Seen:
    """The tree that a witness cosigned last."""

    size: int
    root: bytes


class Refusal(Exception):
    """Why a checkpoint is not cosigned: the HTTP status, and a sentence; with 409 the size that was seen last."""

    def __init__(self, status: int, reason: str, seen_size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.seen_size = seen_size


def decide(request: AddCheckpoint, keys: Iterable[VerifierKey], seen: Seen | None) -> tuple[Note, Checkpoint]:
    """Return the checkpoint that may be cosigned, and must be remembered before it is; raises Refusal.

    `keys` are those of the log whose checkpoint this is; `seen` is what was cosigned last for its origin. The order of
    the checks is the specification's.
    """
    try:
        note = Note.parse(request.note)
        checkpoint = Checkpoint.of(note)
    except NoteInvalid as error:
        raise Refusal(400, str(error)) from None
    mine: Sequence[VerifierKey] = [key for key in keys if key.name == checkpoint.origin]
    if not mine:
        raise Refusal(404, "this witness does not know the log")
    try:
        signed = note.verify(mine)
    except NoteInvalid as error:
        raise Refusal(403, str(error)) from None
    if not signed:
        raise Refusal(403, "no key that is trusted for the log has signed")
    if request.old > checkpoint.size:
        raise Refusal(400, "the old size is larger than the checkpoint's")
    last = seen or Seen(0, b"")
    if request.old != last.size:
        raise Refusal(409, "the old size is not the one seen last", last.size)
    if request.old == checkpoint.size and seen is not None and checkpoint.root != last.root:
        raise Refusal(409, "another tree of this size was seen: the log was forked", last.size)
    _check_growth(request, checkpoint, last)
    return note, checkpoint


def _check_growth(request: AddCheckpoint, checkpoint: Checkpoint, last: Seen) -> None:
    try:
        if request.old:
            verify_consistency(last.size, checkpoint.size, request.proof, last.root, checkpoint.root)
        elif request.proof:
            raise Refusal(422, "a proof from nothing is empty")
    except ProofInvalid as error:
        raise Refusal(422, str(error)) from None
