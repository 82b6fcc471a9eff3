"""The real input of the suite: images, an index, built once a session from files of this machine.

This file alone decides what is pushed. It knows the OCI image layout and Docker's archive format, and no client and no
registry. The layers are ordinary gzipped tars of `/usr`, one of them tens of megabytes, so that clients take the paths
that they take for real images: several uploads at once, chunks, re-use of layers that the registry has.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TAG_IN_LAYOUT: Final = "image"
BIG_LAYER_BYTES: Final = 24 * 1024 * 1024
SMALL_LAYER_BYTES: Final = 512 * 1024
SOURCES_BIG: Final = (Path("/usr/lib"), Path("/usr/share"))
SOURCES_SMALL: Final = (Path("/usr/share"), Path("/etc"))

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"

Json = dict[str, Any]

ARCHITECTURE: Final = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""This machine's, in Go's words: clients refuse to pull an image for another."""
OTHER_ARCHITECTURE: Final = "s390x"


def sha256(content: bytes) -> str:
    """The digest of the content, as OCI writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its gzipped bytes, and the digest of the tar inside, which the image config lists."""

    content: bytes
    diff_id: str

    @property
    def digest(self) -> str:
        """The digest of the bytes that are pushed."""
        return sha256(self.content)


@dataclass(frozen=True, slots=True)
class Image:
    """An image or index on disk, in every form that some client wants to read."""

    layout: Path
    """An OCI image layout folder; the image has the name `TAG_IN_LAYOUT` in it."""
    oci_archive: Path
    """The same layout as one tar."""
    docker_archive: Path | None
    """What `docker save` writes; none for an index, which that format cannot hold."""
    manifest: bytes
    children: tuple[Image, ...] = ()
    """The images that an index lists; none for an image."""

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return sha256(self.manifest)

    @property
    def media_type(self) -> str:
        """The type of the manifest."""
        return INDEX_TYPE if self.children else MANIFEST_TYPE

    @property
    def blobs(self) -> dict[str, bytes]:
        """Config and layers by digest, in the order in which a client pushes them; none for an index."""
        if self.children:
            return {}
        manifest = json.loads(self.manifest)
        return {entry["digest"]: self.blob(entry["digest"]) for entry in [*manifest["layers"], manifest["config"]]}

    def blob(self, digest: str) -> bytes:
        """One blob of the layout."""
        return (self.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


@dataclass(frozen=True, slots=True)
class Images:
    """What a session pushes: `first` takes the tag, `second` differs in its last layer and tries to take it too."""

    first: Image
    second: Image
    first_index: Image
    second_index: Image


def build_images(folder: Path) -> Images:
    """Build everything below the folder; takes a few seconds."""
    base = layer_of(files_below(SOURCES_SMALL), SMALL_LAYER_BYTES)
    big = layer_of(files_below(SOURCES_BIG), BIG_LAYER_BYTES)
    singles: dict[tuple[str, str], Image] = {}
    for name in ("first", "second"):
        for architecture in (ARCHITECTURE, OTHER_ARCHITECTURE):
            mark = marker_layer(f"{name} {architecture}\n")
            target = folder / f"{name}-{architecture}"
            singles[name, architecture] = write_image(target, architecture, [base, big, mark])
    return Images(
        singles["first", ARCHITECTURE],
        singles["second", ARCHITECTURE],
        write_index(folder / "first-index", [singles["first", ARCHITECTURE], singles["first", OTHER_ARCHITECTURE]]),
        write_index(folder / "second-index", [singles["second", ARCHITECTURE], singles["second", OTHER_ARCHITECTURE]]),
    )


def files_below(folders: Sequence[Path]) -> Iterator[Path]:
    """Regular files that anyone may read, in a stable order."""
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names.sort()
            for name in sorted(files):
                path = Path(parent, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o004:
                    yield path


def layer_of(paths: Iterator[Path], at_least_bytes: int) -> Layer:
    """Tar and gzip files until the layer is that big; the same files give the same bytes."""
    packed = io.BytesIO()
    unpacked_hash = hashlib.sha256()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipper:
        sink = _Tee(zipper, unpacked_hash)
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in paths:
                add_file(tar, str(path).lstrip("/"), path.read_bytes())
                if packed.tell() >= at_least_bytes:
                    break
    return Layer(packed.getvalue(), "sha256:" + unpacked_hash.hexdigest())


def marker_layer(text: str) -> Layer:
    """A small layer that makes one image differ from another."""
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_file(tar, "etc/holdfast-interop", text.encode())
    return Layer(gzip.compress(unpacked.getvalue(), mtime=0), sha256(unpacked.getvalue()))


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add one file without owner and time, which would change the digest from run to run."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


def descriptor(media_type: str, content: bytes, **more: object) -> Json:
    """An OCI content descriptor."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content), **more}


def write_image(layout: Path, architecture: str, layers: Sequence[Layer]) -> Image:
    """Write one platform's image as a layout, an OCI archive and a Docker archive."""
    config = as_json(
        {
            "created": "2026-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
    )
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config),
            "layers": [descriptor(LAYER_TYPE, layer.content) for layer in layers],
        }
    )
    write_blobs(layout, [config, manifest, *(layer.content for layer in layers)])
    write_layout_index(layout, MANIFEST_TYPE, manifest)
    archive = write_docker_archive(layout.with_suffix(".docker.tar"), config, layers)
    return Image(layout, write_archive(layout), archive, manifest)


