"""The certificate of the server: served until another lies in its place, which is then taken without a restart.

Whoever renews certificates (certbot, cert-manager, a person) writes two files, one after the other. So what is found is
taken whole, or not at all: until the key is that of the certificate, the one from before is served on.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509

from holdfast.core.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from pathlib import Path

    _State = tuple[tuple[int, int, int], ...]

LOOK_SECONDS: Final = 10.0
"""How long a renewed certificate may lie there before it is served."""

_LOGGER: Final = logging.getLogger("holdfast.tls")


class ServerCertificate:
    """A certificate chain and its key, in two files (PEM)."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises ConfigurationInvalid for files that cannot be read, or do not go together."""
        self._chain = chain
        self._key = key
        self._seen = self._state()
        self._current, self.ends_at = self._read()
        self.context = self._current
        """What to listen with; its handshakes get the newest certificate."""
        # Called in every handshake, whether the client names a server or not.
        self.context.sni_callback = self._choose

    async def run(self) -> None:
        """Take what is renewed, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take the certificate that lies in the files now, if it is another; what cannot be served is told once."""
        state = self._state()
        if state is None or state == self._seen:
            return
        self._seen = state
        try:
            self._current, self.ends_at = self._read()
        except ConfigurationInvalid as error:
            _LOGGER.warning("the certificate from before is served on: %s", error.message)
        else:
            _LOGGER.info("another certificate is served, good until %s", datetime.fromtimestamp(self.ends_at, UTC))

    def _choose(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del name, context
        handshake.context = self._current

    def _state(self) -> _State | None:
        """Tell one state of the files from another; None while one of them is not there."""
        try:
            stats = [path.stat() for path in (self._chain, self._key)]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in stats)

    def _read(self) -> tuple[ssl.SSLContext, float]:
        """Return what serves the certificate, and when that ends, in seconds since the epoch."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A key with a password is refused: OpenSSL would ask for it on the terminal, and the server stand still.
            context.load_cert_chain(self._chain, self._key, password=lambda: "")
            first = x509.load_pem_x509_certificates(self._chain.read_bytes())[0]
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            msg = f"The TLS certificate or key cannot be used: {error}"
            raise ConfigurationInvalid(msg) from None
        return context, first.not_valid_after_utc.timestamp()
