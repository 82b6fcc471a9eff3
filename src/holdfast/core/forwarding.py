"""Behind a reverse proxy: who is the client, and how did it reach us?

This file alone decides how far `X-Forwarded-For` and `X-Forwarded-Proto` are believed: as far as each hop, from the
last one backwards, is a proxy that the operator named. Everybody else's words about themselves are ignored.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]


def networks(text: str) -> Networks:
    """Read addresses and networks, with commas between; raises ValueError with what was expected."""
    try:
        found = tuple(ip_network(one.strip()) for one in text.split(","))
    except ValueError:
        msg = "addresses or networks like 10.0.0.0/8, with commas between"
        raise ValueError(msg) from None
    if any(one.prefixlen == 0 for one in found):
        msg = "the addresses of proxies; a network of everybody would let anybody claim any address"
        raise ValueError(msg)
    return found


def is_trusted(address: str, proxies: Networks) -> bool:
    """Whether an address is a proxy's; what is no address is nobody's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if parsed.version == 6 and parsed.ipv4_mapped is not None:  # noqa: PLR2004 - the version's name
        parsed = parsed.ipv4_mapped
    return any(parsed in one for one in proxies)


def client_of(peer: str, forwarded_for: str | None, proxies: Networks) -> str:
    """Return the address of the client: the last hop that is not a proxy of ours.

    What is written before that hop came from it, and may be anything.
    """
    hops = [one.strip() for one in forwarded_for.split(",")] if forwarded_for else []
    client = peer
    while hops and is_trusted(client, proxies):
        hop = hops.pop()
        try:
            client = str(ip_address(hop))
        except ValueError:
            break
    return client


def scheme_of(peer: str, scheme: str, forwarded_proto: str | None, proxies: Networks) -> str:
    """Return the scheme by which the client reached the proxy, the connection's own unless a proxy of ours says."""
    said = (forwarded_proto or "").rpartition(",")[2].strip().lower()
    return said if said in {"http", "https"} and is_trusted(peer, proxies) else scheme
