"""What is in a registry before it is measured, put there through its own API (files for a server of files).

All servers hold the same bytes under the same names. Names begin with ``bench/<token>``, so that a run against a
living registry meets nothing of an earlier one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.load.generator import run_job
from bench.load.job import BlobPlan, UploadJob, WriteJob
from bench.load.wire import Wire
from bench.load.writes import put_blob, put_manifest
from bench.profiles import MIB, Profile

if TYPE_CHECKING:
    from pathlib import Path

    from bench.payload import Payload
    from bench.servers.server import Server

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_BYTES = 2048
"""The read cases' manifest is about this long, as that of an image of ten layers."""
PATCH_BYTES = 16 * MIB
SEED_CONNECTIONS = 16
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
).encode()
LAYER = hashlib.sha512(b"bench layer").digest() * 16


def sha256(data: bytes) -> str:
    """A digest as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_manifest(name: str, *, length: int = 0) -> bytes:
    """A manifest over :data:`CONFIG` and :data:`LAYER`, distinct by ``name``, padded to about ``length`` bytes."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": sha256(CONFIG), "size": len(CONFIG)},
        "layers": [{"mediaType": LAYER_TYPE, "digest": sha256(LAYER), "size": len(LAYER)}],
    }
    missing = max(0, length - len(json.dumps(document)) - len(name) - 60)
    document["annotations"] = {"bench.name": name, "bench.padding": "x" * missing}
    return json.dumps(document).encode()


@dataclass(frozen=True)
class Content:
    """The same for all servers of a run: which repositories, tags and blobs the cases ask for."""

    token: str
    repository: str
    manifest: bytes
    rotating: list[tuple[str, bytes]]
    """Tags and their manifests."""
    small: list[BlobPlan]
    medium: list[BlobPlan]
    large: BlobPlan

    @property
    def digest(self) -> str:
        """The digest of the one manifest that the plain cases ask for (tag ``latest``)."""
        return sha256(self.manifest)

    @property
    def base(self) -> str:
        """Where this run's names begin."""
        return f"bench/{self.token}"

    @property
    def tags_repository(self) -> str:
        """The repository with many tags."""
        return f"{self.base}/tags"


def make_content(token: str, payload: Payload, profile: Profile) -> Content:
    """Draw up what every server will hold."""
    repository = f"bench/{token}/read"
    return Content(
        token=token,
        repository=repository,
        manifest=image_manifest("read", length=MANIFEST_BYTES),
        rotating=[
            (f"v{number}", image_manifest(f"v{number}", length=MANIFEST_BYTES))
            for number in range(profile.rotating_tags)
        ],
        small=[payload.blob(repository, MIB) for _ in range(profile.small_blobs)],
        medium=[payload.blob(repository, profile.medium_blob_mib * MIB) for _ in range(profile.medium_blobs)],
        large=payload.blob(repository, profile.large_blob_mib * MIB),
    )


def seed_base(server: Server, repository: str) -> None:
    """The config and the layer that :func:`image_manifest` names."""
    with Wire(server.origin) as wire:
        for data in (CONFIG, LAYER):
            put_blob(wire, repository, data)


def seed_reads(server: Server, content: Content, payload: Payload) -> None:
    """Everything the read cases ask for."""
    if server.owned and server.static:
        _lay_out(server.owned.data, content, payload)
        return
    seed_base(server, content.repository)
    with Wire(server.origin) as wire:
        put_manifest(wire, content.repository, "latest", MANIFEST_TYPE, content.manifest)
        for tag, body in content.rotating:
            put_manifest(wire, content.repository, tag, MANIFEST_TYPE, body)
    for blobs in (content.small, content.medium, [content.large]):
        for first in range(0, len(blobs), SEED_CONNECTIONS):
            group = blobs[first : first + SEED_CONNECTIONS]
            run_job(UploadJob(server.origin, str(payload.path), "monolithic", group, PATCH_BYTES))


def _lay_out(root: Path, content: Content, payload: Payload) -> None:
    manifests = root / "v2" / content.repository / "manifests"
    blobs = root / "v2" / content.repository / "blobs"
    for folder in (manifests, blobs):
        folder.mkdir(parents=True, exist_ok=True)
    for tag, body in [("latest", content.manifest), *content.rotating]:
        for name in (tag, sha256(body)):
            (manifests / name).write_bytes(body)
    for blob in (*content.small, *content.medium, content.large):
        payload.write_copy(blob, blobs / blob.digest)


def seed_tags(server: Server, content: Content, count: int) -> None:
    """One manifest under ``count`` tags of one repository."""
    repository = content.tags_repository
    seed_base(server, repository)
    manifest = image_manifest("tags").decode()
    run_job(
        WriteJob(
            server.origin,
            "bind",
            [repository],
            "t",
            connections=SEED_CONNECTIONS,
            processes=1,
            count=count,
            manifest=manifest,
            media_type=MANIFEST_TYPE,
        )
    )


def seed_repositories(server: Server, content: Content, count: int) -> None:
    """``count`` repositories with one tag each; their one blob is mounted from the read repository."""
    descriptor = {"mediaType": CONFIG_TYPE, "digest": sha256(CONFIG), "size": len(CONFIG)}
    document = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": descriptor, "layers": [descriptor]}
    run_job(
        WriteJob(
            server.origin,
            "repository",
            [f"{content.base}/catalog"],
            "r",
            connections=SEED_CONNECTIONS,
            processes=1,
            count=count,
            manifest=json.dumps(document),
            media_type=MANIFEST_TYPE,
            mount_digest=sha256(CONFIG),
            mount_from=content.repository,
        )
    )
