"""Images for tests: real manifests over real blobs, pushed through the registry's own API."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from running import Answer, Client

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha256(content: bytes) -> str:
    """Return the sha256 digest of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """Describe content."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content), **more}


@dataclass(frozen=True)
class Image:
    """A manifest and the blobs it needs."""

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return sha256(self.manifest)

    @property
    def descriptor(self) -> dict[str, Any]:
        """The manifest's descriptor."""
        return descriptor(self.manifest, self.media_type)


def image(*layers: bytes, config: bytes | None = None, **more: Any) -> Image:
    """Make an OCI image; without layers, one of random bytes, so that no two are alike."""
    layers = layers or (os.urandom(64),)
    config = config if config is not None else json.dumps({"architecture": "amd64", "id": os.urandom(8).hex()}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(layer, OCI_LAYER) for layer in layers],
        **more,
    }
    return Image(json.dumps(document).encode(), OCI_IMAGE, (config, *layers))


def index(*children: Image, **more: Any) -> Image:
    """Make an OCI index of images."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child.descriptor for child in children],
        **more,
    }
    return Image(json.dumps(document).encode(), OCI_INDEX, (), tuple(children))


def push_blob(client: Client, repository: str, content: bytes) -> str:
    """Push a blob in one request and return its digest."""
    digest = sha256(content)
    answer = client("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content)
    assert answer.status == 201, answer.body
    return digest


def push_parts(client: Client, repository: str, pushed: Image) -> None:
    """Push everything that a manifest needs, but not the manifest."""
    for blob in pushed.blobs:
        push_blob(client, repository, blob)
    for child in pushed.children:
        push_parts(client, repository, child)
        assert put(client, repository, child.digest, child).status == 201


def put(client: Client, repository: str, reference: str, pushed: Image) -> Answer:
    """PUT a manifest under a tag or digest."""
    return client(
        "PUT", f"/v2/{repository}/manifests/{reference}", pushed.manifest, {"Content-Type": pushed.media_type}
    )


def push(client: Client, repository: str, tag: str, pushed: Image) -> Answer:
    """Push an image with all its parts under a tag; return the answer to the last request."""
    push_parts(client, repository, pushed)
    return put(client, repository, tag, pushed)


def digest_of(client: Client, repository: str, tag: str) -> str | None:
    """Return what a tag names, None when it names nothing."""
    answer = client("HEAD", f"/v2/{repository}/manifests/{tag}")
    return str(answer.headers["Docker-Content-Digest"]) if answer.status == 200 else None
