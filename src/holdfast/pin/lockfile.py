"""holdfast.lock: which digest each name had when it was asked, and what stood in the files before. Pure.

This file alone knows its form: JSON, sorted, so that a difference of it can be reviewed. It is what `--offline` answers
from, and what makes taking pins out again exact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError
from holdfast.pin.knowledge import Known, Trouble
from holdfast.pin.rewrite import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "holdfast.lock"
VERSION: Final = 1
MAX_BYTES: Final = 64 * 1024 * 1024


class LockInvalid(ValueError):
    """A file that is no lock file of ours; the message says why."""


@dataclass(frozen=True, slots=True)
class Locked:
    """The digest of a name, of one platform or (empty) of whatever the name has: an index, usually."""

    digest: str
    media_type: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """What the file holds."""

    images: Mapping[str, Locked] = field(default_factory=dict[str, Locked])
    files: Mapping[str, tuple[Record, ...]] = field(default_factory=dict[str, tuple[Record, ...]])

    def known(self, name: str, platform: str) -> Known:
        """Answer as a registry would; what is not there is trouble, never a guess."""
        found = self.images.get(name)
        if found is None or found.platform != platform:
            wanted = f" for {platform}" if platform else ""
            return Known(trouble=Trouble.NOT_LOCKED, sentence=f"The lock file does not have {name}{wanted}.")
        return Known(found.digest, found.media_type)


def parse(content: bytes) -> Lock:
    """Read a lock file; raises LockInvalid."""
    try:
        document: Any = json.loads(content)
        version = document["version"]
        lock = _read(document) if version == VERSION else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, HoldfastError):
        msg = "is no lock file; holdfast pin --write makes one"
        raise LockInvalid(msg) from None
    if lock is None:
        msg = f"is of version {version!r}; this program knows {VERSION}"
        raise LockInvalid(msg)
    return lock


def _read(document: Any) -> Lock:  # noqa: ANN401 - JSON
    images = {
        name: Locked(str(Digest.parse(one["digest"])), str(one.get("media_type", "")), str(one.get("platform", "")))
        for name, one in document["images"].items()
    }
    files = {
        path: tuple(Record(str(one["where"]), str(one["before"]), str(one["after"])) for one in records)
        for path, records in document["files"].items()
    }
    return Lock(images, files)


def render(lock: Lock) -> str:
    """Write a lock file."""
    document = {
        "version": VERSION,
        "images": {
            name: {
                key: value
                for key, value in (
                    ("digest", one.digest),
                    ("media_type", one.media_type),
                    ("platform", one.platform),
                )
                if value
            }
            for name, one in sorted(lock.images.items())
        },
        "files": {
            path: [{"where": one.where, "before": one.before, "after": one.after} for one in records]
            for path, records in sorted(lock.files.items())
            if records
        },
    }
    return json.dumps(document, indent=2) + "\n"
