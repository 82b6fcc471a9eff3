"""A folder of backups: what lies in it, how it is checked, and what may be removed from it.

    snapshots/<time>/holdfast.db     the metadata as it was at one moment
    snapshots/<time>/*.key           the keys; whoever has them and the database can open its sealed secrets
    snapshots/<time>/snapshot.json   what this is, and when it was taken
    snapshots/<time>/SHA256SUMS      the digest of every file that belongs to it (SHA512SUMS: blobs named so)
    blobs/...                        the blobs of all snapshots, each once

The blobs are shared, so that a backup costs what is new. The sums have the form of sha256sum, so that anyone can check
a backup without Holdfast. A snapshot gets its name last: one that was cut off is none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import Digest
from holdfast.core.errors import ConfigurationInvalid
from holdfast.store.blob_files import BlobFiles, copy_file, hashes_to
from holdfast.store.syncing import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FORMAT: Final = 1
FACTS: Final = "snapshot.json"
_SUMS: Final = {"sha256": "SHA256SUMS", "sha512": "SHA512SUMS"}
_LINE: Final = re.compile(r"([a-f0-9]{64}|[a-f0-9]{128})  ([^\n]+)", re.ASCII)
_BLOB: Final = re.compile(r"\.\./\.\./blobs/(sha256|sha512)/([a-f0-9]{2})/([a-f0-9]+)\.([a-f0-9]{16})", re.ASCII)
_OWN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a snapshot says of itself; times in microseconds since the epoch."""

    format: int
    holdfast: str
    schema: int
    taken_at: int
    last_entry: int
    """The last entry of the record that it has."""
    blobs: int
    blob_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that belongs to a snapshot, by its name as seen from there."""

    name: str
    digest: Digest

    @property
    def is_blob(self) -> bool:
        """Whether it is a blob, which lies beside the snapshots."""
        return _BLOB.fullmatch(self.name) is not None


class Snapshots:
    """The backups in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = BlobFiles(root)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Have the folder, made when it is not there, for oneself."""
        for one in (self.root, self.root / "snapshots"):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                msg = f"Another backup is writing to {self.root}; wait for its end."
                raise ConfigurationInvalid(msg) from None
            yield
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """List the snapshots, the oldest first."""
        folder = self.root / "snapshots"
        return sorted(
            one.name for one in folder.glob("*") if (one / "snapshot.json").is_file() and _OWN.match(one.name)
        )

    def folder(self, name: str) -> Path:
        """Return the folder of a snapshot."""
        return self.root / "snapshots" / name

    def choose(self, name: str | None) -> str:
        """Return the snapshot of a name, or the newest. Raises ConfigurationInvalid without one."""
        names = self.names()
        if not names or (name is not None and name not in names):
            there = f"there are {', '.join(names)}" if names else "it has none"
            msg = f"There is no snapshot {name or ''} in {self.root}: {there}.".replace("  ", " ")
            raise ConfigurationInvalid(msg)
        return name or names[-1]

    def facts(self, name: str) -> Facts:
        """Read what a snapshot says of itself. Raises ConfigurationInvalid."""
        try:
            document = json.loads((self.folder(name) / FACTS).read_text("utf-8"))
            found = Facts(**document)
        except (OSError, ValueError, TypeError) as error:
            msg = f"The snapshot {name} cannot be read: {error}"
            raise ConfigurationInvalid(msg) from None
        if found.format != FORMAT:
            msg = f"The snapshot {name} has the format {found.format}; this Holdfast knows {FORMAT}."
            raise ConfigurationInvalid(msg)
        return found

    def begin(self) -> Path:
        """Make the folder of a snapshot that has no name yet; what was cut off before goes."""
        new = self.root / "snapshots" / ".new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        return new

    def finish(self, name: str, facts: Facts, listed: Iterable[Listed]) -> None:
        """Write the sums and the facts, make all durable, and give the snapshot its name."""
        new = self.root / "snapshots" / ".new"
        _write(new / FACTS, json.dumps(asdict(facts), indent=2) + "\n")
        by_algorithm: dict[str, list[str]] = {algorithm: [] for algorithm in _SUMS}
        for one in (own_file(new, FACTS), *listed):
            by_algorithm[one.digest.algorithm].append(f"{one.digest.hex}  {one.name}\n")
        for algorithm, lines in by_algorithm.items():
            if lines:
                _write(new / _SUMS[algorithm], "".join(lines))
        sync_folder(new)
        new.rename(self.folder(name))
        sync_folder(self.root / "snapshots")
        sync_folder(self.root)

    def listed(self, name: str) -> list[Listed]:
        """List the files of a snapshot. Raises ConfigurationInvalid for sums that name what can be none of them."""
        found: list[Listed] = []
        for algorithm, sums in _SUMS.items():
            path = self.folder(name) / sums
            for line in path.read_text("utf-8").splitlines() if path.exists() else ():
                parsed = _LINE.fullmatch(line)
                if parsed is None or not (_BLOB.fullmatch(parsed[2]) or _OWN.fullmatch(parsed[2])):
                    msg = f"The sums of the snapshot {name} have a line that is none: {line[:120]!r}"
                    raise ConfigurationInvalid(msg)
                found.append(Listed(parsed[2], Digest.parse(f"{algorithm}:{parsed[1]}")))
        return found

    def damaged(self, name: str, watch: Callable[[int], None]) -> list[str]:
        """Read every file of a snapshot and list those that are missing or not what the sums say."""
        wrong: list[str] = []
        for one in self.listed(name):
            path = self.folder(name) / one.name
            try:
                if not hashes_to(str(path), one.digest, watch):
                    wrong.append(one.name)
            except OSError as error:
                wrong.append(f"{one.name} ({error.strerror})")
        return wrong

    def prune(self, keep: int) -> tuple[int, int]:
        """Remove all but the newest snapshots, and the blobs that none names; return how many of each."""
        old = self.names()[:-keep]
        for name in old:
            shutil.rmtree(self.folder(name))
        sync_folder(self.root / "snapshots")
        needed = {one.name for name in self.names() for one in self.listed(name) if one.is_blob}
        unneeded = [
            stored
            for stored in self.files.stored()
            if not isinstance(stored, str) and name_of_blob(stored.digest, stored.generation) not in needed
        ]
        for stored in unneeded:
            os.unlink(stored.path)  # noqa: PTH108 - a path as text
        return len(old), len(unneeded)


def name_of_blob(digest: Digest, generation: str) -> str:
    """Return the name of a blob's file as seen from a snapshot."""
    return f"../../blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}.{generation}"


def blob_of_name(name: str) -> tuple[Digest, str] | None:
    """Return digest and generation of a blob's name as seen from a snapshot, None for another file's."""
    found = _BLOB.fullmatch(name)
    return (Digest(found[1], found[3]), found[4]) if found else None


def own_file(path: Path, name: str) -> Listed:
    """List a file that lies in the snapshot's own folder."""
    return Listed(name, Digest("sha256", hashlib.sha256((path / name).read_bytes()).hexdigest()))


def keep_blob(source: BlobFiles, target: BlobFiles, digest: Digest, generation: str, *, link: bool) -> bool:
    """Put a blob beside the snapshots, durable but for its folder; say whether its bytes are what they must be."""
    origin, path = source.path(digest, generation), target.path(digest, generation)
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not link:
        return copy_file(origin, path, digest)
    if not hashes_to(origin, digest):
        return False
    os.link(origin, path)
    return True


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
