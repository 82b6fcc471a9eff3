"""A manifest that is taken names the same blobs to every reader, also to one that ignores case; all else is refused."""

from __future__ import annotations

import json
from typing import Any

from holdfast.core.errors import ManifestInvalid, ManifestTooLarge
from holdfast.core.manifest import Kind, parse

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


def _descriptor(kind: str, digit: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + digit * 64, "size": 7, **more}


def _seed(**members: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **members}).encode()


SEEDS = (
    _seed(mediaType=_IMAGE, config=_descriptor("config.v1+json", "a"), layers=[_descriptor("layer.v1.tar", "b")]),
    _seed(mediaType=_INDEX, manifests=[_descriptor("manifest.v1+json", "c", platform={"os": "linux"})]),
    _seed(
        mediaType=_IMAGE,
        artifactType="application/x",
        config={
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:" + "e" * 64,
            "size": 2,
            "data": "e30=",
        },
        layers=[_descriptor("layer.v1.tar", "d", urls=["https://example.com/x"])],
        subject=_descriptor("manifest.v1+json", "f"),
        annotations={"a": "b"},
    ),
    b'{"schemaVersion":1,"signatures":[]}',
)
WORDS = (
    b'"layers":[', b'"Layers":', b'"manifests":[', b'"config":', b'"subject":', b'"mediaType":"', b'"MEDIATYPE":"',
    b'"digest":"sha256:', b'"size":', b'"size":-1', b'"size":1.0', b'"urls":[', b'"data":"e30="', b'"annotations":{',
    b'"artifactType":"', _IMAGE.encode(), _INDEX.encode(), b'"schemaVersion":2', b"\xc5\xbf", b"\xe2\x84\xaa",
)  # fmt: skip
COVERS = ("core/manifest.py",)
PARSERS = ("core.manifest.parse",)


def check(data: bytes) -> None:
    """Read it, and read it as Go's encoding/json would: names in any case, the last one wins."""
    try:
        read = parse(data, None)
    except (ManifestInvalid, ManifestTooLarge) as error:
        assert error.message.isprintable()
        return
    assert read.payload == data
    assert read.digest.matches(data)
    loose = _folded(json.loads(data))
    named = [one["digest"] for key in ("layers", "blobs", "manifests") for one in loose.get(key) or []]
    named += [loose["config"]["digest"]] if loose.get("config") else []
    known = {str(one.digest) for one in (*read.blobs, *read.foreign_blobs, *read.children)}
    assert set(named) == known
    assert (read.kind is Kind.INDEX) == ("manifests" in loose)
    subject = loose.get("subject")
    assert (str(read.subject.digest) if read.subject else None) == (subject["digest"] if subject else None)


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.casefold(): _folded(inner) for key, inner in value.items()}
    return [_folded(one) for one in value] if isinstance(value, list) else value
