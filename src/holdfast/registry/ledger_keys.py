"""The keys that the ledger signs with: made at the first start, each in a file of the data directory.

Which keys sign is written in the database, by their public half; the private halves lie outside it, readable by the
owner alone. The file comes first: a key that is written down can always be read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.core.errors import ConfigurationInvalid
from holdfast.core.signed_note import SEED_BYTES, KeyKind, NoteInvalid, Signer
from holdfast.store.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from holdfast.core.signed_note import VerifierKey

_PATTERN = "ledger-*.key"


class LedgerKeys:
    """The key files of a data directory."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder = folder
        self._origin = origin

    def all(self) -> list[Signer]:
        """Read every key that is there. Raises ConfigurationInvalid for one that is damaged."""
        return [read_key(path) for path in sorted(self._folder.glob(_PATTERN))]

    def signers(self, vkeys: Iterable[str]) -> list[Signer]:
        """Return the keys that are to sign; without any written down, those that are there, else a new one.

        Raises ConfigurationInvalid when the file of one is missing.
        """
        known = {str(one.verifier): one for one in self.all()}
        wanted = list(vkeys)
        if not wanted:
            return list(known.values()) or [self.make()]
        missing = [vkey for vkey in wanted if vkey not in known]
        if missing:
            msg = (
                f"The private key of the ledger for {missing[0]} is not in {self._folder}: restore the file "
                f"{_name(missing[0].split('+')[1])} from a backup. Without it nothing more can be signed."
            )
            raise ConfigurationInvalid(msg)
        return [known[vkey] for vkey in wanted]

    def make(self) -> Signer:
        """Make a key; it is durable when this returns, and signs nothing before it is written down."""
        try:
            signer = Signer.from_seed(self._origin, KeyKind.ED25519, os.urandom(SEED_BYTES))
        except NoteInvalid as error:
            msg = f"The setting ledger_origin cannot be: {error}"
            raise ConfigurationInvalid(msg) from None
        write_key(self._folder / _name(signer.verifier.key_id.hex()), signer)
        reach("start.ledger-key-written")
        return signer

    def verifiers(self) -> list[VerifierKey]:
        """Return the public halves of every key that is there: what this data directory ever signed with."""
        return [signer.verifier for signer in self.all()]


def _name(key_id: str) -> str:
    return f"ledger-{key_id}.key"


def read_key(path: Path) -> Signer:
    """Read a key file. Raises ConfigurationInvalid."""
    try:
        return Signer.parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, NoteInvalid) as error:
        msg = f"The key file {path} cannot be used: {error}"
        raise ConfigurationInvalid(msg) from None


def write_key(path: Path, signer: Signer) -> None:
    """Write a key file that only its owner may read, durably, and never over another."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.secret_text().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.link(draft, path)
    draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
