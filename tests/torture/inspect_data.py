"""What must be true of a data directory that no server has open, whatever happened to the one that had.

Written against the file format, not with the product's code: SQLite's own checks, then row by row against the files.
Then the product's own `fsck` is asked too: it must find nothing where this finds nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

import apsw

from holdfast import care
from torture.model import Violation

if TYPE_CHECKING:
    from pathlib import Path

_BOUND_TO_NOTHING = (
    "SELECT b.tag, b.digest FROM bindings b WHERE b.ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM manifests m "
    "WHERE m.repository_id = b.repository_id AND m.digest = b.digest)"
)
_LIVE = (
    "SELECT r.name, b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id "
    "WHERE b.ended_at IS NULL AND r.deleted_at IS NULL"
)
_ENTRY_OF_BINDING = (
    "SELECT b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id WHERE NOT EXISTS ("
    "SELECT 1 FROM entries e WHERE e.registry_id = r.registry_id AND e.repository = r.name AND e.tag = b.tag "
    "AND e.kind IN ('tag-bound', 'tag-moved', 'tag-restored') AND json_extract(e.body, '$.digest') = b.digest)"
)
_ENTRY_OF_END = (
    "SELECT b.tag, b.digest FROM bindings b JOIN repositories r ON r.id = b.repository_id "
    "WHERE b.end_cause = 'deleted' AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.registry_id = r.registry_id "
    "AND e.repository = r.name AND e.tag = b.tag AND e.kind = 'tag-deleted')"
)
_ENTRY_OF_REPOSITORY = (
    "SELECT r.name FROM repositories r WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.registry_id = r.registry_id "
    "AND e.repository = r.name AND e.kind = 'repository-created')"
)


NEWEST_SCHEMA = sum(one.name.endswith(".sql") for one in resources.files("holdfast.store.schema.sqlite").iterdir())
"""A start that was cut off may have left an older one, which fsck does not judge."""


@dataclass
class Found:
    """What a data directory holds."""

    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    """Digest -> the name of its file."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    manifests: set[tuple[str, str]] = field(default_factory=set)
    modes: dict[str, str] = field(default_factory=dict)


def inspect(data: Path, *, with_fsck: bool = True) -> Found:
    """Check everything; raises Violation, naming what is wrong."""
    wrong: list[str] = []
    found = Found()
    connection = apsw.Connection(str(data / "holdfast.db"))
    try:
        checks = [*connection.execute("PRAGMA integrity_check"), *connection.execute("PRAGMA foreign_key_check")]
        wrong += [f"the database says: {row}" for row in checks if row != ("ok",)]
        version = connection.pragma("user_version")
        if version == 0:  # cut off before the schema was made
            return found
        for digest, payload in connection.execute("SELECT digest, payload FROM manifest_payloads"):
            if _hash(str(digest), payload) != digest:
                wrong.append(f"the bytes of manifest {digest} do not hash to it")
        for digest, size, generation in connection.execute("SELECT digest, size_bytes, generation FROM blobs"):
            found.blobs[digest] = _file(digest, generation)
            wrong += _look(data, str(digest), int(size), found.blobs[digest])
        for sentence, statement in (
            ("a tag names a manifest that is not there", _BOUND_TO_NOTHING),
            ("a binding began without an entry", _ENTRY_OF_BINDING),
            ("a tag was deleted without an entry", _ENTRY_OF_END),
            ("a repository was made without an entry", _ENTRY_OF_REPOSITORY),
        ):
            wrong += [f"{sentence}: {row}" for row in connection.execute(statement)]
        wrong += _gaps([int(number) for (number,) in connection.execute("SELECT sequence FROM entries ORDER BY 1")])
        found.tags = {(name, tag): digest for name, tag, digest in connection.execute(_LIVE)}
        live = "JOIN repositories r ON r.id = x.repository_id WHERE r.deleted_at IS NULL"
        found.links = set(connection.execute(f"SELECT r.name, x.digest FROM repository_blobs x {live}"))
        found.manifests = set(connection.execute(f"SELECT r.name, x.digest FROM manifests x {live}"))
        statement = "SELECT name, tag_mutability FROM repositories WHERE deleted_at IS NULL"
        found.modes = dict(connection.execute(statement))
    finally:
        connection.close()
    uploads = data / "uploads"
    found.uploads = {one.name: one.read_bytes() for one in uploads.iterdir()} if uploads.exists() else {}
    if with_fsck and version == NEWEST_SCHEMA:
        wrong += [f"fsck: {one.problem} {one.subject} {one.detail}" for one in care.fsck(data).findings]
    if wrong:
        raise Violation("; ".join(wrong[:20]))
    return found


def _gaps(numbers: list[int]) -> list[str]:
    return [] if numbers == list(range(1, len(numbers) + 1)) else ["the entries are not numbered without gaps"]


def _file(digest: str, generation: str) -> str:
    algorithm, _, name = digest.partition(":")
    return f"blobs/{algorithm}/{name[:2]}/{name}.{generation}"


def _look(data: Path, digest: str, size: int, file: str) -> list[str]:
    try:
        content = (data / file).read_bytes()
    except FileNotFoundError:
        return [f"the file of blob {digest} is not there"]
    if len(content) != size or _hash(digest, content) != digest:
        return [f"blob {digest} of {size} bytes has a file of {len(content)} that does not hash to it"]
    return []


def _hash(digest: str, content: bytes) -> str:
    algorithm = digest.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
