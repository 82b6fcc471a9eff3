"""Images in files, for tests: OCI image layouts as folders and tars, and `docker save` archives of the older form."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from images import Image


def blobs_of(image: Image) -> dict[str, bytes]:
    """Return everything that a layout needs for an image: digest in hexadecimal -> bytes."""
    found = {hashlib.sha256(blob).hexdigest(): blob for blob in (*image.blobs, image.manifest)}
    for child in image.children:
        found |= blobs_of(child)
    return found


def files_of(*named: tuple[str | None, Image]) -> dict[str, bytes]:
    """Return the files of a layout with these images under their names."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    entries: list[dict[str, Any]] = []
    for name, image in named:
        files |= {f"blobs/sha256/{digits}": blob for digits, blob in blobs_of(image).items()}
        annotations = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
        entries.append({**image.descriptor, **annotations})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return files


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None, mode: str = "w") -> Path:
    """Write files, and symbolic links, into a tar."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload] # the mode is an argument
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def docker_archive(config: bytes, *layers: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return files and links of a `docker save` archive; a layer that stands twice is a link, as docker writes it."""
    files = {"config.json": config}
    links: dict[str, str] = {}
    names: list[str] = []
    first: dict[bytes, int] = {}
    for number, layer in enumerate(layers):
        name = f"layer{number}/layer.tar"
        names.append(name)
        if layer in first:
            links[name] = f"../layer{first[layer]}/layer.tar"
        else:
            first[layer] = number
            files[name] = layer
    entry = {"Config": "config.json", "RepoTags": ["app:latest"], "Layers": names}
    files["manifest.json"] = json.dumps([entry]).encode()
    return files, links
