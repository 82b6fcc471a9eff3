"""Host names: which registry a request is for, and under which name a registry is reached.

This file alone knows their form. AWS has registries at ACCOUNT.dkr.ecr.REGION.SUFFIX (dual-stack: dkr-ecr; FIPS:
dkr.ecr-fips) and the JSON API at api.ecr.REGION.SUFFIX (ecr.REGION.api.SUFFIX); a host of another form is the default
registry's. STS is at sts.REGION.SUFFIX, and at any other name for every region. The suffix may be anything: a server
knows its names by what clients ask for.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import RegistryNotFound

if TYPE_CHECKING:
    from holdfast.registry.registries import Registries
    from holdfast.store.catalog import Registry

_REGISTRY: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]{1,32})\.(?P<suffix>.+)", re.ASCII
)
_API: Final = re.compile(
    r"(?:api\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]{1,32})|ecr(?:-fips)?\.(?P<dual>[a-z0-9-]{1,32})\.api)\.(?P<suffix>.+)",
    re.ASCII,
)
_STS: Final = re.compile(r"sts(?:-fips)?\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9])\.(?P<suffix>.+)", re.ASCII)
_ADDRESS: Final = re.compile(r"[0-9.]+(?::[0-9]+)?|\[.*|localhost(?::[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Host:
    """What a Host header says: the account and region of a registry, or the region of an API, as far as it does."""

    name: str
    account_id: str | None = None
    region: str | None = None
    suffix: str | None = None


@functools.lru_cache(maxsize=1_024)
def parse_host(host: str) -> Host:
    """Read a Host header; case does not matter in names."""
    name = host.lower()
    found = _REGISTRY.fullmatch(name)
    if found is not None:
        return Host(name, found["account"], found["region"], found["suffix"])
    found = _API.fullmatch(name)
    if found is not None:
        return Host(name, None, found["region"] or found["dual"], found["suffix"])
    found = _STS.fullmatch(name)
    if found is not None:
        return Host(name, None, found["region"], found["suffix"])
    return Host(name)


def registry_at(registries: Registries, host: str) -> Registry:
    """Return the registry that a request of the registry protocol is for. Raises RegistryNotFound."""
    told = parse_host(host)
    if told.account_id is None or told.region is None:
        return registries.default
    registry = registries.at(told.account_id, told.region)
    if registry is None:
        raise RegistryNotFound(told.account_id, told.region)
    return registry


def host_of(registries: Registries, registry: Registry, host: str) -> str:
    """Return the host at which a client that reached `host` reaches a registry by the registry protocol.

    The host itself where it leads there; else its sibling. On this machine that is ACCOUNT.dkr.ecr.REGION.localhost,
    which resolves to it by RFC 6761.
    """
    told = parse_host(host)
    place = f"{registry.account_id}.dkr.ecr.{registry.region}"
    if told.suffix is not None:
        if (told.account_id, told.region) == (registry.account_id, registry.region):
            return host
        return f"{place}.{told.suffix}"
    if registry.id == registries.default.id:
        return host
    if _ADDRESS.fullmatch(host):
        port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
        return f"{place}.localhost:{port}" if port else f"{place}.localhost"
    return f"{place}.{host}"