def write_index(layout: Path, images: Sequence[Image]) -> Image:
    """Write an index over images, with their blobs linked in from their own layouts."""
    entries = []
    for image in images:
        config = json.loads(image.blob(json.loads(image.manifest)["config"]["digest"]))
        runs_on = {"architecture": config["architecture"], "os": config["os"]}
        entries.append(descriptor(MANIFEST_TYPE, image.manifest, platform=runs_on))
        link_blobs(image.layout, layout)
    index = as_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
    write_blobs(layout, [index])
    write_layout_index(layout, INDEX_TYPE, index)
    return Image(layout, write_archive(layout), None, index, tuple(images))


def write_blobs(layout: Path, contents: Sequence[bytes]) -> None:
    """Write blobs under their digests."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for content in contents:
        (blobs / sha256(content).removeprefix("sha256:")).write_bytes(content)


def link_blobs(source: Path, target: Path) -> None:
    """Hard-link the blobs of one layout into another."""
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for blob in (source / "blobs" / "sha256").iterdir():
        if not (blobs / blob.name).exists():
            os.link(blob, blobs / blob.name)


def write_layout_index(layout: Path, media_type: str, manifest: bytes) -> None:
    """Write the two files that make a folder of blobs an OCI layout."""
    (layout / "oci-layout").write_bytes(as_json({"imageLayoutVersion": "1.0.0"}))
    entry = descriptor(media_type, manifest, annotations={"org.opencontainers.image.ref.name": TAG_IN_LAYOUT})
    (layout / "index.json").write_bytes(as_json({"schemaVersion": 2, "manifests": [entry]}))


def write_archive(layout: Path) -> Path:
    """The layout as one tar, the form that containerd imports."""
    archive = layout.with_suffix(".oci.tar")
    with tarfile.open(archive, "w") as tar:
        for path in sorted(layout.rglob("*")):
            tar.add(path, str(path.relative_to(layout)), recursive=False)
    return archive


def write_docker_archive(archive: Path, config: bytes, layers: Sequence[Layer]) -> Path:
    """What `docker save` writes, the one form that every version of `docker load` reads."""
    names = [f"{layer.digest.removeprefix('sha256:')}/layer.tar" for layer in layers]
    contents = as_json([{"Config": "config.json", "RepoTags": [], "Layers": names}])
    with tarfile.open(archive, "w") as tar:
        add_file(tar, "manifest.json", contents)
        add_file(tar, "config.json", config)
        for name, layer in zip(names, layers, strict=True):
            add_file(tar, name, layer.content)
    return archive


def as_json(value: Mapping[str, object] | Sequence[object]) -> bytes:
    """Compact JSON: these bytes are what is hashed, pushed and compared."""
    return json.dumps(value, separators=(",", ":")).encode()


class _Tee(io.RawIOBase):
    """A file to write to that hashes what passes: a layer needs the digest of both sides of its gzip."""

    def __init__(self, target: gzip.GzipFile, passing: hashlib._Hash) -> None:
        super().__init__()
        self._target = target
        self._passing = passing

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._passing.update(data)
        return self._target.write(data)
