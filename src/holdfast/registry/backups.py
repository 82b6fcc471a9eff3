"""Backup and restore: a snapshot that is one moment of the metadata and every blob which it names.

The metadata is copied first, the blobs after: they never change, and none is deleted meanwhile (the caller holds the
collection). So nothing that the copy names is missing, while pushes go on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.core.digest import HEX_LENGTHS, Digest
from holdfast.core.errors import BlobCorrupt, ConfigurationInvalid
from holdfast.store import examination, snapshots
from holdfast.store.blob_files import BlobFiles, copy_file
from holdfast.store.snapshots import FACTS, FORMAT, Facts, Listed, Snapshots, blob_of_name, name_of_blob, own_file
from holdfast.store.sqlite import SQLiteFile
from holdfast.store.syncing import sync_folder, sync_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.data_directory import DataDirectory

_ROWS: Final = 500


@dataclass(slots=True)
class BackedUp:
    """What a backup did."""

    name: str
    blobs: int = 0
    blob_bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    """Blobs whose bytes are damaged or missing where they were copied from: the snapshot does not have them."""
    pruned_snapshots: int = 0
    pruned_blobs: int = 0


def back_up(
    directory: DataDirectory,
    target: Snapshots,
    *,
    name: str,
    taken_at: int,
    link: bool,
    keep: int | None,
    watch: Callable[[str, int, int], None],
) -> BackedUp:
    """Take a snapshot. The caller holds both folders, and the collection of the data directory.

    `link` makes hard links instead of copies: quick, and no protection against a disk that rots. `keep` is how many
    snapshots stay, None for all.
    """
    new = target.begin()
    source = SQLiteFile(directory.database)
    try:
        source.copy_to(new / "holdfast.db", lambda done, total: watch("database pages", done, total))
    finally:
        source.close()
    for key in directory.key_files():
        shutil.copyfile(key, new / key.name)
        (new / key.name).chmod(0o600)
    for path in new.iterdir():
        sync_path(path)
    done = BackedUp(name)
    copied = SQLiteFile(new / "holdfast.db")
    try:
        listed = _keep_blobs(directory, target, copied, done, link=link, watch=watch)
        facts = Facts(FORMAT, _version(), copied.schema, taken_at, copied.last_entry(), done.blobs, done.blob_bytes)
    finally:
        copied.close()
    own = [own_file(new, path.name) for path in sorted(new.iterdir())]
    target.finish(name, facts, [*own, *listed])
    if keep is not None:
        done.pruned_snapshots, done.pruned_blobs = target.prune(keep)
    return done


def _keep_blobs(
    directory: DataDirectory,
    target: Snapshots,
    copied: SQLiteFile,
    done: BackedUp,
    *,
    link: bool,
    watch: Callable[[str, int, int], None],
) -> list[Listed]:
    source, listed, folders, after = BlobFiles(directory.path), list[Listed](), set[Path](), ""
    total = examination.totals(copied)["blob_bytes"]
    while page := examination.blobs_page(copied, after=after, limit=_ROWS):
        after = page[-1].digest
        for row in page:
            digest = Digest.parse(row.digest)
            if target.files.size(digest, row.generation) != row.size_bytes:
                try:
                    sound = snapshots.keep_blob(source, target.files, digest, row.generation, link=link)
                except FileNotFoundError:
                    sound = False
                if not sound:
                    done.damaged.append(row.digest)
                    continue
                done.copied += 1
                done.copied_bytes += row.size_bytes
            folders.add(Path(target.files.path(digest, row.generation)).parent)
            done.blobs += 1
            done.blob_bytes += row.size_bytes
            listed.append(Listed(name_of_blob(digest, row.generation), digest))
            watch("blobs", done.blob_bytes, total)
    for folder in folders:
        sync_folder(folder)
    for algorithm in HEX_LENGTHS:
        if (target.root / "blobs" / algorithm).is_dir():
            sync_folder(target.root / "blobs" / algorithm)
    return listed


def verify(source: Snapshots, name: str, watch: Callable[[str, int, int], None]) -> list[str]:
    """Read every file of a snapshot; list those that are missing or damaged."""
    total, done = source.facts(name).blob_bytes, 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        watch("verify: blobs", min(done, total), total)

    return source.damaged(name, count)


def put_back(source: Snapshots, name: str, directory: DataDirectory, watch: Callable[[str, int, int], None]) -> None:
    """Write a snapshot into an empty data directory. Raises BlobCorrupt when a file is not what the sums say."""
    files, total, done = BlobFiles(directory.path), source.facts(name).blob_bytes, 0
    folders: set[Path] = set()
    for one in source.listed(name):
        if one.name == FACTS:
            continue
        blob = blob_of_name(one.name)
        path = Path(files.path(*blob)) if blob else directory.path / one.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not copy_file(str(source.folder(name) / one.name), str(path), one.digest):
            raise BlobCorrupt(str(one.digest))
        folders.add(path.parent)
        if blob:
            done += path.stat().st_size
            watch("files", min(done, total), total)
    for folder in folders:
        sync_folder(folder)
    for algorithm in HEX_LENGTHS:
        if (directory.path / "blobs" / algorithm).is_dir():
            sync_folder(directory.path / "blobs" / algorithm)


def require_empty(path: Path) -> None:
    """Raise ConfigurationInvalid unless a folder is empty or not there: a restore writes over nothing."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        msg = f"{path} is not empty, and a restore writes over nothing: name a new directory with --data."
        raise ConfigurationInvalid(msg)


def _version() -> str:
    try:
        return metadata.version("holdfast")
    except metadata.PackageNotFoundError:
        return "not installed"
