"""Signed notes: text with signatures below it, and the keys that make and check them.

This file alone decides what counts as a signature. Two kinds are made and checked: Ed25519 over the text (a log's), and
the timestamped cosignature (a witness's). All other kinds are unknown keys, which are passed over, as they must be.

Sources: C2SP signed-note v1.0.0; C2SP tlog-cosignature v1.0.1 (Ed25519); the form of private keys is that of Go's
golang.org/x/mod/sumdb/note, so that its tools can be used on ours.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
"""Verifiers must take at least 16. Source: C2SP signed-note."""

SEED_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_DASH: Final = "\N{EM DASH} "
_PRIVATE: Final = "PRIVATE+KEY"


class NoteInvalid(Exception):
    """Bytes that are not a signed note, a key that is none, or a signature that does not hold."""


class KeyKind(IntEnum):
    """The signature types that we make and check."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


def decode_base64(text: str) -> bytes:
    """Decode base64 that has one form only; raises NoteInvalid."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not text or base64.b64encode(decoded).decode() != text:
        msg = "base64 that is not as it must be written"
        raise NoteInvalid(msg)
    return decoded


def encode_base64(content: bytes) -> str:
    """Encode as standard base64."""
    return base64.b64encode(content).decode()


def check_name(name: str) -> str:
    """Return the name of a key if it can be one; raises NoteInvalid."""
    is_text = not any("\ud800" <= one <= "\udfff" for one in name)  # what is no UTF-8 comes as surrogates
    if not name or not is_text or "+" in name or any(one.isspace() or ord(one) < ord(" ") for one in name):
        msg = f"a key cannot be named {name!r}: a name is UTF-8, of at least one character, without space or '+'"
        raise NoteInvalid(msg)
    return name


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: what checks signatures. Its text is the vkey that operators hand out."""

    name: str
    kind: KeyKind
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that say which key signed."""
        return _key_id(self.name, self.kind, self.public)

    def __str__(self) -> str:
        """Return the vkey."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a vkey; raises NoteInvalid, also for kinds of keys that we do not check."""
        name, plus, rest = vkey.partition("+")
        key_id, second, encoded = rest.partition("+")
        if not plus or not second:
            msg = f"a verifier key is NAME+KEYID+KEY; this one is {vkey!r}"
            raise NoteInvalid(msg)
        material = decode_base64(encoded)
        if material[0] not in set(KeyKind) or len(material) != 1 + SEED_BYTES:
            msg = f"the verifier key of {name!r} is not an Ed25519 key or cosigner key"
            raise NoteInvalid(msg)
        key = cls(check_name(name), KeyKind(material[0]), material[1:])
        if key.key_id.hex() != key_id:
            msg = f"the verifier key of {name!r} is damaged: its key id does not match its key"
            raise NoteInvalid(msg)
        return key

    def verify(self, signature: bytes, text: bytes) -> int | None:
        """Check a signature over a note's text; return the seconds it was made at, None for kinds without a time.

        Raises NoteInvalid.
        """
        seconds: int | None = None
        message, ending = text, signature
        if self.kind is KeyKind.COSIGNATURE:
            seconds, ending = int.from_bytes(signature[:_TIME_BYTES], "big"), signature[_TIME_BYTES:]
            message = cosigned(text, seconds)
        # Shorter or longer than 64 bytes, the library refuses it too.
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(ending, message)
        except (InvalidSignature, ValueError):
            msg = f"the signature of {self.name} does not hold"
            raise NoteInvalid(msg) from None
        return seconds


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name: what makes signatures. Never printed."""

    verifier: VerifierKey
    _seed: bytes
    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        """Say which key it is, without the key."""
        return f"<Signer {self.verifier}>"

    @classmethod
    def from_seed(cls, name: str, kind: KeyKind, seed: bytes) -> Signer:
        """Make a signer of 32 secret bytes; raises NoteInvalid."""
        if len(seed) != SEED_BYTES:
            msg = "a private key has 32 bytes"
            raise NoteInvalid(msg)
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(VerifierKey(check_name(name), kind, key.public_key().public_bytes_raw()), seed, key)

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read what `secret_text` wrote; raises NoteInvalid, without quoting what may be a key."""
        prefix, _, rest = text.strip().partition("+KEY+")
        name, _, rest = rest.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            material = decode_base64(encoded)
            signer = cls.from_seed(name, KeyKind(material[0]), material[1:])
        except (NoteInvalid, ValueError):
            signer = None
        if signer is None or prefix != "PRIVATE" or signer.verifier.key_id.hex() != key_id:
            msg = "the file does not hold a private key of a ledger or witness, or it is damaged"
            raise NoteInvalid(msg)
        return signer

    def secret_text(self) -> str:
        """Write the private key as text."""
        material = encode_base64(bytes([self.verifier.kind]) + self._seed)
        return f"{_PRIVATE}+{self.verifier.name}+{self.verifier.key_id.hex()}+{material}"

    def sign(self, text: bytes, seconds: int | None = None) -> str:
        """Return the signature line over a note's text; a cosignature needs the time in seconds since the epoch."""
        if self.verifier.kind is KeyKind.COSIGNATURE:
            if seconds is None:
                msg = "a cosignature says when it was made"
                raise ValueError(msg)
            signature = seconds.to_bytes(_TIME_BYTES, "big") + self._key.sign(cosigned(text, seconds))
        else:
            signature = self._key.sign(text)
        return f"{_DASH}{self.verifier.name} {encode_base64(self.verifier.key_id + signature)}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Write it."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds: by whom, and for a cosignature when, in seconds since the epoch."""

    key: VerifierKey
    seconds: int | None
    line: str


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read, its signatures not checked yet. `text` ends with a newline."""

    text: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, content: bytes) -> Note:
        """Read a signed note; raises NoteInvalid."""
        if len(content) > MAX_NOTE_BYTES:
            msg = f"a signed note has at most {MAX_NOTE_BYTES} bytes"
            raise NoteInvalid(msg)
        try:
            decoded = content.decode("utf-8")
        except UnicodeDecodeError:
            msg = "a signed note is UTF-8"
            raise NoteInvalid(msg) from None
        if any(ord(one) < ord(" ") and one != "\n" for one in decoded):
            msg = "a signed note has no control characters but newlines"
            raise NoteInvalid(msg)
        text, blank, below = decoded.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            msg = "a signed note is a text, an empty line, and signature lines"
            raise NoteInvalid(msg)
        return cls(f"{text}\n".encode(), parse_signatures(below))

    def verify(self, keys: Iterable[VerifierKey]) -> list[Verified]:
        """Check the signatures of known keys, in the order of their lines; raises NoteInvalid when one does not hold.

        Signatures of unknown keys are passed over. An empty list means that nothing here is to be believed.
        """
        known = {(key.name, key.key_id): key for key in keys}
        held: dict[tuple[str, bytes], Verified] = {}
        for one in self.signatures:
            identity = (one.name, one.key_id)
            key = known.get(identity)
            if key is not None and identity not in held:
                held[identity] = Verified(key, key.verify(one.signature, self.text), one.line())
        return list(held.values())


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Read signature lines, each ended by a newline; raises NoteInvalid."""
    if not lines.endswith("\n") or lines.count("\n") > MAX_SIGNATURES:
        msg = f"there is at least one signature, and at most {MAX_SIGNATURES}, each on a line"
        raise NoteInvalid(msg)
    return tuple(map(_signature, lines.removesuffix("\n").split("\n")))


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        msg = "a signature line begins with an em dash, and has a name and a signature"
        raise NoteInvalid(msg)
    material = decode_base64(encoded)
    if len(material) <= _KEY_ID_BYTES:
        msg = "a signature is too short"
        raise NoteInvalid(msg)
    return Signature(check_name(name), material[:_KEY_ID_BYTES], material[_KEY_ID_BYTES:])


def write_note(text: bytes, lines: Iterable[str]) -> bytes:
    """Put a text and its signature lines together."""
    return text + b"\n" + "".join(lines).encode()


def cosigned(text: bytes, seconds: int) -> bytes:
    """Return what a witness signs."""
    return f"cosignature/v1\ntime {seconds}\n".encode() + text


def _key_id(name: str, kind: KeyKind, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_KEY_ID_BYTES]
