"""Receipts: one entry's proof, in one file that needs no network to be verified.

This file alone decides how a receipt is written and read. Source: C2SP tlog-proof v1; files end in `.tlog-proof`.

The extra data of a receipt of Holdfast is the entry itself. Extra data is not authenticated by the format; here it is,
by being hashed as the leaf that the proof is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.checkpoint import Checkpoint, parse_size
from holdfast.core.merkle import HASH_BYTES, MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from holdfast.core.signed_note import Note, NoteInvalid, decode_base64, encode_base64

if TYPE_CHECKING:
    from holdfast.core.tlog_policy import Accepted, Policy

MAGIC: Final = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A receipt: where the entry stands, the hashes up to the root, and the checkpoint with its signatures."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note."""
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Write the receipt."""
        extra = [f"extra {encode_base64(self.extra)}"] if self.extra is not None else []
        lines = [MAGIC, *extra, f"index {self.index}", *map(encode_base64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, content: bytes) -> TlogProof:
        """Read a receipt; raises NoteInvalid."""
        if len(content) > MAX_RECEIPT_BYTES:
            msg = f"a receipt has at most {MAX_RECEIPT_BYTES} bytes"
            raise NoteInvalid(msg)
        head, blank, checkpoint = content.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            lines = []
        if not blank or not lines or lines.pop(0) != MAGIC:
            msg = f"a receipt begins with the line {MAGIC}"
            raise NoteInvalid(msg)
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            msg = "a receipt says the index of its entry"
            raise NoteInvalid(msg)
        index = parse_size(lines.pop(0).removeprefix("index "))
        hashes = tuple(map(decode_base64, lines))
        if len(hashes) > MAX_PROOF_HASHES or any(len(one) != HASH_BYTES for one in hashes):
            msg = f"the proof of a receipt is at most {MAX_PROOF_HASHES} hashes of {HASH_BYTES} bytes"
            raise NoteInvalid(msg)
        Checkpoint.of(Note.parse(checkpoint))
        return cls(index, hashes, checkpoint, extra)

    def verify(self, entry: bytes, policy: Policy) -> Accepted:
        """Check that the entry is in a log that the policy trusts; say who signed.

        Raises NoteInvalid, PolicyUnmet or ProofInvalid.
        """
        accepted = policy.judge(self.checkpoint)
        checkpoint = accepted.checkpoint
        verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root)
        return accepted
