"""References to images as Docker's tools read them: `name`, `name:tag`, `name@digest`, short names and all.

This file alone decides what a text names: the registry that a short name means, the tag that a missing one means, and
what is no reference at all.

Sources: distribution/reference (grammar, normalised names); OCI distribution specification (tags).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
MAX_CHARACTERS: Final = 255 + 1 + 128 + 1 + 200

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST: Final = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """What a reference names, with Docker's defaults taken but for the tag, which stays None when there is none."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """The full name: registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse_image(text: str) -> ImageReference | None:
    """Read a reference; None when the text is none."""
    if len(text) > MAX_CHARACTERS:
        return None
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return None
    host, path = found["host"], found["path"]
    if host is not None and not _is_host(host):
        if host != host.lower():
            return None
        host, path = None, f"{host}/{path}"
    registry = host or DEFAULT_REGISTRY
    if registry in {"index.docker.io", "registry-1.docker.io"}:
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return ImageReference(registry, path, found["tag"], found["digest"])


def _is_host(text: str) -> bool:
    """A first component is a host when it has a dot or a port, or is localhost: as Docker tells them apart."""
    return "." in text or ":" in text or text == "localhost" or text != text.lower()
