"""Sealed text: what leaves the server or rests in its database, and must come back unread and unchanged.

Log-in tokens, paging tokens, download links and the secrets of access keys are sealed with one key that lies in the
data directory, outside the database: a copy of the database alone opens nothing. The seal is Fernet (AES-128-CBC with
HMAC-SHA256), from the `cryptography` library. A seal names its purpose, so that one kind never passes for another.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken

from holdfast.core.errors import ConfigurationInvalid
from holdfast.store.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SealBroken(Exception):
    """Text that this server did not seal for this purpose."""


class Seal:
    """Seals and opens JSON objects."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            msg = "The key file of the data directory is damaged; restore it from a backup."
            raise ConfigurationInvalid(msg) from error

    @classmethod
    def at(cls, path: Path) -> Seal:
        """Read the key, or make one when the file is not there; only its owner may read it.

        It gets its name when it is whole and durable: a start that was cut off leaves no half of a key.
        """
        if not path.exists():
            _make_key(path)
        return cls(path.read_bytes().strip())

    def seal(self, purpose: str, content: Mapping[str, Any]) -> str:
        """Seal an object."""
        text = json.dumps([purpose, content], separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, purpose: str, sealed: str) -> dict[str, Any]:
        """Open what `seal` made for the same purpose; raises SealBroken."""
        try:
            encoded = sealed.encode("ascii")
            # The decoder passes over what follows the padding: one content, one seal.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(encoded)) != encoded:
                raise SealBroken
            found, content = json.loads(self._fernet.decrypt(encoded))
        except (InvalidToken, ValueError):
            raise SealBroken from None
        if found != purpose or not isinstance(content, dict):
            raise SealBroken
        return content


def _make_key(path: Path) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # of a start that was cut off: nothing was sealed with it
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    reach("start.seal-written")
    with contextlib.suppress(FileExistsError):
        os.link(new, path)
    new.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
