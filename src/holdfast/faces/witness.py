"""A witness over HTTP: POST /add-checkpoint, and GET /checkpoints for whoever compares views.

Wire in, use case, wire out. Source: C2SP tlog-witness v1.0.0.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from holdfast.core.witnessing import MAX_REQUEST_BYTES, SIZE_TYPE, Refusal
from holdfast.faces.http import BodyTooLarge, Request, Response

if TYPE_CHECKING:
    from holdfast.registry.witness import Witness

_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_LOGGER: Final = logging.getLogger("holdfast.witness")


class WitnessFace:
    """Answers the requests of logs."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/add-checkpoint" and request.method == "POST":
            return await self._add_checkpoint(request)
        if request.path == "/checkpoints" and request.method in {"GET", "HEAD"}:
            return Response(200, (_TEXT, ("Cache-Control", "no-cache")), b"\n".join(self._witness.last()))
        if request.path == "/livez":
            return Response(200, (_TEXT,), b"ok\n")
        return Response(404, (_TEXT,), b"a witness takes POST /add-checkpoint\n")

    async def _add_checkpoint(self, request: Request) -> Response:
        try:
            body = await request.body.read(MAX_REQUEST_BYTES)
            return Response(200, (_TEXT,), await self._witness.add_checkpoint(body))
        except BodyTooLarge:
            return Response(413, (_TEXT,), b"the request is too large\n")
        except Refusal as refusal:
            _LOGGER.warning("not cosigned: %s", refusal.reason)
            if refusal.seen_size is not None:
                return Response(refusal.status, (("Content-Type", SIZE_TYPE),), f"{refusal.seen_size}\n".encode())
            return Response(refusal.status, (_TEXT,), f"{refusal.reason}\n".encode())
        except OSError:
            _LOGGER.exception("a checkpoint could not be remembered, and was not cosigned")
            return Response(503, (_TEXT, ("Retry-After", "5")), b"this witness cannot remember\n")
