"""Images in files: OCI image layouts (a folder, or a tar of one) and `docker save` archives, read; layouts, written.

What is read is looked up by digest or by the archive's own names and never unpacked, so no name in an archive becomes a
path. Raises LayoutInvalid with what is wrong and where.

Sources: OCI image specification 1.1, image-layout.md; Docker image specification 1.2 ("Combined Image JSON +
Filesystem Changeset Format").
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

from holdfast.client.oci import Content
from holdfast.core import manifest as manifests
from holdfast.core import strict_json
from holdfast.core.digest import DEFAULT_ALGORITHM, Digest, new_hasher
from holdfast.core.errors import DigestInvalid, ManifestInvalid, ManifestTooLarge
from holdfast.core.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from holdfast.core.manifest import OCI_IMAGE, OCI_INDEX, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
REF_NAME: Final = "org.opencontainers.image.ref.name"
MAX_DEPTH: Final = 4
"""Indexes within indexes. Real ones have two levels."""

_MARKER: Final = "oci-layout"
_INDEX: Final = "index.json"
_DOCKER_INDEX: Final = "manifest.json"
_VERSION: Final = {"imageLayoutVersion": "1.0.0"}
_PIECE_BYTES: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class LayoutInvalid(Exception):
    """A file or folder that is no image that we can read."""


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A manifest, and everything that has to be pushed before it."""

    manifest: Manifest
    blobs: tuple[Content, ...]
    children: tuple[SourceImage, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the blobs, each counted once, those of the children included."""
        return sum({one.digest: one.size_bytes for one in self.all_blobs()}.values())

    def all_blobs(self) -> Iterator[Content]:
        """Give the blobs of this manifest and of those below it."""
        yield from self.blobs
        for child in self.children:
            yield from child.all_blobs()


class _Files(Protocol):
    """Files by their name within a folder or an archive."""

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, None when there is none."""

    def open(self, name: str) -> BinaryIO:
        """Open a file that is there."""


class _Folder:
    """Files of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def size(self, name: str) -> int | None:
        path = self._root / name
        return path.stat().st_size if path.is_file() else None

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")


class _Archive:
    """Files of a tar that is open."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {member.name.removeprefix("./"): member for member in tar}

    def size(self, name: str) -> int | None:
        member = self._file(name)
        return member.size if member else None

    def open(self, name: str) -> BinaryIO:
        member = self._file(name)
        opened = self._tar.extractfile(member) if member else None
        if opened is None:
            msg = f"The archive has no file {name}."
            raise LayoutInvalid(msg)
        return cast("BinaryIO", opened)

    def _file(self, name: str) -> tarfile.TarInfo | None:
        """Find a file, through links within the archive: `docker save` links layers that are alike."""
        for _ in range(8):
            member = self._members.get(name)
            if member is None or member.isreg():
                return member
            if member.issym():
                name = _within(Path(name).parent, member.linkname)
            elif member.islnk():
                name = member.linkname.removeprefix("./")
            else:
                return None
        return None


def _within(folder: Path, link: str) -> str:
    parts: list[str] = []
    for part in (*folder.parts, *Path(link).parts):
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


# --- reading ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_image(path: Path, pick: str | None = None) -> Iterator[SourceImage]:
    """Read an image from a layout folder, a tar of one, or a `docker save` archive; it can be pushed until the end.

    `pick` chooses one of several, by the name that it has there. Raises LayoutInvalid.
    """
    if path.is_dir():
        folder = _Folder(path)
        if folder.size(_INDEX) is None:
            raise LayoutInvalid(f"The folder {path} has no index.json; it is no OCI image layout.")
        yield _from_layout(folder, pick)
        return
    with contextlib.ExitStack() as stack:
        try:
            files = _Archive(stack.enter_context(tarfile.open(path)))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise LayoutInvalid(f"{path} is neither a folder nor a tar archive: {error}") from None
        yield _from_archive(files, pick, path)


def _from_archive(files: _Archive, pick: str | None, path: Path) -> SourceImage:
    # `docker save` of today writes both; the layout is exact where the older form is not.
    if files.size(_INDEX) is not None:
        return _from_layout(files, pick)
    if files.size(_DOCKER_INDEX) is not None:
        return _from_docker(files, pick)
    raise LayoutInvalid(f"{path} has neither index.json (an OCI image layout) nor manifest.json (`docker save`).")


def _json(files: _Files, name: str) -> Any:  # noqa: ANN401 - JSON is any of six types
    size = files.size(name)
    if size is None or size > MAX_MANIFEST_BYTES:
        msg = f"{name} is not there, or larger than {MAX_MANIFEST_BYTES} bytes."
        raise LayoutInvalid(msg)
    with files.open(name) as source:
        content = source.read()
    try:
        return strict_json.parse(content)
    except strict_json.StrictJSONError as error:
        msg = f"{name} is not valid JSON: {error}."
        raise LayoutInvalid(msg) from None


def _from_layout(files: _Files, pick: str | None) -> SourceImage:
    document = _json(files, _INDEX)
    listed = document.get("manifests") if isinstance(document, dict) else None
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    names = [str(_name(entry) or entry.get("digest")) for entry in entries]
    chosen = entries[_choose(names, pick)]
    return _image(files, str(chosen.get("digest")), chosen.get("mediaType"), 0)


def _name(entry: dict[str, Any]) -> str | None:
    """Return the name that an index gives to one of its manifests."""
    annotations = entry.get("annotations")
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) and name else None


