"""A real image of several layers, made once from a tar of parts of ``/usr`` and kept between runs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.profiles import MIB
from bench.seed import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ("/usr/lib", "/usr/bin", "/usr/share", "/usr/local", "/usr/include")
LARGEST_FILE_BYTES = 64 * MIB
"""Larger files are left out, so that the layers come out at similar sizes."""


@dataclass(frozen=True)
class Image:
    """An image in an OCI layout folder, tagged ``latest``."""

    layout: Path
    digest: str
    blob_bytes: int
    """Compressed layers and config together."""


class _Hashed(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, target: BinaryIO | gzip.GzipFile) -> None:
        self._target = target
        self._state = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._state.update(view)
        self._target.write(view)
        return view.nbytes

    @property
    def digest(self) -> str:
        return f"sha256:{self._state.hexdigest()}"


def _files() -> Iterator[str]:
    for part in PARTS:
        for folder, names, files in os.walk(part):
            names.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if path.is_symlink() or (path.is_file() and path.stat().st_size <= LARGEST_FILE_BYTES):
                    yield str(path)


def _write_layer(files: Iterator[str], layout: Path, wanted_bytes: int) -> tuple[dict[str, object], str] | None:
    """One gzip layer of about the wanted size: its descriptor and the digest of its tar; None when no file is left."""
    draft = layout / "draft"
    count = 0
    with draft.open("wb") as file:
        outer = _Hashed(file)
        with gzip.GzipFile(fileobj=outer, mode="wb", compresslevel=1, mtime=0) as packed:
            inner = _Hashed(packed)
            with tarfile.open(fileobj=inner, mode="w|") as tar:
                for path in files:
                    tar.add(path, recursive=False)
                    count += 1
                    if file.tell() >= wanted_bytes:
                        break
    if not count:
        draft.unlink()
        return None
    descriptor = {"mediaType": LAYER_TYPE, "digest": outer.digest, "size": draft.stat().st_size}
    draft.rename(layout / "blobs" / "sha256" / outer.digest.removeprefix("sha256:"))
    return descriptor, inner.digest


def _write_blob(layout: Path, document: dict[str, object], media_type: str) -> dict[str, object]:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _build(layout: Path, size_mib: int, layers: int) -> None:
    (layout / "blobs" / "sha256").mkdir(parents=True)
    files = _files()
    made = [_write_layer(files, layout, size_mib * MIB // layers) for _ in range(layers)]
    kept = [layer for layer in made if layer]
    config: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/usr/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in kept]},
    }
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _write_blob(layout, config, CONFIG_TYPE),
        "layers": [descriptor for descriptor, _ in kept],
    }
    entry = _write_blob(layout, manifest, MANIFEST_TYPE)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    index = {"schemaVersion": 2, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")


def open_image(cache: Path, size_mib: int, layers: int) -> Image:
    """The image from the cache, built first if need be (about a minute for 400 MiB)."""
    layout = cache / f"image-{size_mib}mib-{layers}"
    if not (layout / "index.json").exists():
        draft = cache / f"{layout.name}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(layout, ignore_errors=True)
        _build(draft, size_mib, layers)
        draft.rename(layout)
    digest = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())
    size = manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
    return Image(layout, digest, size)
