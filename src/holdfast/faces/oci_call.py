"""What a request of the OCI distribution API names: the thing by its path, the wishes by its query.

This file alone knows the form of the paths and of the query; which methods there are, and what they do, stands in
`oci.py`. Source: OCI distribution specification, "Endpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from holdfast.core import errors

if TYPE_CHECKING:
    from holdfast.faces.http import Request
    from holdfast.registry.access import Caller
    from holdfast.store.catalog import Registry

MAX_PAGE: Final = 1_000
"""Most names on one page, and how many without `n`."""

MAX_QUERY_FIELDS: Final = 64


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads: what kind of thing, in which repository, under which reference."""

    kind: str
    name: str = ""
    reference: str = ""


def parse_path(path: str) -> Target | None:
    """Find what a path names; None when it is no path of this API.

    Read from the right, as a repository may be called `a/manifests`. The repository's name is not decoded: its grammar
    has no character that needs encoding, so an encoded slash never becomes a separator.
    """
    if path in {"/v2", "/v2/"}:
        return Target("base")
    if path == "/v2/_catalog":
        return Target("catalog")
    segments = path.removeprefix("/v2/").split("/")
    match segments:
        case [*name, "blobs", "uploads", ""] | [*name, "blobs", "uploads"] if name:
            return Target("uploads", "/".join(name))
        case [*name, "blobs", "uploads", identity] if name:
            return Target("upload", "/".join(name), identity)
        case [*name, "manifests" | "blobs" | "referrers" as kind, reference] if name:
            return Target(kind, "/".join(name), unquote(reference, errors="strict") if "%" in reference else reference)
        case [*name, "tags", "list"] if name:
            return Target("tags", "/".join(name))
    return None


def target_of(path: str) -> Target:
    """Find what a path names; raises NameInvalid when it is no path of this API."""
    try:
        target = parse_path(path)
    except UnicodeDecodeError:
        target = None
    if target is None:
        msg = "This is no address of the registry's API; see the OCI distribution specification."
        raise errors.NameInvalid(msg)
    return target


@dataclass(slots=True)
class OCICall:
    """One request that was authenticated, and what its path names."""

    request: Request
    target: Target
    caller: Caller
    registry: Registry

    @property
    def name(self) -> str:
        """The repository that the path names."""
        return self.target.name

    @property
    def reference(self) -> str:
        """The tag, digest or upload that the path names."""
        return self.target.reference

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the fields of the query in order. Raises ParameterInvalid."""
        if not self.request.query:
            return []
        try:
            return parse_qsl(
                self.request.query, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
            )
        except ValueError:
            parameter, why = "query", f"The query is malformed or has more than {MAX_QUERY_FIELDS} fields"
            raise errors.ParameterInvalid(parameter, why) from None

    def query(self) -> dict[str, str]:
        """Return the query; a field that stands twice is refused, as either might be meant."""
        pairs = self.query_pairs()
        fields = dict(pairs)
        if len(fields) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in fields if keys.count(key) > 1)
            if twice in {"digest", "mount"}:
                msg = f"The query names the {twice} twice."
                raise errors.DigestInvalid(msg)
            raise errors.ParameterInvalid(twice, "The query names it twice")
        return fields

    def page(self, most: int = MAX_PAGE) -> tuple[int, str]:
        """Return how many to list and after which; `n` above the most there is means the most."""
        query = self.query()
        wanted = query.get("n")
        if wanted is None:
            return most, query.get("last", "")
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 18):  # noqa: PLR2004 - fits 64 bits
            parameter, why = "n", "Member must be a whole number of entries, 0 or more"
            raise errors.ParameterInvalid(parameter, why)
        return min(int(wanted), most), query.get("last", "")
