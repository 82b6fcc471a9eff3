"""Upstream registries: which addresses a pull-through cache rule may name, and of which kind each is. Pure.

ECR takes a fixed list; Holdfast takes any OCI registry beside it, by a right of its own, since whoever may name an
address lets the server send requests there. Source of the list: Amazon ECR API, CreatePullThroughCacheRule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

KINDS: Final = (
    ("ecr", re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|on\.aws)", re.ASCII)),
    ("ecr-public", re.compile(r"public\.ecr\.aws|ecr-public\.aws\.com", re.ASCII)),
    ("docker-hub", re.compile(r"registry-1\.docker\.io", re.ASCII)),
    ("github-container-registry", re.compile(r"ghcr\.io", re.ASCII)),
    ("gitlab-container-registry", re.compile(r"registry\.gitlab\.com", re.ASCII)),
    ("k8s", re.compile(r"registry\.k8s\.io", re.ASCII)),
    ("azure-container-registry", re.compile(r"[a-zA-Z0-9-]+\.azurecr\.io", re.ASCII)),
    ("quay", re.compile(r"quay\.io", re.ASCII)),
    ("chainguard", re.compile(r"cgr\.dev", re.ASCII)),
)
"""Kind -> the hosts that it has."""

MAX_ADDRESS_CHARACTERS: Final = 300
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_SECRET: Final = re.compile(r"arn:aws(?:-[a-z]+)*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:(.+)", re.ASCII)
SECRET_FOLDER: Final = "ecr-pullthroughcache/"  # noqa: S105 - a prefix of names
_SUFFIX: Final = re.compile(r"-[A-Za-z0-9]{6}$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upstream:
    """An address that may be asked: its URL, and its kind in ECR's list (None for one beyond it)."""

    url: str
    kind: str | None


def parse_upstream(text: str) -> Upstream | None:
    """Read the address of an upstream: a host, or `http://` or `https://` with a host and a port; None if it is none.

    Without a scheme https is meant. http must be written out; it is for registries inside one's own walls.
    """
    if len(text) > MAX_ADDRESS_CHARACTERS:
        return None
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return None
    if host is None or parts.username is not None or parts.password is not None or not _HOST.fullmatch(host):
        return None
    url = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    by_the_list = parts.scheme == "https" and port in {None, 443}
    kind = next((kind for kind, pattern in KINDS if pattern.fullmatch(host)), None) if by_the_list else None
    return Upstream(url, kind)


def credential_names(secret: str) -> tuple[str, ...]:
    """Return the names under which the credential of a secret's ARN, or of a plain name, may be kept; nearest first.

    AWS adds a hyphen and six characters to the name of a secret in its ARN: with and without them it is the same one.
    """
    match = _SECRET.fullmatch(secret)
    name = (match.group(1) if match else secret).removeprefix(SECRET_FOLDER)
    shorter = _SUFFIX.sub("", name)
    return tuple(dict.fromkeys((name, shorter)))


def secret_arn(region: str, account_id: str, name: str) -> str:
    """Return the ARN that stands for a sealed credential where ECR wants the one of a secret."""
    return f"arn:aws:secretsmanager:{region}:{account_id}:secret:{SECRET_FOLDER}{name}"