def _choose(names: list[str], pick: str | None) -> int:
    """Choose one of several images, by name when there is a choice."""
    found = [number for number, name in enumerate(names) if pick is None or pick == name]
    if len(found) == 1:
        return found[0]
    there = ", ".join(names[:20]) or "none"
    if pick is None:
        msg = f"There is not one image here but {len(names)}; choose one with --pick. Here are: {there}"
    else:
        msg = f"No single image here is called '{pick}'. Here are: {there}"
    raise LayoutInvalid(msg)


def _image(files: _Files, text: str, media_type: object, depth: int) -> SourceImage:
    digest = _digest(text)
    payload = _read_blob(files, digest)
    try:
        announced = media_type if isinstance(media_type, str) else None
        manifest = manifests.parse(payload, announced, algorithm=digest.algorithm)
    except (ManifestInvalid, ManifestTooLarge) as error:
        msg = f"{digest}: {error.message}"
        raise LayoutInvalid(msg) from None
    if manifest.digest != digest:
        msg = f"The bytes of the manifest {digest} hash to {manifest.digest}; the file is damaged."
        raise LayoutInvalid(msg)
    if manifest.children and depth >= MAX_DEPTH:
        msg = f"Indexes are nested deeper than {MAX_DEPTH} levels."
        raise LayoutInvalid(msg)
    children = tuple(_image(files, str(one.digest), one.media_type, depth + 1) for one in manifest.children)
    return SourceImage(manifest, tuple(_blob(files, one) for one in _unique(manifest.blobs)), children)


def _unique(blobs: tuple[Descriptor, ...]) -> list[Descriptor]:
    return list({one.digest: one for one in blobs}.values())


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        raise LayoutInvalid(error.message) from None


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _read_blob(files: _Files, digest: Digest) -> bytes:
    size = files.size(_path(digest))
    if size is None:
        msg = f"The image needs {digest}, which is not here."
        raise LayoutInvalid(msg)
    if size > MAX_MANIFEST_BYTES:
        msg = f"The manifest {digest} is larger than {MAX_MANIFEST_BYTES} bytes."
        raise LayoutInvalid(msg)
    with files.open(_path(digest)) as source:
        return source.read()


def _blob(files: _Files, wanted: Descriptor) -> Content:
    size = files.size(_path(wanted.digest))
    if size != wanted.size_bytes:
        found = "is not here" if size is None else f"has {size} bytes here"
        msg = f"The image needs {wanted.digest} of {wanted.size_bytes} bytes, which {found}."
        raise LayoutInvalid(msg)
    return Content(wanted.digest, wanted.size_bytes, _opener(files, _path(wanted.digest)))


def _opener(files: _Files, name: str) -> Callable[[], BinaryIO]:
    return lambda: files.open(name)


# --- `docker save` as it was before the layout -----------------------------------------------------------------------


