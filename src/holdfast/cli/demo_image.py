"""The images of the demonstration: real layers, of files of this system, as an OCI image layout.

Everything is written so that the same files give the same digests: sorted names, no owners, no times.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import holdfast
from holdfast.client.oci_layout import CONFIG_TYPE, LAYER_TYPE, LayoutWriter
from holdfast.core import manifest as manifests
from holdfast.core.digest import DEFAULT_ALGORITHM, Digest
from holdfast.core.manifest import OCI_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.core.manifest import Manifest

_SKIPPED: Final = frozenset({"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "ensurepip"})
_COMPRESSION_LEVEL: Final = 6
_PROCESSORS: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_APP: Final = '''"""The application of the demonstration, release {release}."""

import sys

print("Hello from release {release}, on Python", sys.version)
'''


class _Counting:
    """A file that hashes and counts what is written to it on its way down."""

    def __init__(self, below: Callable[[bytes], object]) -> None:
        self._below = below
        self._hasher = hashlib.sha256()
        self.count = 0

    def write(self, content: bytes) -> int:
        self._hasher.update(content)
        self.count += len(content)
        self._below(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: what is below is flushed by whoever opened it."""

    @property
    def digest(self) -> Digest:
        return Digest(DEFAULT_ALGORITHM, self._hasher.hexdigest())


class DemoImages:
    """Builds images into one layout, and remembers layers that several of them share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._layout = LayoutWriter(folder)
        self._layers: list[tuple[dict[str, Any], Digest, str]] = []

    def add_base(self) -> None:
        """Pack what every release has: Python's standard library, and Holdfast itself."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        library = Path(sysconfig.get_paths()["stdlib"])
        ours = Path(str(holdfast.__file__)).parent
        self._layers = [
            self._layer(f"usr/lib/python{version}", _files(library), f"the standard library of Python {version}"),
            self._layer("opt/holdfast", _files(ours), "the source of Holdfast"),
        ]

    def release(self, release: int) -> Manifest:
        """Make an image of the base and the application of one release; it is in the layout under that name."""
        content = _APP.format(release=release).encode()
        app = self._layer("app", iter([("app.py", content)]), f"the application, release {release}")
        layers = [*self._layers, app]
        config = json.dumps(_config([(diff, what) for _, diff, what in layers])).encode()
        config_digest = Digest.of(config)
        self._layout.add(config_digest, lambda sink: sink.write(config))
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": CONFIG_TYPE, "digest": str(config_digest), "size": len(config)},
            "layers": [descriptor for descriptor, _, _ in layers],
        }
        manifest = manifests.parse(json.dumps(document, indent=1).encode(), OCI_IMAGE)
        self._layout.add(manifest.digest, lambda sink: sink.write(manifest.payload))
        self._layout.finish(manifest, f"release-{release}")
        return manifest

    def _layer(self, root: str, files: Iterator[tuple[str, bytes]], what: str) -> tuple[dict[str, Any], Digest, str]:
        """Pack files as a gzip tar; return its descriptor and the digest of the tar within."""
        part = self._folder / ".layer.part"
        with part.open("wb") as sink:
            packed = _Counting(sink.write)
            with gzip.GzipFile(
                filename="", mode="wb", compresslevel=_COMPRESSION_LEVEL, fileobj=cast("BinaryIO", packed), mtime=0
            ) as squeezed:
                tarred = _Counting(squeezed.write)
                with tarfile.open(fileobj=cast("BinaryIO", tarred), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                    for name, content in files:
                        member = tarfile.TarInfo(f"{root}/{name}")
                        member.size, member.mode = len(content), 0o644
                        tar.addfile(member, io.BytesIO(content))
        self._layout.add(packed.digest, lambda target: _copy(part, target))
        part.unlink()
        descriptor = {"mediaType": LAYER_TYPE + "+gzip", "digest": str(packed.digest), "size": packed.count}
        return descriptor, tarred.digest, what


def _copy(source: Path, target: BinaryIO) -> None:
    with source.open("rb") as opened:
        while piece := opened.read(1024 * 1024):
            target.write(piece)


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Give the files of a folder by name, without caches, tests and what is installed beside."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name not in _SKIPPED and not name.startswith("config-"))
        for name in sorted(names):
            path = Path(folder) / name
            try:
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
            except OSError:
                continue  # not ours to read
            if content is not None:
                yield str(path.relative_to(root)), content


def _config(layers: list[tuple[Digest, str]]) -> dict[str, Any]:
    """Write the image's configuration. Source: OCI image specification 1.1, config.md."""
    made = "1970-01-01T00:00:00Z"
    return {
        "created": made,
        "architecture": _PROCESSORS.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Cmd": ["python3", "/app/app.py"], "WorkingDir": "/app"},
        "rootfs": {"type": "layers", "diff_ids": [str(diff) for diff, _ in layers]},
        "history": [{"created": made, "created_by": f"holdfast demo: {what}"} for _, what in layers],
    }
