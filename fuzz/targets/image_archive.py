"""An archive of any bytes is an image whose parts are what it says, or LayoutInvalid; no file outside is opened."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from holdfast.client.oci_layout import LayoutInvalid, open_image

_CONFIG, _LAYER = b"{}", b"layer"


def _named(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _described(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": _named(content), "size": len(content)}


def _tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, to in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, to
            tar.addfile(member)
    return written.getvalue().rstrip(b"\0") + bytes(1024)


def _oci() -> bytes:
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _described(_CONFIG, "config.v1+json"),
            "layers": [_described(_LAYER, "layer.v1.tar")],
        }
    ).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [_described(manifest, "manifest.v1+json")]}).encode()
    blobs = {f"blobs/sha256/{_named(one)[7:]}": one for one in (_CONFIG, _LAYER, manifest)}
    return _tar({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs})


def _docker() -> bytes:
    told = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["l/layer.tar", "m/layer.tar"]}]).encode()
    files = {"manifest.json": told, "c.json": _CONFIG, "l/layer.tar": _LAYER}
    return _tar(files, {"m/layer.tar": "../l/layer.tar"})


SEEDS = (_oci(), _docker(), b"", b"\x1f\x8b\x08\x00")
WORDS = (
    b"index.json",
    b"manifest.json",
    b"../",
    b"/etc/passwd",
    b"blobs/sha256/",
    b"2",
    b"1",
    b"ustar",
    b"\0" * 512,
    b'"Layers":[',
)
COVERS = ("client/oci_layout.py",)
PARSERS = ("client.oci_layout.open_image",)


def check(data: bytes) -> None:
    """Open it, and read every part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.tar")
        path.write_bytes(data)
        try:
            with open_image(path) as image:
                for content in image.all_blobs():
                    with content.open() as opened:
                        assert len(opened.read()) == content.size_bytes
        except LayoutInvalid:
            return
