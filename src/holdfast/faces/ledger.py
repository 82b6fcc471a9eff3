"""The ledger's files over HTTP: /ledger/checkpoint, /ledger/tile/..., and beside them documents of entries.

Wire in, use case, wire out. Source: C2SP tlog-tiles (paths, content types, caching). Auditors' tools read them; who may
is the setting ledger_readers. A file that is partial answers also when the full one is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.core import errors
from holdfast.core.tiles import Tile
from holdfast.faces.http import Request, Response
from holdfast.faces.signatures import connection_of

if TYPE_CHECKING:
    from holdfast.registry.ledger import Ledger
    from holdfast.registry.ledger_use import LedgerUse
    from holdfast.registry.registries import Registries

PREFIX: Final = "/ledger/"
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_BYTES: Final = ("Content-Type", "application/octet-stream")
_JSON: Final = ("Content-Type", "application/json")
_FOR_EVER: Final = ("Cache-Control", "max-age=31536000, immutable")
_BRIEFLY: Final = ("Cache-Control", "no-cache")
_DOCUMENT: Final = re.compile(r"document/([0-9a-f]{64})", re.ASCII)


class LedgerFace:
    """Answers requests below /ledger/."""

    def __init__(self, ledger: Ledger, use: LedgerUse, registries: Registries) -> None:
        self._ledger = ledger
        self._use = use
        self._registries = registries

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in {"GET", "HEAD"}:
            return Response(405, (("Allow", "GET, HEAD"), _TEXT), b"method not allowed\n")
        try:
            authorization = request.headers.get("authorization")
            self._use.admit(authorization, connection_of(request), self._registries.default)
        except errors.HoldfastError as error:
            return _refused(error)
        path = request.path.removeprefix(PREFIX)
        if path == "checkpoint":
            found, headers = self._ledger.checkpoint, (_TEXT, _BRIEFLY)
        elif (document := _DOCUMENT.fullmatch(path)) is not None:
            found, headers = self._use.document(document[1]), (_JSON, _FOR_EVER)
        else:
            tile = Tile.parse(path)
            found, headers = self._ledger.file(tile) if tile else None, (_BYTES, _FOR_EVER)
        if found is None:
            return Response(404, (_TEXT, ("Cache-Control", "no-store")), b"this is not in the published ledger\n")
        return Response(200, headers, found)


def _refused(error: errors.HoldfastError) -> Response:
    headers = [_TEXT, ("Cache-Control", "no-store")]
    status = 403
    if error.retry_after_seconds is not None:
        status = 429
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    elif isinstance(error, errors.Unauthenticated):
        status = 401
        headers.append(("WWW-Authenticate", 'Basic realm="holdfast"'))
    return Response(status, headers, f"{error.message}\n".encode())
