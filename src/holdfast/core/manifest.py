"""Manifests: what we accept as one, and what it refers to.

Pure: bytes in, values out. This file alone decides which documents are manifests. The bytes themselves are kept and
served unchanged; nothing here ever writes them anew. A parser of others' documents must not be talked into two
readings of one document, so keys that differ from a known key only by case, duplicate keys, and documents that are
image and index at once are refused (CVE-2021-41190 and kin).

Sources: OCI image specification 1.1 (manifest.md, image-index.md, descriptor.md), OCI artifact manifest (1.1.0-rc2),
Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from holdfast.core import strict_json
from holdfast.core.digest import DEFAULT_ALGORITHM, Digest
from holdfast.core.errors import DigestInvalid, ManifestInvalid, ManifestTooLarge

MAX_BYTES: Final = 4 * 1024 * 1024
"""ECR takes 4,194,304 bytes; the OCI specification asks registries to take at least 4 megabytes."""

MAX_DESCRIPTORS: Final = 10_000
"""Descriptors in one manifest. Real images stay under 200; a bound keeps a push's work bounded."""

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"


class Kind(StrEnum):
    """The shape of a manifest."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"


KINDS: Final = {
    OCI_IMAGE: Kind.IMAGE,
    DOCKER_IMAGE: Kind.IMAGE,
    OCI_INDEX: Kind.INDEX,
    DOCKER_LIST: Kind.INDEX,
    OCI_ARTIFACT: Kind.ARTIFACT,
}
"""Media type -> shape. What is not here is not a manifest to us."""

_KNOWN_KEYS: Final = {
    key.casefold(): key
    for key in (
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "blobs",
        "subject",
        "annotations",
        "digest",
        "size",
        "urls",
        "data",
        "platform",
    )
}
_MEDIA_TYPE: Final = re.compile(
    # Type and subtype as in RFC 6838 section 4.2; parameters, which some artifacts have, are any printable text.
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?: *;[ -~]{0,255})?"
)
_MAX_SIZE: Final = 2**63 - 1
_FOREIGN: Final = ("nondistributable", ".foreign.")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content by media type, digest and size in bytes; `document` is the whole as it was written."""

    media_type: str
    digest: Digest
    size_bytes: int
    document: dict[str, Any]

    @property
    def is_foreign(self) -> bool:
        """Whether the content may lie elsewhere and need not be pushed (non-distributable layers)."""
        return bool(self.document.get("urls")) or any(mark in self.media_type for mark in _FOREIGN)

    @property
    def canonical(self) -> str:
        """The descriptor as text that is the same for the same JSON value, and for no other (1 is not true)."""
        return json.dumps(self.document, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest beside its exact bytes."""

    payload: bytes
    digest: Digest
    media_type: str
    kind: Kind
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str | None
    annotations: dict[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What must be there as blobs: config and layers, without content that may lie elsewhere."""
        return tuple(one for one in self._all_blobs if not one.is_foreign)

    @property
    def foreign_blobs(self) -> tuple[Descriptor, ...]:
        """What may lie elsewhere; pushed all the same, it belongs to the image as any other blob does."""
        return tuple(one for one in self._all_blobs if one.is_foreign)

    @property
    def _all_blobs(self) -> tuple[Descriptor, ...]:
        return ((self.config,) if self.config else ()) + self.layers

    @property
    def referrer_type(self) -> str | None:
        """The artifact type under which referrers list this manifest: its own, or else its config's media type.

        Source: OCI distribution specification, "Listing Referrers".
        """
        return self.artifact_type or (self.config.media_type if self.config else None)

    def keeps_every_descriptor_of(self, older: Manifest) -> bool:
        """Whether everything that the older manifest lists, annotations included, stands in this one too.

        The config is left out: cosign writes it anew with each signature.
        """
        if self.kind is not older.kind:
            return False
        # By their canonical text: a set, as this runs inside the writer's transaction and lists may be long.
        mine = {one.canonical for one in (*self.layers, *self.children)}
        return all(one.canonical in mine for one in (*older.layers, *older.children))


def parse(payload: bytes, content_type: str | None, *, algorithm: str = DEFAULT_ALGORITHM) -> Manifest:
    """Read a manifest; raises ManifestInvalid or ManifestTooLarge, never anything else.

    `content_type` is the announced type (parameters are ignored); it must agree with the document's own mediaType, and
    one of the two must be there.
    """
    if len(payload) > MAX_BYTES:
        raise ManifestTooLarge(MAX_BYTES)
    try:
        document = strict_json.parse(payload)
    except strict_json.StrictJSONError as error:
        msg = f"The manifest is not valid JSON: {error}."
        raise ManifestInvalid(msg) from None
    if not isinstance(document, dict):
        msg = "A manifest is a JSON object."
        raise ManifestInvalid(msg)
    _check_keys(document, "the manifest")
    media_type = _media_type(document, content_type)
    kind = KINDS[media_type]
    _check_shape(document, kind, media_type)
    reader = _DescriptorReader()
    return Manifest(
        payload=payload,
        digest=Digest.of(payload, algorithm),
        media_type=media_type,
        kind=kind,
        config=reader.one(document, "config"),
        layers=reader.many(document, "blobs" if kind is Kind.ARTIFACT else "layers"),
        children=reader.many(document, "manifests"),
        subject=reader.one(document, "subject"),
        artifact_type=_optional_media_type(document, "artifactType"),
        annotations=_annotations(document, "annotations"),
    )


def _media_type(document: dict[str, Any], content_type: str | None) -> str:
    announced = (content_type or "").partition(";")[0].strip().lower() or None
    written = document.get("mediaType")
    if written is not None and not isinstance(written, str):
        msg = "The field mediaType of the manifest is not a string."
        raise ManifestInvalid(msg)
    if document.get("schemaVersion") == 1 or "fsLayers" in document:
        msg = (
            "This is a Docker image manifest of schema 1, which is not supported: it cannot be verified by its digest. "
            "Push with a current client (schema 2 or OCI)."
        )
        raise ManifestInvalid(msg)
    if announced and written and announced != written:
        msg = f"The Content-Type says {announced}, the manifest itself says {written}."
        raise ManifestInvalid(msg)
    media_type = written or announced
    if media_type is None:
        msg = "Neither the manifest (mediaType) nor the request (Content-Type) says what kind of manifest this is."
        raise ManifestInvalid(msg)
    if media_type not in KINDS:
        msg = f"{media_type[:128]} is not a manifest type of this registry; it takes {', '.join(KINDS)}."
        raise ManifestInvalid(msg)
    return media_type


def _check_shape(document: dict[str, Any], kind: Kind, media_type: str) -> None:
    version = document.get("schemaVersion")
    if kind is not Kind.ARTIFACT and (type(version) is not int or version != 2):  # noqa: PLR2004 - both specify: 2
        msg = "The field schemaVersion of the manifest must be the number 2."
        raise ManifestInvalid(msg)
    required, forbidden = {
        Kind.IMAGE: (("config", "layers"), ("manifests", "blobs")),
        Kind.INDEX: (("manifests",), ("config", "layers", "blobs")),
        Kind.ARTIFACT: ((), ("config", "layers", "manifests")),
    }[kind]
    for key in required:
        if document.get(key) is None:
            msg = f"A manifest of type {media_type} needs the field {key}."
            raise ManifestInvalid(msg)
    for key in forbidden:
        if key in document:
            msg = f"A manifest of type {media_type} must not have the field {key}."
            raise ManifestInvalid(msg)
    if kind is Kind.ARTIFACT and not document.get("artifactType"):
        msg = "An artifact manifest needs the field artifactType."
        raise ManifestInvalid(msg)


def _check_keys(document: dict[str, Any], where: str) -> None:
    for key in document:
        if not key or "\0" in key:
            msg = f"A key in {where} is empty or holds a NUL."
            raise ManifestInvalid(msg)
        known = _KNOWN_KEYS.get(key.casefold())
        if known is not None and known != key:
            msg = f"The key {key!r} in {where} differs from {known!r} only by case."
            raise ManifestInvalid(msg)


class _DescriptorReader:
    """Reads descriptors and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def one(self, document: dict[str, Any], key: str) -> Descriptor | None:
        """Read a descriptor that may be absent."""
        value = document.get(key)
        return None if value is None else self._read(value, key)

    def many(self, document: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
        """Read a list of descriptors that may be absent."""
        values = document.get(key, [])
        if not isinstance(values, list):
            msg = f"The field {key} of the manifest is not a list."
            raise ManifestInvalid(msg)
        return tuple(self._read(value, f"{key}[{number}]") for number, value in enumerate(values))

    def _read(self, value: object, where: str) -> Descriptor:
        self._count += 1
        if self._count > MAX_DESCRIPTORS:
            msg = f"The manifest lists more than {MAX_DESCRIPTORS} descriptors."
            raise ManifestInvalid(msg)
        if not isinstance(value, dict):
            msg = f"{where} of the manifest is not a descriptor."
            raise ManifestInvalid(msg)
        _check_keys(value, where)
        media_type = _optional_media_type(value, "mediaType", where)
        if media_type is None:
            msg = f"{where} of the manifest has no mediaType."
            raise ManifestInvalid(msg)
        _annotations(value, f"{where}.annotations")
        _check_urls(value, where)
        descriptor = Descriptor(media_type, _digest(value, where), _size(value, where), value)
        if value.get("data") is not None:
            _check_embedded(value["data"], descriptor, where)
        return descriptor


def _digest(value: dict[str, Any], where: str) -> Digest:
    text = value.get("digest")
    if not isinstance(text, str):
        msg = f"{where} of the manifest has no digest."
        raise ManifestInvalid(msg)
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        msg = f"{where}.digest of the manifest: {error.message}"
        raise ManifestInvalid(msg) from None


def _size(value: dict[str, Any], where: str) -> int:
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= _MAX_SIZE:
        msg = f"{where}.size of the manifest is not a whole number of bytes."
        raise ManifestInvalid(msg)
    return size


def _optional_media_type(document: dict[str, Any], key: str, where: str = "the manifest") -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _MEDIA_TYPE.fullmatch(value):
        msg = f"{key} of {where} is not a media type."
        raise ManifestInvalid(msg)
    return value


def _annotations(document: dict[str, Any], where: str) -> dict[str, str]:
    value = document.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        msg = f"{where} is not a map of text to text."
        raise ManifestInvalid(msg)
    return value


def _check_urls(value: dict[str, Any], where: str) -> None:
    urls = value.get("urls")
    if urls is not None and not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)):
        msg = f"{where}.urls is not a list of text."
        raise ManifestInvalid(msg)


def _check_embedded(data: object, descriptor: Descriptor, where: str) -> None:
    """Check content carried inside a descriptor. Source: OCI image specification, descriptor.md, "Embedded Content"."""
    try:
        content = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        content = None
    if content is None or len(content) != descriptor.size_bytes or not descriptor.digest.matches(content):
        msg = f"{where}.data is not the content that the descriptor names."
        raise ManifestInvalid(msg)
