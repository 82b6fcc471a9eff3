"""Requests that came through proxies of ours: the client's own address and scheme in the place of the proxy's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core.forwarding import client_of, scheme_of

if TYPE_CHECKING:
    from holdfast.core.forwarding import Networks
    from holdfast.faces.http import Handler, Request, Response


def behind(proxies: Networks, handler: Handler) -> Handler:
    """Make a handler see clients behind proxies as they are. Host is taken as it is: a proxy must pass it on."""

    async def answer(request: Request) -> Response:
        peer = request.peer
        request.scheme = scheme_of(peer, request.scheme, request.headers.get("x-forwarded-proto"), proxies)
        request.peer = client_of(peer, request.headers.get("x-forwarded-for"), proxies)
        return await handler(request)

    return answer
