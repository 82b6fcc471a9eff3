"""Sealed text: what leaves the server or rests in its database, and must come back unread and unchanged.

Log-in tokens, paging tokens, download links and the secrets of access keys are sealed with a key that lies in the data
directory, outside the database: a copy of the database alone opens nothing. The seal is Fernet (AES-128-CBC with
HMAC-SHA256), from the `cryptography` library. A seal names its purpose, so that one kind never passes for another.

The key file has a key a line, the newest first: it seals, all open. Behind a key that seals no more stands since when,
in microseconds since the epoch, and `secrets` where it opens secrets at rest alone.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.fernet import Fernet, InvalidToken

from holdfast.core.errors import ConfigurationInvalid
from holdfast.store.failpoints import reach
from holdfast.store.ledger_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

AT_REST: Final = frozenset({"secret", "upstream"})
"""Purposes of what rests in the database; all others are tokens, which somebody else holds."""

_SECRETS_ALONE: Final = "secrets"


class SealBroken(Exception):
    """Text that this server did not seal for this purpose."""


@dataclass(frozen=True, slots=True)
class _Key:
    text: str
    fernet: Fernet
    retired_at: int | None = None
    """Microseconds since the epoch; None for the one that seals."""
    opens_tokens: bool = True

    @classmethod
    def of(cls, line: str) -> Self:
        text, *rest = line.split(" ")
        retired_at = int(rest[0]) if rest else None
        if rest[1:] not in ([], [_SECRETS_ALONE]):
            raise ValueError(line)
        return cls(text, Fernet(text), retired_at, opens_tokens=not rest[1:])

    def line(self) -> str:
        words = [self.text] if self.retired_at is None else [self.text, str(self.retired_at)]
        return " ".join(words if self.opens_tokens else [*words, _SECRETS_ALONE])

    def retired(self, now: int, *, end_tokens: bool) -> _Key:
        at = now if self.retired_at is None else self.retired_at
        return _Key(self.text, self.fernet, at, opens_tokens=self.opens_tokens and not end_tokens)


class Seal:
    """Seals and opens JSON objects."""

    def __init__(self, keys: bytes, path: Path | None = None) -> None:
        """`keys` is what a key file holds. Raises ConfigurationInvalid when that is damaged."""
        self._path = path
        try:
            self._keys = [_Key.of(line) for line in keys.decode("ascii").strip().split("\n")]
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
        return cls(path.read_bytes(), path)

    def seal(self, purpose: str, content: Mapping[str, Any]) -> str:
        """Seal an object."""
        text = json.dumps([purpose, content], separators=(",", ":"))
        return self._keys[0].fernet.encrypt(text.encode()).decode()

    def open(self, purpose: str, sealed: str) -> dict[str, Any]:
        """Open what `seal` made for the same purpose; raises SealBroken."""
        try:
            encoded = sealed.encode("ascii")
            # The decoder passes over what follows the padding: one content, one seal.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(encoded)) != encoded:
                raise SealBroken
            found, content = json.loads(self._decrypted(purpose, encoded))
        except (InvalidToken, ValueError):
            raise SealBroken from None
        if found != purpose or not isinstance(content, dict):
            raise SealBroken
        return content

    def _decrypted(self, purpose: str, encoded: bytes) -> bytes:
        for key in self._keys:
            if key.opens_tokens or purpose in AT_REST:
                with contextlib.suppress(InvalidToken):
                    return key.fernet.decrypt(encoded)
        raise InvalidToken

    def rotate(self, now: int, *, end_tokens: bool) -> None:
        """Seal with a new key from now on; what the others sealed is still opened, tokens only if they are not to end.

        Durable when this returns. Times in microseconds since the epoch. Raises OSError.
        """
        text = Fernet.generate_key().decode()
        retired = [key.retired(now, end_tokens=end_tokens) for key in self._keys]
        self._write([_Key(text, Fernet(text)), *retired])

    def drop(self, retired_before: int) -> None:
        """Forget the keys that were retired before a moment, once nothing is sealed with them. Raises OSError."""
        kept = [key for key in self._keys if key.retired_at is None or key.retired_at >= retired_before]
        if kept != self._keys:
            self._write(kept)

    def _write(self, keys: Iterable[_Key]) -> None:
        keys = list(keys)
        if self._path is not None:
            replace_file(self._path, "".join(f"{key.line()}\n" for key in keys).encode())
        self._keys = keys


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
