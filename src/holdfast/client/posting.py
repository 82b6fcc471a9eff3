"""POSTs to one address, many and cheap: a connection a thread, kept; for callers of AWS's JSON services.

This file alone knows the connections. It follows no proxy: where one is configured, botocore's own session is used. A
connection that was kept and turns out to be closed is made anew, once; the request cannot have been acted on then
more than a retry of any kind could cause, and every operation that is called this way may run twice.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from holdfast.client.api import APIUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REPLY_BYTES: Final = 128 * 1024 * 1024
_BROKEN: Final = (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine, ssl.SSLEOFError)


class Poster:
    """Sends to one address. Threads may share it; each has a connection of its own."""

    def __init__(self, address: str, *, authorities: str | None, timeout_seconds: float) -> None:
        """`authorities` is a file of certificates (PEM) to trust; None: the system's."""
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path or "/"
        self._timeout = timeout_seconds
        self._tls = ssl.create_default_context(cafile=authorities) if parts.scheme == "https" else None
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer whole: status and content. Raises APIUnreachable."""
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._exchange(kept, headers, body)
            except _BROKEN:
                self._drop(kept)
            except (OSError, http.client.HTTPException) as error:
                self._drop(kept)
                raise self._unreachable(error) from error
        fresh = self._connect()
        try:
            return self._exchange(fresh, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self._drop(fresh)
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        connection.request("POST", self._path, body, dict(headers))
        reply = connection.getresponse()
        content = reply.read(MAX_REPLY_BYTES + 1)
        if len(content) > MAX_REPLY_BYTES:
            msg = f"the answer has more than {MAX_REPLY_BYTES} bytes"
            raise http.client.HTTPException(msg)
        return reply.status, content

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._tls
            )
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        self._local.connection = made
        self._opened.append(made)
        return made

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._opened.remove(connection)
        self._local.connection = None

    def _unreachable(self, error: Exception) -> APIUnreachable:
        where = f"{self._host}:{self._port}" if self._port else self._host
        return APIUnreachable(f"Could not reach {where}: {str(error) or type(error).__name__}")
