"""A witness with everything in it: what `wiring.py` is for a registry, this file is for `holdfast witness`."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.core.errors import ConfigurationInvalid
from holdfast.core.signed_note import SEED_BYTES, KeyKind, NoteInvalid, Signer, VerifierKey
from holdfast.faces.server import Server
from holdfast.faces.witness import WitnessFace
from holdfast.registry.ledger_keys import read_key, write_key
from holdfast.registry.witness import Witness
from holdfast.store.witness_files import WitnessFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """The settings of a witness: its name, and the verifier keys of the logs that it watches."""

    data: Path
    name: str
    host: str
    port: int
    logs: Sequence[str]


class WitnessServer:
    """A witness that listens. One event loop."""

    def __init__(self, settings: WitnessSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Take the folder, make a key at the first start, listen. Raises ConfigurationInvalid."""
        settings = self._settings
        try:
            logs = [VerifierKey.parse(one) for one in settings.logs]
        except NoteInvalid as error:
            msg = f"A log is named by its verifier key, as `holdfast ledger key` shows it: {error}"
            raise ConfigurationInvalid(msg) from None
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(settings.data / "lock")
        self._signer = _signer(settings.data / "witness.key", settings.name)
        witness = Witness(self._signer, logs, WitnessFiles(settings.data), lambda: time.time_ns() // 1_000)
        self._server = Server()
        await self._server.start(WitnessFace(witness).answer, settings.host, settings.port)

    @property
    def vkey(self) -> str:
        """The verifier key of the witness."""
        return str(self._signer.verifier)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._settings.host}:{self._server.port}"

    async def stop(self) -> None:
        """Finish what runs, then close."""
        await self._server.stop()
        os.close(self._lock)


def _signer(path: Path, name: str) -> Signer:
    if not path.exists():
        try:
            write_key(path, Signer.from_seed(name, KeyKind.COSIGNATURE, os.urandom(SEED_BYTES)))
        except NoteInvalid as error:
            raise ConfigurationInvalid(str(error)) from None
    signer = read_key(path)
    if signer.verifier.name != name or signer.verifier.kind is not KeyKind.COSIGNATURE:
        msg = f"The key in {path} is that of the witness {signer.verifier.name!r}: start it with --name of that."
        raise ConfigurationInvalid(msg)
    return signer


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        msg = f"Another witness is using {path.parent}; stop it, or choose another --data."
        raise ConfigurationInvalid(msg) from None
    return descriptor