def _from_docker(files: _Archive, pick: str | None) -> SourceImage:
    """Make an OCI manifest over the config and layers of an archive; the layers go as they are."""
    document = _json(files, _DOCKER_INDEX)
    entries = [one for one in document if isinstance(one, dict)] if isinstance(document, list) else []
    tags = [entry.get("RepoTags") for entry in entries]
    names = [
        str(told[0]) if isinstance(told, list) and told else str(entry.get("Config"))
        for entry, told in zip(entries, tags, strict=True)
    ]
    chosen = entries[_choose(names, pick)]
    layers = chosen.get("Layers")
    if not isinstance(chosen.get("Config"), str) or not isinstance(layers, list):
        msg = "An entry of manifest.json needs the fields Config and Layers."
        raise LayoutInvalid(msg)
    config = _measured(files, chosen["Config"])
    contents = [(_measured(files, str(name)), _layer_type(files, str(name))) for name in layers]
    made = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(media_type, content) for content, media_type in contents],
    }
    blobs = {one.digest: one for one in (config, *(content for content, _ in contents))}
    try:
        return SourceImage(manifests.parse(_dump(made), OCI_IMAGE), tuple(blobs.values()))
    except (ManifestInvalid, ManifestTooLarge) as error:
        raise LayoutInvalid(f"No manifest can be made of this archive: {error.message}") from None


def _measured(files: _Archive, name: str) -> Content:
    if files.size(name) is None:
        msg = f"The archive has no file {name[:200]}."
        raise LayoutInvalid(msg)
    hasher, size = new_hasher(DEFAULT_ALGORITHM), 0
    with files.open(name) as source:
        while piece := source.read(_PIECE_BYTES):
            hasher.update(piece)
            size += len(piece)
    return Content(Digest(DEFAULT_ALGORITHM, hasher.hexdigest()), size, _opener(files, name))


def _layer_type(files: _Archive, name: str) -> str:
    with files.open(name) as source:
        magic = source.read(4)
    if magic.startswith(_GZIP):
        return LAYER_TYPE + "+gzip"
    return LAYER_TYPE + "+zstd" if magic == _ZSTD else LAYER_TYPE


def _descriptor(media_type: str, content: Content) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(content.digest), "size": content.size_bytes}


def _dump(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()


# --- writing ---------------------------------------------------------------------------------------------------------


class LayoutWriter:
    """Writes an image layout into a folder: a new one, an empty one, or one that is a layout already.

    A blob appears under its name only when it is whole and right; the index is written last. What an interrupted run
    left is used by the next.
    """

    def __init__(self, folder: Path) -> None:
        """Raises LayoutInvalid for a folder with something else in it."""
        self._folder = folder
        if folder.exists() and not folder.is_dir():
            msg = f"{folder} is not a folder."
            raise LayoutInvalid(msg)
        if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
            msg = f"{folder} has something in it that is no image layout; name a new or empty folder."
            raise LayoutInvalid(msg)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).write_bytes(_dump(_VERSION))

    def has(self, digest: Digest) -> bool:
        """Whether a blob is there and right."""
        path = self._folder / _path(digest)
        if not path.is_file():
            return False
        hasher = new_hasher(digest.algorithm)
        with path.open("rb") as source:
            while piece := source.read(_PIECE_BYTES):
                hasher.update(piece)
        return hasher.hexdigest() == digest.hex

    def add(self, digest: Digest, write: Callable[[BinaryIO], object]) -> None:
        """Keep a blob; `write` puts its bytes into a file and raises unless they are right."""
        path = self._folder / _path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as sink:
                write(sink)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def finish(self, manifest: Manifest, name: str | None) -> None:
        """Write the index: this manifest under its name, beside what was there under other names."""
        entry: dict[str, Any] = {
            "mediaType": manifest.media_type,
            "digest": str(manifest.digest),
            "size": len(manifest.payload),
        }
        if name is not None:
            entry["annotations"] = {REF_NAME: name}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*self._others(entry), entry]}
        part = self._folder / f".{_INDEX}.part"
        part.write_bytes(_dump(index))
        part.replace(self._folder / _INDEX)

    def _others(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        if not (self._folder / _INDEX).is_file():
            return []
        document = _json(_Folder(self._folder), _INDEX)
        listed = document.get("manifests") if isinstance(document, dict) else None
        entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return [one for one in entries if _identity(one) != _identity(entry)]


def _identity(entry: dict[str, Any]) -> object:
    """Return what may stand in an index once: a name, or a digest without one."""
    name = _name(entry)
    return ("name", name) if name else ("digest", entry.get("digest"))
