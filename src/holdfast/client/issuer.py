"""Fetches what an issuer of OIDC tokens publishes: its discovery document and its keys.

This file alone decides what is asked of strangers' servers: HTTPS only (HTTP on this machine), no redirects, little and
soon. What stands in the answer is for `registry/oidc` to judge.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import urllib3

MAX_BYTES: Final = 256 * 1024
"""The largest key sets published are some 20 kB."""

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=5)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_FOUND: Final = 200


class IssuerUnreachable(Exception):
    """An issuer's document could not be had; the message says why."""


async def fetch(url: str) -> bytes:
    """Return what stands at an address. Raises IssuerUnreachable."""
    return await asyncio.to_thread(_fetch, url)


def _fetch(url: str) -> bytes:
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        message = f"{url} is not an https:// address"
        raise IssuerUnreachable(message)
    # A request a time, minutes apart: a pool would keep connections that the other end closes.
    try:
        with urllib3.PoolManager(num_pools=1, retries=False) as pool:
            answer = pool.request("GET", url, timeout=_TIMEOUT, redirect=False, preload_content=False)
            try:
                if answer.status != _FOUND:
                    message = f"{url} answered {answer.status}"
                    raise IssuerUnreachable(message)
                content = answer.read(MAX_BYTES + 1)
            finally:
                answer.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        message = f"{url} cannot be reached: {error}"
        raise IssuerUnreachable(message) from None
    if len(content) > MAX_BYTES:
        message = f"{url} is larger than {MAX_BYTES} bytes"
        raise IssuerUnreachable(message)
    return bytes(content)
