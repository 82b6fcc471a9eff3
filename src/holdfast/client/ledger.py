"""The public files of a ledger over HTTP: what an audit of a running server reads with.

Source: C2SP tlog-tiles (paths). A file that is not there raises FileMissing, everything else what `transport` raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.client.transport import RegistryUnreachable, Transport
from holdfast.core.ledger_audit import FileMissing

if TYPE_CHECKING:
    from holdfast.client.transport import Credentials

PREFIX: Final = "/ledger/"
CHECKPOINT: Final = "checkpoint"
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_NOT_FOUND: Final = 404


class LedgerClient:
    """Reads the ledger of one server. Not for several threads at once."""

    def __init__(self, address: str, credentials: Credentials | None, *, ca_bundle: str | None = None) -> None:
        self._transport = Transport(address, credentials, ca_bundle=ca_bundle)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def fetch(self, path: str) -> bytes:
        """Return a file. Raises FileMissing, RegistryError."""
        with self._transport.stream("GET", PREFIX + path, accept=(200, _NOT_FOUND)) as response:
            content = bytearray()
            for piece in self._transport.pieces(response):
                content += piece
                if len(content) > MAX_FILE_BYTES:
                    msg = f"{self._transport.address} sent more for {path} than any file of a ledger has."
                    raise RegistryUnreachable(msg)
            if response.status == _NOT_FOUND:
                msg = f"{path} is missing"
                raise FileMissing(msg)
            return bytes(content)

    def checkpoint(self) -> bytes:
        """Return the checkpoint that was published last. Raises FileMissing before the first."""
        return self.fetch(CHECKPOINT)
